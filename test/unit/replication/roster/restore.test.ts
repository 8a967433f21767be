import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { fromHex, toHex, utf8 } from '../../../../src/core/bytes.ts';
import { type CborValue, encodeCbor } from '../../../../src/core/cbor.ts';
import { clusterIdFromBytes, idBytes } from '../../../../src/core/ids.ts';
import { type AdmissionContext, admitStatement } from '../../../../src/replication/roster/admission.ts';
import { MEMBERS_MAX, STATEMENT_BYTES_MAX } from '../../../../src/replication/roster/limits.ts';
import { planRestore } from '../../../../src/replication/roster/restore.ts';
import { membersOf, NO_STATEMENTS, type StatementSet } from '../../../../src/replication/roster/statement-set.ts';
import {
  decodeBody,
  decodeStatement,
  encodeStatement,
  type Restore,
} from '../../../../src/replication/roster/statements.ts';
import { entryOf, type RosterIdentity, rosterIdentity, signedBy } from '../../../support/roster.ts';
import {
  context,
  eviction,
  genesis,
  grown,
  ids,
  join,
  leave,
  onRoster,
  refusal,
  restore,
  sorted,
} from '../../../support/roster-statements.ts';

type Five = [RosterIdentity, RosterIdentity, RosterIdentity, RosterIdentity, RosterIdentity];
const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => rosterIdentity(name)) as Five;
/** The same platforms under fresh ids. */
const [, b2, c2, d2, e2] = ['a', 'b', 'c', 'd', 'e'].map((name) => rosterIdentity(`${name} again`, name)) as Five;
/** Made by a broken member: keys of its own under the names of others' platforms. */
const [, b6, c6] = ['a', 'b', 'c', 'd', 'e'].map((name) => rosterIdentity(`${name} made up`, name)) as Five;
const outsider = rosterIdentity('outsider');

const pair = grown(NO_STATEMENTS, signedBy(genesis(a, b), a, b));
const three = grown(pair, signedBy(join(pair, c), a, b, c));
const four = grown(three, signedBy(join(three, d), a, b, d));
const five = grown(four, signedBy(join(four, e), a, b, c, e));

/** As a node sees it that is this one and is connected to those. */
const seenBy = (self: RosterIdentity, ...peers: readonly RosterIdentity[]): AdmissionContext => ({
  ...context,
  self: entryOf(self),
  connected: () => peers.map(entryOf),
});

const lost: readonly [RosterIdentity, RosterIdentity][] = [
  [b2, b],
  [c2, c],
];
const good = signedBy(restore(three, ...lost), a, b2, c2);

describe('a restore', () => {
  it('replaces all who lost their ids in one step, on their platforms', () => {
    const restored = grown(three, good, seenBy(a));
    expect(ids(restored)).toEqual(sorted(a, b2, c2));
    expect(membersOf(restored).find(({ nodeId }) => nodeId === b2.nodeId)).toMatchObject(entryOf(b2));
    const whole = restore(five, [b2, b], [c2, c], [d2, d], [e2, e]);
    expect(ids(grown(five, signedBy(whole, a, b2, c2, d2, e2), seenBy(a)))).toEqual(sorted(a, b2, c2, d2, e2));
  });

  it('comes back from bytes as it was, and fits its limit with the largest roster', () => {
    expect(decodeStatement(encodeStatement(good))).toEqual(good);
    const many = Array.from({ length: MEMBERS_MAX }, (_, n) => rosterIdentity(`member ${n}`));
    const after = Array.from({ length: 128 }, (_, n) => toHex(sha256(utf8(`${n}`)))).sort();
    const body = restore(three, ...many.slice(1).map((one) => [one, one] as const));
    const encoded = encodeStatement(signedBy({ ...body, after }, ...many));
    expect(encoded.length).toBeLessThanOrEqual(STATEMENT_BYTES_MAX);
    expect(decodeStatement(encoded).body).toEqual({ ...body, after });
  });

  it('is refused as bytes with unordered, doubled, no or too many replacements', () => {
    const body = restore(three, ...lost);
    const [low, high] = body.replacements as [Restore['replacements'][0], Restore['replacements'][0]];
    const crowd = Array.from({ length: MEMBERS_MAX }, (_, n) => [rosterIdentity(`member ${n}`), b] as const);
    const { replacements } = restore(three, ...crowd);
    for (const wrong of [[high, low], [low, low], [], replacements]) {
      const encoded = encodeStatement(signedBy({ ...body, replacements: wrong }, a));
      expect(() => decodeStatement(encoded)).toThrow(expect.objectContaining({ code: 'bad-shape' }));
    }
    const { genesisId, rosterHash, height } = body;
    const after = body.after.map(fromHex);
    const plain = (replacements: CborValue): CborValue => ({
      kind: 'restore',
      clusterId: idBytes(body.clusterId),
      genesisId,
      after,
      rosterHash,
      height,
      replacements,
    });
    const entry = (more: Record<string, CborValue> = {}): CborValue => ({
      nodeId: idBytes(b2.nodeId),
      replaces: idBytes(b.nodeId),
      ...more,
    });
    expect(decodeBody(encodeCbor(plain([entry()]))).kind).toBe('restore');
    for (const wrong of [[null, null], [1, 2], 'x', [entry({ extra: 1 })], [entry({ nodeId: new Uint8Array(31) })]]) {
      expect(() => decodeBody(encodeCbor(plain(wrong)))).toThrow(expect.objectContaining({ code: 'bad-shape' }));
    }
  });

  it('needs a signature of every platform, and no others', () => {
    const tried = (...by: RosterIdentity[]) =>
      refusal(admitStatement(three, signedBy(restore(three, ...lost), ...by), seenBy(a)));
    expect(tried(a, b2, c2)).toBe('admitted');
    expect(tried(a, b2)).toBe('not-signed-by-all');
    expect(tried(b2, c2)).toBe('not-signed-by-all');
    expect(tried(a, b2, c2, outsider)).toBe('wrong-signer');
    expect(tried(a, b, c2)).toBe('wrong-signer');
    expect(tried(a, b2, b2)).toBe('signed-twice');
    const partial = restore(five, [c2, c], [d2, d]);
    // e lives or not: without its word nothing is restored.
    expect(refusal(admitStatement(five, signedBy(partial, a, b, c2, d2), seenBy(a)))).toBe('join-suffices');
    const three5 = restore(five, [c2, c], [d2, d], [e2, e]);
    expect(refusal(admitStatement(five, signedBy(three5, a, b, c2, d2), seenBy(a)))).toBe('not-signed-by-all');
    expect(refusal(admitStatement(five, signedBy(three5, a, c2, d2, e2), seenBy(a)))).toBe('not-signed-by-all');
  });

  it('is refused with an altered field or signature', () => {
    for (const altered of [{ height: 101 }, { replacements: restore(three, [c2, b], [b2, c]).replacements }]) {
      const body = { ...(good.body as Restore), ...altered };
      expect(refusal(admitStatement(three, { ...good, body }, seenBy(a)))).toBe('bad-signature');
    }
    const [first, ...rest] = good.signatures;
    const flipped = first!.signature.map((byte, i) => (i === 5 ? byte ^ 1 : byte));
    const forged = { ...good, signatures: [{ ...first!, signature: flipped }, ...rest] };
    expect(refusal(admitStatement(three, forged, seenBy(a)))).toBe('bad-signature');
  });

  it('is refused where joins do: a majority is left, or one of a pair', () => {
    const one = signedBy(restore(three, [c2, c]), a, b, c2);
    expect(refusal(admitStatement(three, one, seenBy(a)))).toBe('join-suffices');
    const ofPair = signedBy(restore(pair, [b2, b]), a, b2);
    expect(refusal(admitStatement(pair, ofPair, seenBy(a)))).toBe('join-suffices');
    const half = signedBy(restore(four, [c2, c], [d2, d]), a, b, c2, d2);
    expect(refusal(admitStatement(four, half, seenBy(a)))).toBe('admitted');
  });

  it('is refused if nobody is left, or if it does not replace members by others', () => {
    const a2 = rosterIdentity('a again', 'a');
    const all = signedBy(restore(three, [a2, a], [b2, b], [c2, c]), a2, b2, c2);
    expect(refusal(admitStatement(three, all, seenBy(a)))).toBe('no-survivor');
    const tried = (...pairs: [RosterIdentity, RosterIdentity][]) =>
      refusal(admitStatement(three, signedBy(restore(three, ...pairs), a, b2, c2), seenBy(a)));
    expect(tried([b2, b], [c2, b])).toBe('wrong-replaces');
    expect(tried([b2, b], [c2, outsider])).toBe('wrong-replaces');
    expect(tried([b2, b], [a, c])).toBe('wrong-replaces');
    expect(tried([b2, b], [b2, c])).toBe('wrong-replaces');
  });

  it('is refused on another basis than the one it was made on', () => {
    const body = { ...restore(three, ...lost), ...onRoster(four) };
    // Four platforms must sign there.
    expect(refusal(admitStatement(four, signedBy(body, a, b2, c2), seenBy(a)))).toBe('not-signed-by-all');
    const moved = { ...good, body: { ...restore(three, ...lost), ...onRoster(four) } };
    expect(refusal(admitStatement(four, moved, seenBy(a)))).not.toBe('admitted');
    const wrong = { ...restore(three, ...lost), rosterHash: onRoster(four).rosterHash };
    expect(refusal(admitStatement(three, signedBy(wrong, a, b2, c2), seenBy(a)))).toBe('wrong-roster');
    expect(refusal(admitStatement(three, signedBy(restore(four, ...lost), a, b2, c2), seenBy(a)))).toBe(
      'unknown-parent',
    );
  });

  it('is refused in another cluster, or of another genesis', () => {
    const elsewhere = { ...restore(three, ...lost), genesisId: sha256(utf8('other')) };
    expect(refusal(admitStatement(three, signedBy(elsewhere, a, b2, c2), seenBy(a)))).toBe('other-genesis');
    const other = { ...seenBy(a), clusterId: clusterIdFromBytes(sha256(utf8('elsewhere'))) };
    expect(refusal(admitStatement(three, good, other))).toBe('other-cluster');
  });

  it('of a roster left for long is refused, like all that its majority says', () => {
    const late = { ...seenBy(a), height: 5_000 };
    expect(refusal(admitStatement(four, good, late))).toBe('old-roster');
  });
});

describe('a restore that a broken member made up', () => {
  const byOne = signedBy(restore(three, [b6, b], [c6, c]), a, b6, c6);

  it('is not taken by those it would replace, nor by who joined meanwhile', () => {
    for (const [self, other] of [
      [b, c],
      [c, b],
      [d, b],
    ] as const) {
      expect(refusal(admitStatement(four, byOne, seenBy(self, a, other)))).toBe('not-witnessed');
    }
    expect(refusal(admitStatement(three, byOne, seenBy(b, a)))).toBe('not-witnessed');
  });

  it('is not taken by a newcomer that meets one of those it would replace', () => {
    expect(refusal(admitStatement(three, byOne, seenBy(outsider, a, b)))).toBe('not-witnessed');
    expect(refusal(admitStatement(three, byOne, seenBy(outsider, a)))).toBe('admitted');
  });

  it('is not taken for a node that is attested elsewhere than it says', () => {
    const liar = { ...b6, platform: a.platform };
    expect(refusal(admitStatement(three, byOne, seenBy(b, a, liar)))).toBe('not-witnessed');
  });

  it('is not taken from a pair of five either', () => {
    const [c7, d7, e7] = ['c', 'd', 'e'].map((name) => rosterIdentity(`${name} made up`, name)) as Five;
    const byTwo = signedBy(restore(five, [c7, c], [d7, d], [e7, e]), a, b, c7, d7, e7);
    for (const self of [c, d, e]) {
      const others = [a, b, c, d, e].filter((one) => one !== self);
      expect(refusal(admitStatement(five, byTwo, seenBy(self, ...others)))).toBe('not-witnessed');
    }
  });

  it('is not taken with the names of those who must sign under other signatures', () => {
    const forged = {
      ...good,
      signatures: good.signatures.map((one) => ({ ...one, signature: good.signatures[0]!.signature })),
    };
    expect(refusal(admitStatement(three, forged, seenBy(b2, a)))).toBe('bad-signature');
  });
});

describe('who sees a majority of the signers where they say they are', () => {
  it('takes a restore it had no part in', () => {
    expect(refusal(admitStatement(four, good, seenBy(d, a, c2)))).toBe('admitted');
    expect(refusal(admitStatement(four, good, seenBy(d, a)))).toBe('not-witnessed');
    expect(refusal(admitStatement(four, good, seenBy(d, b, c)))).toBe('not-witnessed');
  });

  it('takes it also when it is itself the one replaced: its disk was put back', () => {
    const back = admitStatement(three, good, seenBy(b, a, c2));
    expect(refusal(back)).toBe('admitted');
    expect(refusal(admitStatement(three, good, seenBy(b, a)))).toBe('not-witnessed');
  });

  it('is needed no more by who signed it', () => {
    for (const self of [a, b2, c2]) expect(refusal(admitStatement(three, good, seenBy(self)))).toBe('admitted');
  });
});

describe('a restore beside other statements on its basis', () => {
  const merged = (...statements: ReturnType<typeof signedBy>[]): StatementSet[] => {
    const orders = statements.length === 2 ? [statements, [...statements].reverse()] : [statements];
    return orders.map((order) => order.reduce((set, one) => grown(set, one, seenBy(a, b2, c2, d2)), three));
  };
  const same = (sets: StatementSet[]) => {
    for (const set of sets) expect(membersOf(set)).toEqual(membersOf(sets[0]!));
    return sets[0]!;
  };

  it('keeps who joined, by an ordinary majority of before', () => {
    const joined = signedBy(join(three, d), b, c, d);
    expect(ids(same(merged(good, joined)))).toEqual(sorted(a, b2, c2, d));
  });

  it('gives each platform to one node, of two restores as of two joins', () => {
    const other = signedBy(restore(three, [b6, b], [c2, c]), a, b6, c2);
    const set = same(merged(good, other));
    expect(membersOf(set)).toHaveLength(3);
    expect(ids(set)).toContain(c2.nodeId);
    const single = signedBy(join(three, c6, { replaces: c.nodeId }), a, b, c6);
    expect(membersOf(same(merged(good, single)))).toHaveLength(3);
  });

  it('does not bring back who left or was evicted: the fresh nodes have places of their own', () => {
    for (const end of [signedBy(leave(three, b), b), signedBy(eviction(three, b), a, c)]) {
      expect(ids(same(merged(good, end)))).toEqual(sorted(a, b2, c2));
    }
    const restored = same(merged(good, signedBy(leave(three, b), b)));
    expect(ids(grown(restored, signedBy(leave(restored, b2), b2)))).toEqual(sorted(a, c2));
  });

  it('lets the old ids leave afterwards, and not speak for the roster', () => {
    const restored = grown(three, good, seenBy(a));
    expect(ids(grown(restored, signedBy(leave(three, c, 'replaced'), c)))).toEqual(sorted(a, b2, c2));
    const by = (...who: RosterIdentity[]) =>
      refusal(admitStatement(restored, signedBy(join(restored, d), ...who, d), context));
    expect(by(b, c)).toBe('wrong-signer');
    expect(by(b2, c2)).toBe('admitted');
    // A majority of the roster before counts for 1,000 blocks, as after every change.
    const old = signedBy(join(three, d), b, c, d);
    expect(refusal(admitStatement(restored, old, { ...context, heldSince: () => 100, height: 1_101 }))).toBe(
      'old-roster',
    );
  });
});

describe('what there is to restore', () => {
  const roster = [a, b, c, d, e];
  const planned = (...here: RosterIdentity[]) => planRestore(roster.map(entryOf), here.map(entryOf));

  it('is nothing while a majority is here, or nobody', () => {
    expect(planned(a, b, c, d2, e2)).toBeUndefined();
    expect(planned(b2, c2, d2)).toBeUndefined();
  });

  it('lacks whoever is neither here nor come back under another id', () => {
    expect(planned(a, b, c2, d2)).toMatchObject({ absent: [entryOf(e)] });
    expect(planned(a, b)?.absent).toHaveLength(3);
    expect(planned(a, b, c2, d2, e2)?.absent).toEqual([]);
  });

  it('takes a node for another’s only on its platform and of its operator', () => {
    const foreign = { ...e2, operator: 'another' };
    expect(planned(a, b, c2, d2, foreign, outsider)?.absent).toEqual([entryOf(e)]);
  });

  it('does not replace a member that is here on another platform', () => {
    const moved = { ...e, platform: outsider.platform };
    expect(planned(a, b, c2, d2, e2, moved)?.absent).toEqual([entryOf(e)]);
  });
});
