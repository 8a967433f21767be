// The registrations that are detected for: each has a slot in the engine and an index set under a serial number, which
// is given in ascending order and never twice.

import type { RegId } from '../../core/ids.ts';
import type { RegistrationKeys } from '../../core/registration/payload.ts';
import { type DetectionEngine, type IndexSets, type KeySlot, restoreDetectionKey } from '../../fmd/index.ts';
import { EXPECTED_PER_FLAG_MIN, EXPECTED_SHARE_MAX } from './limits.ts';

export interface Held {
  readonly serial: number;
  readonly slot: KeySlot;
  readonly birthday: number;
}

export interface Holdings {
  readonly size: number;
  of(regId: RegId): Held | undefined;
  /** Why no more keys are taken, or undefined. */
  whyFull(keys: RegistrationKeys): string | undefined;
  /** Begins to detect; belongs to nobody until `set`. @param serial as stored; without one it gets the next. */
  hold(birthday: number, keys: RegistrationKeys, serial?: number): Held;
  letGo(held: Held): void;
  set(regId: RegId, held: Held | undefined): void;
  serialIn(slot: KeySlot): number | undefined;
  slotsOf(serials: readonly number[]): KeySlot[];
}

/** @param options.registrationsMax of the cluster configuration. */
export function createHoldings(
  { engine, indexSets }: { readonly engine: DetectionEngine; readonly indexSets: IndexSets },
  { registrationsMax }: { readonly registrationsMax: number },
): Holdings {
  const heldBy = new Map<RegId, Held>();
  const serialBySlot = new Map<KeySlot, number>();
  const slotBySerial = new Map<number, KeySlot>();
  const expectedMax = Math.max(EXPECTED_PER_FLAG_MIN, registrationsMax * EXPECTED_SHARE_MAX);
  let nextSerial = 0;

  return {
    get size() {
      return heldBy.size;
    },
    of: (regId) => heldBy.get(regId),
    whyFull({ detectionKey }) {
      if (slotBySerial.size >= registrationsMax) {
        return `${registrationsMax} registrations are held, the most of this cluster`;
      }
      const full = indexSets.expectedPerFlag + 2 ** -detectionKey[0]! > expectedMax;
      return full ? 'too many registrations with a small n are held' : undefined;
    },
    hold(birthday, keys, serial = Math.max(nextSerial, indexSets.nextSerial)) {
      // From `deriveKeys` or from the store: checked when it was registered.
      const detectionKey = restoreDetectionKey(keys.detectionKey);
      const slot = engine.add(detectionKey);
      indexSets.add(serial, { dataKey: keys.dataKey, birthday, n: detectionKey.indices.length });
      nextSerial = Math.max(nextSerial, serial + 1);
      serialBySlot.set(slot, serial);
      slotBySerial.set(serial, slot);
      return { serial, slot, birthday };
    },
    letGo({ serial, slot }) {
      engine.remove(slot);
      indexSets.remove(serial);
      serialBySlot.delete(slot);
      slotBySerial.delete(serial);
    },
    set(regId, held) {
      if (held) heldBy.set(regId, held);
      else heldBy.delete(regId);
    },
    serialIn: (slot) => serialBySlot.get(slot),
    slotsOf: (serials) => serials.map((serial) => slotBySerial.get(serial)).filter((slot) => slot !== undefined),
  };
}
