import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { nodeIdFromBytes, type OpId, opIdFromBytes } from '../../../src/core/ids.ts';
import {
  type BatchReceipt,
  checkBatchReceipt,
  decodeReceipt,
  encodeReceipt,
  RECEIPT_BYTES_MAX,
  RECEIPT_OPERATIONS_MAX,
  type Receipt,
  receiptBy,
  signReceipt,
  splitReceipt,
} from '../../../src/core/receipt.ts';
import { HEIGHT_MAX } from '../../../src/core/registration/limits.ts';
import { codeOf } from '../../support/outcome.ts';
import { clusterId, otherCluster } from '../../support/registration.ts';

const secret = sha256(utf8('receipts of one'));
const otherSecret = sha256(utf8('receipts of another'));
const nodeId = nodeIdFromBytes(ed25519PublicKey(secret));
const otherNode = nodeIdFromBytes(ed25519PublicKey(otherSecret));
const opId = (number: number): OpId => opIdFromBytes(sha256(utf8(`operation ${number}`)));
const opIds = (count: number): OpId[] => Array.from({ length: count }, (_, i) => opId(i));

const body = { clusterId, nodeId, incarnation: 3, sequence: 17, hash: sha256(utf8('head')), height: 5_000 };
const batch = opIds(7);
const signed = signReceipt(secret, body, batch);
const receipts = splitReceipt(signed, batch);
const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 5 ? byte ^ 1 : byte));

describe('a receipt for a batch', () => {
  it('is good for its operations in their order, of its node, in its cluster', () => {
    const expected = { clusterId, nodeId, opIds: batch };
    expect(checkBatchReceipt(signed, expected)).toBe(true);
    expect(checkBatchReceipt(signed, { ...expected, clusterId: otherCluster })).toBe(false);
    expect(checkBatchReceipt(signed, { ...expected, nodeId: otherNode })).toBe(false);
    expect(checkBatchReceipt(signed, { ...expected, opIds: batch.slice(1) })).toBe(false);
    expect(checkBatchReceipt(signed, { ...expected, opIds: [...batch].reverse() })).toBe(false);
    expect(checkBatchReceipt(signed, { ...expected, opIds: [...batch.slice(1), opId(99)] })).toBe(false);
    expect(checkBatchReceipt(signed, { ...expected, opIds: [] })).toBe(false);
  });

  it('says nothing once any of its fields is another', () => {
    const expected = { clusterId, nodeId, opIds: batch };
    const altered: BatchReceipt[] = [
      { ...signed, incarnation: 4 },
      { ...signed, sequence: 18 },
      { ...signed, hash: flipped(signed.hash) },
      { ...signed, height: 5_001 },
      { ...signed, count: 8 },
      { ...signed, signature: flipped(signed.signature) },
      { ...signed, signature: signReceipt(otherSecret, body, batch).signature },
      { ...signed, nodeId: ed25519PublicKey(otherSecret) },
    ];
    expect(altered.filter((receipt) => checkBatchReceipt(receipt, expected))).toEqual([]);
  });

  it('is not made for none or for more than a message carries', () => {
    expect(codeOf(() => signReceipt(secret, body, []))).toBe('out-of-range');
    expect(codeOf(() => signReceipt(secret, body, opIds(RECEIPT_OPERATIONS_MAX + 1)))).toBe('out-of-range');
  });
});

describe('a receipt for one operation', () => {
  it.each([1, 2, 3, 7, 128, 1000, RECEIPT_OPERATIONS_MAX])(
    'comes of a batch of %d, fits its bytes and names its node',
    (count) => {
      const ids = opIds(count);
      const split = splitReceipt(signReceipt(secret, { ...body, height: HEIGHT_MAX, sequence: HEIGHT_MAX }, ids), ids);
      expect(split).toHaveLength(count);
      for (const index of [0, count >> 1, count - 1]) {
        const encoded = encodeReceipt(split[index]!);
        expect(encoded.length).toBeLessThanOrEqual(RECEIPT_BYTES_MAX);
        expect(receiptBy(decodeReceipt(encoded), clusterId, ids[index]!)).toBe(nodeId);
      }
    },
  );

  it('proves nothing about another operation, in another cluster, or by another path', () => {
    const [first, second] = [receipts[0]!, receipts[1]!];
    expect(receiptBy(first, clusterId, opId(0))).toBe(nodeId);
    expect(receiptBy(first, clusterId, opId(1))).toBeUndefined();
    expect(receiptBy(first, clusterId, opId(99))).toBeUndefined();
    expect(receiptBy(first, otherCluster, opId(0))).toBeUndefined();
    const forged: Receipt[] = [
      { ...first, path: second.path },
      { ...first, index: 1 },
      { ...first, index: 1, path: second.path },
      { ...first, index: 7 },
      { ...first, path: [] },
      { ...first, path: [...first.path, first.path[0]!] },
      { ...first, path: first.path.slice(1) },
      { ...first, path: first.path.map(flipped) },
    ];
    expect(forged.filter((receipt) => receiptBy(receipt, clusterId, opId(0)))).toEqual([]);
  });

  it('proves nothing once a signed field, the root included, is another', () => {
    const own = receipts[2]!;
    const alone = splitReceipt(signReceipt(otherSecret, { ...body, nodeId: otherNode }, [opId(2)]), [opId(2)])[0]!;
    const forged: Receipt[] = [
      { ...own, incarnation: 4 },
      { ...own, sequence: 16 },
      { ...own, hash: flipped(own.hash) },
      { ...own, height: 4_999 },
      { ...own, count: 6 },
      { ...own, nodeId: ed25519PublicKey(otherSecret) },
      { ...own, signature: alone.signature },
      // A tree of the forger's own, under the signature of another.
      { ...alone, nodeId: own.nodeId },
      { ...alone, nodeId: own.nodeId, signature: own.signature },
      { ...own, root: alone.root, path: [], index: 0, count: 1 },
    ];
    expect(forged.map((receipt) => receiptBy(receipt, clusterId, opId(2)))).toEqual(forged.map(() => undefined));
  });

  it('does not take an inner node of its tree for an operation', () => {
    const ids = opIds(2);
    const [left] = splitReceipt(signReceipt(secret, body, ids), ids);
    const inner = opIdFromBytes(left!.root);
    expect(receiptBy({ ...left!, path: [], index: 0, count: 1 }, clusterId, inner)).toBeUndefined();
    expect(receiptBy({ ...left!, path: [] }, clusterId, inner)).toBeUndefined();
  });

  it('is refused by its shape before anything is verified', () => {
    const encoded = encodeReceipt(receipts[0]!);
    expect(codeOf(() => decodeReceipt(new Uint8Array(RECEIPT_BYTES_MAX + 1)))).toBe('too-large');
    expect(codeOf(() => decodeReceipt(encoded.subarray(1)))).toBe('malformed');
    expect(codeOf(() => decodeReceipt(encodeReceipt({ ...receipts[0]!, count: 0 })))).toBe('bad-shape');
    expect(codeOf(() => decodeReceipt(encodeReceipt({ ...receipts[0]!, index: 1_024 })))).toBe('bad-shape');
    const step = receipts[0]!.path[0]!;
    const long = Array.from({ length: 11 }, () => step);
    expect(codeOf(() => decodeReceipt(encodeReceipt({ ...receipts[0]!, path: long })))).toBe('bad-shape');
    expect(codeOf(() => decodeReceipt(encodeReceipt({ ...receipts[0]!, path: [step.subarray(1)] })))).toBe('bad-shape');
  });
});
