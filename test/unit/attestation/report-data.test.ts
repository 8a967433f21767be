import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  answersNonce,
  batchNonces,
  type ClientClaim,
  claims,
  type PeerClaim,
  type RecoverClaim,
  type ReportClaim,
  reportDataOf,
} from '../../../src/attestation/report-data.ts';
import { concatBytes, toHex, utf8 } from '../../../src/core/bytes.ts';
import { clusterIdFromBytes, nodeIdFromBytes } from '../../../src/core/ids.ts';
import { flipped } from '../../support/attestation.ts';

const bytes = (value: number) => new Uint8Array(32).fill(value);

const common = {
  clusterId: clusterIdFromBytes(bytes(1)),
  configurationHash: bytes(2),
  nodeId: nodeIdFromBytes(bytes(3)),
  hpkeKey: bytes(4),
};
const handshake = { ownNonce: bytes(5), peerNonce: bytes(6), ownBootKey: bytes(7), peerBootKey: bytes(8) };
const peer: PeerClaim = { purpose: 'peer', ...common, ...handshake, role: 'initiator', incarnation: 1, phase: 'ready' };
const recover: RecoverClaim = { purpose: 'recover', ...common, ...handshake, incarnation: 1, storeIdHash: bytes(9) };
const client: ClientClaim = { purpose: 'client', ...common, rosterHash: bytes(10), noncesRoot: bytes(11) };

/** Every claim that differs from `claim` in one field. */
function* variants(claim: ReportClaim): Generator<[string, ReportClaim]> {
  for (const [field, value] of Object.entries(claim)) {
    if (field === 'purpose') continue;
    if (value instanceof Uint8Array) yield [field, { ...claim, [field]: flipped(value, 77) } as ReportClaim];
    else if (typeof value === 'number') yield [field, { ...claim, [field]: value + 1 } as ReportClaim];
    else if (field === 'role') yield [field, { ...claim, role: 'responder' } as ReportClaim];
    else if (field === 'phase') yield [field, { ...claim, phase: 'recovering' } as ReportClaim];
    else if (field === 'nodeId') yield [field, { ...claim, nodeId: nodeIdFromBytes(bytes(99)) }];
    else yield [field, { ...claim, clusterId: clusterIdFromBytes(bytes(99)) }];
  }
}

describe.each([peer, recover, client])('report data of the purpose $purpose', (claim) => {
  it('is 64 bytes, the same for the same claim', () => {
    expect(reportDataOf(claim).length).toBe(64);
    expect(reportDataOf({ ...claim })).toEqual(reportDataOf(claim));
    expect(claims(reportDataOf(claim), claim)).toBe(true);
  });

  it('depends on every field', () => {
    let fields = 0;
    for (const [field, other] of variants(claim)) {
      expect(claims(reportDataOf(claim), other), field).toBe(false);
      fields++;
    }
    expect(fields).toBe(Object.keys(claim).length - 1);
  });

  it('does not stand for another purpose', () => {
    for (const purpose of ['peer', 'recover', 'client'] as const) {
      if (purpose === claim.purpose) continue;
      const all = { ...peer, ...recover, ...client };
      const own = { ...all, purpose: claim.purpose } as ReportClaim;
      expect(claims(reportDataOf(own), { ...all, purpose } as ReportClaim)).toBe(false);
    }
  });

  it('refuses fields of other lengths, so that none can run into the next', () => {
    for (const [field, value] of Object.entries(claim)) {
      if (!(value instanceof Uint8Array)) continue;
      const short = { ...claim, [field]: value.subarray(1) } as ReportClaim;
      expect(() => reportDataOf(short), field).toThrow(expect.objectContaining({ code: 'bad-claim' }));
    }
  });
});

describe('report data', () => {
  it('is SHA-512 over the label and the deterministic CBOR of the claim, written out by hand here', () => {
    const text = (value: string) => concatBytes(Uint8Array.of(0x60 + value.length), utf8(value));
    const blob = (value: number) => concatBytes(Uint8Array.of(0x58, 32), bytes(value));
    // RFC 8949, section 4.2.1: keys in the order of their encodings, so shorter ones first.
    const map = concatBytes(
      Uint8Array.of(0xa7),
      ...[text('nodeId'), blob(3), text('hpkeKey'), blob(4), text('purpose'), text('client')],
      ...[text('clusterId'), blob(1), text('noncesRoot'), blob(11), text('rosterHash'), blob(10)],
      ...[text('configurationHash'), blob(2)],
    );
    const expected = createHash('sha512').update('kith/report/v1').update(map).digest('hex');
    expect(toHex(reportDataOf(client))).toBe(expected);
  });

  it('refuses incarnations that are no counters', () => {
    for (const incarnation of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => reportDataOf({ ...peer, incarnation })).toThrow(expect.objectContaining({ code: 'bad-claim' }));
      expect(() => reportDataOf({ ...recover, incarnation })).toThrow(expect.objectContaining({ code: 'bad-claim' }));
    }
  });

  it('the two ends of a handshake have different report data', () => {
    const mirrored = {
      ...peer,
      ownNonce: peer.peerNonce,
      peerNonce: peer.ownNonce,
      ownBootKey: peer.peerBootKey,
      peerBootKey: peer.ownBootKey,
      role: 'responder' as const,
    };
    expect(claims(reportDataOf(peer), mirrored)).toBe(false);
  });
});

describe('batched nonces', () => {
  const { noncesRoot: _root, ...claim } = client;

  it.each([1, 2, 3, 7, 64])('one quote answers %d clients, each with a path of its own', (count) => {
    const nonces = Array.from({ length: count }, (_, i) => bytes(100 + i));
    const { root, paths } = batchNonces(nonces);
    const data = reportDataOf({ ...claim, noncesRoot: root });
    nonces.forEach((nonce, i) => {
      expect(answersNonce(data, claim, nonce, paths[i]!)).toBe(true);
      expect(answersNonce(data, claim, flipped(nonce, 0), paths[i]!)).toBe(false);
      if (count > 1) expect(answersNonce(data, claim, nonce, paths[(i + 1) % count]!)).toBe(false);
    });
  });

  it('a root with no quote behind it answers nobody', () => {
    const { root, paths } = batchNonces([bytes(100)]);
    const other = batchNonces([bytes(101)]);
    const data = reportDataOf({ ...claim, noncesRoot: other.root });
    expect(answersNonce(data, claim, bytes(100), paths[0]!)).toBe(false);
    expect(answersNonce(data, claim, bytes(100), { ...paths[0]!, root: other.root })).toBe(false);
    expect(
      answersNonce(reportDataOf({ ...claim, noncesRoot: root }), claim, root, { root, index: 0, count: 1, path: [] }),
    ).toBe(false);
    expect(answersNonce(data, claim, new Uint8Array(0), paths[0]!)).toBe(false);
  });
});
