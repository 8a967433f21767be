// The registrations of a node: one owner of what the sealed store, the registry, the key table and the index sets say
// about each. What is acknowledged is synced; what could not be written has not happened.

import { KithError } from '../../core/errors.ts';
import { idBytes, type OpId, type RegId, regIdFromBytes } from '../../core/ids.ts';
import type { Operation, OperationType } from '../../core/registration/operation.ts';
import type { DeriveKeys, Payload, RegistrationKeys } from '../../core/registration/payload.ts';
import { type Refusal, refuse } from '../../core/registration/refusal.ts';
import type { Submission } from '../../core/registration/submission.ts';
import type { DetectionEngine, IndexSets, KeySlot } from '../../fmd/index.ts';
import {
  type AdmissionContext,
  type Admitted,
  admitFromMember,
  admitIntoState,
  admitSubmission,
  type Change,
  createRegistry,
  type Heights,
  operationsOf,
  type RegistrationState,
  type Standing,
} from '../../replication/index.ts';
import type { Namespace, SealedStore, StoreWrite } from '../store/index.ts';
import type { Batch, BatchWriter } from './batch-writer.ts';
import { createHeldKeys, type Held } from './held-keys.ts';
import {
  EXPECTED_PER_FLAG_MIN,
  EXPECTED_SHARE_MAX,
  SWEEP_WRITES_MAX,
  TAKE_IN_MAX,
  TOMBSTONES_PER_REGISTRATION,
} from './limits.ts';
import { createMerger, isInForce, type Merger, recordAfter } from './merger.ts';
import {
  keysOf,
  type Origin,
  originOf,
  registrationShape,
  type StoredRegistration,
  storedOperationOf,
  summaryOf,
} from './record.ts';

export interface RegistrationsDeps {
  readonly store: SealedStore;
  readonly writer: BatchWriter;
  readonly engine: DetectionEngine;
  readonly indexSets: IndexSets;
  readonly deriveKeys: DeriveKeys;
  /** The heights of the moment, for what is taken and served. */
  readonly heights: () => Heights;
  /** Those that destruction goes by. */
  readonly settled: () => Heights;
  /** Enters an operation of a user into the own log, with the batch. */
  readonly enter?: ((batch: Batch, operation: Admitted) => Origin) | undefined;
  /** What else ends as heights pass: writes for the same commit. */
  readonly ending?: ((heights: Heights) => Promise<Ending>) | undefined;
  /** A registration was added that lacks heights. */
  readonly onAdded?: (() => void) | undefined;
}

export interface Ending {
  readonly writes: readonly StoreWrite[];
  /** To be called once they are synced. */
  done(): void;
}

export interface RegistrationsOptions {
  readonly clusterId: AdmissionContext['clusterId'];
  /** Of the cluster configuration. */
  readonly registrationsMax: number;
  readonly lifetimeBlocksMax: number;
  /** As it was last stored with `passHeights`. */
  readonly versionFloor: number;
}

export type Submitted =
  | Refusal
  /** The cluster holds as much as it may: nothing was changed. */
  | { readonly kind: 'full'; readonly detail: string }
  /** Synced. */
  | {
      readonly kind: 'taken';
      readonly regId: RegId;
      /** The operation that is in force now: this one, or one that says the same. */
      readonly opId: OpId;
      readonly expiryHeight: number;
      /** It was in force already. */
      readonly repeated: boolean;
      /** Where the logs have it, if they do. */
      readonly origin: Origin | undefined;
    };

/** An operation that comes from another store of this node. */
export interface Incoming {
  readonly operation: Operation;
  /** With a register, if it is at hand. Wiped by nobody. */
  readonly payload?: Payload | undefined;
}

/** What became of it. `known`: nothing changed by it. */
export type TakenIn =
  | { readonly kind: 'taken' | 'known' }
  /** There is no room for it now. */
  | { readonly kind: 'full'; readonly detail: string }
  | Refusal;

export interface RegistrationCounts {
  /** With keys: detected for. */
  readonly held: number;
  /** With any operation that still counts. */
  readonly known: number;
}

export interface Registrations {
  readonly counts: RegistrationCounts;
  readonly versionFloor: number;
  /** Every registration with any operation, in memory's order. */
  readonly regIds: Iterable<RegId>;
  /** Takes in what the store holds; once, before anything else. */
  load(): Promise<void>;
  /**
   * Takes an operation of a user and resolves once it is synced. Wipes nothing of the submission.
   * @throws KithError `store-full` and others of the store: then it was not taken.
   */
  submit(submission: Submission): Promise<Submitted>;
  /**
   * Takes operations that users gave to an earlier store of this node, at most TAKE_IN_MAX, each checked as that of any
   * member, and enters what changes anything into the own log, so that other members get it. Resolves once they are
   * synced, in one batch, with what became of each, in their order.
   * @throws KithError `store-full` and others of the store: then none of them was taken. `too-many-operations`.
   */
  takeIn(items: readonly Incoming[]): Promise<readonly TakenIn[]>;
  merge: Merger['merge'];
  /** Of this moment: what a batch under way brings is in it already, until `isPending` says otherwise. */
  state(regId: RegId): RegistrationState;
  isPending: Merger['isPending'];
  onTaken: Merger['onTaken'];
  wasOutranked: Merger['wasOutranked'];
  keysHeld(regId: RegId): boolean;
  /** Open registrations whose keys are missing. */
  wanted(): RegId[];
  /** As it is synced. */
  record(regId: RegId): Promise<StoredRegistration | undefined>;
  standing(regId: RegId): Standing;
  /** The serial number to look up, undefined unless the registration may be served now. */
  serialOf(regId: RegId): number | undefined;
  serialIn(slot: KeySlot): number | undefined;
  slotsOf(serials: readonly number[]): KeySlot[];
  /**
   * Lets heights pass: what ends with them is wiped. `commit` gets the writes for its own batch (after which the
   * version floor is to be stored too) while nothing else changes; if it fails, nothing has ended.
   */
  passHeights(heights: Heights, commit: (writes: readonly StoreWrite[]) => Promise<void>): Promise<void>;
}

export function createRegistrations(deps: RegistrationsDeps, options: RegistrationsOptions): Registrations {
  const { store, writer, indexSets, heights } = deps;
  const records: Namespace<StoredRegistration> = store.namespace('registrations', registrationShape);
  const registry = createRegistry({ versionFloor: options.versionFloor });
  const keys = createHeldKeys(deps);
  const heldBy = new Map<RegId, Held>();
  const expectedMax = Math.max(EXPECTED_PER_FLAG_MIN, options.registrationsMax * EXPECTED_SHARE_MAX);

  const merger = createMerger({
    writer,
    registry,
    records,
    keys,
    heldBy,
    heights: deps.settled,
    onAdded: deps.onAdded,
  });

  function whyFull(operation: OperationType, regId: RegId, given: RegistrationKeys | undefined): string | undefined {
    if (operation !== 'register' || registry.keysHeld(regId)) return undefined;
    const { registrationsMax } = options;
    if (keys.size >= registrationsMax) return `${registrationsMax} registrations are held, the most of this cluster`;
    if (registry.size >= registrationsMax * (1 + TOMBSTONES_PER_REGISTRATION)) return 'too many have ended recently';
    const share = given ? 2 ** -given.detectionKey[0]! : 0;
    if (indexSets.expectedPerFlag + share > expectedMax) return 'too many registrations with a small n are held';
    return undefined;
  }

  /** What users end here is taken always; what a store brings is not, for nobody knows who filled it. */
  function whyCrowded(regId: RegId): string | undefined {
    const isNew = operationsOf(registry.state(regId)).length === 0;
    const most = options.registrationsMax * (1 + TOMBSTONES_PER_REGISTRATION);
    return isNew && registry.size >= most ? 'too many have ended recently' : undefined;
  }

  function expiryOf(regId: RegId, otherwise: number): number {
    const standing = registry.standing(regId, heights());
    return 'expiryHeight' in standing ? standing.expiryHeight : otherwise;
  }

  function submitIntoBatch(batch: Batch, checked: Admitted): Submitted {
    const { operation, opId } = checked;
    const { regId, type } = operation;
    const admitted = admitIntoState(checked, registry.state(regId), heights());
    if (admitted.kind === 'refused') return admitted;
    const full = whyFull(type, regId, admitted.keys);
    if (full !== undefined) return { kind: 'full', detail: full };
    const repeated = admitted.repeated && (type !== 'register' || registry.keysHeld(regId));
    const isKnown = isInForce(registry.state(regId), opId);
    if (!repeated) {
      const origin = isKnown ? undefined : deps.enter?.(batch, admitted);
      merger.merge(batch, { operation, opId, keys: admitted.keys, origin });
    }
    const { base, renewal } = registry.state(regId);
    const same = (type === 'renew' && renewal ? renewal : base)?.opId ?? opId;
    const inForce = isInForce({ base, renewal }, opId) ? opId : same;
    const stored = storedOperationOf(merger.recordInBatch(regId), inForce);
    const expiryHeight = expiryOf(regId, operation.expiryHeight);
    return { kind: 'taken', regId, opId: inForce, expiryHeight, repeated, origin: stored && originOf(stored) };
  }

  const context = (): AdmissionContext => ({
    clusterId: options.clusterId,
    heights: heights(),
    versionFloor: registry.versionFloor,
  });

  function checkLifetime({ type, version, expiryHeight }: Operation): Refusal | undefined {
    if (type === 'revoke' || expiryHeight <= version + options.lifetimeBlocksMax) return undefined;
    return refuse('expiry-too-far', `expiryHeight must be at most ${options.lifetimeBlocksMax} above version`);
  }

  function takeIntoBatch(batch: Batch, admitted: Admitted): TakenIn {
    const { operation, opId, keys: given } = admitted;
    const { regId, type } = operation;
    const isKnown = isInForce(registry.state(regId), opId);
    if (isKnown && (!given || registry.keysHeld(regId))) return { kind: 'known' };
    const full = whyFull(type, regId, given) ?? whyCrowded(regId);
    if (full !== undefined) return { kind: 'full', detail: full };
    const origin = isKnown ? undefined : deps.enter?.(batch, admitted);
    const merged = merger.merge(batch, { operation, opId, keys: given, origin });
    return { kind: merged === 'taken' ? 'taken' : 'known' };
  }

  async function takeIn(items: readonly Incoming[]): Promise<readonly TakenIn[]> {
    if (items.length > TAKE_IN_MAX) {
      const text = `${items.length} operations at once, at most ${TAKE_IN_MAX} are taken`;
      throw new KithError('too-many-operations', text);
    }
    const now = context();
    const verdicts = items.map(
      ({ operation, payload }) => checkLifetime(operation) ?? admitFromMember(deps, operation, payload, now),
    );
    return writer.run({
      regIds: items.map(({ operation }) => operation.regId),
      operations: items.length,
      apply: (batch) => verdicts.map((one) => (one.kind === 'refused' ? one : takeIntoBatch(batch, one))),
    });
  }

  async function submit(submission: Submission): Promise<Submitted> {
    const { operation } = submission;
    const { regId } = operation;
    const checked = admitSubmission(deps, submission, context());
    if (checked.kind === 'refused') return checked;
    const tooFar = checkLifetime(operation);
    if (tooFar) return tooFar;
    return writer.run({ regIds: [regId], operations: 1, apply: (batch) => submitIntoBatch(batch, checked) });
  }

  function loadOne(regId: RegId, record: StoredRegistration): void {
    // Whatever has ended meanwhile goes with the next heights that pass.
    const beginning = { own: 0, cluster: 0 };
    for (const operation of [record.base, record.renewal]) {
      if (!operation) continue;
      registry.apply(regId, summaryOf(operation), { keys: record.keys !== undefined, heights: beginning });
    }
    if (!record.keys) return;
    heldBy.set(regId, keys.hold(record.base?.birthday ?? 0, keysOf(record.keys), record.keys.serial));
  }

  async function sweepWrite(change: Change): Promise<StoreWrite> {
    const key = idBytes(change.regId);
    const record = recordAfter(change, await records.get(key), undefined);
    return record ? records.put(key, record) : records.delete(key);
  }

  async function passHeights(now: Heights, commit: (writes: readonly StoreWrite[]) => Promise<void>): Promise<void> {
    const changes = registry.sweep(now);
    let ending: Ending | undefined;
    try {
      const writes: StoreWrite[] = [];
      for (const change of changes) {
        writes.push(await sweepWrite(change));
        if (writes.length === SWEEP_WRITES_MAX) await store.commit(writes.splice(0));
      }
      ending = await deps.ending?.(now);
      await commit([...writes, ...(ending?.writes ?? [])]);
    } catch (error) {
      for (const change of changes.reverse()) registry.restore(change);
      throw error;
    }
    ending?.done();
    for (const { regId, keysAfter } of changes) {
      const held = heldBy.get(regId);
      if (!held || keysAfter) continue;
      keys.letGo(held);
      heldBy.delete(regId);
    }
  }

  return {
    get counts() {
      return { held: heldBy.size, known: registry.size };
    },
    get versionFloor() {
      return registry.versionFloor;
    },
    get regIds() {
      return registry.regIds;
    },
    async load() {
      for await (const [key, record] of records.entries()) loadOne(regIdFromBytes(key), record);
    },
    submit,
    takeIn,
    merge: merger.merge,
    state: (regId) => registry.state(regId),
    isPending: merger.isPending,
    onTaken: merger.onTaken,
    wasOutranked: merger.wasOutranked,
    keysHeld: (regId) => registry.keysHeld(regId),
    wanted: () => registry.wanted(heights()),
    record: (regId) => records.get(idBytes(regId)),
    standing: (regId) => registry.standing(regId, heights()),
    serialOf(regId) {
      return registry.standing(regId, heights()).kind === 'open' ? heldBy.get(regId)?.serial : undefined;
    },
    serialIn: keys.serialIn,
    slotsOf: keys.slotsOf,
    passHeights: (now, commit) => writer.alone(() => passHeights(now, commit)),
  };
}
