import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_ENTRY_HASH } from '../../../../src/replication/index.ts';
import { MESSAGE_BYTES_MAX } from '../../../../src/replication/sync/limits.ts';
import {
  decodeSnapshotItem,
  decodeSyncAnswer,
  decodeSyncRequest,
  encodeSnapshotItem,
  encodeSyncAnswer,
  encodeSyncRequest,
  type SyncAnswer,
  type SyncRequest,
} from '../../../../src/replication/sync/messages.ts';
import {
  bodyToWire,
  decodeEntry,
  encodeEntry,
  positionFromWire,
  positionToWire,
} from '../../../../src/replication/sync/wire.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { createMemoryReplica } from '../../../support/memory-replica.ts';
import { codeOf } from '../../../support/outcome.ts';
import { rosterIdentity } from '../../../support/roster.ts';
import { register, revoke } from '../../../support/sync-network.ts';

const replica = createMemoryReplica(rosterIdentity('writer'));
const made = [register(1), { ...revoke(2), keys: undefined }];
const entry = replica.signEntry(
  1,
  NO_ENTRY_HASH,
  made.map(({ operation }) => operation),
);
const item = { entry, bodies: [made[0], undefined] };
const encoded = encodeEntry(item);
const id = new Uint8Array(32).fill(7);

const requests: SyncRequest[] = [
  { kind: 'push', entries: [encoded] },
  { kind: 'frontier', digest: id, own: id, after: id },
  { kind: 'pull', wants: [{ writer: id, from: 1 }] },
  { kind: 'fetch', regIds: [id], operations: [{ opId: id, regId: id }] },
  { kind: 'offer', bodies: made.map(bodyToWire) },
  { kind: 'certify', operations: [{ opId: id, regId: id }] },
  { kind: 'head' },
  { kind: 'audit-root', key: id },
  { kind: 'audit-ids', key: id, leaves: [0, 4_095], from: 1 },
];
const answers: SyncAnswer[] = [
  {
    kind: 'pushed',
    outcomes: [
      { kind: 'gap', seq: 3 },
      { kind: 'refused', why: 'version-in-future' },
    ],
  },
  { kind: 'same' },
  { kind: 'pulled', logs: [{ entries: [encoded] }, { entries: [], first: 9 }] },
  { kind: 'offered', outcomes: Uint8Array.of(1, 2) },
  { kind: 'busy' },
];

describe('messages of sync', () => {
  it('come back as they were', () => {
    for (const request of requests) expect(decodeSyncRequest(encodeSyncRequest(request))).toEqual(request);
    for (const answer of answers) expect(decodeSyncAnswer(encodeSyncAnswer(answer))).toEqual(answer);
    const bodies = { kind: 'bodies' as const, bodies: made.map(bodyToWire) };
    expect(decodeSnapshotItem(encodeSnapshotItem(bodies))).toEqual(bodies);
    expect(decodeEntry(encoded)).toEqual(item);
    const position = { writer: replica.writer, seq: 5, hash: id, first: 6, expiryHeight: 9 };
    expect(positionFromWire(positionToWire(position))).toEqual(position);
  });

  it('are refused when they are too long, of another shape, or name as many bodies as they should not', () => {
    expect(codeOf(() => decodeSyncRequest(new Uint8Array(MESSAGE_BYTES_MAX + 1)))).toBe('too-large');
    expect(codeOf(() => decodeSyncRequest(encodeSyncAnswer({ kind: 'busy' })))).toBe('bad-shape');
    expect(codeOf(() => decodeEntry(encodeEntry({ entry, bodies: [undefined] })))).toBe('bad-shape');
    const many = Array.from({ length: 65 }, () => ({ writer: id, from: 1 }));
    expect(codeOf(() => decodeSyncRequest(encodeSyncRequest({ kind: 'pull', wants: many })))).toBe('bad-shape');
  });

  it('that were altered anywhere are refused with a code or are other messages, and never break anything else', () => {
    const all = [...requests.map(encodeSyncRequest), ...answers.map(encodeSyncAnswer), encoded];
    const decoders = [decodeSyncRequest, decodeSyncAnswer, decodeSnapshotItem, decodeEntry];
    fc.assert(
      fc.property(
        fc.nat(all.length - 1),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        (which, at, xor, cut) => {
          const bytes = all[which]!.slice();
          bytes[at % bytes.length]! ^= xor;
          const altered = cut ? bytes.subarray(0, at % bytes.length) : bytes;
          // `codeOf` throws on anything that is no KithError.
          for (const decode of decoders) codeOf(() => decode(altered));
        },
      ),
      { numRuns: fuzzRuns(1_000) },
    );
  });
});
