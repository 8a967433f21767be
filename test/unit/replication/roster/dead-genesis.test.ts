// A genesis all of whose members are gone, and a node that knew it without ever having joined.

import { describe, expect, it } from 'vitest';
import { ALONE_MS, FOUND_AGAIN_MS } from '../../../../src/replication/roster/limits.ts';
import { agree, createRosterWorld, type RosterNode, rosterIdentity, rosterOf } from '../../../support/roster.ts';

const MINUTE = 60_000;

const kindsOf = ({ reports }: RosterNode) => new Set(reports.map(({ kind }) => kind));

/** A pair of which one is gone, and a third node that cannot join for want of it. */
async function lateJoiner() {
  const world = createRosterWorld();
  const first = await world.add(rosterIdentity('first'), { mayFound: true });
  const second = await world.add(rosterIdentity('second'));
  await world.clock.advance(MINUTE);
  world.crash(second);
  const joiner = await world.add(rosterIdentity('joiner'));
  await world.clock.advance(MINUTE);
  expect(joiner.keeper.view().self).toBe('joining');
  return { world, first, second, joiner };
}

/** Members of one roster. */
async function threeOf() {
  const world = createRosterWorld();
  const names = ['first', 'second', 'third'] as const;
  const nodes = [];
  for (const [i, name] of names.entries()) nodes.push(await world.add(rosterIdentity(name), { mayFound: i === 0 }));
  await world.clock.advance(MINUTE);
  return { world, nodes: nodes as [RosterNode, RosterNode, RosterNode] };
}

describe('a genesis without members', () => {
  it('is not handed on by who never joined, and is let go for one that has members', async () => {
    const { world, first, joiner } = await lateJoiner();
    world.crash(first);
    const anew = [
      await world.add(rosterIdentity('first again', 'first'), { mayFound: true }),
      await world.add(rosterIdentity('second again', 'second')),
    ];
    await world.clock.advance(ALONE_MS / 2);
    expect(anew.map(({ keeper }) => keeper.view().self)).toEqual(['member', 'member']);
    expect(joiner.keeper.view().self).toBe('joining');
    await world.clock.advance(2 * ALONE_MS);
    expect(kindsOf(joiner)).toContain('let-go');
    expect(rosterOf(joiner).length).toBe(3);
    expect(agree(joiner, ...anew)).toBe(true);
    // What it let go is off its disk as well.
    world.crash(joiner);
    await world.start(joiner);
    await world.clock.advance(MINUTE);
    expect(joiner.keeper.view().self).toBe('member');
    expect(agree(joiner, ...anew)).toBe(true);
    await world.stop();
  });

  it('is kept while one of its members is there', async () => {
    const { world, first, second, joiner } = await lateJoiner();
    const other = [
      await world.add(rosterIdentity('third')),
      await world.add(rosterIdentity('fourth'), { mayFound: true }),
    ];
    for (const one of other) world.setCut(first, one, true);
    await world.clock.advance(10 * MINUTE);
    expect(other.map(({ keeper }) => keeper.view().self)).toEqual(['member', 'member']);
    expect(kindsOf(joiner)).toContain('other-genesis');
    expect(kindsOf(joiner)).not.toContain('let-go');
    await world.start(second);
    await world.clock.advance(MINUTE);
    expect(agree(first, second, joiner)).toBe(true);
    expect(rosterOf(joiner).length).toBe(3);
    await world.stop();
  });

  it('is kept by who was a member, however long it is alone', async () => {
    const { world, first, second } = await lateJoiner();
    world.crash(first);
    await world.start(second);
    const other = [
      await world.add(rosterIdentity('third')),
      await world.add(rosterIdentity('fourth'), { mayFound: true }),
    ];
    await world.clock.advance(10 * MINUTE);
    expect(rosterOf(second).length).toBe(2);
    expect(kindsOf(second)).not.toContain('let-go');
    expect(other.map(({ keeper }) => keeper.view().self)).not.toContain('waiting');
    await world.stop();
  });

  it('is kept while the disk does not take that it is let go', async () => {
    const { world, first, joiner } = await lateJoiner();
    world.crash(first);
    await world.add(rosterIdentity('third'), { mayFound: true });
    await world.add(rosterIdentity('fourth'));
    joiner.diskFails = true;
    await world.clock.advance(3 * ALONE_MS);
    expect(kindsOf(joiner)).toContain('failed');
    expect([joiner.keeper.view().self, rosterOf(joiner).length]).toEqual(['joining', 2]);
    joiner.diskFails = false;
    await world.clock.advance(2 * ALONE_MS);
    expect([joiner.keeper.view().self, rosterOf(joiner).length]).toEqual(['member', 3]);
    await world.stop();
  });
});

describe('a node whose disk was of a member before', () => {
  const again = { foundAfterMs: FOUND_AGAIN_MS };

  it('meets who is left of its cluster before it founds another', async () => {
    const { world, nodes } = await threeOf();
    const [first, second, left] = nodes;
    for (const node of [first, second]) world.crash(node);
    const anew = [
      await world.add(rosterIdentity('first again', 'first'), { mayFound: true, ...again }),
      await world.add(rosterIdentity('second again', 'second'), again),
    ];
    for (const one of anew) world.setCut(one, left, true);
    await world.clock.advance(FOUND_AGAIN_MS - 1_000);
    expect(anew.map(({ keeper }) => keeper.view().self)).toEqual(['waiting', 'waiting']);
    for (const one of anew) world.setCut(one, left, false);
    await world.clock.advance(2 * MINUTE);
    expect(rosterOf(left).length).toBe(3);
    expect(agree(left, ...anew)).toBe(true);
    await world.stop();
  });

  it('takes part in no founding of others either, and founds when it has met nobody', async () => {
    const world = createRosterWorld();
    const founder = await world.add(rosterIdentity('new'), { mayFound: true });
    const other = await world.add(rosterIdentity('again'), again);
    await world.clock.advance(FOUND_AGAIN_MS - 1_000);
    expect([founder, other].map(({ keeper }) => keeper.view().self)).toEqual(['waiting', 'waiting']);
    await world.clock.advance(MINUTE);
    expect(agree(founder, other)).toBe(true);
    expect(rosterOf(founder).length).toBe(2);
    await world.stop();
  });
});
