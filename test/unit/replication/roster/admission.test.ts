import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, sha256 } from '#crypto';
import { utf8 } from '../../../../src/core/bytes.ts';
import { clusterIdFromBytes } from '../../../../src/core/ids.ts';
import { admitStatement } from '../../../../src/replication/roster/admission.ts';
import { HELD_BLOCKS, MEMBERS_MAX, STATEMENTS_MAX } from '../../../../src/replication/roster/limits.ts';
import {
  endOf,
  type HeldStatement,
  hashOf,
  membersOf,
  NO_STATEMENTS,
} from '../../../../src/replication/roster/statement-set.ts';
import type { Join, Leave } from '../../../../src/replication/roster/statements.ts';
import { type RosterIdentity, rosterIdentity, signedBy } from '../../../support/roster.ts';
import {
  context,
  eviction,
  founders,
  genesis,
  grown,
  ids,
  join,
  leave,
  onRoster,
  placeIn,
  refusal,
  sorted,
} from '../../../support/roster-statements.ts';

const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => rosterIdentity(name)) as [
  RosterIdentity,
  RosterIdentity,
  RosterIdentity,
  RosterIdentity,
  RosterIdentity,
];
const operatorSecret = sha256(utf8('operator'));

const pair = grown(NO_STATEMENTS, signedBy(genesis(a, b), a, b));
const three = grown(pair, signedBy(join(pair, c), a, b, c));
const four = grown(three, signedBy(join(three, d), a, b, d));

describe('a genesis', () => {
  it('is taken with both signatures', () => expect(ids(pair)).toEqual(sorted(a, b)));

  it('is refused with one signature, a stranger’s, a forged one', () => {
    const body = genesis(a, b);
    const tried = (...by: RosterIdentity[]) => refusal(admitStatement(NO_STATEMENTS, signedBy(body, ...by), context));
    expect(tried(a)).toBe('no-majority');
    expect(tried(a, b, c)).toBe('wrong-signer');
    expect(tried(a, a)).toBe('signed-twice');
    const forged = signedBy({ ...body, height: 11 }, a, b);
    expect(refusal(admitStatement(NO_STATEMENTS, { ...forged, body }, context))).toBe('bad-signature');
  });

  it('of one founder is taken in unbacked clusters only', () => {
    const alone = signedBy(genesis(a), a);
    expect(refusal(admitStatement(NO_STATEMENTS, alone, context))).toBe('unbacked');
    expect(refusal(admitStatement(NO_STATEMENTS, alone, { ...context, allowUnbacked: true }))).toBe('admitted');
  });

  it('names two nodes on two platforms, ascending', () => {
    const twin = rosterIdentity('twin', 'a');
    expect(refusal(admitStatement(NO_STATEMENTS, signedBy(genesis(a, twin), a, twin), context))).toBe('bad-founders');
    const body = { ...genesis(a, b), founders: [...founders(a, b)].reverse() };
    expect(refusal(admitStatement(NO_STATEMENTS, signedBy(body, a, b), context))).toBe('bad-founders');
    const none = { ...genesis(a, b), founders: [] };
    expect(refusal(admitStatement(NO_STATEMENTS, signedBy(none), context))).toBe('bad-founders');
  });

  it('is refused beside another, and so is what follows from another', () => {
    const other = { ...genesis(c, d), genesisId: sha256(utf8('other')) };
    expect(refusal(admitStatement(pair, signedBy(other, c, d), context))).toBe('other-genesis');
    const stray = join(pair, e, { genesisId: other.genesisId });
    expect(refusal(admitStatement(pair, signedBy(stray, a, b, e), context))).toBe('other-genesis');
    expect(refusal(admitStatement(NO_STATEMENTS, signedBy(join(pair, e), a, b, e), context))).toBe('no-genesis');
  });
});

describe('a join', () => {
  it('needs a majority of the roster it comes after and the joiner’s own signature', () => {
    const body = join(three, d);
    const tried = (...by: RosterIdentity[]) => refusal(admitStatement(three, signedBy(body, ...by), context));
    expect(tried(a, b, d)).toBe('admitted');
    expect(tried(a, b, c, d)).toBe('admitted');
    expect(tried(a, d)).toBe('no-majority');
    expect(tried(d)).toBe('no-majority');
    expect(tried(a, b)).toBe('not-signed-by-itself');
    expect(tried(a, e, d)).toBe('wrong-signer');
    expect(tried(a, a, d)).toBe('signed-twice');
  });

  it('is refused with any altered field or signature', () => {
    const good = signedBy(join(three, d), a, b, d);
    for (const altered of [{ operator: 'other' }, { height: 101 }, { platform: e.platform }]) {
      const body = { ...(good.body as Join), ...altered };
      expect(refusal(admitStatement(three, { ...good, body }, context))).toBe('bad-signature');
    }
    const [first, ...rest] = good.signatures;
    const flipped = first!.signature.map((byte, i) => (i === 5 ? byte ^ 1 : byte));
    const forged = { ...good, signatures: [{ ...first!, signature: flipped }, ...rest] };
    expect(refusal(admitStatement(three, forged, context))).toBe('bad-signature');
  });

  it('is refused in another cluster', () => {
    const body = join(three, d, { clusterId: clusterIdFromBytes(sha256(utf8('elsewhere'))) });
    expect(refusal(admitStatement(three, signedBy(body, a, b, d), context))).toBe('other-cluster');
  });

  it('is refused if it comes after what is unknown, or names another roster than it comes after', () => {
    const unknown = join(three, d, { after: ['00'.repeat(32)] });
    expect(refusal(admitStatement(three, signedBy(unknown, a, b, d), context))).toBe('unknown-parent');
    const wrong = join(three, d, { rosterHash: hashOf(membersOf(pair)) });
    expect(refusal(admitStatement(three, signedBy(wrong, a, b, d), context))).toBe('wrong-roster');
  });

  it('must replace the member on its platform, and nobody else', () => {
    const again = rosterIdentity('c again', 'c');
    const tried = (body: Join, ...by: RosterIdentity[]) =>
      refusal(admitStatement(three, signedBy(body, ...by), context));
    expect(tried(join(three, again), a, b, again)).toBe('wrong-replaces');
    expect(tried(join(three, again, { replaces: a.nodeId }), a, b, again)).toBe('wrong-replaces');
    expect(tried(join(three, d, { replaces: a.nodeId }), a, b, d)).toBe('wrong-replaces');
    expect(tried(join(three, again, { replaces: c.nodeId }), a, b, again)).toBe('admitted');
    expect(tried(join(three, c), a, b, c)).toBe('already-member');
    const after = grown(three, signedBy(join(three, again, { replaces: c.nodeId }), a, b, again));
    expect(ids(after)).toEqual(sorted(a, b, again));
  });

  it('counts a joiner only when it restores a pair', () => {
    const again = rosterIdentity('b again', 'b');
    const restored = join(pair, again, { replaces: b.nodeId });
    expect(refusal(admitStatement(pair, signedBy(restored, a, again), context))).toBe('admitted');
    expect(refusal(admitStatement(pair, signedBy(join(pair, c), a, c), context))).toBe('no-majority');
    const c2 = rosterIdentity('c again', 'c');
    const third = join(three, c2, { replaces: c.nodeId });
    expect(refusal(admitStatement(three, signedBy(third, a, c2), context))).toBe('no-majority');
  });

  it('needs two operators where there are three', () => {
    const same = rosterIdentity('a2', 'a2', a.operator);
    const mixed = grown(four, signedBy(join(four, same), a, b, c, same));
    // Of a, a2 (one operator), b, c, d a majority is three; a, a2 and one more have two operators.
    expect(refusal(admitStatement(mixed, signedBy(join(mixed, e), a, same, e), context))).toBe('no-majority');
    expect(refusal(admitStatement(mixed, signedBy(join(mixed, e), a, same, b, e), context))).toBe('admitted');
    const third = rosterIdentity('a3', 'a3', a.operator);
    const five = grown(mixed, signedBy(join(mixed, third), a, same, b, c, third));
    const less = grown(five, signedBy(leave(five, d), d));
    // a, a2, a3, b, c: three of one operator are as many as needed, and yet no majority.
    expect(refusal(admitStatement(less, signedBy(join(less, e), a, same, third, e), context))).toBe('no-majority');
    expect(refusal(admitStatement(less, signedBy(join(less, e), a, same, b, e), context))).toBe('admitted');
  });

  it('by a majority of an older roster counts for 1,000 blocks after that was left', () => {
    // Signed by a and b of the roster {a, b, c}, when d had joined already.
    const late = signedBy(join(three, e), a, b, e);
    const at = (height: number) => refusal(admitStatement(four, late, { ...context, height, heldSince: () => 100 }));
    expect(at(100 + HELD_BLOCKS)).toBe('admitted');
    expect(at(100 + HELD_BLOCKS + 1)).toBe('old-roster');
  });

  it('by the founding pair is refused where the pair was never or long ago the roster', () => {
    const minted = signedBy(join(pair, e), a, b, e);
    expect(refusal(admitStatement(four, minted, { ...context, heldLately: () => false }))).toBe('old-roster');
  });

  it('by the one left of a pair is refused by those who know of the others', () => {
    // b left; a alone leaves out that c and d had joined, and would be the whole roster.
    const gone = grown(four, signedBy(leave(four, b), b));
    const only = grown(pair, signedBy(leave(pair, b), b));
    const minted = signedBy(join(only, e), a, e);
    expect(refusal(admitStatement(only, minted, context))).toBe('admitted');
    expect(refusal(admitStatement(gone, minted, { ...context, heldLately: () => false }))).toBe('old-roster');
  });

  it('is refused by a full roster, and by a full set', () => {
    const places = Array.from({ length: MEMBERS_MAX }, (_, n) => rosterIdentity(`m${n}`, `m${n}`, 'one'));
    let set = grown(NO_STATEMENTS, signedBy(genesis(places[0]!, places[1]!), places[0]!, places[1]!));
    for (let n = 2; n < MEMBERS_MAX; n++) {
      set = grown(set, signedBy(join(set, places[n]!), ...places.slice(0, Math.floor(n / 2) + 1), places[n]!));
    }
    const one = signedBy(join(set, e), ...places.slice(0, MEMBERS_MAX / 2 + 1), e);
    expect(refusal(admitStatement(set, one, context))).toBe('roster-full');
    const full = new Map(three);
    const some: HeldStatement = [...pair.values()][0]!;
    for (let n = full.size; n < STATEMENTS_MAX; n++) full.set(String(n), some);
    expect(refusal(admitStatement(full, signedBy(join(three, d), a, b, d), context))).toBe('too-many-statements');
  });
});

describe('two joins of one platform at once', () => {
  it('give the place to the same one whichever comes first, and the other does not get it back', () => {
    const [x, y] = [rosterIdentity('x', 'p'), rosterIdentity('y', 'p')];
    const joins = [signedBy(join(three, x), a, b, x), signedBy(join(three, y), b, c, y)];
    const one = joins.reduce((set, statement) => grown(set, statement), three);
    const other = [...joins].reverse().reduce((set, statement) => grown(set, statement), three);
    expect(membersOf(one)).toEqual(membersOf(other));
    expect(membersOf(one)).toHaveLength(4);
    const winner = ids(one).includes(x.nodeId) ? x : y;
    expect(ids(grown(one, signedBy(leave(one, winner), winner)))).toEqual(sorted(a, b, c));
  });
});

describe('a leave', () => {
  it('by the node itself ends its place, for good', () => {
    const gone = grown(three, signedBy(leave(three, c), c));
    expect(ids(gone)).toEqual(sorted(a, b));
    expect(refusal(admitStatement(gone, signedBy(leave(three, c), c), context))).toBe('known');
    // Known already: the same join again does not bring it back.
    expect(refusal(admitStatement(gone, signedBy(join(pair, c), a, b, c), context))).toBe('known');
  });

  it('does not end a later place of the same node', () => {
    const gone = grown(three, signedBy(leave(three, c), c));
    const back = grown(gone, signedBy(join(gone, c, { height: 120 }), a, b, c));
    expect(ids(back)).toEqual(sorted(a, b, c));
    expect(refusal(admitStatement(back, signedBy(leave(three, c), c), context))).toBe('known');
    expect(ids(back)).toEqual(sorted(a, b, c));
    expect(endOf(back, placeIn(back, c), c.nodeId)).toBeUndefined();
  });

  it('is refused from others, from two, from nobody', () => {
    const body = leave(three, c);
    for (const by of [[a], [a, b], [c, a], []]) {
      expect(refusal(admitStatement(three, signedBy(body, ...by), context))).toBe('wrong-signer');
    }
  });

  it('is refused for a place that does not exist', () => {
    const elsewhere = { ...leave(three, c), joinId: placeIn(three, a) };
    expect(refusal(admitStatement(three, signedBy(elsewhere, c), context))).toBe('not-a-member');
    const unknown = { ...leave(three, c), joinId: '00'.repeat(32) };
    expect(refusal(admitStatement(three, signedBy(unknown, c), context))).toBe('unknown-parent');
  });

  it('by the operator is taken with the operator’s key of this place and no other', () => {
    const body = leave(three, c, 'operator');
    const keys = { ...context, operatorKeys: (name: string) => (name === c.operator ? [publicKey] : []) };
    const publicKey = ed25519PublicKey(operatorSecret);
    const byOperator = (of: Leave) => refusal(admitStatement(three, signedBy(of, { secret: operatorSecret }), keys));
    expect(byOperator(body)).toBe('admitted');
    expect(byOperator(leave(three, a, 'operator'))).toBe('wrong-signer');
    expect(refusal(admitStatement(three, signedBy(body, c), keys))).toBe('wrong-signer');
    expect(refusal(admitStatement(three, signedBy(body, { secret: sha256(utf8('x')) }), keys))).toBe('wrong-signer');
    expect(byOperator(leave(three, c, 'left'))).toBe('wrong-signer');
  });
});

describe('an eviction', () => {
  it('needs a majority', () => {
    const body = eviction(three, c);
    expect(refusal(admitStatement(three, signedBy(body, a), context))).toBe('no-majority');
    expect(refusal(admitStatement(three, signedBy(body, a, d), context))).toBe('wrong-signer');
    const gone = grown(three, signedBy(body, a, b));
    expect(ids(gone)).toEqual(sorted(a, b));
    expect(endOf(gone, body.joinId, c.nodeId)).toBe('evicted');
  });

  it('is refused for who is not on the roster it comes after', () => {
    const gone = grown(three, signedBy(leave(three, c), c));
    const body = { ...eviction(three, c), ...onRoster(gone) };
    expect(refusal(admitStatement(gone, signedBy(body, a, b), context))).toBe('not-a-member');
  });
});
