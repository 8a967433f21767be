// The registrations of a node: one owner of what the sealed store, the registry, the key table and the index sets say
// about each. What is acknowledged is synced; what could not be written has not happened.

import { KithError } from '../../core/errors.ts';
import { idBytes, type RegId, regIdFromBytes } from '../../core/ids.ts';
import type { Operation } from '../../core/registration/operation.ts';
import type { DeriveKeys, Payload } from '../../core/registration/payload.ts';
import { type Refusal, refuse } from '../../core/registration/refusal.ts';
import type { Submission } from '../../core/registration/submission.ts';
import type { DetectionEngine, IndexSets, KeySlot } from '../../fmd/index.ts';
import {
  type AdmissionContext,
  type Admitted,
  admitFromMember,
  admitFromUser,
  createRegistry,
  type Heights,
  type Standing,
} from '../../replication/index.ts';
import type { Namespace, SealedStore, StoreWrite } from '../store/index.ts';
import { type Applied, createDraft, type Draft } from './draft.ts';
import { createGate } from './gate.ts';
import { createHoldings } from './holdings.ts';
import { SWEEP_WRITES_MAX, TAKE_IN_MAX } from './limits.ts';
import { keysOf, nextRecord, registrationShape, type StoredRegistration, summaryOf } from './record.ts';

export interface RegistrationsDeps {
  readonly store: SealedStore;
  readonly engine: DetectionEngine;
  readonly indexSets: IndexSets;
  readonly deriveKeys: DeriveKeys;
  /** The heights of the moment. */
  readonly heights: () => Heights;
  /** A registration was added that lacks heights. */
  readonly onAdded?: (() => void) | undefined;
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
  /** Synced; `repeated` if it was already. */
  | { readonly kind: 'taken'; readonly regId: RegId; readonly expiryHeight: number; readonly repeated: boolean };

/** An operation that comes from elsewhere: another store, another member. */
export interface Incoming {
  readonly operation: Operation;
  /** With a register, if whoever brings it has it. Wiped by nobody. */
  readonly payload?: Payload | undefined;
}

/** What became of it. `known`: nothing changed by it. */
export type TakenIn = Applied | Refusal;

export interface RegistrationCounts {
  /** With keys: detected for. */
  readonly held: number;
  /** With any operation that still counts. */
  readonly known: number;
}

export interface Registrations {
  readonly counts: RegistrationCounts;
  readonly versionFloor: number;
  /** Takes in what the store holds; once, before anything else. */
  load(): Promise<void>;
  /**
   * Takes an operation of a user and resolves once it is synced. Wipes nothing of the submission.
   * @throws KithError `store-full` and others of the store: then it was not taken.
   */
  submit(submission: Submission): Promise<Submitted>;
  /**
   * Takes operations that users gave to others, at most TAKE_IN_MAX, each checked as that of any member and merged.
   * Resolves once they are synced, in one commit, with what became of each, in their order.
   * @throws KithError `store-full` and others of the store: then none of them was taken. `too-many-operations`.
   */
  takeIn(items: readonly Incoming[]): Promise<readonly TakenIn[]>;
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
  const { store, heights } = deps;
  const records: Namespace<StoredRegistration> = store.namespace('registrations', registrationShape);
  const registry = createRegistry({ versionFloor: options.versionFloor });
  const gate = createGate();
  const holdings = createHoldings(deps, options);

  /** All of them in one commit, or none. */
  async function carryOut(batch: readonly (Admitted | Refusal)[]): Promise<TakenIn[]> {
    const drafts = new Map<RegId, Draft>();
    const outcomes: TakenIn[] = [];
    try {
      for (const admitted of batch) {
        if (admitted.kind === 'refused') outcomes.push(admitted);
        else {
          const { regId } = admitted.operation;
          const draft =
            drafts.get(regId) ?? (await createDraft({ records, registry, holdings, heights }, regId, options));
          drafts.set(regId, draft);
          outcomes.push(draft.apply(admitted));
        }
      }
      const writes = [...drafts.values()].map((draft) => draft.write()).filter((write) => write !== undefined);
      if (writes.length > 0) await store.commit(writes);
    } catch (error) {
      for (const draft of drafts.values()) draft.abandon();
      throw error;
    }
    const added = [...drafts.values()].map((draft) => draft.settle());
    if (added.includes(true)) deps.onAdded?.();
    return outcomes;
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

  function expiryOf(regId: RegId, otherwise: number): number {
    const standing = registry.standing(regId, heights());
    return 'expiryHeight' in standing ? standing.expiryHeight : otherwise;
  }

  async function submitAlone(submission: Submission): Promise<Submitted> {
    const { operation } = submission;
    const { regId, type } = operation;
    const admitted = admitFromUser(deps, submission, registry.state(regId), context());
    if (admitted.kind === 'refused') return admitted;
    const tooFar = checkLifetime(operation);
    if (tooFar) return tooFar;
    const repeated = admitted.repeated && (type !== 'register' || registry.keysHeld(regId));
    const [outcome] = repeated ? [] : await carryOut([admitted]);
    if (outcome?.kind === 'full') return outcome;
    return { kind: 'taken', regId, expiryHeight: expiryOf(regId, operation.expiryHeight), repeated };
  }

  async function takeIn(items: readonly Incoming[]): Promise<readonly TakenIn[]> {
    if (items.length > TAKE_IN_MAX) {
      throw new KithError(
        'too-many-operations',
        `${items.length} operations at once, at most ${TAKE_IN_MAX} are taken`,
      );
    }
    const now = context();
    const batch = items.map(
      ({ operation, payload }) => checkLifetime(operation) ?? admitFromMember(deps, operation, payload, now),
    );
    return gate.exclusive(() => carryOut(batch));
  }

  function loadOne(regId: RegId, record: StoredRegistration): void {
    // Whatever has ended meanwhile goes with the next heights that pass.
    const beginning = { own: 0, cluster: 0 };
    for (const operation of [record.base, record.renewal]) {
      if (!operation) continue;
      registry.apply(regId, summaryOf(operation), { keys: record.keys !== undefined, heights: beginning });
    }
    if (!record.keys) return;
    const { serial } = record.keys;
    holdings.set(regId, holdings.hold(record.base?.birthday ?? 0, keysOf(record.keys), serial));
  }

  return {
    get counts() {
      return { held: holdings.size, known: registry.size };
    },
    get versionFloor() {
      return registry.versionFloor;
    },
    async load() {
      for await (const [key, record] of records.entries()) loadOne(regIdFromBytes(key), record);
    },
    submit: (submission) => gate.shared(submission.operation.regId, () => submitAlone(submission)),
    takeIn,
    standing: (regId) => registry.standing(regId, heights()),
    serialOf(regId) {
      return registry.standing(regId, heights()).kind === 'open' ? holdings.of(regId)?.serial : undefined;
    },
    serialIn: holdings.serialIn,
    slotsOf: holdings.slotsOf,
    passHeights: (now, commit) =>
      gate.exclusive(async () => {
        const changes = registry.sweep(now);
        try {
          const writes: StoreWrite[] = [];
          for (const change of changes) {
            const key = idBytes(change.regId);
            const record = nextRecord(await records.get(key), change, { added: [] });
            writes.push(record ? records.put(key, record) : records.delete(key));
            if (writes.length === SWEEP_WRITES_MAX) await store.commit(writes.splice(0));
          }
          await commit(writes);
        } catch (error) {
          for (const change of changes.reverse()) registry.restore(change);
          throw error;
        }
        for (const { regId, keysAfter } of changes) {
          const held = holdings.of(regId);
          if (!held || keysAfter) continue;
          holdings.letGo(held);
          holdings.set(regId, undefined);
        }
      }),
  };
}
