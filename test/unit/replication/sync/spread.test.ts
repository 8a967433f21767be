import { describe, expect, it } from 'vitest';
import { createSyncWorld, register, revoke, same } from '../../../support/sync-network.ts';

describe('sync between members', () => {
  it('pushes what one took to the others and brings their receipts', async () => {
    const world = createSyncWorld();
    const [a, b, c] = [await world.join('a'), await world.join('b'), await world.join('c')];
    await world.clock.advance(1_000);
    for (let i = 0; i < 10; i++) a.replica.append([register(i)]);
    await world.clock.advance(200);
    expect(same(a, b, c)).toBe(true);
    for (const { identity } of [b, c]) {
      const refs = a.receipts.filter(({ nodeId }) => nodeId === identity.nodeId).flatMap((told) => told.refs);
      expect(new Set(refs.map(({ opId }) => opId)).size).toBe(10);
    }
    expect(a.sync.holdersOf(a.replica.writerId, 10).sort()).toEqual([b.identity.nodeId, c.identity.nodeId].sort());
    await world.stop();
  });

  it('brings a log of a dead member to a third by pulls', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    await world.clock.advance(1_000);
    a.replica.append([register(1), register(2)]);
    a.replica.append([revoke(1)]);
    await world.clock.advance(100);
    world.crash(a);
    const c = await world.join('c');
    expect(c.sync.missing()).not.toEqual([]);
    await world.clock.advance(5_000);
    expect(same(a, b, c)).toBe(true);
    expect(c.sync.missing()).toEqual([]);
    await world.stop();
  });
});
