// Whole nodes that were away, lost their disk, or are new: they become ready with everything. KITH_LONG=1 takes 5,000
// operations and 2,000 blocks.

import { describe, expect, it } from 'vitest';
import { longForm } from '../support/fuzz.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import { FAR_HEIGHT, holdsAll, statusAt, userAt, usersOf } from '../support/sim-replication.ts';
import { allBacked, foundedWorld } from '../support/sim-world.ts';
import { createTestDisk } from '../support/test-disk.ts';

type Three = [SimMachine, SimMachine, SimMachine];
type Users = ReturnType<typeof usersOf>;
type World = Awaited<ReturnType<typeof foundedWorld>>;

/** Registers these at two nodes in turn, some of them revoked again, while blocks are made. */
async function goOn(
  { sim }: World,
  [a, b]: readonly [SimMachine, SimMachine],
  users: Users,
  { blocksOfFive = 1 } = {},
): Promise<Users> {
  const left: Users = [];
  for (const [i, who] of users.entries()) {
    const at = i % 2 === 0 ? a : b;
    await userAt(sim, at, who).register({ expiryHeight: FAR_HEIGHT });
    if (i % 10 !== 9) left.push(who);
    else {
      await sim.clock.advance(1_000);
      await userAt(sim, at, who).revoke(sim.devnet.tip);
    }
    if (i % 5 === 0) sim.devnet.advance(blocksOfFive);
  }
  return left;
}

describe('a node that was away', () => {
  it('for many operations and some blocks has them all when it is ready again', async () => {
    const world = await foundedWorld();
    const { sim, machines } = world;
    const [a, b, c] = machines as Three;
    c.crash();
    await sim.clock.advance(1_000);
    const missed = usersOf('away', longForm ? 5_000 : 150);
    const left = await goOn(world, [a, b], missed, { blocksOfFive: longForm ? 2 : 1 });
    c.boot();
    await sim.until(() => c.ready, 60);
    expect(holdsAll(c, sim, left)).toBe(true);
    expect(c.node.service.node().heights.detected).toBeGreaterThanOrEqual(sim.devnet.tip - 2);
    expect(c.node.running!.registrations.counts).toEqual(a.node.running!.registrations.counts);
    await sim.clock.advance(10_000);
    const sets = [];
    for (const machine of machines) sets.push(await userAt(sim, machine, left[0]!).read());
    expect(sets[2]).toEqual(sets[0]);
  });

  it('with its disk takes the place of the old one with everything', async () => {
    const world = await foundedWorld();
    const { sim, machines } = world;
    const [a, b, c] = machines as Three;
    const left = await goOn(world, [a, b], usersOf('wiped', 30));
    c.crash();
    await sim.clock.advance(1_000);
    const fresh = sim.machine('c', { disk: createTestDisk() });
    fresh.boot();
    await sim.until(() => fresh.ready, 60);
    expect(holdsAll(fresh, sim, left)).toBe(true);
    await sim.until(() => a.node.service.node().members === 3, 60);
    expect(await statusAt(sim, fresh, left[0]!)).toMatchObject({ status: 'confirmed' });
  });
});

describe('a fourth node', () => {
  it('becomes ready with everything by a snapshot where the logs do not go back to their beginning', async () => {
    const world = await foundedWorld();
    const { sim, machines } = world;
    const [a, b] = machines as Three;
    const left = await goOn(world, [a, b], usersOf('before', 30));
    // As heights pass the first entries of a log are forgotten: what is left of it begins later.
    for (const { node } of machines) {
      const { replica } = node.running!;
      const read = replica.positions.bind(replica);
      Object.assign(replica, { positions: () => read().map((one) => ({ ...one, first: one.seq + 1 })) });
    }
    const d = sim.machine('d');
    d.boot();
    await sim.until(() => d.ready, 60);
    expect(d.logged('snapshot-taken', 'outcome')).toContain('whole');
    expect(holdsAll(d, sim, left)).toBe(true);
    expect(d.node.running!.registrations.counts).toEqual(a.node.running!.registrations.counts);
    await sim.until(() => machines.every(({ node }) => node.service.node().members === 4), 60);
    const [after] = usersOf('after', 1) as [Users[0]];
    await sim.clock.advance(10_000);
    expect((await userAt(sim, d, after).register()).status).toBe('confirmed');
  });
});

describe('all but one of the nodes', () => {
  it.each([4, 5])('of %i get fresh ids and everything from the one that is left', async (size) => {
    const world = await foundedWorld(['a', 'b', 'c', 'd', 'e'].slice(0, size));
    const { sim, machines } = world;
    const [a, b] = machines as Three;
    const left = await goOn(world, [a, b], usersOf('survive', 20));
    await sim.until(() => machines.every((machine) => holdsAll(machine, sim, left)), 30);
    const others = machines.slice(1);
    const before = machines.map(({ nodeId }) => nodeId);
    for (const machine of others) machine.crash();
    await sim.clock.advance(1_000);
    for (const machine of others) machine.boot();
    const took = await sim.until(() => machines.every(({ ready }) => ready), 60);
    expect(took).toBeLessThanOrEqual(60_000);
    for (const machine of others) {
      expect(before).not.toContain(machine.nodeId);
      expect(holdsAll(machine, sim, left)).toBe(true);
    }
    await sim.until(() => allBacked(machines), 120);
  });
});

describe('a node cut off in one direction', () => {
  it('gets what it missed when the network is whole, without an alarm', async () => {
    const world = await foundedWorld();
    const { sim, machines } = world;
    const [a, b, c] = machines as Three;
    // c hears nobody; what it says arrives.
    sim.network.faults.chunk = ({ to }) => (to === c.address ? { copies: 0 } : undefined);
    await sim.clock.advance(20_000);
    const left = await goOn(world, [a, b], usersOf('deaf', 10));
    delete sim.network.faults.chunk;
    await sim.until(() => holdsAll(c, sim, left), 120);
    for (const machine of machines) expect(machine.logged('divergence')).toEqual([]);
  });
});
