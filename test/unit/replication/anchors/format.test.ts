// The text of an anchor, its certificate and its tags: one way to write each, and nothing else is read.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ed25519Sign, hmacSha256, sha256 } from '#crypto';
import { concatBytes, toBase64Url, toHex, utf8 } from '../../../../src/core/bytes.ts';
import { encodeCbor } from '../../../../src/core/cbor.ts';
import { idBytes } from '../../../../src/core/ids.ts';
import { TEXT_BYTES_MAX } from '../../../../src/indexer/limits.ts';
import {
  type Anchor,
  type AnchorBody,
  anchorHash,
  anchorMessage,
  anchorPrefix,
  anchorText,
  checkCertificate,
  encodeAnchor,
  proposersOf,
  readAnchorText,
  tagsOf,
} from '../../../../src/replication/anchors/anchor.ts';
import { ANCHOR_BYTES_MAX, RATCHET_STEPS_MAX } from '../../../../src/replication/anchors/limits.ts';
import { createLogKeyring, newLogKey } from '../../../../src/replication/anchors/log-key.ts';
import { buildTags, nextLogKey, tagKeyOf, tagOf, withoutPadding } from '../../../../src/replication/anchors/tags.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { applyEdits, edits } from '../../../support/mutations.ts';
import { clusterId, otherCluster } from '../../../support/registration.ts';
import { rosterIdentity } from '../../../support/roster.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

const members = ['a', 'b', 'c'].map((name) => rosterIdentity(name));
const tagKey = sha256(utf8('tag key'));
const ids = (count: number) => Array.from({ length: count }, (_, i) => sha256(utf8(`operation ${i}`)));

function bodyWith(fields: Partial<AnchorBody> = {}): AnchorBody {
  const [previous, root, rosterHash] = ['previous', 'root', 'roster'].map((name) => sha256(utf8(name)));
  const tags = buildTags(tagKey, 0, ids(3), 32);
  return { epoch: 7, seq: 0, previous: previous!, root: root!, rosterHash: rosterHash!, tags, ...fields };
}

function signed(body: AnchorBody, signers = members, cluster = clusterId): Anchor {
  const message = anchorMessage(anchorHash(cluster, body));
  const certificate = signers
    .map(({ nodeId, secret }) => ({ nodeId: idBytes(nodeId), signature: ed25519Sign(secret, message) }))
    .sort((x, y) => (toHex(x.nodeId) < toHex(y.nodeId) ? -1 : 1));
  return { ...body, certificate };
}

const verdictOf = (anchor: Anchor, cluster = clusterId) =>
  checkCertificate(anchor, anchorHash(cluster, anchor), members);

describe('the text of an anchor', () => {
  it('is read back as it was written, and is the only one of its anchor', () => {
    const anchor = signed(bodyWith());
    const text = anchorText(clusterId, anchor);
    expect(text).toMatch(new RegExp(`^kith/${clusterId}/7\\.0=[A-Za-z0-9_-]+$`));
    expect(readAnchorText(clusterId, text)).toEqual(anchor);
    for (const other of [
      text.replace('7.0=', '07.0='),
      text.replace('7.0=', '8.0='),
      text.replace('7.0=', '7.1='),
      text.replace('7.0=', '7.00='),
      `${text}=`,
      `${text} `,
      `${text}A`,
      text.slice(0, -1),
      text.slice(1),
      anchorPrefix(clusterId),
      '',
    ]) {
      expect(readAnchorText(clusterId, other), other.slice(0, 60)).toBeUndefined();
    }
    expect(readAnchorText(otherCluster, text)).toBeUndefined();
  });

  it('of the largest anchor fits into what the indexer keeps of a text', () => {
    const signers = Array.from({ length: 32 }, (_, i) => rosterIdentity(`signer ${i}`));
    const anchor = signed(bodyWith({ epoch: 2 ** 43, seq: 63, tags: buildTags(tagKey, 0, ids(512), 512) }), signers);
    expect(encodeAnchor(anchor).length).toBeLessThanOrEqual(ANCHOR_BYTES_MAX);
    const text = anchorText(clusterId, anchor);
    expect(text.length).toBeLessThanOrEqual(TEXT_BYTES_MAX);
    expect(readAnchorText(clusterId, text)).toEqual(anchor);
  });

  it('is refused with tags or signers unsorted, twice, or in another number', () => {
    const anchor = signed(bodyWith());
    const tags = tagsOf(anchor);
    const odd = (changed: Partial<Anchor>) =>
      `${anchorPrefix(clusterId)}7.0=${toBase64Url(encodeCbor({ ...anchor, ...changed }))}`;
    expect(readAnchorText(clusterId, odd({}))).toBeDefined();
    const changes: Partial<Anchor>[] = [
      { tags: concatBytes(...tags.toReversed()) },
      { tags: concatBytes(tags[0]!, tags[0]!, ...tags.slice(2)) },
      { tags: concatBytes(...tags, sha256(tags[0]!).slice(0, 16)) },
      { certificate: anchor.certificate.toReversed() },
      { certificate: [anchor.certificate[0]!, anchor.certificate[0]!] },
      { certificate: [] },
    ];
    for (const changed of changes) expect(readAnchorText(clusterId, odd(changed))).toBeUndefined();
    const unsortedMap = concatBytes(encodeAnchor(anchor), Uint8Array.of(0));
    expect(readAnchorText(clusterId, `${anchorPrefix(clusterId)}7.0=${toBase64Url(unsortedMap)}`)).toBeUndefined();
  });

  it('is never read from edited bytes as the same anchor, and no edit makes it throw', () => {
    const anchor = signed(bodyWith());
    const encoded = encodeAnchor(anchor);
    fc.assert(
      fc.property(edits, (list) => {
        const edited = applyEdits(encoded, list);
        const read = readAnchorText(clusterId, `${anchorPrefix(clusterId)}7.0=${toBase64Url(edited)}`);
        if (!read) return;
        expect(toHex(encodeAnchor(read))).toBe(toHex(edited));
        if (toHex(edited) !== toHex(encoded)) expect(verdictOf(read)).not.toBe('valid');
      }),
      { numRuns: fuzzRuns(2_000) },
    );
  });
});

describe('the certificate of an anchor', () => {
  it('is valid from a majority of platforms and from nothing less', () => {
    expect(verdictOf(signed(bodyWith()))).toBe('valid');
    expect(verdictOf(signed(bodyWith(), members.slice(0, 2)))).toBe('valid');
    expect(verdictOf(signed(bodyWith(), members.slice(0, 1)))).toBe('no-quorum');
  });

  it('counts two nodes of one platform once', () => {
    const twins = [
      rosterIdentity('x', 'p'),
      rosterIdentity('y', 'p'),
      rosterIdentity('z', 'q'),
      rosterIdentity('w', 'r'),
    ];
    const anchor = signed(bodyWith(), twins.slice(0, 2));
    expect(checkCertificate(anchor, anchorHash(clusterId, anchor), twins)).toBe('no-quorum');
  });

  it('is refused with a stranger, a forged signature, or those of another anchor, epoch or cluster', () => {
    const anchor = signed(bodyWith());
    expect(verdictOf(signed(bodyWith(), [...members.slice(0, 2), rosterIdentity('stranger')]))).toBe('not-on-roster');
    const forged = anchor.certificate.map((one, i) =>
      i === 1 ? { ...one, signature: new Uint8Array(64).fill(1) } : one,
    );
    expect(verdictOf({ ...anchor, certificate: forged })).toBe('bad-signature');
    const changes: Partial<AnchorBody>[] = [
      { epoch: 8 },
      { seq: 1 },
      { previous: sha256(utf8('wrong')) },
      { root: sha256(utf8('wrong')) },
      { rosterHash: sha256(utf8('wrong')) },
      { tags: buildTags(sha256(utf8('another key')), 0, ids(3), 32) },
    ];
    for (const changed of changes) expect(verdictOf({ ...anchor, ...changed })).toBe('bad-signature');
    expect(verdictOf(anchor, otherCluster)).toBe('bad-signature');
  });

  it('ranks the proposers of an epoch alike for everybody and differently each epoch', () => {
    const hash = sha256(utf8('roster'));
    const order = (epoch: number, list = members) => proposersOf(epoch, hash, list).map(({ nodeId }) => nodeId);
    expect(order(5)).toEqual(order(5, members.toReversed()));
    const firsts = new Set(Array.from({ length: 50 }, (_, epoch) => order(epoch)[0]));
    expect(firsts.size).toBe(3);
  });
});

describe('tags', () => {
  it('are told from padding by the key and by nothing else', () => {
    const tags = buildTags(tagKey, 3, ids(5), 32);
    const list = tagsOf({ tags });
    expect([...withoutPadding(tagKey, 3, list).keys()].sort()).toEqual(
      ids(5)
        .map((id) => toHex(tagOf(tagKey, id)))
        .sort(),
    );
    expect(withoutPadding(sha256(tagKey), 3, list).size).toBe(32);
    // Nor are those of another anchor of the epoch padding of this one.
    expect(withoutPadding(tagKey, 4, list).size).toBe(32);
    expect(list.map(toHex)).toEqual(list.map(toHex).sort());
    expect(toHex(tagOf(tagKey, ids(1)[0]!))).toBe(toHex(hmacSha256(tagKey, ids(1)[0]!)).slice(0, 32));
  });
});

describe('the log key', () => {
  const random = seededRandom('log key');
  const genesisId = new Uint8Array(32).fill(9);

  it('goes forward, and what was given up cannot be had again', () => {
    const record = newLogKey(random, genesisId, 100);
    const keyring = createLogKeyring();
    keyring.set({ ...record, key: record.key.slice() });
    const expected = toHex(tagKeyOf(nextLogKey(nextLogKey(record.key))));
    expect(toHex(keyring.tagKey(102)!)).toBe(expected);
    const old = toHex(keyring.tagKey(100)!);
    keyring.set(keyring.recordFrom(102)!);
    expect(keyring.oldest).toBe(102);
    expect(keyring.tagKey(101)).toBeUndefined();
    expect(toHex(keyring.tagKey(102)!)).toBe(expected);
    // All that a captured node has, run forward, never meets an older key.
    let key = keyring.record()!.key;
    for (let i = 0; i < 1_000; i++) {
      expect(toHex(tagKeyOf(key))).not.toBe(old);
      key = nextLogKey(key);
    }
  });

  it('is not computed without end, whatever epoch is named', () => {
    const keyring = createLogKeyring();
    keyring.set(newLogKey(random, genesisId, 0));
    expect(keyring.tagKey(2 ** 40)).toBeUndefined();
    expect(keyring.recordFrom(2 ** 40)!.epoch).toBe(RATCHET_STEPS_MAX);
  });

  it('of the older lineage counts, then the smaller, so that all members end with the same', () => {
    const older = newLogKey(random, genesisId, 10);
    const later = newLogKey(random, genesisId, 11);
    const twin = { ...newLogKey(random, genesisId, 10), lineage: new Uint8Array(32) };
    const outranks = (held: typeof older, other: typeof older) => {
      const keyring = createLogKeyring();
      keyring.set(held);
      return keyring.outrankedBy(other);
    };
    expect([outranks(later, older), outranks(older, later)]).toEqual([true, false]);
    expect([outranks(older, twin), outranks(twin, older), outranks(older, older)]).toEqual([true, false, false]);
  });
});
