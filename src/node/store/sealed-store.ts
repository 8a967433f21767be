// The typed store over sealed records: namespaces of CBOR values with a shape, changed all or nothing in groups.
// The format and what it protects against stand in docs/STORE.md.

import { equalBytes } from '../../core/bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../../core/cbor.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { Shape } from '../../core/schema.ts';
import { Secret } from '../../core/secret.ts';
import { storeError } from './errors.ts';
import { createGroupCommit, type GroupCommit } from './group-commit.ts';
import type { StoreHeader } from './header.ts';
import type { KeyValueStore } from './key-value.ts';
import {
  commitToSealingKey,
  DATA_KEY_BYTES,
  deriveStoreKeys,
  type NamespaceKeys,
  type StoreKeys,
  unwrapDataKey,
  wrapDataKey,
} from './keys.ts';
import {
  COMMIT_WRITES_MAX,
  GROUP_BYTES_MAX,
  GROUP_WINDOW_MS_MAX,
  QUEUE_BYTES_MAX,
  RECORD_KEY_BYTES_MAX,
  RECORD_VALUE_BYTES_MAX,
} from './limits.ts';
import { diskKeyOf, openRecord, sealRecord } from './record.ts';
import { bytesOf, nameOf } from './record-index.ts';
import { RecordTable } from './record-table.ts';
import { STORE_ID_BYTES, type StoreHead, type StoreIdentity } from './root.ts';

export interface SealedStoreDeps {
  /** Nothing but this store writes to it; the store closes it. */
  readonly kv: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
}

/** One change, checked and encoded when it was made; `commit` carries it out. */
export interface StoreWrite {
  readonly namespace: NamespaceKeys;
  readonly key: Uint8Array;
  /** Encoded; undefined deletes. */
  readonly value: Uint8Array | undefined;
}

/** Records of one kind. Keys are any 0 to 128 bytes; the host sees neither keys nor which records belong to whom. */
export interface Namespace<T> {
  readonly label: string;
  /** Records in it, as of the last synced batch. */
  readonly size: number;
  /** As of the last synced batch. @throws KithError `store-mixed` if the disk was altered behind the store's back. */
  get(key: Uint8Array): Promise<T | undefined>;
  /** @throws KithError `bad-record` at once if key or value do not fit. */
  put(key: Uint8Array, value: T): StoreWrite;
  /** Deleting what is not there changes nothing. */
  delete(key: Uint8Array): StoreWrite;
  /** Every record, in no order, each as it is when its turn comes; records added meanwhile may be missing. */
  entries(): AsyncGenerator<readonly [key: Uint8Array, value: T], void, undefined>;
}

export interface SealedStore {
  readonly identity: StoreIdentity;
  /** The newest synced state, for peers to remember: what a rolled-back store is measured by. */
  readonly head: StoreHead;
  /** Records of all namespaces, as of the last synced batch. */
  readonly records: number;
  /** The namespace of a label; asked for twice it is the same records. */
  namespace<T>(label: string, shape: Shape<T>): Namespace<T>;
  /**
   * Carries out all writes or none, later ones on the same key winning, and resolves once they are synced. Calls within
   * 2 ms, or during a sync, become one batch in the order of the calls.
   * @param options.urgent begins at once, with whatever waits: the writes were gathered already.
   * @throws KithError `store-full`, `store-busy`, `store-closed`, `bad-record`: then none of them was carried out.
   */
  commit(writes: readonly StoreWrite[], options?: { readonly urgent?: boolean }): Promise<void>;
  /** The data key under another sealing key, for the header of `keyEpoch`. No record changes. */
  wrapDataKey(sealingKey: Secret, keyEpoch: number): Uint8Array;
  /** For wrapping it to recovery keys; the caller wipes it. */
  copyDataKey(): Secret;
  /** Finishes what was committed, closes the key-value store, wipes the keys. Idempotent. */
  close(): Promise<void>;
}

/** 32 random bytes for a new store. */
export const newStoreId = ({ random }: { random: Random }): Uint8Array => random.bytes(STORE_ID_BYTES);

/**
 * Makes a store with a fresh data key where there are no records. It can be opened again once a header with its
 * wrapped data key is written; a crash before that leaves records nobody can read.
 * @throws KithError `store-not-empty`, `store-full`. The key-value store stays open then.
 */
export async function createSealedStore(deps: SealedStoreDeps, identity: StoreIdentity): Promise<SealedStore> {
  return withKeys(deps, identity, Secret.own(deps.random.bytes(DATA_KEY_BYTES)), RecordTable.create);
}

/**
 * Opens a store after looking at every record.
 * @throws KithError `store-wrong-key`, `store-other-cluster`, `store-mixed`, `store-corrupt`. The key-value store stays
 * open then.
 */
export async function openSealedStore(
  deps: SealedStoreDeps,
  { header, sealingKey }: { readonly header: StoreHeader; readonly sealingKey: Secret },
): Promise<SealedStore> {
  const { keyEpoch } = header;
  const wrongKey = () => storeError('store-wrong-key', `this is not the sealing key of key epoch ${keyEpoch}`);
  if (!equalBytes(commitToSealingKey(sealingKey), header.keyCommitment)) throw wrongKey();
  const dataKey = unwrapDataKey(header.wrappedDataKey, sealingKey, keyEpoch);
  if (!dataKey) throw wrongKey();
  return load(deps, header, dataKey);
}

/**
 * Opens a store by its data key, when its sealing key is gone (docs/RECOVERY.md): the same checks, but for what the
 * header says of the sealing key. The key stays the caller's.
 * @throws KithError `store-wrong-key` (not 32 bytes), `store-other-cluster`, `store-mixed`, `store-corrupt` (also for
 * another data key). The key-value store stays open then.
 */
export async function openSealedStoreWithDataKey(
  deps: SealedStoreDeps,
  { header, dataKey }: { readonly header: StoreHeader; readonly dataKey: Secret },
): Promise<SealedStore> {
  if (dataKey.length !== DATA_KEY_BYTES) {
    throw storeError('store-wrong-key', `a data key has ${DATA_KEY_BYTES} bytes, got ${dataKey.length}`);
  }
  return load(deps, header, Secret.copy(dataKey.expose()));
}

const load = (deps: SealedStoreDeps, { clusterId, nodeId, storeId }: StoreHeader, dataKey: Secret) =>
  withKeys(deps, { clusterId, nodeId, storeId: storeId.slice() }, dataKey, RecordTable.load);

/** The store over the table that `make` gives; without one no key is left in memory. */
async function withKeys(
  deps: SealedStoreDeps,
  identity: StoreIdentity,
  dataKey: Secret,
  make: (deps: SealedStoreDeps, keys: StoreKeys, identity: StoreIdentity) => Promise<RecordTable>,
): Promise<SealedStore> {
  const keys = deriveStoreKeys(dataKey);
  try {
    return sealedStore(deps, identity, dataKey, keys, await make(deps, keys, identity));
  } catch (error) {
    keys[Symbol.dispose]();
    dataKey.wipe();
    throw error;
  }
}

function sealedStore(
  deps: SealedStoreDeps,
  identity: StoreIdentity,
  dataKey: Secret,
  keys: StoreKeys,
  table: RecordTable,
): SealedStore {
  const namespaces = new Map<string, NamespaceKeys>();
  const own = new Set<NamespaceKeys>();
  const group: GroupCommit<StoreWrite> = createGroupCommit(deps, {
    windowMs: GROUP_WINDOW_MS_MAX,
    groupBytesMax: GROUP_BYTES_MAX,
    queueBytesMax: QUEUE_BYTES_MAX,
    async write(writes) {
      const last = new Map<string, StoreWrite>();
      for (const write of writes) last.set(nameOf(diskKeyOf(write.namespace, write.key)), write);
      const changes = new Map<string, Uint8Array | undefined>();
      for (const [name, { namespace, key, value }] of last) {
        changes.set(name, value && sealRecord(deps, namespace, bytesOf(name), { key, value }));
      }
      await table.write(changes);
    },
  });
  let closing: Promise<void> | undefined;
  const throwIfClosed = () => {
    if (closing) throw storeError('store-closed', 'the store is closed');
  };

  return {
    identity,
    get head() {
      return table.head;
    },
    get records() {
      return table.records;
    },
    namespace(label, shape) {
      let ofLabel = namespaces.get(label);
      if (!ofLabel) {
        throwIfClosed();
        if (!/^[a-z0-9-]{1,32}$/.test(label)) throw storeError('bad-record', 'a label is 1 to 32 of a-z, 0-9 and -');
        ofLabel = keys.namespace(keys.namespaceTag(label));
        namespaces.set(label, ofLabel);
        own.add(ofLabel);
      }
      return openNamespace(label, shape, ofLabel, table, throwIfClosed);
    },
    async commit(writes, options) {
      if (writes.length > COMMIT_WRITES_MAX) {
        throw storeError('bad-record', `${writes.length} writes in one commit, at most ${COMMIT_WRITES_MAX} are taken`);
      }
      if (writes.some(({ namespace }) => !own.has(namespace))) {
        throw storeError('bad-record', 'a write belongs to a namespace of another store');
      }
      const bytes = writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
      if (bytes > GROUP_BYTES_MAX) {
        throw storeError('bad-record', `${bytes} bytes in one commit, at most ${GROUP_BYTES_MAX} are taken`);
      }
      await group.push(writes.slice(), bytes, options);
    },
    wrapDataKey: (sealingKey, keyEpoch) => wrapDataKey(deps, dataKey, sealingKey, keyEpoch),
    copyDataKey: () => Secret.copy(dataKey.expose()),
    close() {
      closing ??= (async () => {
        await group.close();
        await deps.kv.close();
        keys[Symbol.dispose]();
        dataKey.wipe();
      })();
      return closing;
    },
  };
}

function openNamespace<T>(
  label: string,
  shape: Shape<T>,
  keys: NamespaceKeys,
  table: RecordTable,
  throwIfClosed: () => void,
): Namespace<T> {
  const checkedKey = (key: Uint8Array): Uint8Array => {
    if (key.length <= RECORD_KEY_BYTES_MAX) return key.slice();
    throw storeError('bad-record', `${label}: a key of ${key.length} bytes, at most ${RECORD_KEY_BYTES_MAX} are taken`);
  };
  const open = (name: string, sealed: Uint8Array): readonly [Uint8Array, T] => {
    throwIfClosed();
    const record = openRecord(keys, bytesOf(name), sealed);
    if (!record) throw storeError('store-corrupt', `${label}: a record cannot be opened`);
    return [record.key, decodeValue(label, shape, record.value)];
  };
  return {
    label,
    get size() {
      return table.count(keys.tag);
    },
    async get(key) {
      throwIfClosed();
      const name = nameOf(diskKeyOf(keys, checkedKey(key)));
      const sealed = await table.read(name);
      return sealed && open(name, sealed)[1];
    },
    put: (key, value) => ({ namespace: keys, key: checkedKey(key), value: encodeValue(label, shape, value) }),
    delete: (key) => ({ namespace: keys, key: checkedKey(key), value: undefined }),
    async *entries() {
      throwIfClosed();
      for await (const [name, sealed] of table.readAll(keys.tag)) yield open(name, sealed);
    },
  };
}

function encodeValue<T>(label: string, shape: Shape<T>, value: T): Uint8Array {
  let encoded: Uint8Array;
  try {
    encoded = encodeCbor(shape.parse(value, label) as CborValue);
  } catch (cause) {
    throw storeError('bad-record', `${label}: the value does not have the namespace's shape`, cause);
  }
  if (encoded.length <= RECORD_VALUE_BYTES_MAX) return encoded;
  throw storeError(
    'bad-record',
    `${label}: a value of ${encoded.length} bytes, at most ${RECORD_VALUE_BYTES_MAX} are taken`,
  );
}

function decodeValue<T>(label: string, shape: Shape<T>, encoded: Uint8Array): T {
  try {
    return decodeCbor(encoded, shape, { bytesMax: RECORD_VALUE_BYTES_MAX, where: label });
  } catch (cause) {
    throw storeError('store-corrupt', `${label}: a record has another shape`, cause);
  }
}
