import { describe, expect, it } from 'vitest';
import { createDevnet } from '../../src/devnet/index.ts';
import { madeUpLines, replayOf } from '../support/replay.ts';
import { createSimCluster, type SimMachine } from '../support/sim-cluster.ts';
import { createTestDisk } from '../support/test-disk.ts';

const LINES = madeUpLines(1_000, 30).filter(({ flags }) => flags === null);

const ready = ({ node }: SimMachine) => node.service.readiness().ready;
const nodeId = ({ node }: SimMachine) => node.service.node().nodeId;
const backed = ({ node }: SimMachine) =>
  !node.service.readiness().reasons.some((reason) => /^(unbacked|custody):/.test(reason));
const rosterSizes = (machines: readonly SimMachine[]) => machines.map(({ node }) => node.service.node().members);

/** So many nodes, ready, each one's key with the others. */
async function founded(size: number) {
  const sim = createSimCluster(createDevnet({ replay: replayOf(LINES), startAfter: 20 }));
  const machines = ['a', 'b', 'c', 'd', 'e'].slice(0, size).map((name) => sim.machine(name));
  for (const machine of machines) machine.boot();
  const whole = (all: readonly SimMachine[]) =>
    all.every((one) => ready(one) && backed(one)) && rosterSizes(all).every((n) => n === size);
  await sim.until(() => whole(machines));
  await sim.clock.advance(40_000);
  return { sim, machines, whole };
}

describe('all but one node restarted at the same moment', () => {
  it.each([4, 5])('are members again under fresh ids within a minute, of %i', async (size) => {
    const { sim, machines, whole } = await founded(size);
    const [left, ...others] = machines as [SimMachine, ...SimMachine[]];
    const before = machines.map(nodeId);
    for (const machine of others) machine.crash();
    await sim.clock.advance(1_000);
    for (const machine of others) machine.boot();
    const took = await sim.until(() => whole(machines), 60);
    expect(took).toBeLessThan(60_000);
    expect(nodeId(left)).toBe(before[0]);
    for (const machine of others) expect(before).not.toContain(nodeId(machine));
    for (const { disk } of others) expect(disk.asides()).toBe(1);
    for (const machine of machines) await machine.stop();
  });

  it('keep their ids where one share is enough: three nodes', async () => {
    const { sim, machines, whole } = await founded(3);
    const before = machines.map(nodeId);
    for (const machine of machines.slice(1)) machine.crash();
    await sim.clock.advance(1_000);
    for (const machine of machines.slice(1)) machine.boot();
    await sim.until(() => whole(machines), 60);
    expect(machines.map(nodeId)).toEqual(before);
    for (const machine of machines) await machine.stop();
  });
});

describe('a node whose key servers are away', () => {
  it('waits for them as long as none of them has come back without its memory', async () => {
    const { sim, machines, whole } = await founded(4);
    const before = machines.map(nodeId);
    const [left, waiting, ...away] = machines as [SimMachine, SimMachine, ...SimMachine[]];
    const gone = away.map(({ name }) => `/memory/${name}`);
    sim.network.faults.dial = (from, to) => !gone.includes(from) && !gone.includes(to);
    for (const address of gone) sim.network.cut(address);
    waiting.crash();
    await sim.clock.advance(1_000);
    waiting.boot();
    await sim.clock.advance(120_000);
    expect(waiting.disk.asides()).toBe(0);
    expect(ready(left)).toBe(true);
    delete sim.network.faults.dial;
    await sim.until(() => whole(machines), 90);
    expect(machines.map(nodeId)).toEqual(before);
    for (const machine of machines) await machine.stop();
  });
});

describe('a node that is left alone', () => {
  it('says whom it misses, until a majority is there', async () => {
    const { sim, machines, whole } = await founded(3);
    const [left, ...others] = machines as [SimMachine, ...SimMachine[]];
    const missed = () => left.node.service.readiness().reasons.find((reason) => reason.startsWith('no majority'));
    expect(missed()).toBeUndefined();
    for (const machine of others) machine.crash();
    await sim.until(() => missed() !== undefined, 30);
    await sim.clock.advance(20_000);
    for (const machine of others) expect(missed()).toContain(`${nodeId(machine).slice(0, 8)} (op-${machine.name})`);
    others[0]!.boot();
    await sim.until(() => missed() === undefined, 60);
    others[1]!.boot();
    await sim.until(() => whole(machines), 60);
    for (const machine of machines) await machine.stop();
  });
});

describe('all but one node with new disks', () => {
  it('are members in the places of the old ones within a minute', async () => {
    const { sim, machines, whole } = await founded(3);
    for (const machine of machines.slice(1)) machine.crash();
    await sim.clock.advance(1_000);
    const fresh = ['b', 'c'].map((name) =>
      sim.machine(name, { operator: `op-${name}`, disk: createTestDisk(), address: `/memory/${name}` }),
    );
    for (const machine of fresh) machine.boot();
    const all = [machines[0]!, ...fresh];
    await sim.until(() => whole(all), 60);
    for (const machine of all) await machine.stop();
  });
});
