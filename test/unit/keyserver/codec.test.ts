import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../../src/core/cbor.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { shape, Type } from '../../../src/core/schema.ts';
import { Secret } from '../../../src/core/secret.ts';
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from '../../../src/keyserver/codec.ts';
import { createIncarnations } from '../../../src/keyserver/incarnations.ts';
import { type CustodyAnswer, type CustodyRequest, makeTicket, verifyTicket } from '../../../src/keyserver/index.ts';
import { INCARNATION_MAX, INCARNATIONS_MAX, MESSAGE_BYTES_MAX } from '../../../src/keyserver/limits.ts';
import { REFUSAL_REASONS, type RefusalReason } from '../../../src/keyserver/messages.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { codeOf } from '../../support/outcome.ts';

const hash = (name: string) => sha256(utf8(name));
const nodeId = nodeIdFromBytes(hash('node'));
const head = { incarnation: 3, sequence: 9, hash: hash('head') };
const dealt = () => ({
  header: utf8('header'),
  index: 2,
  share: Secret.own(hash('share')),
  commitments: [hash('1'), hash('2'), hash('3')],
  signature: new Uint8Array(64).fill(5),
});

const requests: CustodyRequest[] = [
  { kind: 'deposit', ...dealt(), base: hash('base'), head },
  { kind: 'deposit', ...dealt() },
  { kind: 'commit', dealId: hash('deal') },
  { kind: 'probe' },
  { kind: 'probe', head },
  { kind: 'drop', keyEpoch: 4 },
  { kind: 'last', nodeId, storeIdHash: hash('store') },
  { kind: 'release', nodeId, incarnation: 5, storeIdHash: hash('store') },
  { kind: 'release', nodeId, incarnation: 5, storeIdHash: hash('store'), ticket: utf8('ticket') },
];

const released: CustodyAnswer = {
  kind: 'released',
  attemptId: hash('attempt'),
  deals: [{ ...dealt(), incarnation: 7, bootKey: hash('boot') }],
  head,
};
const answers: CustodyAnswer[] = [
  { kind: 'deposited' },
  { kind: 'committed' },
  { kind: 'dropped' },
  { kind: 'holding' },
  { kind: 'holding', current: hash('1'), pending: hash('2') },
  { kind: 'last', incarnation: 8 },
  released,
  { kind: 'released', attemptId: hash('attempt'), deals: [] },
  { kind: 'refused', reason: 'fenced', last: 2 },
  { kind: 'refused', reason: 'epoch-not-newer', keyEpoch: 2 },
  ...(Object.keys(REFUSAL_REASONS) as RefusalReason[]).map((reason) => ({ kind: 'refused', reason }) as const),
];

/** Shares as bytes, so that values can be compared. */
const plain = (value: unknown): unknown => {
  if (value instanceof Secret) return [...value.expose()];
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item)]));
};

describe('messages', () => {
  it('come back as they went, shares as secrets', () => {
    for (const request of requests) expect(plain(decodeRequest(encodeRequest(request)))).toEqual(plain(request));
    for (const answer of answers) expect(plain(decodeAnswer(encodeAnswer(answer)))).toEqual(plain(answer));
    const deposit = decodeRequest(encodeRequest(requests[0]!));
    expect(deposit.kind === 'deposit' && deposit.share).toBeInstanceOf(Secret);
    expect(JSON.stringify(decodeAnswer(encodeAnswer(released)))).toContain('[secret]');
  });

  it('carry the described fields and no others', () => {
    const fieldsOf = (encoded: Uint8Array) =>
      Object.keys(
        decodeCbor(encoded, shape(Type.Record(Type.String(), Type.Unknown())), { bytesMax: 9_999, where: '' }),
      );
    expect(fieldsOf(encodeRequest({ ...requests[1]!, ...({ extra: 1 } as object) })).sort()).toEqual([
      'commitments',
      'header',
      'index',
      'kind',
      'share',
      'signature',
    ]);
    const more = encodeCbor({ kind: 'commit', dealId: hash('deal'), extra: 1 });
    expect(codeOf(() => decodeRequest(more))).toBe('bad-shape');
    expect(codeOf(() => decodeAnswer(encodeCbor({ kind: 'deposited', extra: 1 })))).toBe('bad-shape');
  });

  it('of other kinds, sizes and lengths are refused', () => {
    const refuse = (value: Parameters<typeof encodeCbor>[0]) => codeOf(() => decodeRequest(encodeCbor(value)));
    expect(refuse({ kind: 'take' })).toBe('bad-shape');
    expect(refuse({ kind: 'commit', dealId: new Uint8Array(31) })).toBe('bad-shape');
    expect(
      refuse({ kind: 'release', nodeId: hash('n'), incarnation: INCARNATION_MAX + 1, storeIdHash: hash('s') }),
    ).toBe('bad-shape');
    const base = { kind: 'deposit', ...dealt(), share: hash('share') };
    expect(refuse({ ...base, index: 0 })).toBe('bad-shape');
    expect(refuse({ ...base, index: 6 })).toBe('bad-shape');
    expect(refuse({ ...base, commitments: Array.from({ length: 6 }, () => hash('c')) })).toBe('bad-shape');
    expect(refuse({ ...base, share: new Uint8Array(33) })).toBe('bad-shape');
    expect(codeOf(() => decodeRequest(new Uint8Array(MESSAGE_BYTES_MAX + 1)))).toBe('too-large');
    expect(codeOf(() => decodeAnswer(new Uint8Array(MESSAGE_BYTES_MAX + 1)))).toBe('too-large');
  });

  it('of hostile bytes are a typed error or a message that encodes to the same bytes', () => {
    const seeds = [...requests.map(encodeRequest), ...answers.map(encodeAnswer)];
    fc.assert(
      fc.property(fc.nat(seeds.length - 1), fc.nat(), fc.nat(255), fc.boolean(), (which, at, value, cut) => {
        const bytes = seeds[which]!.slice();
        const position = at % bytes.length;
        bytes[position] = value;
        const hostile = cut ? bytes.subarray(0, position) : bytes;
        codeOf(() => expect(encodeRequest(decodeRequest(hostile))).toEqual(hostile));
        codeOf(() => expect(encodeAnswer(decodeAnswer(hostile))).toEqual(hostile));
      }),
      { numRuns: fuzzRuns(2_000) },
    );
  });
});

describe('a migration ticket', () => {
  const secret = Secret.own(hash('operator'));
  const key = ed25519PublicKey(secret.expose());
  const ticket = { nodeId, incarnation: 4, newPlatform: 'ab'.repeat(32), expiryHeight: 1_000 };

  it('is read by whoever has the operator key, and by nobody else', () => {
    const encoded = makeTicket(ticket, secret);
    expect(verifyTicket(encoded, key)).toEqual(ticket);
    expect(verifyTicket(encoded, ed25519PublicKey(hash('another')))).toBeUndefined();
  });

  it('altered in any byte is none', () => {
    const encoded = makeTicket(ticket, secret);
    for (let at = 0; at < encoded.length; at++) {
      const altered = encoded.slice();
      altered[at]! ^= 1;
      let read: unknown;
      const code = codeOf(() => {
        read = verifyTicket(altered, key);
      });
      expect(code ?? read).toBe(code ? 'bad-ticket' : undefined);
    }
  });

  it('with fields that nobody would read is not made', () => {
    expect(codeOf(() => makeTicket({ ...ticket, newPlatform: '' }, secret))).toBe('bad-ticket');
    expect(codeOf(() => makeTicket({ ...ticket, newPlatform: 'x'.repeat(200) }, secret))).toBe('bad-ticket');
    expect(codeOf(() => makeTicket({ ...ticket, incarnation: 2 ** 49 }, secret))).toBe('bad-ticket');
  });
});

describe('incarnations', () => {
  const boot = (incarnation: number, key = 'a', node = nodeId) => ({ nodeId: node, incarnation, bootKey: hash(key) });

  it('fence lower ones, and both boots of one number until one has a higher', () => {
    const seen = createIncarnations();
    expect(seen.last(nodeId)).toBeUndefined();
    expect(seen.record(boot(2))).toBe('newer');
    expect(seen.record(boot(2))).toBe('current');
    expect(seen.record(boot(1))).toBe('fenced');
    expect(seen.standing(boot(2, 'b'))).toBe('contested');
    expect(seen.standing(boot(2))).toBe('current');
    expect(seen.record(boot(2, 'b'))).toBe('contested');
    expect(seen.standing(boot(2))).toBe('contested');
    expect(seen.record(boot(3, 'b'))).toBe('newer');
    expect(seen.standing(boot(3, 'b'))).toBe('current');
    expect(seen.standing(boot(2))).toBe('fenced');
    expect(seen.last(nodeId)).toBe(3);
  });

  it('of a bounded number of nodes are remembered, until one is forgotten for good', () => {
    const seen = createIncarnations();
    const node = (n: number) => nodeIdFromBytes(hash(`${n}`));
    for (let n = 0; n < INCARNATIONS_MAX; n++) seen.record(boot(1, 'a', node(n)));
    expect(seen.record(boot(1))).toBe('full');
    expect(seen.record(boot(2, 'a', node(7)))).toBe('newer');
    seen.forget(node(9));
    expect(seen.record(boot(1))).toBe('newer');
  });
});
