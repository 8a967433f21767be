// The full look at the disk when a store is opened: recomputes the multiset hash and, where it is not the root's, finds
// out what to call it.

import { equalBytes, toHex } from '../../core/bytes.ts';
import type { KithError } from '../../core/errors.ts';
import { type StoreErrorCode, storeError } from './errors.ts';
import type { KeyValueStore } from './key-value.ts';
import { NAMESPACE_TAG_BYTES, type NamespaceKeys, type StoreKeys } from './keys.ts';
import { RECORD_KEY_BYTES_MAX, RECORD_VALUE_BYTES_MAX } from './limits.ts';
import { DISK_KEY_BYTES, isSealedElsewhere, openRecord, SEALED_OVERHEAD_BYTES } from './record.ts';
import { nameOf, RecordIndex } from './record-index.ts';
import { ROOT_KEY, type Root } from './root.ts';
import { addElement, elementOf, SET_HASH_BYTES } from './set-hash.ts';

const SEALED_BYTES_MAX = SEALED_OVERHEAD_BYTES + RECORD_KEY_BYTES_MAX + RECORD_VALUE_BYTES_MAX;

/** Namespaces with derived keys during a diagnosis; a host can invent tags, this program has a dozen. */
const DIAGNOSED_NAMESPACES_MAX = 64;

const START = new Uint8Array(0);

/**
 * The index of every record on the disk.
 * @throws KithError `store-mixed` or `store-corrupt` unless the records are exactly those of the root.
 */
export async function scanRecords(kv: KeyValueStore, keys: StoreKeys, root: Root): Promise<RecordIndex> {
  const index = new RecordIndex();
  const sum = new Uint8Array(SET_HASH_BYTES);
  for await (const [diskKey, sealed] of records(kv)) {
    // A host can add records without end; the root says how many there are.
    if (index.size === root.records) throw await diagnose(kv, keys);
    const element = elementOf(keys.set, diskKey, sealed);
    addElement(sum, element);
    index.set(nameOf(diskKey), element);
  }
  if (index.size !== root.records || !equalBytes(sum, root.setHash)) throw await diagnose(kv, keys);
  return index;
}

async function* records(kv: KeyValueStore): AsyncGenerator<readonly [Uint8Array, Uint8Array], void, undefined> {
  for await (const entry of kv.range(START)) {
    const [diskKey, sealed] = entry;
    if (equalBytes(diskKey, ROOT_KEY)) continue;
    if (diskKey.length !== DISK_KEY_BYTES || sealed.length > SEALED_BYTES_MAX) {
      throw storeError('store-corrupt', 'there is an entry that is not a sealed record');
    }
    yield entry;
  }
}

/** Damage if a record is not authentic anywhere; else the host has put authentic records together wrongly. */
async function diagnose(kv: KeyValueStore, keys: StoreKeys): Promise<KithError<StoreErrorCode>> {
  const namespaces = new Map<string, NamespaceKeys>();
  const namespaceOf = (diskKey: Uint8Array): NamespaceKeys => {
    const tag = diskKey.subarray(0, NAMESPACE_TAG_BYTES);
    const known = namespaces.get(toHex(tag));
    if (known) return known;
    const derived = keys.namespace(tag);
    if (namespaces.size < DIAGNOSED_NAMESPACES_MAX) namespaces.set(toHex(tag), derived);
    return derived;
  };
  const strangers: Uint8Array[] = [];
  for await (const [diskKey, sealed] of records(kv)) {
    if (openRecord(namespaceOf(diskKey), diskKey, sealed)) continue;
    strangers.push(sealed);
    if (strangers.length > STRANGERS_MAX) break;
  }
  for (const sealed of strangers) {
    const moved = [...namespaces.values()].some((namespace) => isSealedElsewhere(namespace, sealed));
    if (!moved) return storeError('store-corrupt', 'a record is damaged, or was never written by this node');
  }
  return storeError('store-mixed', 'the records are not those of one moment: some were rolled back, moved or dropped');
}

/** Records worth looking at one by one: a few name the cause, and each may be as large as a record gets. */
const STRANGERS_MAX = 16;
