import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { toHex, utf8 } from '../../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { type RosterEntry, rosterHash } from '../../../src/core/roster.ts';
import { isSharingShape, type PlacementQuestion, placeShares, sharingShape } from '../../../src/keyserver/placement.ts';
import { fuzzRuns } from '../../support/fuzz.ts';

/** Node `n` on platform `platform` of operator `operator`. */
const member = (n: number, platform = n, operator = `operator-${n}`): RosterEntry => ({
  nodeId: nodeIdFromBytes(sha256(utf8(`node ${n}`))),
  platform: toHex(sha256(utf8(`platform ${platform}`))),
  operator,
});

const question = (owner: RosterEntry, members: readonly RosterEntry[]): PlacementQuestion => ({
  owner,
  members,
  rosterHash: rosterHash(members),
});

/** As the configuration has it: a platform has one operator. */
const rosters = fc
  .record({
    nodes: fc.uniqueArray(fc.tuple(fc.nat(40), fc.nat(15)), { minLength: 1, maxLength: 14, selector: ([n]) => n }),
    operators: fc.array(fc.nat(4), { minLength: 16, maxLength: 16 }),
  })
  .map(({ nodes, operators }) => nodes.map(([n, platform]) => member(n, platform, `operator-${operators[platform]}`)));

const idsOf = (entries: readonly RosterEntry[]) => entries.map(({ nodeId }) => nodeId);

describe('the shape of a sharing', () => {
  it('is 1 of 1, 1 of 2, 2 of 3, 2 of 3, then 3 of 5', () => {
    const shapes = [0, 1, 2, 3, 4, 5, 6, 100].map(sharingShape);
    expect(shapes.map(({ threshold, shares }) => `${threshold}/${shares}`)).toEqual([
      '0/0',
      '1/1',
      '1/2',
      '2/3',
      '2/3',
      '3/5',
      '3/5',
      '3/5',
    ]);
  });

  it('is recognised, and no other is', () => {
    const good: string[] = [];
    for (let shares = 0; shares <= 8; shares++) {
      for (let threshold = 0; threshold <= 8; threshold++) {
        if (isSharingShape({ threshold, shares })) good.push(`${threshold}/${shares}`);
      }
    }
    expect(good).toEqual(['1/1', '1/2', '2/3', '3/5']);
  });
});

describe('choosing key servers', () => {
  it('never chooses the owner, nor two on one platform, and does not depend on the order of the roster', () => {
    fc.assert(
      fc.property(rosters, fc.nat(), (members, seed) => {
        const owner = members[seed % members.length]!;
        const placement = placeShares(question(owner, members));
        const platforms = placement.keyServers.map(({ platform }) => platform);
        expect(idsOf(placement.keyServers)).not.toContain(owner.nodeId);
        expect(new Set(platforms).size).toBe(platforms.length);
        expect(placement.keyServers.length).toBe(placement.shares);
        if (!placement.warnings.includes('own-platform')) expect(platforms).not.toContain(owner.platform);
        expect(placeShares(question(owner, members.toReversed()))).toEqual(placement);
        expect(
          placeShares(
            question(
              owner,
              members.filter(({ nodeId }) => nodeId !== owner.nodeId),
            ),
          ).shares,
        ).toBe(placement.shares);
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('counts a platform once, whoever of it is asked', () => {
    fc.assert(
      fc.property(rosters, (members) => {
        const owner = member(99, 99, 'owner');
        const platforms = new Set(members.map(({ platform }) => platform)).size;
        expect(placeShares(question(owner, members))).toMatchObject(sharingShape(platforms));
      }),
      { numRuns: fuzzRuns(200) },
    );
  });

  it('replaces only what becomes unreachable while the roster stands', () => {
    fc.assert(
      fc.property(rosters, fc.nat(), (members, which) => {
        const owner = member(99, 99, 'owner');
        const before = placeShares(question(owner, members));
        const gone = before.keyServers[which % before.shares]!;
        const after = placeShares({ ...question(owner, members), unreachable: new Set([gone.nodeId]) });
        expect(after.shares).toBe(before.shares);
        const kept = idsOf(before.keyServers).filter((id) => id !== gone.nodeId);
        expect(idsOf(after.keyServers)).toEqual(expect.arrayContaining(kept));
        // It stays chosen only when nobody is left to take its place.
        expect(idsOf(after.keyServers).includes(gone.nodeId)).toBe(after.warnings.includes('unreachable'));
        const spare = members.find(({ nodeId }) => !idsOf(before.keyServers).includes(nodeId));
        if (!spare) return;
        const untouched = placeShares({ ...question(owner, members), unreachable: new Set([spare.nodeId]) });
        expect(untouched).toEqual(before);
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('takes as many operators as there are', () => {
    fc.assert(
      fc.property(rosters, (members) => {
        const owner = member(99, 99, 'operator-0');
        const { keyServers, shares } = placeShares(question(owner, members));
        const others = new Set(
          members.map(({ operator }) => operator).filter((operator) => operator !== owner.operator),
        );
        const chosen = new Set(keyServers.map(({ operator }) => operator).filter((name) => name !== owner.operator));
        expect(chosen.size).toBe(Math.min(shares, others.size));
      }),
      { numRuns: fuzzRuns(200) },
    );
  });

  it('prefers other operators, and warns when they are too few', () => {
    const owner = member(0, 0, 'home');
    const home = [1, 2, 3].map((n) => member(n, n, 'home'));
    const away = [4, 5, 6].map((n) => member(n));
    const mixed = placeShares(question(owner, [owner, ...home, ...away.slice(0, 1)]));
    expect(mixed.keyServers[0]).toEqual(away[0]);
    expect(mixed.warnings).toEqual(['few-operators']);
    const four = placeShares(question(owner, [owner, ...home.slice(0, 1), ...away]));
    expect(new Set(idsOf(four.keyServers))).toEqual(new Set(idsOf(away)));
    expect(four.warnings).toEqual([]);
  });

  it('uses a neighbour on its own platform only when there is nobody else, and says so', () => {
    const owner = member(0);
    const neighbour = member(1, 0);
    expect(placeShares(question(owner, [owner, neighbour]))).toMatchObject({
      threshold: 1,
      shares: 1,
      keyServers: [neighbour],
      warnings: ['own-platform'],
    });
    expect(placeShares(question(owner, [owner, neighbour, member(2)])).keyServers).toEqual([member(2)]);
  });

  it('chooses nobody when it is alone', () => {
    expect(placeShares(question(member(0), [member(0)]))).toEqual({
      threshold: 0,
      shares: 0,
      keyServers: [],
      warnings: [],
    });
  });

  it('moves with the roster hash and with the owner, so that nobody keeps everybody', () => {
    const members = Array.from({ length: 12 }, (_, n) => member(n));
    const choices = new Set(members.map((owner) => idsOf(placeShares(question(owner, members)).keyServers).join()));
    expect(choices.size).toBe(members.length);
    const owner = members[0]!;
    const again = placeShares({ ...question(owner, members), rosterHash: sha256(utf8('another roster')) });
    expect(again).not.toEqual(placeShares(question(owner, members)));
  });
});
