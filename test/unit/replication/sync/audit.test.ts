import { describe, expect, it } from 'vitest';
import type { Operation } from '../../../../src/core/registration/operation.ts';
import { auditTable } from '../../../../src/replication/sync/audit-table.ts';
import { encodeSyncRequest } from '../../../../src/replication/sync/messages.ts';
import { auditPair, plantAll } from '../../../support/audit-pair.ts';
import { createImmediateClock } from '../../../support/immediate-clock.ts';
import { createMemoryReplica } from '../../../support/memory-replica.ts';
import { testUser } from '../../../support/registration.ts';
import { rosterIdentity } from '../../../support/roster.ts';
import { createSyncWorld, register, renew, revoke, same } from '../../../support/sync-network.ts';

const signal = new AbortController().signal;
const LARGE = 100_000;

describe('an audit', () => {
  it('of equal sets of 100,000 takes at most 2 KB, and one that differs in 10 at most 64 KB', async () => {
    const { world, a, b } = auditPair();
    plantAll(LARGE, a, b);
    const equal = await world.clock.settle(a.sync.audit({ signal }));
    expect(equal).toEqual({ kind: 'equal', nodeId: b.identity.nodeId, registrations: LARGE });
    expect(world.traffic.bytes).toBeLessThanOrEqual(2_048);

    for (let i = 0; i < 10; i++) await (i % 2 ? a : b).replica.takeBodies([register(i)]);
    await world.clock.advance(10_000);
    world.resetTraffic();
    const different = await world.clock.settle(a.sync.audit({ signal }));
    expect(different).toMatchObject({ kind: 'diverged', takenHere: 5, takenThere: 5, more: false });
    expect(world.traffic.bytes).toBeLessThanOrEqual(65_536);
    expect(world.traffic.largest).toBeLessThanOrEqual(32_768);
    expect(a.divergences).toHaveLength(1);
    expect(a.replica.digest).toBe(b.replica.digest);
    await world.stop();
  });

  it('finds what differs in one operation of a state', async () => {
    const { world, a, b } = auditPair();
    for (const { replica } of [a, b]) await replica.takeBodies([register(1), register(2)]);
    await a.replica.takeBodies([{ ...renew(1), keys: undefined }]);
    await b.replica.takeBodies([{ ...revoke(2), keys: undefined }]);
    expect(await world.clock.settle(a.sync.audit({ signal }))).toMatchObject({ kind: 'diverged' });
    expect(a.replica.digest).toBe(b.replica.digest);
    expect(a.divergences[0]).toMatchObject({ kind: 'diverged', takenHere: 1, takenThere: 1 });
    await world.clock.advance(10_000);
    expect(await world.clock.settle(a.sync.audit({ signal }))).toMatchObject({ kind: 'equal' });
    await world.stop();
  });

  it('exchanges in rounds what is too much for one', async () => {
    const { world, a, b } = auditPair();
    const made = Array.from({ length: 1_100 }, (_, i) => register(i));
    await a.replica.takeBodies(made);
    const first = await world.clock.settle(b.sync.audit({ signal }));
    expect(first).toMatchObject({ kind: 'diverged', more: true });
    for (let round = 0; round < 4; round++) {
      await world.clock.advance(10_000);
      await world.clock.settle(b.sync.audit({ signal }));
    }
    expect(b.replica.digest).toBe(a.replica.digest);
    expect(world.traffic.largest).toBeLessThanOrEqual(261_120);
    await world.stop();
  });

  it('says nothing where the frontiers do not agree, and raises no alarm for what is on its way', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a', { pull: false }), await world.join('b', { pull: false })];
    await world.clock.advance(3_000);
    world.setPhase(b, 'draining');
    await world.clock.advance(10);
    a.replica.append([register(1)]);
    await world.clock.advance(3_000);
    expect(await world.clock.settle(b.sync.audit({ signal }))).toMatchObject({ kind: 'inconclusive' });
    expect(b.divergences).toEqual([]);
    await world.stop();
  });

  it('is not computed twice for one member in a moment, nor answered from another key', async () => {
    const { world, a, b } = auditPair();
    const ask = (key: number, kind: 'audit-root' | 'audit-branches') =>
      b.sync.handle(a.identity.nodeId, encodeSyncRequest({ kind, key: new Uint8Array(32).fill(key) }), { signal });
    const first = await ask(1, 'audit-root');
    const second = await ask(2, 'audit-root');
    expect(second.length).toBeLessThan(first.length);
    expect((await ask(1, 'audit-branches')).length).toBeGreaterThan(1_000);
    expect((await ask(2, 'audit-branches')).length).toBe(second.length);
    await world.clock.advance(61_000);
    expect((await ask(1, 'audit-branches')).length).toBe(second.length);
    await world.stop();
  });

  it('runs by itself every ten minutes', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    await a.replica.takeBodies([register(1)]);
    await world.clock.advance(12 * 60_000);
    expect(same(a, b)).toBe(true);
    expect([...a.divergences, ...b.divergences].length).toBeGreaterThan(0);
    await world.stop();
  });

  it('finds a record that was changed behind the node’s back', async () => {
    const world = createSyncWorld();
    const a = await world.join('a');
    await a.replica.takeBodies([register(1), register(2)]);
    a.replica.flip(testUser(1).regId, register(2).operation as Operation);
    await world.clock.advance(12 * 60_000);
    expect(a.divergences[0]).toEqual({ kind: 'records', regIds: [testUser(1).regId] });
    await world.stop();
  });

  it('has sums that do not depend on the order of the states', async () => {
    const clock = createImmediateClock();
    const made = [register(1), register(2), renew(1), revoke(3)].map((one) => ({ keys: undefined, ...one }));
    const key = new Uint8Array(32).fill(5);
    const sums = await Promise.all(
      [made, [...made].reverse()].map(async (bodies) => {
        const replica = createMemoryReplica(rosterIdentity('x'));
        await replica.takeBodies(bodies);
        const table = await auditTable({ clock, replica }, key, signal);
        return [table.root(), ...table.branches(), ...table.leaves(0)];
      }),
    );
    expect(sums[0]).toEqual(sums[1]);
  });
});
