// The keys of registrations where they are used: in the detection engine and in the index sets, under one serial number
// each. Which registration holds which is its owner's to know.

import type { RegistrationKeys } from '../../core/registration/payload.ts';
import { type DetectionEngine, type IndexSets, type KeySlot, restoreDetectionKey } from '../../fmd/index.ts';

/** One registration in engine and index sets. */
export interface Held {
  readonly serial: number;
  readonly slot: KeySlot;
  readonly birthday: number;
}

export interface HeldKeys {
  readonly size: number;
  /** @param serial as it is stored; a new one, above all others, if undefined. */
  hold(birthday: number, keys: RegistrationKeys, serial?: number): Held;
  /** Wipes them. */
  letGo(held: Held): void;
  serialIn(slot: KeySlot): number | undefined;
  slotsOf(serials: readonly number[]): KeySlot[];
}

export function createHeldKeys(deps: { readonly engine: DetectionEngine; readonly indexSets: IndexSets }): HeldKeys {
  const { engine, indexSets } = deps;
  const serialBySlot = new Map<KeySlot, number>();
  const slotBySerial = new Map<number, KeySlot>();
  let nextSerial = 0;

  return {
    get size() {
      return slotBySerial.size;
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
    serialIn: (slot) => serialBySlot.get(slot),
    slotsOf: (serials) => serials.map((serial) => slotBySerial.get(serial)).filter((slot) => slot !== undefined),
  };
}
