// What tests units of work: inline on @noble, or a pool of workers with the compiled kernel.

import type { KeyPacking, KeySlot, TileSelection } from './key-table.ts';

/** One step of work: every flag against every selected key of one tile. */
export interface DetectionUnit {
  /** Flags of 111 bytes one after another. */
  readonly flags: Uint8Array;
  /** A slot is NO_KEY where the key was removed since the job began: its row may be free or another key's by now. */
  readonly selection: TileSelection;
}

export interface UnitResult {
  /** Per flag, 1 if it is not a canonical encoding; its match bits mean nothing then. */
  readonly undecodable: Uint8Array;
  /** Per flag ceil(rows / 8) bytes: bit k says whether the flag matches the k-th selected key. */
  readonly matches: Uint8Array;
}

export interface DetectionExecutor {
  /** For reports: which arithmetic is at work. */
  readonly kernel: string;
  readonly packing: KeyPacking;
  /** Units to keep in flight. */
  readonly parallelism: number;
  /** Flag-key pairs a unit should have. */
  readonly pairsPerUnit: number;
  start(): Promise<void>;
  run(unit: DetectionUnit): Promise<UnitResult>;
  /** Forgets what it kept of a key that is being removed. */
  forget(slot: KeySlot): void;
  stop(): Promise<void>;
}
