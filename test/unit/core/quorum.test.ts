import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { countConfirmations, fillsQuorum, platformsFillQuorum, quorumOf } from '../../../src/core/quorum.ts';
import type { RosterEntry } from '../../../src/core/roster.ts';
import { fuzzRuns } from '../../support/fuzz.ts';

const member = (name: string, platform: string, operator: string): RosterEntry => ({
  nodeId: nodeIdFromBytes(sha256(utf8(name))),
  platform,
  operator,
});
/** A member on a platform of its own, of an operator of its own. */
const apart = (count: number): RosterEntry[] =>
  Array.from({ length: count }, (_, i) => member(`node ${i}`, `platform ${i}`, `operator ${i}`));
const ids = (...members: readonly RosterEntry[]) => members.map(({ nodeId }) => nodeId);

describe('a quorum', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
  ])('of %d holders is %d', (count, needed) => {
    const holders = apart(count);
    expect(quorumOf(holders).needed).toBe(needed);
    expect(fillsQuorum(holders, ids(...holders.slice(0, needed)))).toBe(true);
    expect(fillsQuorum(holders, ids(...holders.slice(0, needed - 1)))).toBe(false);
  });

  it('may be asked to be larger, even than it can get, and never smaller than a majority', () => {
    const holders = apart(7);
    expect(quorumOf(holders, 5).needed).toBe(5);
    expect(quorumOf(holders, 1).needed).toBe(4);
    expect(fillsQuorum(holders, ids(...holders.slice(0, 4)), 5)).toBe(false);
    expect(fillsQuorum(holders, ids(...holders), 8)).toBe(false);
  });

  it('counts a platform once, however many members say they run on it', () => {
    const three = apart(3);
    const holders = [...three, member('double', 'platform 0', 'operator 0')];
    expect(quorumOf(holders).needed).toBe(2);
    expect(countConfirmations(holders, ids(holders[0]!, holders[3]!))).toBe(1);
    expect(fillsQuorum(holders, ids(holders[0]!, holders[3]!))).toBe(false);
    expect(fillsQuorum(holders, ids(holders[0]!, holders[1]!))).toBe(true);
  });

  it('is filled by platforms as by the members on them', () => {
    const holders = apart(5);
    const platforms = (...at: number[]) => new Set(at.map((i) => `platform ${i}`));
    expect(platformsFillQuorum(holders, platforms(0, 1, 2))).toBe(true);
    expect(platformsFillQuorum(holders, platforms(0, 1, 9))).toBe(false);
    expect(platformsFillQuorum(holders, platforms(0, 1, 2), 4)).toBe(false);
    expect(platformsFillQuorum([], new Set())).toBe(false);
  });

  it('counts nobody twice and no stranger', () => {
    const holders = apart(3);
    const stranger = member('stranger', 'platform 9', 'operator 9');
    expect(countConfirmations(holders, ids(holders[0]!, holders[0]!, stranger))).toBe(1);
    expect(fillsQuorum(holders, ids(holders[0]!, holders[0]!, stranger))).toBe(false);
    expect(fillsQuorum([], ids(stranger))).toBe(false);
  });

  it('is not filled by one operator alone where there are three', () => {
    const mine = Array.from({ length: 5 }, (_, i) => member(`mine ${i}`, `mine ${i}`, 'one'));
    const others = [member('b', 'b', 'two'), member('c', 'c', 'three')];
    const holders = [...mine, ...others];
    expect(fillsQuorum(holders, ids(...mine))).toBe(false);
    expect(fillsQuorum(holders, ids(...mine.slice(0, 3), others[0]!))).toBe(true);
    const ofTwo = [...mine, others[0]!];
    expect(fillsQuorum(ofTwo, ids(...mine))).toBe(true);
  });

  it('overlaps with every other in a platform, so that two cannot miss each other', () => {
    const holder = fc.tuple(fc.nat({ max: 6 }), fc.nat({ max: 3 }));
    fc.assert(
      fc.property(fc.array(holder, { minLength: 1, maxLength: 9 }), fc.infiniteStream(fc.boolean()), (all, coins) => {
        const holders = all.map(([platform, operator], i) => member(`${i}`, `${platform}`, `${operator}`));
        const coin = () => coins.next().value as boolean;
        const first = holders.filter(coin);
        const second = holders.filter((entry) => !first.some(({ platform }) => platform === entry.platform));
        expect(fillsQuorum(holders, ids(...first)) && fillsQuorum(holders, ids(...second))).toBe(false);
      }),
      { numRuns: fuzzRuns(300) },
    );
  });
});
