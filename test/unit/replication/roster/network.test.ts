import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/core/bytes.ts';
import { agree, createRosterWorld, type RosterNode, rosterIdentity, rosterOf } from '../../../support/roster.ts';

const MINUTE = 60_000;

async function cluster(size: number, options: Parameters<typeof createRosterWorld>[0] = {}) {
  const world = createRosterWorld(options);
  const nodes: RosterNode[] = [await world.add(rosterIdentity('0'), { mayFound: true })];
  for (let n = 1; n < size; n++) nodes.push(await world.add(rosterIdentity(String(n))));
  await world.clock.advance(MINUTE);
  return { world, nodes };
}

describe('a roster between keepers', () => {
  it.each([2, 3, 4, 6])('is founded by a pair and joined by the rest, %i nodes', async (size) => {
    const { world, nodes } = await cluster(size);
    expect(agree(...nodes)).toBe(true);
    expect(nodes.map(({ keeper }) => keeper.view().self)).toEqual(nodes.map(() => 'member'));
    const hashes = nodes.map(({ keeper }) => toHex(keeper.view().rosterHash));
    expect(new Set(hashes).size).toBe(1);
    await world.stop();
  });

  it('waits where nobody may found', async () => {
    const world = createRosterWorld();
    const nodes = [await world.add(rosterIdentity('a')), await world.add(rosterIdentity('b'))];
    await world.clock.advance(MINUTE);
    expect(nodes.map(({ keeper }) => keeper.view().self)).toEqual(['waiting', 'waiting']);
    expect(nodes.map(rosterOf)).toEqual([[], []]);
    await world.stop();
  });

  it('has one genesis when both may found', async () => {
    const world = createRosterWorld();
    const nodes = [];
    for (const name of ['a', 'b', 'c']) nodes.push(await world.add(rosterIdentity(name), { mayFound: true }));
    await world.clock.advance(MINUTE);
    expect(agree(...nodes)).toBe(true);
    expect(nodes.flatMap(({ reports }) => reports.filter(({ kind }) => kind === 'other-genesis'))).toEqual([]);
    await world.stop();
  });

  it.each(['1', '2', '3', '4'])('converges over a network that loses and reorders, seed %s', async (seed) => {
    const { world, nodes } = await cluster(6, { seed, loss: 0.2, delayMsMax: 200 });
    world.setFaults({ loss: 0.2, delayMsMax: 200 });
    await world.clock.advance(5 * MINUTE);
    expect(agree(...nodes)).toBe(true);
    await world.stop();
  });
});
