import { describe, expect, it } from 'vitest';
import { createDevnet } from '../../src/devnet/index.ts';
import { readHeader } from '../../src/node/store/index.ts';
import { madeUpLines, replayOf } from '../support/replay.ts';
import { createSimCluster, type SimMachine } from '../support/sim-cluster.ts';

const LINES = madeUpLines(1_000, 30).filter(({ flags }) => flags === null);

const ready = ({ node }: SimMachine) => node.service.readiness().ready;
const nodeId = ({ node }: SimMachine) => node.service.node().nodeId;
const warned = ({ lines }: SimMachine) => lines.filter(({ event }) => event === 'still-needed');
const keyServersOf = async ({ disk }: SimMachine) => {
  const { threshold, keyServers } = readHeader(await disk.header.read());
  return { threshold, ids: keyServers.map((server) => server.nodeId as string) };
};

async function founded(names: readonly string[]) {
  const sim = createSimCluster(createDevnet({ replay: replayOf(LINES), startAfter: 20 }));
  const machines = names.map((name) => sim.machine(name));
  for (const machine of machines) machine.boot();
  await sim.until(() => machines.every(ready));
  await sim.until(() => machines.every(({ node }) => node.service.node().members === names.length));
  await sim.clock.advance(60_000);
  /** Stops a machine; how long that took in milliseconds. */
  const stop = async (machine: SimMachine) => {
    const began = sim.clock.monotonic();
    await machine.stop();
    return sim.clock.monotonic() - began;
  };
  const [owner, ...others] = machines as [SimMachine, ...SimMachine[]];
  const { threshold, ids } = await keyServersOf(owner);
  const keeping = ids.map((id) => others.find((machine) => nodeId(machine) === id)!);
  return { sim, machines, owner, threshold, keeping, stop };
}

describe('a node that stops', () => {
  it('does not keep anybody waiting when the others have enough shares', async () => {
    const { machines, keeping, stop } = await founded(['a', 'b', 'c']);
    expect(await stop(keeping[0]!)).toBeLessThan(1_000);
    expect(warned(keeping[0]!)).toEqual([]);
    for (const machine of machines) await machine.stop();
  });

  it('waits until an owner that needs it has dealt to others, who then get it back', async () => {
    const { sim, machines, owner, threshold, keeping, stop } = await founded(['a', 'b', 'c', 'd', 'e']);
    expect([threshold, keeping.length]).toEqual([2, 3]);
    const [gone, leaving] = keeping as [SimMachine, SimMachine, SimMachine];
    const before = nodeId(owner);
    const left = nodeId(leaving);
    gone.crash();
    await sim.clock.advance(1_000);
    const tookMs = await stop(leaving);
    expect(tookMs).toBeGreaterThanOrEqual(100);
    expect(tookMs).toBeLessThan(2_000);
    expect(warned(leaving)).toEqual([]);
    expect((await keyServersOf(owner)).ids).not.toContain(left);
    owner.crash();
    await sim.clock.advance(1_000);
    owner.boot();
    await sim.until(() => ready(owner));
    expect(nodeId(owner)).toBe(before);
    for (const machine of machines) await machine.stop();
  });

  it('says so, and goes, when an owner that needs it does not deal in time', async () => {
    const { sim, machines, keeping, stop } = await founded(['a', 'b', 'c', 'd', 'e']);
    const [gone, leaving] = keeping as [SimMachine, SimMachine, SimMachine];
    gone.crash();
    sim.network.faults.chunk = ({ from }) => (from === '/memory/a' ? { copies: 0 } : undefined);
    const tookMs = await stop(leaving);
    expect(tookMs).toBeGreaterThanOrEqual(10_000);
    expect(tookMs).toBeLessThan(20_000);
    expect(warned(leaving)[0]!.fields['owners']).toBeGreaterThan(0);
    sim.network.faults.chunk = () => undefined;
    for (const machine of machines) await machine.stop();
  });

  it('does not wait when there is nobody left to take its place', async () => {
    const { sim, machines, keeping, stop } = await founded(['a', 'b', 'c']);
    const [gone, leaving] = keeping as [SimMachine, SimMachine];
    await gone.stop();
    await sim.clock.advance(1_000);
    expect(await stop(leaving)).toBeLessThan(1_000);
    expect(warned(leaving)).toHaveLength(1);
    for (const machine of machines) await machine.stop();
  });

  it('does not wait for others that stop as well, each a moment after the one before', async () => {
    const { sim, machines } = await founded(['a', 'b', 'c']);
    const began = sim.clock.monotonic();
    const stops: Promise<void>[] = [];
    for (const { node } of machines) {
      stops.push(node.stop());
      await sim.clock.advance(20);
    }
    await sim.clock.settle(Promise.all(stops));
    expect(sim.clock.monotonic() - began).toBeLessThan(1_000);
    // Who goes last knows that nobody could restart.
    expect(warned(machines.at(-1)!)).toHaveLength(1);
  });
});
