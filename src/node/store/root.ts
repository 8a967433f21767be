// The root record: which store this is, how many batches it has seen, how many records it has and their multiset hash.
// On the disk under the key "root": storeId (32) || nonce (24) || XChaCha20-Poly1305(CBOR) || tag (16).

import { hmacSha256, xchacha20Poly1305Open, xchacha20Poly1305Seal } from '#crypto';
import { concatBytes, equalBytes, utf8 } from '../../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { type ClusterId, clusterIdFromBytes, ID_BYTES, idBytes, type NodeId, nodeIdFromBytes } from '../../core/ids.ts';
import { LABEL_STORE_ROOT } from '../../core/labels.ts';
import type { Random } from '../../core/ports.ts';
import { bytes, closed, shape, Type, uint } from '../../core/schema.ts';
import { storeError } from './errors.ts';
import { NONCE_BYTES, type StoreKeys } from './keys.ts';
import { SET_HASH_BYTES } from './set-hash.ts';

export const STORE_ID_BYTES = 32;

/** Its own length sets it apart from records, whose disk keys have 48 bytes. */
export const ROOT_KEY: Uint8Array = utf8('root');

/** Its CBOR has about 200. */
const ROOT_BYTES_MAX = 512;

/** Whose store it is. */
export interface StoreIdentity {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  /** 32 random bytes, made with the store. */
  readonly storeId: Uint8Array;
}

export interface Root extends StoreIdentity {
  /** Number of the batch that wrote it. Numbers of failed batches are not used again. */
  readonly batchSeq: number;
  readonly records: number;
  readonly setHash: Uint8Array;
}

/** A state of a store as peers remember it: a later state has a higher number, a state has one hash. */
export interface StoreHead {
  readonly batchSeq: number;
  readonly rootHash: Uint8Array;
}

const rootShape = shape(
  closed({
    version: Type.Literal(1),
    clusterId: bytes(ID_BYTES),
    nodeId: bytes(ID_BYTES),
    storeId: bytes(STORE_ID_BYTES),
    batchSeq: uint(),
    records: uint(),
    setHash: bytes(SET_HASH_BYTES),
  }),
);

function encodeRoot(root: Root): Uint8Array {
  const { clusterId, nodeId, storeId, batchSeq, records, setHash } = root;
  return encodeCbor({
    version: 1,
    clusterId: idBytes(clusterId),
    nodeId: idBytes(nodeId),
    storeId,
    batchSeq,
    records,
    setHash,
  });
}

const context = (storeId: Uint8Array): Uint8Array => concatBytes(utf8(LABEL_STORE_ROOT), storeId);

export function sealRoot({ random }: { random: Random }, keys: StoreKeys, root: Root): Uint8Array {
  const nonce = random.bytes(NONCE_BYTES);
  const sealed = xchacha20Poly1305Seal(keys.root.expose(), nonce, encodeRoot(root), context(root.storeId));
  return concatBytes(root.storeId, nonce, sealed);
}

/**
 * The root record of the store that the header names.
 * @throws KithError `store-mixed` (there is none), `store-corrupt`, `store-other-cluster`.
 */
export function openRoot(keys: StoreKeys, stored: Uint8Array | undefined, expected: StoreIdentity): Root {
  if (!stored) throw storeError('store-mixed', 'the root record is gone');
  if (stored.length < STORE_ID_BYTES + NONCE_BYTES || stored.length > ROOT_BYTES_MAX) {
    throw storeError('store-corrupt', `the root record has ${stored.length} bytes`);
  }
  const storeId = stored.subarray(0, STORE_ID_BYTES);
  if (!equalBytes(storeId, expected.storeId)) {
    throw storeError('store-other-cluster', 'the records are those of another store than the header names');
  }
  const nonce = stored.subarray(STORE_ID_BYTES, STORE_ID_BYTES + NONCE_BYTES);
  const body = stored.subarray(STORE_ID_BYTES + NONCE_BYTES);
  const encoded = xchacha20Poly1305Open(keys.root.expose(), nonce, body, context(storeId));
  if (!encoded) throw storeError('store-corrupt', 'the root record is not authentic');
  const root = decodeRoot(encoded);
  const same = root.clusterId === expected.clusterId && root.nodeId === expected.nodeId;
  if (!same || !equalBytes(root.storeId, expected.storeId)) {
    throw storeError('store-other-cluster', 'the records are those of another cluster or node than the header names');
  }
  return root;
}

function decodeRoot(encoded: Uint8Array): Root {
  try {
    const { clusterId, nodeId, storeId, batchSeq, records, setHash } = decodeCbor(encoded, rootShape, {
      bytesMax: ROOT_BYTES_MAX,
      where: 'root record',
    });
    return {
      clusterId: clusterIdFromBytes(clusterId),
      nodeId: nodeIdFromBytes(nodeId),
      storeId,
      batchSeq,
      records,
      setHash,
    };
  } catch (cause) {
    throw storeError('store-corrupt', 'the root record cannot be read', cause);
  }
}

/** Keyed, so that it tells whoever keeps it nothing about the multiset hash inside. */
export function headOf(keys: StoreKeys, root: Root): StoreHead {
  return { batchSeq: root.batchSeq, rootHash: hmacSha256(keys.head.expose(), encodeRoot(root)) };
}
