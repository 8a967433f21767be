// Receipts: a member's signed word that it has persisted operations, and at which state of its store. One signature
// covers a batch under a Merkle root; each operation's receipt carries its own path. Formats: docs/REPLICATION.md.

import { ed25519Sign, ed25519Verify } from '#crypto';
import { concatBytes, utf8 } from './bytes.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import type { Ed25519Signer } from './crypto/door.ts';
import { KithError } from './errors.ts';
import { type ClusterId, idBytes, type NodeId, nodeIdFromBytes, type OpId } from './ids.ts';
import { LABEL_RECEIPT } from './labels.ts';
import { type MerkleTree, merkleRoot, merkleTree, merkleVerify } from './merkle.ts';
import { HEIGHT_MAX } from './registration/limits.ts';
import { bytes, closed, list, type Static, shape, uint } from './schema.ts';

/** Operations under one signature; a batch is what one message carries. */
export const RECEIPT_OPERATIONS_MAX = 1_024;
/** Ten steps of path, and the rest has 260 bytes. */
export const RECEIPT_BYTES_MAX = 1_024;

/** What a member signs. */
export interface ReceiptBody {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  /** Which boot of the member. */
  readonly incarnation: number;
  /** Number of the batch of its sealed store with which the last of these operations was synced. */
  readonly sequence: number;
  /** Names the state of the store after that batch; 32 bytes. */
  readonly hash: Uint8Array;
  /** Newest height the member knew; 0 if none. */
  readonly height: number;
  /** Operations in the batch. */
  readonly count: number;
  /** Merkle root (RFC 6962) over the operation ids; 32 bytes. */
  readonly root: Uint8Array;
}

const bodyFields = {
  nodeId: bytes(32),
  incarnation: uint(HEIGHT_MAX),
  sequence: uint(HEIGHT_MAX),
  hash: bytes(32),
  height: uint(HEIGHT_MAX),
  count: uint(RECEIPT_OPERATIONS_MAX, 1),
  signature: bytes(64),
};

/** A batch receipt where the operations are known: the root follows from them. */
export const batchReceiptSchema = closed(bodyFields);
export type BatchReceipt = Static<typeof batchReceiptSchema>;

const receiptSchema = closed({
  ...bodyFields,
  index: uint(RECEIPT_OPERATIONS_MAX - 1),
  path: list(bytes(32), 10),
  root: bytes(32),
});
/** A receipt for one operation. Its signature is not verified by being of this type. */
export type Receipt = Static<typeof receiptSchema>;
const receiptShape = shape(receiptSchema);

const leaves = (opIds: readonly OpId[]): Uint8Array[] => opIds.map(idBytes);

function signedBytes({ clusterId, nodeId, ...rest }: ReceiptBody): Uint8Array {
  const { incarnation, sequence, hash, height, count, root } = rest;
  const fields = {
    clusterId: idBytes(clusterId),
    nodeId: idBytes(nodeId),
    incarnation,
    sequence,
    hash,
    height,
    count,
    root,
  };
  return concatBytes(utf8(LABEL_RECEIPT), encodeCbor(fields));
}

/**
 * @param nodeSecret Ed25519 secret of the node, 32 bytes, or what signs with it.
 * @param opIds 1 to RECEIPT_OPERATIONS_MAX, in the order of the batch.
 * @throws KithError `out-of-range` for another number of them.
 */
export function signReceipt(
  nodeSecret: Uint8Array | Ed25519Signer,
  body: Omit<ReceiptBody, 'count' | 'root'>,
  opIds: readonly OpId[],
): BatchReceipt {
  const { clusterId, nodeId, ...rest } = body;
  const count = opIds.length;
  if (count < 1 || count > RECEIPT_OPERATIONS_MAX) {
    throw new KithError('out-of-range', `a receipt is for 1 to ${RECEIPT_OPERATIONS_MAX} operations, got ${count}`);
  }
  const message = signedBytes({ ...body, count, root: merkleRoot(leaves(opIds)) });
  const signature = typeof nodeSecret === 'function' ? nodeSecret(message) : ed25519Sign(nodeSecret, message);
  return { ...rest, nodeId: idBytes(nodeId), count, signature };
}

/** Whether `receipt` is for exactly these operations and signed by `nodeId`. */
export function checkBatchReceipt(
  receipt: BatchReceipt,
  expected: { readonly clusterId: ClusterId; readonly nodeId: NodeId; readonly opIds: readonly OpId[] },
): boolean {
  const { clusterId, nodeId, opIds } = expected;
  if (nodeIdFromBytes(receipt.nodeId) !== nodeId || receipt.count !== opIds.length) return false;
  const body = { ...receipt, clusterId, nodeId, root: merkleRoot(leaves(opIds)) };
  return ed25519Verify(receipt.nodeId, signedBytes(body), receipt.signature);
}

/**
 * The receipts for single operations of a batch, by their place in it. The tree is hashed once, when the first is asked
 * for, and shared by all: one for each of a thousand operations costs two thousand hashes, not a million.
 */
export function receiptsOf(receipt: BatchReceipt, opIds: readonly OpId[]): (index: number) => Receipt {
  let tree: MerkleTree | undefined;
  return (index) => {
    tree ??= merkleTree(leaves(opIds));
    return { ...receipt, index, path: tree.path(index), root: tree.root };
  };
}

/** The receipts for each operation of a batch, in its order. */
export function splitReceipt(receipt: BatchReceipt, opIds: readonly OpId[]): Receipt[] {
  const receiptAt = receiptsOf(receipt, opIds);
  return opIds.map((_, index) => receiptAt(index));
}

/** At most RECEIPT_BYTES_MAX bytes. */
export const encodeReceipt = (receipt: Receipt): Uint8Array => encodeCbor({ ...receipt });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. Verifies nothing. */
export const decodeReceipt = (encoded: Uint8Array, where = 'receipt'): Receipt =>
  decodeCbor(encoded, receiptShape, { bytesMax: RECEIPT_BYTES_MAX, where });

/** The member that gave this receipt for `opId`, or undefined if it proves nothing about it. */
export function receiptBy(receipt: Receipt, clusterId: ClusterId, opId: OpId): NodeId | undefined {
  const { index, count, path, root } = receipt;
  if (!merkleVerify(root, idBytes(opId), index, count, path)) return undefined;
  const nodeId = nodeIdFromBytes(receipt.nodeId);
  return ed25519Verify(receipt.nodeId, signedBytes({ ...receipt, clusterId, nodeId }), receipt.signature)
    ? nodeId
    : undefined;
}
