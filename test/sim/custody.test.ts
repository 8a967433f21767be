import { describe, expect, it } from 'vitest';
import { createDevnet } from '../../src/devnet/index.ts';
import { madeUpLines, replayOf } from '../support/replay.ts';
import { createSimCluster, type SimMachine } from '../support/sim-cluster.ts';
import { copyDisk } from '../support/test-node.ts';

const LINES = madeUpLines(1_000, 30).filter(({ flags }) => flags === null);

const ready = ({ node }: SimMachine) => node.service.readiness().ready;
const nodeId = ({ node }: SimMachine) => node.service.node().nodeId;

/** Three nodes that are ready, each with the newest head of the others. */
async function founded() {
  const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 20 });
  const sim = createSimCluster(devnet);
  const machines = ['a', 'b', 'c'].map((name) => sim.machine(name));
  for (const machine of machines) machine.boot();
  await sim.until(() => machines.every(ready));
  await sim.until(() => machines.every(({ node }) => node.service.node().members === 3));
  await sim.clock.advance(40_000);
  const stopAll = async (...more: SimMachine[]) => {
    for (const machine of [...machines, ...more]) await machine.stop();
  };
  return { sim, devnet, machines, stopAll };
}

describe('three nodes', () => {
  it('fence off the older of two boots of one disk', async () => {
    const { sim, machines, stopAll } = await founded();
    const victim = machines[2]!;
    const clone = sim.machine('c', { operator: 'op-c', disk: await copyDisk(victim.disk), address: '/memory/clone' });
    clone.boot();
    await sim.until(() => clone.node.service.node().phase === 'ready');
    await sim.until(() => victim.node.service.readiness().phase === 'fenced');
    expect(nodeId(clone)).toBe(nodeId(victim));
    expect(ready(victim)).toBe(false);
    expect(victim.lines.some(({ event }) => event === 'fenced')).toBe(true);
    await stopAll(clone);
  });

  it('notice a disk that was put back, and do not let it serve', async () => {
    const { sim, devnet, machines, stopAll } = await founded();
    const victim = machines[1]!;
    const old = await copyDisk(victim.disk);
    devnet.advance(5);
    await sim.clock.advance(40_000);
    const before = nodeId(victim);
    victim.crash();
    await sim.clock.advance(1_000);
    const back = sim.machine('b', { operator: 'op-b', disk: old, address: '/memory/b' });
    back.boot();
    await sim.until(() => back.lines.some(({ event }) => event === 'rollback'));
    await sim.clock.advance(30_000);
    expect(nodeId(back)).toBe(before);
    expect(back.node.service.readiness()).toMatchObject({ ready: false, phase: 'catching-up' });
    expect(back.node.service.readiness().reasons[0]).toMatch(/^rollback: the disk ends with batch \d+/);
    await stopAll(back);
  });

  it('keep one another’s keys: each restarts under its own id', async () => {
    const { sim, machines, stopAll } = await founded();
    for (const machine of machines) {
      const before = nodeId(machine);
      machine.crash();
      await sim.clock.advance(2_000);
      machine.boot();
      const took = await sim.until(() => ready(machine));
      expect(nodeId(machine)).toBe(before);
      expect(machine.node.service.node().incarnation).toBeGreaterThan(1);
      expect(took).toBeLessThan(15_000);
      await sim.clock.advance(20_000);
    }
    await stopAll();
  });
});

describe('a node that waits', () => {
  it('for a second member, and for its key, stops when it is told to', async () => {
    const { sim, machines, stopAll } = await founded();
    const alone = createSimCluster(createDevnet({ replay: replayOf(LINES) }));
    const first = alone.machine('a');
    first.boot();
    await alone.until(() => first.node.service.readiness().reasons[0] === 'waiting for a second member');
    await first.stop();
    expect(first.node.service.readiness().phase).toBe('draining');
    const victim = machines[0]!;
    for (const machine of machines) machine.crash();
    victim.boot();
    await sim.until(() => victim.node.service.readiness().reasons[0]!.includes('shares of the sealing key'));
    await victim.stop();
    expect(victim.disk.asides()).toBe(0);
    await stopAll();
  });
});
