// What tests units of work: inline on @noble, or a pool of workers with the compiled kernel.

import type { KeyPacking, KeySlot, TileSelection } from './key-table.ts';

/** One step of work: every flag against every selected key. */
export interface DetectionUnit {
  /** Flags of 111 bytes one after another. */
  readonly flags: Uint8Array;
  /**
   * Keys of any classes, so that all of them share the work that depends on the flag alone. A slot is NO_KEY where the
   * key was removed since the job began: its row may be free or another key's by now.
   */
  readonly selections: readonly TileSelection[];
}

export interface UnitResult {
  /** Per flag, 1 if it is not a canonical encoding; its match bits mean nothing then. */
  readonly undecodable: Uint8Array;
  /** Per flag ceil(keys / 8) bytes: bit k says whether the flag matches the k-th of all selected keys. */
  readonly matches: Uint8Array;
}

export interface DetectionExecutor {
  /** For reports: which arithmetic is at work. */
  readonly kernel: string;
  readonly packing: KeyPacking;
  /** Units to keep in flight. */
  readonly parallelism: number;
  /** Work of one unit, in flag-key pairs: the head of the chain waits for as much per unit in flight. */
  readonly pairsPerUnit: number;
  /** What a flag costs before any key, in pairs. */
  readonly pairsPerFlag: number;
  start(): Promise<void>;
  run(unit: DetectionUnit): Promise<UnitResult>;
  /** Forgets what it kept of a key that is being removed. */
  forget(slot: KeySlot): void;
  stop(): Promise<void>;
}
