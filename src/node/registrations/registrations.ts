// The registrations of a node: one owner of what the sealed store, the registry, the key table and the index sets say
// about each. What is acknowledged is synced; what could not be written has not happened.

import { idBytes, type RegId, regIdFromBytes } from '../../core/ids.ts';
import type { OperationType } from '../../core/registration/operation.ts';
import { encodeOperation } from '../../core/registration/operation.ts';
import type { DeriveKeys, RegistrationKeys } from '../../core/registration/payload.ts';
import { type Refusal, refuse } from '../../core/registration/refusal.ts';
import type { Submission } from '../../core/registration/submission.ts';
import { type DetectionEngine, type IndexSets, type KeySlot, restoreDetectionKey } from '../../fmd/index.ts';
import {
  type AdmissionContext,
  type Admitted,
  admitFromUser,
  type Change,
  createRegistry,
  type Heights,
  type Standing,
  summarise,
} from '../../replication/index.ts';
import type { Namespace, SealedStore, StoreWrite } from '../store/index.ts';
import { createGate } from './gate.ts';
import { EXPECTED_PER_FLAG_MIN, EXPECTED_SHARE_MAX, SWEEP_WRITES_MAX, TOMBSTONES_PER_REGISTRATION } from './limits.ts';
import {
  keysOf,
  registrationShape,
  type StoredOperation,
  type StoredRegistration,
  signedOf,
  storeKeys,
  storeOperation,
  summaryOf,
} from './record.ts';

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

interface Held {
  readonly serial: number;
  readonly slot: KeySlot;
  readonly birthday: number;
}

export function createRegistrations(deps: RegistrationsDeps, options: RegistrationsOptions): Registrations {
  const { store, engine, indexSets, heights } = deps;
  const records: Namespace<StoredRegistration> = store.namespace('registrations', registrationShape);
  const registry = createRegistry({ versionFloor: options.versionFloor });
  const gate = createGate();
  const heldBy = new Map<RegId, Held>();
  const serialBySlot = new Map<KeySlot, number>();
  const slotBySerial = new Map<number, KeySlot>();
  const expectedMax = Math.max(EXPECTED_PER_FLAG_MIN, options.registrationsMax * EXPECTED_SHARE_MAX);
  let nextSerial = 0;

  function hold(serial: number, birthday: number, keys: RegistrationKeys): Held {
    // From `deriveKeys` or from the store: checked when it was registered.
    const detectionKey = restoreDetectionKey(keys.detectionKey);
    const slot = engine.add(detectionKey);
    indexSets.add(serial, { dataKey: keys.dataKey, birthday, n: detectionKey.indices.length });
    nextSerial = Math.max(nextSerial, serial + 1);
    serialBySlot.set(slot, serial);
    slotBySerial.set(serial, slot);
    return { serial, slot, birthday };
  }

  function letGo({ serial, slot }: Held): void {
    engine.remove(slot);
    indexSets.remove(serial);
    serialBySlot.delete(slot);
    slotBySerial.delete(serial);
  }

  function whyFull(operation: OperationType, regId: RegId, keys: RegistrationKeys | undefined): string | undefined {
    if (operation !== 'register' || registry.keysHeld(regId)) return undefined;
    const { registrationsMax } = options;
    if (slotBySerial.size >= registrationsMax)
      return `${registrationsMax} registrations are held, the most of this cluster`;
    if (registry.size >= registrationsMax * (1 + TOMBSTONES_PER_REGISTRATION)) return 'too many have ended recently';
    const share = keys ? 2 ** -keys.detectionKey[0]! : 0;
    if (indexSets.expectedPerFlag + share > expectedMax) return 'too many registrations with a small n are held';
    return undefined;
  }

  /** The record after a change; operations that stay are taken from the record before it. */
  async function recordWrite(
    change: Change,
    added: { operation: StoredOperation; held: Held | undefined; keys: RegistrationKeys | undefined } | undefined,
  ): Promise<StoreWrite> {
    const key = idBytes(change.regId);
    const { base, renewal } = change.after;
    if (!base && !renewal) return records.delete(key);
    const before = await records.get(key);
    const stored = (summary: typeof base): StoredOperation | undefined => {
      if (!summary) return undefined;
      const own = added && summaryOf(added.operation).opId === summary.opId ? added.operation : undefined;
      return own ?? signedOf(before, summary.opId);
    };
    const keys = added?.held && added.keys ? storeKeys(added.held.serial, added.keys) : before?.keys;
    const [storedBase, storedRenewal] = [stored(base), stored(renewal)];
    return records.put(key, {
      ...(storedBase ? { base: storedBase } : {}),
      ...(storedRenewal ? { renewal: storedRenewal } : {}),
      ...(change.keysAfter && keys ? { keys } : {}),
    });
  }

  async function carryOut(admitted: Admitted, regId: RegId): Promise<void> {
    const { operation, opId, keys } = admitted;
    const summary = summarise(operation, opId);
    const change = registry.apply(regId, summary, { keys: keys !== undefined, heights: heights() });
    const before = heldBy.get(regId);
    const birthday = change.after.base?.birthday ?? 0;
    // Another birthday is another index set: it is scanned anew under a serial number of its own.
    const adding = keys && change.keysAfter && before?.birthday !== birthday;
    const held = adding ? hold(Math.max(nextSerial, indexSets.nextSerial), birthday, keys) : undefined;
    try {
      const write = await recordWrite(change, {
        operation: storeOperation(summary, encodeOperation(operation)),
        held,
        keys,
      });
      await store.commit([write]);
    } catch (error) {
      if (held) letGo(held);
      registry.restore(change);
      throw error;
    }
    if (before && (held || !change.keysAfter)) letGo(before);
    if (held) heldBy.set(regId, held);
    else if (!change.keysAfter) heldBy.delete(regId);
    if (held) deps.onAdded?.();
  }

  function expiryOf(regId: RegId, otherwise: number): number {
    const standing = registry.standing(regId, heights());
    return 'expiryHeight' in standing ? standing.expiryHeight : otherwise;
  }

  async function submitAlone(submission: Submission): Promise<Submitted> {
    const { operation } = submission;
    const { regId, version, type } = operation;
    const context = { clusterId: options.clusterId, heights: heights(), versionFloor: registry.versionFloor };
    const admitted = admitFromUser(deps, submission, registry.state(regId), context);
    if (admitted.kind === 'refused') return admitted;
    if (type !== 'revoke' && operation.expiryHeight > version + options.lifetimeBlocksMax) {
      return refuse('expiry-too-far', `expiryHeight must be at most ${options.lifetimeBlocksMax} above version`);
    }
    const full = whyFull(type, regId, admitted.keys);
    if (full !== undefined) return { kind: 'full', detail: full };
    const repeated = admitted.repeated && (type !== 'register' || registry.keysHeld(regId));
    if (!repeated) await carryOut(admitted, regId);
    return { kind: 'taken', regId, expiryHeight: expiryOf(regId, operation.expiryHeight), repeated };
  }

  function loadOne(regId: RegId, record: StoredRegistration): void {
    // Whatever has ended meanwhile goes with the next heights that pass.
    const beginning = { own: 0, cluster: 0 };
    for (const operation of [record.base, record.renewal]) {
      if (!operation) continue;
      registry.apply(regId, summaryOf(operation), { keys: record.keys !== undefined, heights: beginning });
    }
    if (!record.keys) return;
    heldBy.set(regId, hold(record.keys.serial, record.base?.birthday ?? 0, keysOf(record.keys)));
  }

  return {
    get counts() {
      return { held: heldBy.size, known: registry.size };
    },
    get versionFloor() {
      return registry.versionFloor;
    },
    async load() {
      for await (const [key, record] of records.entries()) loadOne(regIdFromBytes(key), record);
    },
    submit: (submission) => gate.shared(submission.operation.regId, () => submitAlone(submission)),
    standing: (regId) => registry.standing(regId, heights()),
    serialOf(regId) {
      return registry.standing(regId, heights()).kind === 'open' ? heldBy.get(regId)?.serial : undefined;
    },
    serialIn: (slot) => serialBySlot.get(slot),
    slotsOf: (serials) => serials.map((serial) => slotBySerial.get(serial)).filter((slot) => slot !== undefined),
    passHeights: (now, commit) =>
      gate.exclusive(async () => {
        const changes = registry.sweep(now);
        try {
          const writes: StoreWrite[] = [];
          for (const change of changes) {
            writes.push(await recordWrite(change, undefined));
            if (writes.length === SWEEP_WRITES_MAX) await store.commit(writes.splice(0));
          }
          await commit(writes);
        } catch (error) {
          for (const change of changes.reverse()) registry.restore(change);
          throw error;
        }
        for (const { regId, keysAfter } of changes) {
          const held = heldBy.get(regId);
          if (!held || keysAfter) continue;
          letGo(held);
          heldBy.delete(regId);
        }
      }),
  };
}
