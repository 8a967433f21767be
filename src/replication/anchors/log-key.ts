// The log key as a node keeps it: of the oldest epoch that may still be needed, from which all later ones follow.
// What has been passed cannot be computed any more, so whoever captures the node cannot link old tags.

import { compareBytes, equalBytes } from '../../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import type { Random } from '../../core/ports.ts';
import { bytes, closed, type Static, shape, uint } from '../../core/schema.ts';
import { Secret } from '../../core/secret.ts';
import { EPOCH_MAX } from './anchor.ts';
import { RATCHET_STEPS_MAX, TAG_KEYS_CACHED } from './limits.ts';
import { nextLogKey, tagKeyOf } from './tags.ts';

const epoch = uint(Math.floor(EPOCH_MAX));
export const logKeyFields = {
  /** Of the roster's genesis: a key belongs to one cluster's life. */
  genesisId: bytes(32),
  /** Random; all members have the same. */
  lineage: bytes(32),
  /** Epoch it was made in: of two lineages the older counts, then the smaller. */
  created: epoch,
  /** Whose key it is. */
  epoch,
  key: bytes(32),
};
const recordSchema = closed(logKeyFields);
export type LogKeyRecord = Static<typeof recordSchema>;
const recordShape = shape(recordSchema);

export interface LogKeyring {
  /** 32 bytes; undefined without a key. */
  readonly lineage: Uint8Array | undefined;
  /** The oldest epoch there is a key for. */
  readonly oldest: number | undefined;
  /** The key of the oldest epoch, as a secret record: for the sealed store, and for members over the mesh. */
  record(): LogKeyRecord | undefined;
  /** Whether a key is to be taken from a member: there is none here, or the lineage held counts less. */
  outrankedBy(record: LogKeyRecord): boolean;
  /** Takes a key that is in the store. What it does not lead to cannot be computed any more. */
  set(record: LogKeyRecord): void;
  /** The key of an epoch's tags; undefined if it was passed or is too far ahead. Not to be kept. */
  tagKey(epoch: number): Uint8Array | undefined;
  /** The record after all epochs before `epoch` are given up; undefined if nothing changes. To be stored, then `set`. */
  recordFrom(epoch: number): LogKeyRecord | undefined;
  wipe(): void;
}

/** A key for a new cluster. */
export function newLogKey(random: Random, genesisId: Uint8Array, created: number): LogKeyRecord {
  return { genesisId, lineage: random.bytes(32), created, epoch: created, key: random.bytes(32) };
}

export const encodeLogKey = (record: LogKeyRecord): Uint8Array => encodeCbor({ ...record });
/** Of one's own store. @throws KithError of `decodeCbor`. */
export const decodeLogKey = (encoded: Uint8Array): LogKeyRecord =>
  decodeCbor(encoded, recordShape, { bytesMax: 512, where: 'log key' });

interface Held {
  readonly genesisId: Uint8Array;
  readonly lineage: Uint8Array;
  readonly created: number;
  readonly epoch: number;
  readonly key: Secret;
}

export function createLogKeyring(): LogKeyring {
  let held: Held | undefined;
  /** The last key that was computed: epochs are asked for in order. */
  let ahead: { readonly epoch: number; readonly key: Secret } | undefined;
  const tagKeys = new Map<number, Secret>();

  function forget(): void {
    held?.key.wipe();
    ahead?.key.wipe();
    for (const key of tagKeys.values()) key.wipe();
    tagKeys.clear();
    [held, ahead] = [undefined, undefined];
  }

  /** A copy of the log key of an epoch. */
  function keyOf(wanted: number): Uint8Array | undefined {
    if (!held || wanted < held.epoch) return undefined;
    const from = ahead && ahead.epoch <= wanted ? ahead : held;
    if (wanted - from.epoch > RATCHET_STEPS_MAX) return undefined;
    let key: Uint8Array = from.key.expose().slice();
    for (let at = from.epoch; at < wanted; at++) {
      const next = nextLogKey(key);
      key.fill(0);
      key = next;
    }
    ahead?.key.wipe();
    ahead = { epoch: wanted, key: Secret.copy(key) };
    return key;
  }

  function set(record: LogKeyRecord): void {
    const sameLineage = held && equalBytes(held.lineage, record.lineage);
    const kept = sameLineage ? [...tagKeys].filter(([at]) => at >= record.epoch) : [];
    for (const [at] of kept) tagKeys.delete(at);
    forget();
    for (const [at, key] of kept) tagKeys.set(at, key);
    held = { ...record, key: Secret.copy(record.key) };
  }

  return {
    get lineage() {
      return held?.lineage;
    },
    get oldest() {
      return held?.epoch;
    },
    record: () => held && { ...held, key: held.key.expose().slice() },
    outrankedBy(record) {
      if (!held) return true;
      return (held.created - record.created || compareBytes(held.lineage, record.lineage)) > 0;
    },
    set,
    tagKey(wanted) {
      if (!held || wanted < held.epoch) return undefined;
      const cached = tagKeys.get(wanted);
      if (cached) return cached.expose();
      const logKey = keyOf(wanted);
      if (!logKey) return undefined;
      const key = Secret.own(tagKeyOf(logKey));
      logKey.fill(0);
      tagKeys.set(wanted, key);
      for (const [oldest, dropped] of tagKeys) {
        if (tagKeys.size <= TAG_KEYS_CACHED) break;
        tagKeys.delete(oldest);
        dropped.wipe();
      }
      return key.expose();
    },
    recordFrom(wanted) {
      if (!held || wanted <= held.epoch) return undefined;
      // From very far behind in several steps.
      const target = Math.min(wanted, held.epoch + RATCHET_STEPS_MAX);
      const key = keyOf(target);
      return key && { ...held, epoch: target, key };
    },
    wipe: forget,
  };
}
