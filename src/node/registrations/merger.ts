// Operations merged into the batch under way: what they make of records, of keys in use, and of the registry, and how
// all of that is undone.

import { KithError } from '../../core/errors.ts';
import { idBytes, type OpId, type RegId } from '../../core/ids.ts';
import { encodeOperation, type Operation } from '../../core/registration/operation.ts';
import type { RegistrationKeys } from '../../core/registration/payload.ts';
import {
  type Change,
  type Heights,
  type OperationRef,
  operationsOf,
  type RegistrationState,
  type Registry,
  summarise,
} from '../../replication/index.ts';
import type { Namespace } from '../store/index.ts';
import type { Batch, BatchWriter } from './batch-writer.ts';
import { putBounded } from './bounded.ts';
import type { Held, HeldKeys } from './held-keys.ts';
import { OUTRANKED_MAX } from './limits.ts';
import {
  keysOf,
  type Origin,
  type StoredOperation,
  type StoredRegistration,
  storedOperationOf,
  storeKeys,
  storeOperation,
  summaryOf,
} from './record.ts';

/** A verified operation. */
export interface Arrived {
  readonly operation: Operation;
  readonly opId: OpId;
  /** Of a register, checked against it. */
  readonly keys: RegistrationKeys | undefined;
  readonly origin: Origin | undefined;
}

/** What a merge came to. */
export type Merged =
  | 'taken'
  /** It is in force already. */
  | 'known'
  /** Another is in force, or it is too old. */
  | 'outranked';

export interface Merger {
  /** Merges an operation into a batch whose work named its registration. */
  merge(batch: Batch, arrived: Arrived): Merged;
  /** Whether an operation came with a batch that is not synced yet. */
  isPending(opId: OpId): boolean;
  /** Calls back with the operations that came into force with a batch, once it is synced. Returns what ends that. */
  onTaken(listener: (refs: readonly OperationRef[]) => void): () => void;
  /** Whether an operation was merged and another counts in its place; of those that came lately. */
  wasOutranked(opId: OpId): boolean;
  /** The record of a registration that a work named, as the batch leaves it. */
  recordInBatch(regId: RegId): StoredRegistration | undefined;
}

export interface MergerDeps {
  readonly writer: BatchWriter;
  readonly registry: Registry;
  readonly records: Namespace<StoredRegistration>;
  readonly keys: HeldKeys;
  /** Whose keys are held, as of the last synced batch; kept up here. */
  readonly heldBy: Map<RegId, Held>;
  readonly heights: () => Heights;
  readonly onAdded: (() => void) | undefined;
}

export function createMerger(deps: MergerDeps): Merger {
  const { registry, records, keys, heldBy, heights } = deps;
  /** What the batch under way makes of registrations, and the records it began with. */
  const inBatch = new Map<RegId, InBatch>();
  const pendingOps = new Set<OpId>();
  const outranked = new Map<OpId, true>();
  const listeners = new Set<(refs: readonly OperationRef[]) => void>();
  /** Of the batch that is synced at this moment. */
  let taken: OperationRef[] = [];

  async function prepare(regIds: readonly RegId[]): Promise<void> {
    inBatch.clear();
    const known = [...new Set(regIds)].filter((regId) => operationsOf(registry.state(regId)).length > 0);
    const read = await Promise.all(known.map((regId) => records.get(idBytes(regId))));
    known.forEach((regId, i) => {
      inBatch.set(regId, { record: read[i], held: heldBy.get(regId), changed: false });
    });
  }

  /** Records go to the disk as the last work left them. */
  function complete(batch: Batch): void {
    let added = false;
    for (const [regId, { record, held, changed }] of inBatch) {
      if (!changed) continue;
      const key = idBytes(regId);
      batch.write(record ? records.put(key, record) : records.delete(key));
      const before = heldBy.get(regId);
      if (held === before) continue;
      added ||= held !== undefined;
      batch.onSynced(() => {
        if (before) keys.letGo(before);
        if (held) heldBy.set(regId, held);
        else heldBy.delete(regId);
      });
    }
    if (added) batch.onSynced(() => deps.onAdded?.());
    batch.onSynced(() => {
      const refs = taken;
      taken = [];
      if (refs.length > 0) for (const listener of [...listeners]) listener(refs);
    });
  }
  /** @throws KithError `store-busy` if a batch failed that the work counted on: its record was not read. */
  function recordNow(regId: RegId, before: RegistrationState): InBatch {
    const known = inBatch.get(regId);
    if (known) return known;
    if (operationsOf(before).length === 0) return { record: undefined, held: undefined, changed: false };
    throw new KithError('store-busy', 'a batch before this one could not be written: try again');
  }

  function merge(batch: Batch, { operation, opId, keys: given, origin }: Arrived): Merged {
    const { regId } = operation;
    const summary = summarise(operation, opId);
    const storedKeys = inBatch.get(regId)?.record?.keys;
    const atHand = given ?? (storedKeys && keysOf(storedKeys));
    const change = registry.apply(regId, summary, { keys: atHand !== undefined, heights: heights() });
    batch.onUndo(() => registry.restore(change));
    const wasInForce = isInForce(change.before, opId);
    if (wasInForce && change.keysBefore === change.keysAfter) return 'known';
    const isNew = !wasInForce && isInForce(change.after, opId);
    rememberOutranked(batch, isNew || wasInForce ? change.dropped : [...change.dropped, opId]);
    if (!isNew && change.keysBefore === change.keysAfter) return 'outranked';

    const before = recordNow(regId, change.before);
    const birthday = change.after.base?.birthday ?? 0;
    // Another birthday is another index set: it is scanned anew under a serial number of its own.
    const adding = atHand && change.keysAfter && before.held?.birthday !== birthday;
    const fresh = adding ? keys.hold(birthday, atHand) : undefined;
    const held = change.keysAfter ? (fresh ?? before.held) : undefined;
    if (fresh) batch.onUndo(() => keys.letGo(fresh));
    // One that another work of this batch brought in and this one replaces never becomes anybody's.
    if (before.held && before.held !== held && before.held !== heldBy.get(regId)) letGoOnceSynced(batch, before.held);
    const newKeys = fresh && atHand ? storeKeys(fresh.serial, atHand) : undefined;
    const added = storeOperation(summary, encodeOperation(operation), origin);
    const record = recordAfter(change, before.record, { operation: added, keys: newKeys });
    replaceInBatch(batch, regId, { record, held, changed: true });
    if (isNew) {
      awaitSync(batch, opId);
      batch.onSynced(() => void taken.push({ opId, regId }));
    }
    return 'taken';
  }

  function rememberOutranked(batch: Batch, opIds: readonly OpId[]): void {
    if (opIds.length === 0) return;
    batch.onSynced(() => {
      for (const opId of opIds) putBounded(outranked, opId, true, OUTRANKED_MAX);
    });
  }

  function letGoOnceSynced(batch: Batch, held: Held): void {
    batch.onSynced(() => keys.letGo(held));
  }

  function replaceInBatch(batch: Batch, regId: RegId, next: InBatch): void {
    const before = inBatch.get(regId);
    inBatch.set(regId, next);
    batch.onUndo(() => (before ? inBatch.set(regId, before) : inBatch.delete(regId)));
  }

  function awaitSync(batch: Batch, opId: OpId): void {
    pendingOps.add(opId);
    const settle = () => void pendingOps.delete(opId);
    batch.onUndo(settle);
    batch.onSynced(settle);
  }

  deps.writer.join({ prepare, complete });
  return {
    merge,
    isPending: (opId) => pendingOps.has(opId),
    onTaken(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    wasOutranked: (opId) => outranked.has(opId),
    recordInBatch: (regId) => inBatch.get(regId)?.record,
  };
}

/** A registration as the batch under way leaves it. */
interface InBatch {
  readonly record: StoredRegistration | undefined;
  readonly held: Held | undefined;
  readonly changed: boolean;
}

export const isInForce = (state: RegistrationState, opId: OpId): boolean =>
  state.base?.opId === opId || state.renewal?.opId === opId;

/** The record after a change; operations that stay are taken from the record before it. */
export function recordAfter(
  change: Change,
  before: StoredRegistration | undefined,
  added: { operation: StoredOperation; keys: StoredRegistration['keys'] } | undefined,
): StoredRegistration | undefined {
  const { base, renewal } = change.after;
  if (!base && !renewal) return undefined;
  const stored = (summary: typeof base): StoredOperation | undefined => {
    if (!summary) return undefined;
    const kept = storedOperationOf(before, summary.opId);
    return kept ?? (added && summaryOf(added.operation).opId === summary.opId ? added.operation : undefined);
  };
  const keys = added?.keys ?? before?.keys;
  const [storedBase, storedRenewal] = [stored(base), stored(renewal)];
  return {
    ...(storedBase ? { base: storedBase } : {}),
    ...(storedRenewal ? { renewal: storedRenewal } : {}),
    ...(change.keysAfter && keys ? { keys } : {}),
  };
}
