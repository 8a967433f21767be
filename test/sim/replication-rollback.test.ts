// Disks that were put back, and two boots of one disk, while operations go on.

import { describe, expect, it } from 'vitest';
import type { SimCluster, SimMachine } from '../support/sim-cluster.ts';
import { confirmedBy, holdsAll, partition, statusAt, userAt, usersOf } from '../support/sim-replication.ts';
import { foundedWorld } from '../support/sim-world.ts';
import { copyDisk } from '../support/test-disk.ts';

type Three = [SimMachine, SimMachine, SimMachine];

/** Registers all of these at a node; each is confirmed. */
async function registerAll(sim: SimCluster, at: SimMachine, users: ReturnType<typeof usersOf>): Promise<void> {
  for (const who of users) expect((await userAt(sim, at, who).register()).status).toBe('confirmed');
}

/** A disk of b as it was before operations that b has confirmed since; b has crashed. */
async function putBack() {
  const world = await foundedWorld();
  const { sim, machines } = world;
  const [a, b, c] = machines as Three;
  const early = usersOf('early', 2);
  await registerAll(sim, a, early);
  const disk = await copyDisk(b.disk);
  const late = usersOf('late', 12);
  await registerAll(sim, b, late.slice(0, 6));
  await registerAll(sim, c, late.slice(6));
  await sim.until(() => machines.every((machine) => holdsAll(machine, sim, late)), 10);
  await sim.clock.advance(10_000);
  b.crash();
  await sim.clock.advance(1_000);
  return { ...world, a, b, c, disk, early, late, all: [...early, ...late] };
}

const reported = (machine: SimMachine) => machine.logged('rollback').length > 0;

describe('a node whose disk was put back', () => {
  it('is told so although it ended the moment after its last word to a user', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    await registerAll(sim, a, usersOf('early', 2));
    await sim.clock.advance(10_000);
    const disk = await copyDisk(b.disk);
    const late = usersOf('late', 3);
    await registerAll(sim, b, late);
    b.crash();
    await sim.clock.advance(1_000);
    const back = sim.machine('b', { disk });
    back.boot();
    await sim.until(() => back.ready);
    expect(reported(back)).toBe(true);
    for (const machine of [a, back, c]) expect(holdsAll(machine, sim, late)).toBe(true);
  });

  it('says so, confirms nothing before it caught up with a majority, and then serves with everything', async () => {
    const { sim, b, disk, all, a } = await putBack();
    const before = b.nodeId;
    const back = sim.machine('b', { disk });
    // It reaches nobody but for its key, so that it stays behind for a while.
    let blocked = false;
    sim.network.faults.chunk = ({ from, to, protocol }) =>
      blocked && [from, to].includes(back.address) && protocol === '/kith/replicate/1' ? { copies: 0 } : undefined;
    blocked = true;
    back.boot();
    await sim.until(() => reported(back));
    await sim.clock.advance(5_000);
    expect(back.nodeId).toBe(before);
    expect(back.ready).toBe(false);
    expect(back.node.service.readiness().reasons.join('\n')).toMatch(/^rollback: the disk ends with batch \d+/m);
    expect(await back.metric('kith_node_rollback')).toBe(1);
    const [held] = [...back.node.running!.registrations.regIds];
    const [inForce] = await back.node.running!.replica.inForce(held!);
    expect(back.node.running!.replica.receipt([inForce!.opId])).toBeUndefined();
    blocked = false;
    await sim.until(() => back.ready);
    expect(holdsAll(back, sim, all)).toBe(true);
    expect(back.logged('rollback-caught-up', 'with')).toEqual(['majority']);
    expect(back.node.running!.replica.receipt([inForce!.opId])).toBeDefined();
    expect(await back.metric('kith_node_rollback')).toBe(0);
    const [after] = usersOf('after', 1);
    const answer = await userAt(sim, back, after!).register();
    expect(answer.status).toBe('confirmed');
    expect(confirmedBy({ ...sim, machines: [a, back] } as SimCluster, answer)).toContain('b');
    for (const who of all) expect(await statusAt(sim, back, who)).toMatchObject({ status: 'confirmed' });
  });

  it('gives no receipt for what is sent to it while it is behind', async () => {
    const { sim, a, disk } = await putBack();
    const back = sim.machine('b', { disk });
    back.boot();
    const during = usersOf('during', 6);
    let seen = 0;
    for (const who of during) {
      const answer = await userAt(sim, a, who).register();
      const isBehind = !back.ready;
      if (isBehind && confirmedBy(sim, answer).includes('b')) {
        expect(back.logged('rollback-caught-up')).not.toEqual([]);
      }
      seen += isBehind ? 1 : 0;
    }
    expect(seen).toBeGreaterThan(0);
    await sim.until(() => back.ready);
    expect(holdsAll(back, sim, during)).toBe(true);
  });

  it('is found out by what members remember on disk when their memory as key servers ends with the old disk', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    const early = usersOf('early', 2);
    await registerAll(sim, a, early);
    await sim.clock.advance(10_000);
    const disk = await copyDisk(b.disk);
    // From now on its key servers hear nothing of b, and the others learn how far it is by its answers to pushes alone.
    sim.network.faults.chunk = ({ from, to, protocol }) =>
      [from, to].includes(b.address) && protocol === '/kith/custody/1' ? { copies: 0 } : undefined;
    const late = usersOf('late', 4);
    await registerAll(sim, a, late);
    b.crash();
    delete sim.network.faults.chunk;
    await sim.clock.advance(1_000);
    // What a has noted of b is written with what it writes next.
    await registerAll(sim, a, usersOf('then', 1));
    a.crash();
    await sim.clock.advance(1_000);
    a.boot();
    await sim.until(() => a.ready && c.ready, 60);
    const back = sim.machine('b', { disk });
    back.boot();
    await sim.until(() => reported(back));
    await sim.until(() => back.ready);
    expect(back.logged('rollback-caught-up')).toHaveLength(1);
    expect(holdsAll(back, sim, [...early, ...late])).toBe(true);
  });

  it('goes on with all that can be reached when that is no majority, and says so', async () => {
    const { sim, a, c, disk, all } = await putBack();
    partition(sim, [a, sim.machines[1]!], [c]);
    await sim.clock.advance(20_000);
    const back = sim.machine('b', { disk });
    back.boot();
    await sim.until(() => reported(back));
    await sim.until(() => back.ready, 120);
    expect(holdsAll(back, sim, all)).toBe(true);
    expect(back.logged('rollback-caught-up', 'with')).toEqual(['reachable']);
  });
});

describe('two boots of one disk', () => {
  it('end with one that serves and one that is fenced, and lose nothing that was confirmed', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    const clone = sim.machine('b', { disk: await copyDisk(b.disk), address: '/memory/clone' });
    clone.boot();
    const confirmed: ReturnType<typeof usersOf> = [];
    for (const [i, who] of usersOf('meanwhile', 24).entries()) {
      const at = [a, b, c, clone][i % 4]!;
      if (at.node.service.readiness().phase !== 'ready') continue;
      const answer = await userAt(sim, at, who)
        .register()
        .catch(() => undefined);
      if (answer?.status === 'confirmed') confirmed.push(who);
      expect([b, clone].filter((one) => one.ready).length).toBeLessThanOrEqual(1);
      await sim.clock.advance(500);
    }
    const phases = () => [b, clone].map(({ node }) => node.service.readiness().phase);
    await sim.until(() => phases().includes('fenced') && phases().includes('ready'), 60);
    const left = [a, c, clone.ready ? clone : b];
    expect(confirmed.length).toBeGreaterThan(12);
    await sim.until(() => left.every((machine) => holdsAll(machine, sim, confirmed)), 60);
  });
});
