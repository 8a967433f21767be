import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { encodeCbor } from '../../../src/core/cbor.ts';
import {
  CERTIFICATE_BYTES_MAX,
  CERTIFICATE_RECEIPTS_MAX,
  confirmationBy,
  decodeCertificate,
  encodeCertificate,
} from '../../../src/core/certificate.ts';
import { clusterIdFromBytes, idBytes, regIdFromBytes } from '../../../src/core/ids.ts';
import {
  checkBatchReceipt,
  decodeReceipt,
  encodeReceipt,
  RECEIPT_BYTES_MAX,
  receiptBy,
  receiptsOf,
  splitReceipt,
} from '../../../src/core/receipt.ts';
import { codeOf } from '../../support/outcome.ts';
import {
  batchReceiptOf,
  entriesOf,
  operationNamed,
  receiptBytes,
  receiptCluster,
  signerNamed,
} from '../../support/receipts.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => signerNamed(name)) as [
  ReturnType<typeof signerNamed>,
  ReturnType<typeof signerNamed>,
  ReturnType<typeof signerNamed>,
  ReturnType<typeof signerNamed>,
];
const opId = operationNamed('x');
const of = { clusterId: receiptCluster, opId };
const three = entriesOf([a, b, c]);
const regId = regIdFromBytes(sha256(utf8('registration')));

describe('receipts of a batch', () => {
  it('are each valid for their operation, and small enough, in the largest batch', () => {
    const opIds = Array.from({ length: 1_024 }, (_, i) => operationNamed(String(i)));
    const receiptAt = receiptsOf(batchReceiptOf(a, opIds), opIds);
    for (const index of [0, 1, 511, 512, 1_023]) {
      const encoded = encodeReceipt(receiptAt(index));
      expect(encoded.length).toBeLessThanOrEqual(RECEIPT_BYTES_MAX);
      expect(receiptBy(decodeReceipt(encoded), receiptCluster, opIds[index]!)).toBe(a.nodeId);
      expect(receiptBy(decodeReceipt(encoded), receiptCluster, operationNamed('other'))).toBeUndefined();
    }
    expect(splitReceipt(batchReceiptOf(a, opIds), opIds)[700]).toEqual(receiptAt(700));
  });
});

describe('a receipt of a batch', () => {
  it('counts for exactly these operations, of this member, in this cluster', () => {
    const opIds = ['x', 'y', 'z'].map(operationNamed);
    const receipt = batchReceiptOf(a, opIds);
    const expected = { clusterId: receiptCluster, nodeId: a.nodeId, opIds };
    expect(checkBatchReceipt(receipt, expected)).toBe(true);
    expect(checkBatchReceipt(receipt, { ...expected, opIds: opIds.slice(1) })).toBe(false);
    expect(checkBatchReceipt(receipt, { ...expected, opIds: [...opIds].reverse() })).toBe(false);
    expect(checkBatchReceipt(receipt, { ...expected, nodeId: b.nodeId })).toBe(false);
    expect(checkBatchReceipt(receipt, { ...expected, clusterId: clusterIdFromBytes(new Uint8Array(32)) })).toBe(false);
    expect(checkBatchReceipt({ ...receipt, sequence: 8 }, expected)).toBe(false);
  });
});

describe('a certificate', () => {
  it('is read as it was written', () => {
    const receipts = [a, b].map((member) => Uint8Array.from(receiptBytes(member, opId)));
    const certificate = { clusterId: receiptCluster, regId, opId, receipts };
    expect(decodeCertificate(encodeCertificate(certificate))).toEqual(certificate);
  });

  it('of the largest roster fits, and one of more, or of none, is refused', () => {
    const receipts = (count: number) => Array.from({ length: count }, () => new Uint8Array(RECEIPT_BYTES_MAX));
    const encoded = (count: number) =>
      encodeCertificate({ clusterId: receiptCluster, regId, opId, receipts: receipts(count) });
    expect(encoded(CERTIFICATE_RECEIPTS_MAX).length).toBeLessThanOrEqual(CERTIFICATE_BYTES_MAX);
    expect(decodeCertificate(encoded(CERTIFICATE_RECEIPTS_MAX)).receipts.length).toBe(CERTIFICATE_RECEIPTS_MAX);
    expect(codeOf(() => decodeCertificate(encoded(CERTIFICATE_RECEIPTS_MAX + 1)))).toBe('bad-shape');
    expect(codeOf(() => decodeCertificate(encoded(0)))).toBe('bad-shape');
    expect(codeOf(() => decodeCertificate(new Uint8Array(CERTIFICATE_BYTES_MAX + 1)))).toBe('too-large');
    const open = encodeCbor({ clusterId: idBytes(receiptCluster), regId: idBytes(regId), opId: idBytes(opId) });
    expect(codeOf(() => decodeCertificate(open))).toBe('bad-shape');
  });
});

describe('receipts confirm an operation', () => {
  const by = (...receipts: Uint8Array[]) => confirmationBy(receipts, of, three, 0);

  it('when a majority of the platforms gave them', () => {
    expect(by(receiptBytes(a, opId))).toMatchObject({ filled: false, needed: 2, nodeIds: [a.nodeId] });
    const two = [receiptBytes(b, opId), receiptBytes(a, opId)];
    expect(by(...two)).toEqual({ receipts: two, nodeIds: [b.nodeId, a.nodeId], filled: true, needed: 2 });
  });

  it('when as many as are asked for gave them, if that is more', () => {
    const two = [a, b].map((member) => receiptBytes(member, opId));
    expect(confirmationBy(two, of, three, 3)).toMatchObject({ filled: false, needed: 3 });
    expect(confirmationBy([...two, receiptBytes(c, opId)], of, three, 3).filled).toBe(true);
  });

  const forged = receiptBytes(b, opId);
  forged[forged.length - 5]! ^= 1;
  const moved = splitReceipt(batchReceiptOf(b, [opId, operationNamed('y')]), [opId, operationNamed('y')])[1]!;
  const twin = signerNamed('twin', 'a');
  const attacks: [string, Uint8Array][] = [
    ['an altered receipt', forged],
    ['bytes that are none', Uint8Array.of(1, 2, 3)],
    ['nothing', new Uint8Array(0)],
    ['far too many bytes', new Uint8Array(100_000)],
    ['one of somebody who is not on the roster', receiptBytes(d, opId)],
    ['one for another operation', receiptBytes(b, operationNamed('y'))],
    ['one of another place in its batch', encodeReceipt(moved)],
    ['one for another cluster', receiptBytes(b, opId, clusterIdFromBytes(new Uint8Array(32)))],
    ['the same once more', receiptBytes(a, opId)],
  ];
  it.each(attacks)('but not by %s', (_name, attack) => {
    expect(by(receiptBytes(a, opId), attack)).toMatchObject({ filled: false, nodeIds: [a.nodeId] });
  });

  it('but not by two members on one platform, and not by one of three operators alone', () => {
    const members = entriesOf([a, twin, b]);
    const both = [a, twin].map((member) => receiptBytes(member, opId));
    expect(confirmationBy(both, of, members, 0)).toMatchObject({ filled: false, needed: 2, nodeIds: [a.nodeId] });
    const [x, y, z, w] = ['x', 'y', 'z', 'w'].map((name) => signerNamed(name, name, 'one')) as [
      typeof a,
      typeof a,
      typeof a,
      typeof a,
    ];
    const mixed = entriesOf([x, y, z, w, a, b]);
    const alone = [x, y, z, w].map((member) => receiptBytes(member, opId));
    expect(confirmationBy(alone, of, mixed, 0)).toMatchObject({ filled: false, needed: 4 });
    expect(confirmationBy([...alone.slice(1), receiptBytes(a, opId)], of, mixed, 0).filled).toBe(true);
  });
});
