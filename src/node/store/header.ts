// The header beside a store: what a node must know before it has its sealing key. The host can write it, so it is a
// hint; it is signed by the node, and what matters of it is repeated inside the store.
// Format: deterministic CBOR of the fields and `signature` = Ed25519(node key, label || CBOR of the other fields).

import { ed25519PublicKey, ed25519Sign, ed25519Verify } from '#crypto';
import { concatBytes, equalBytes, utf8 } from '../../core/bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { clusterIdFromBytes, ID_BYTES, idBytes, type NodeId, nodeIdFromBytes } from '../../core/ids.ts';
import { LABEL_STORE_HEADER } from '../../core/labels.ts';
import { bytes, bytesUpTo, closed, list, shape, Type, text, uint } from '../../core/schema.ts';
import type { Secret } from '../../core/secret.ts';
import { storeError } from './errors.ts';
import { WRAPPED_KEY_BYTES } from './keys.ts';
import { ADDRESS_CHARS_MAX, ADDRESSES_MAX, HEADER_BYTES_MAX, KEY_SERVERS_MAX, RECOVERY_BYTES_MAX } from './limits.ts';
import { STORE_ID_BYTES, type StoreIdentity } from './root.ts';

/** Where to ask for a share. */
export interface HeaderKeyServer {
  readonly nodeId: NodeId;
  readonly addresses: readonly string[];
}

export interface StoreHeader extends StoreIdentity {
  /** Counts the sealing keys of this store. */
  readonly keyEpoch: number;
  /** Shares it takes; 0 with no key servers, when the sealing key is in memory only. */
  readonly threshold: number;
  readonly keyServers: readonly HeaderKeyServer[];
  /** `commitToSealingKey` of this epoch's key. */
  readonly keyCommitment: Uint8Array;
  /** The data key under this epoch's sealing key. */
  readonly wrappedDataKey: Uint8Array;
  /** The data key under the recovery keys of the configuration, in the form of whoever wraps it. */
  readonly recoveryWrappedDataKey: Uint8Array | undefined;
}

/** A place for the header, replaced as a whole: whatever happens, the old one or the new one is there. */
export interface HeaderFile {
  /** Undefined if there is none; longer than any header if it is too long. */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves once it survives a crash. @throws KithError `store-full`, `store-unavailable`: the old one is there. */
  write(header: Uint8Array): Promise<void>;
}

const headerShape = shape(
  closed({
    version: Type.Literal(1),
    clusterId: bytes(ID_BYTES),
    nodeId: bytes(ID_BYTES),
    storeId: bytes(STORE_ID_BYTES),
    keyEpoch: uint(),
    threshold: uint(KEY_SERVERS_MAX),
    keyServers: list(
      closed({ nodeId: bytes(ID_BYTES), addresses: list(text(ADDRESS_CHARS_MAX, 1), ADDRESSES_MAX) }),
      KEY_SERVERS_MAX,
    ),
    keyCommitment: bytes(32),
    wrappedDataKey: bytes(WRAPPED_KEY_BYTES),
    recoveryWrappedDataKey: Type.Optional(bytesUpTo(RECOVERY_BYTES_MAX, 1)),
    signature: bytes(64),
  }),
);

type HeaderFields = { readonly [field: string]: CborValue | undefined };

const signedBytes = (fields: HeaderFields): Uint8Array => concatBytes(utf8(LABEL_STORE_HEADER), encodeCbor(fields));

/**
 * The bytes of a header, signed by its node.
 * @throws KithError `header-corrupt` if it would not be read again, `header-forged` if the secret is not the node's.
 */
export function signHeader(header: StoreHeader, nodeSecret: Secret): Uint8Array {
  const nodeId = idBytes(header.nodeId);
  if (!equalBytes(ed25519PublicKey(nodeSecret.expose()), nodeId)) {
    throw storeError('header-forged', 'the header is of another node than the key that is to sign it');
  }
  const fields: HeaderFields = {
    version: 1,
    clusterId: idBytes(header.clusterId),
    nodeId,
    storeId: header.storeId,
    keyEpoch: header.keyEpoch,
    threshold: header.threshold,
    keyServers: header.keyServers.map((server) => ({
      nodeId: idBytes(server.nodeId),
      addresses: server.addresses,
    })),
    keyCommitment: header.keyCommitment,
    wrappedDataKey: header.wrappedDataKey,
    recoveryWrappedDataKey: header.recoveryWrappedDataKey,
  };
  const signature = ed25519Sign(nodeSecret.expose(), signedBytes(fields));
  const encoded = encodeCbor({ ...fields, signature });
  readHeader(encoded);
  return encoded;
}

/**
 * The header in these bytes. That its node signed it says nothing about which node is meant to run here: opening the
 * store compares its ids with those inside.
 * @throws KithError `header-missing`, `header-corrupt`, `header-forged`.
 */
export function readHeader(encoded: Uint8Array | undefined): StoreHeader {
  if (!encoded) throw storeError('header-missing', 'there is no store header');
  const { version, signature, ...rest } = parse(encoded);
  const { threshold, keyServers } = rest;
  if (threshold > keyServers.length || (threshold === 0) !== (keyServers.length === 0)) {
    throw storeError('header-corrupt', `store header: ${threshold} of ${keyServers.length} shares cannot be`);
  }
  if (!ed25519Verify(rest.nodeId, signedBytes({ version, ...rest }), signature)) {
    throw storeError('header-forged', 'store header: the signature is not that of its node');
  }
  return {
    ...rest,
    clusterId: clusterIdFromBytes(rest.clusterId),
    nodeId: nodeIdFromBytes(rest.nodeId),
    keyServers: keyServers.map(({ nodeId, addresses }) => ({ nodeId: nodeIdFromBytes(nodeId), addresses })),
    recoveryWrappedDataKey: rest.recoveryWrappedDataKey,
  };
}

function parse(encoded: Uint8Array) {
  try {
    return decodeCbor(encoded, headerShape, { bytesMax: HEADER_BYTES_MAX, where: 'store header' });
  } catch (cause) {
    throw storeError('header-corrupt', 'the store header is damaged or of another version', cause);
  }
}
