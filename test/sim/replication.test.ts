// Operations among whole nodes: given to one, known, served and ended at all.

import { describe, expect, it } from 'vitest';
import { seededUser } from '../support/node-user.ts';
import { flagHex } from '../support/replay.ts';
import type { SimMachine } from '../support/sim-cluster.ts';
import {
  blocksPass,
  confirmedBy,
  heal,
  holdsAll,
  partition,
  statusAt,
  userAt,
  usersOf,
} from '../support/sim-replication.ts';
import { foundedWorld } from '../support/sim-world.ts';

const anna = seededUser('anna', 3);
type Three = [SimMachine, SimMachine, SimMachine];

/** Something is on each height; what anna gets is at the heights given. */
const linesWith = (annas: readonly number[]) =>
  Array.from({ length: 30 }, (_, i) => 1_000 + i).map((height) => ({
    height,
    block_index: 1,
    flags: [annas.includes(height) ? anna.flag(`at ${height}`) : flagHex(`${height}`)],
  }));

describe('a registration given to one of three nodes', () => {
  it('is confirmed with receipts of distinct platforms, and known and read at all', async () => {
    const { sim, machines } = await foundedWorld(undefined, { lines: linesWith([1_004, 1_017]) });
    const [a] = machines as Three;
    const answer = await userAt(sim, a, anna).register();
    expect(answer.status).toBe('confirmed');
    expect(confirmedBy(sim, answer).length).toBeGreaterThanOrEqual(2);
    expect(new Set(confirmedBy(sim, answer)).size).toBe(answer.receipts.length);
    const reads = () => Promise.all(machines.map((machine) => userAt(sim, machine, anna).read()));
    await sim.until(() => machines.every((machine) => holdsAll(machine, sim, [anna])), 5);
    // Each has asked each other how far it is by then.
    await sim.clock.advance(30_000);
    for (const found of await reads()) {
      const heights = found!.entries.map(([height]) => height);
      expect(heights).toContain(1_004);
      expect(heights).toContain(1_017);
    }
    const [first, ...others] = await reads();
    for (const other of others) expect(other).toEqual(first);
    for (const machine of machines) {
      expect(await statusAt(sim, machine, anna)).toMatchObject({ status: 'confirmed', confirmations: 3 });
    }
  });

  it('is renewed and revoked at others, and then served by none', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    await userAt(sim, a, anna).register();
    sim.devnet.advance(1);
    await sim.clock.advance(10_000);
    expect((await userAt(sim, b, anna).renew(9_000)).status).toBe('confirmed');
    await sim.clock.advance(3_000);
    for (const machine of machines) expect(await statusAt(sim, machine, anna)).toMatchObject({ expiryHeight: 9_000 });
    sim.devnet.advance(1);
    await sim.clock.advance(10_000);
    expect((await userAt(sim, c, anna).revoke()).status).toBe('confirmed');
    await sim.clock.advance(3_000);
    for (const machine of machines) {
      expect(await statusAt(sim, machine, anna)).toMatchObject({ status: 'revoked' });
      expect(machine.node.running!.registrations.keysHeld(userAt(sim, machine, anna).id)).toBe(false);
      expect(await userAt(sim, machine, anna).read()).toBeUndefined();
    }
  });

  it('ends everywhere at its height, and comes back neither by an audit nor by a node that was away', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, , c] = machines as Three;
    const user = userAt(sim, a, anna);
    const { expiryHeight } = await user.register({ expiryHeight: sim.devnet.tip + 10 });
    await sim.until(() => machines.every((machine) => holdsAll(machine, sim, [anna])), 5);
    c.crash();
    await blocksPass(sim, expiryHeight - sim.devnet.tip + 5);
    const gone = (machine: SimMachine) => !machine.node.running!.registrations.keysHeld(user.id);
    await sim.until(() => machines.slice(0, 2).every(gone), 60);
    c.boot();
    await sim.until(() => c.ready, 60);
    await blocksPass(sim, 1);
    await sim.until(() => machines.every((machine) => machine.ready && gone(machine)), 120);
    // The longest that two audits are apart.
    await sim.clock.advance(700_000);
    for (const machine of machines) {
      expect(gone(machine)).toBe(true);
      expect((await statusAt(sim, machine, anna))?.status).not.toBe('confirmed');
      expect(machine.logged('divergence')).toEqual([]);
    }
  });
});

describe('three nodes of which some are away', () => {
  it('confirm by the other two when one is down, and it has everything when it is back', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    c.crash();
    await sim.clock.advance(1_000);
    const users = usersOf('of two', 5);
    for (const [i, who] of users.entries()) {
      const answer = await userAt(sim, i % 2 === 0 ? a : b, who).register();
      expect(answer.status).toBe('confirmed');
      expect(confirmedBy(sim, answer)).toEqual(['a', 'b']);
    }
    c.boot();
    await sim.until(() => c.ready, 60);
    expect(holdsAll(c, sim, users)).toBe(true);
    expect(await statusAt(sim, c, users[0]!)).toMatchObject({ status: 'confirmed' });
  });

  it('answer look-ups and take what is new as pending when two are down, confirmed once they are back', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    await userAt(sim, a, anna).register();
    b.crash();
    c.crash();
    await sim.clock.advance(20_000);
    const users = usersOf('alone', 3);
    for (const who of users) {
      const began = sim.clock.monotonic();
      const answer = await userAt(sim, a, who).register();
      expect(answer.status).toBe('pending');
      expect(sim.clock.monotonic() - began).toBeGreaterThanOrEqual(5_000);
      expect(confirmedBy(sim, answer)).toEqual(['a']);
    }
    expect(await userAt(sim, a, anna).read()).toBeDefined();
    expect(await statusAt(sim, a, users[0]!)).toMatchObject({ status: 'pending', confirmations: 1 });
    b.boot();
    c.boot();
    await sim.until(() => machines.every((machine) => machine.ready), 120);
    for (const machine of machines) {
      for (const who of users) expect(await statusAt(sim, machine, who)).toMatchObject({ status: 'confirmed' });
    }
  });

  it('go on in both halves of a network that fell apart, and agree when it is whole', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    partition(sim, [a, b], [c]);
    await sim.clock.advance(1_000);
    const [boris, clara] = usersOf('half', 2) as [typeof anna, typeof anna];
    expect((await userAt(sim, a, boris).register()).status).toBe('confirmed');
    expect((await userAt(sim, c, clara).register()).status).toBe('pending');
    expect(await statusAt(sim, c, boris)).toBeUndefined();
    expect(await statusAt(sim, a, clara)).toBeUndefined();
    heal(sim);
    await sim.until(() => machines.every((machine) => holdsAll(machine, sim, [boris, clara])), 120);
    await sim.clock.advance(30_000);
    for (const machine of machines) {
      expect(await statusAt(sim, machine, clara)).toMatchObject({ status: 'confirmed', confirmations: 3 });
      expect(machine.logged('divergence')).toEqual([]);
    }
  });

  it('let a revoke of one half win over a renewal of the other', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, , c] = machines as Three;
    await userAt(sim, a, anna).register();
    await sim.until(() => machines.every((machine) => holdsAll(machine, sim, [anna])), 5);
    sim.devnet.advance(1);
    await sim.clock.advance(10_000);
    partition(sim, machines.slice(0, 2), [c]);
    await sim.clock.advance(1_000);
    const version = sim.devnet.tip;
    await userAt(sim, a, anna).renew(9_000, version);
    await userAt(sim, c, anna).revoke(version);
    heal(sim);
    const { id } = userAt(sim, a, anna);
    const revoked = ({ node }: SimMachine) => node.running!.registrations.standing(id).kind === 'revoked';
    await sim.until(() => machines.every(revoked), 120);
    for (const machine of machines) expect(await userAt(sim, machine, anna).read()).toBeUndefined();
  });
});
