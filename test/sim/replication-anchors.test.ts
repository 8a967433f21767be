// What whole nodes learn by other ways than pushes and pulls: anchors on the chain, and audits. KITH_LONG=1 misses 5,000
// operations and 2,000 blocks.

import { describe, expect, it } from 'vitest';
import type { RegId } from '../../src/core/ids.ts';
import { longForm } from '../support/fuzz.ts';
import type { SimCluster, SimMachine } from '../support/sim-cluster.ts';
import { FAR_HEIGHT, holdsAll, statusAt, userAt, usersOf } from '../support/sim-replication.ts';
import { foundedWorld } from '../support/sim-world.ts';

type Three = [SimMachine, SimMachine, SimMachine];

/** One block after the other, each with time for the members to speak of it. */
async function blocksOneByOne({ devnet, clock }: SimCluster, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    devnet.advance(1);
    await clock.advance(3_000);
  }
}

describe('a node that pulls nothing', () => {
  it('finds by anchors exactly the operations it missed, and fetches them by their tags', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, , c] = machines as Three;
    const early = usersOf('early', 3);
    for (const who of early) await userAt(sim, a, who).register({ expiryHeight: FAR_HEIGHT });
    await sim.until(() => holdsAll(c, sim, early), 10);
    await blocksOneByOne(sim, 25);
    c.crash();
    const late = usersOf('late', longForm ? 5_000 : 5);
    for (const who of late) await userAt(sim, a, who).register({ expiryHeight: FAR_HEIGHT });
    await blocksOneByOne(sim, longForm ? 2_000 : 45);
    // The log that has them is of a boot that is over: nobody pushes it.
    a.crash();
    await sim.clock.advance(1_000);
    a.boot();
    await sim.until(() => a.ready, 60);
    c.boot({ replication: { pull: false } });
    await sim.until(() => holdsAll(c, sim, late), longForm ? 3_600 : 240);
    const found = c.logged('anchored-found', 'operations') as number[];
    expect(found.reduce((sum, count) => sum + count, 0)).toBe(late.length);
    expect(c.logged('snapshot-taken')).toEqual([]);
    expect(c.node.service.readiness().reasons.join()).toMatch(
      /members have \d+ entries in \d+ logs that this node lacks/,
    );
    // What pulls bring is not anchors' work: with them it becomes ready.
    c.crash();
    await sim.clock.advance(1_000);
    c.boot();
    await sim.until(() => c.ready, 60);
    for (const who of [...early, ...late]) expect(await statusAt(sim, c, who)).toMatchObject({ status: 'confirmed' });
  });
});

/** What a node says of its logs leaves out the bodies for these registrations, as if nobody needed them. */
function leaveOut({ node }: SimMachine, regIds: ReadonlySet<string>): () => void {
  const { replica } = node.running!;
  const read = replica.read.bind(replica);
  Object.assign(replica, {
    async read(...args: Parameters<typeof read>) {
      const items = await read(...args);
      return items.map((item) => ({
        ...item,
        bodies: item.bodies.map((body) => (body && regIds.has(body.operation.regId) ? undefined : body)),
      }));
    },
  });
  return () => void Object.assign(replica, { read });
}

const divergences = (machines: readonly SimMachine[], kind: string): number =>
  machines.flatMap((machine) => machine.logged('divergence', 'kind')).filter((one) => one === kind).length;

describe('audits of whole nodes', () => {
  it('find an operation that one lacks and a revoke it does not know, heal both and raise an alarm', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, b, c] = machines as Three;
    const [dropped, resurrected, ...others] = usersOf('audited', 6) as [
      ReturnType<typeof usersOf>[0],
      ReturnType<typeof usersOf>[0],
    ];
    await userAt(sim, a, resurrected).register();
    for (const who of others) await userAt(sim, b, who).register();
    await sim.until(() => machines.every((machine) => holdsAll(machine, sim, [resurrected, ...others])), 10);
    const ids = [dropped, resurrected].map((who) => userAt(sim, a, who).id);
    const ends = [a, b].map((machine) => leaveOut(machine, new Set<string>(ids)));
    sim.devnet.advance(1);
    await sim.clock.advance(10_000);
    await userAt(sim, a, dropped).register();
    await userAt(sim, a, resurrected).revoke();
    await sim.clock.advance(5_000);
    for (const end of ends) end();
    const revoked = ({ node }: SimMachine) => node.running!.registrations.standing(ids[1]!).kind === 'revoked';
    expect([holdsAll(c, sim, [dropped]), revoked(c)]).toEqual([false, false]);
    await sim.until(() => machines.every((machine) => holdsAll(machine, sim, [dropped]) && revoked(machine)), 2_000);
    expect(divergences(machines, 'diverged')).toBeGreaterThan(0);
    expect(await userAt(sim, c, resurrected).read()).toBeUndefined();
  });

  it('find a state in memory that is not what the records say', async () => {
    const { sim, machines } = await foundedWorld();
    const [a, , c] = machines as Three;
    const users = usersOf('flipped', 4);
    for (const who of users) await userAt(sim, a, who).register();
    await sim.until(() => machines.every((machine) => holdsAll(machine, sim, users)), 10);
    const { replica } = c.node.running!;
    const { states } = replica;
    const [flipped, other] = users.map((who) => userAt(sim, a, who).id) as [RegId, RegId];
    Object.assign(replica, {
      *states() {
        const all = [...states.call(replica)];
        const opIds = all.find(({ regId }) => regId === other)!.opIds;
        for (const one of all) yield one.regId === flipped ? { ...one, opIds } : one;
      },
    });
    await sim.until(() => divergences([c], 'records') > 0, 1_000);
    Object.assign(replica, { states });
    for (const who of users) expect(await statusAt(sim, c, who)).toMatchObject({ status: 'confirmed' });
  });
});
