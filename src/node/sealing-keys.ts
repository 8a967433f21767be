// Where a node's sealing key lives while the node does not: the port between the launch of a store and custody.

import type { Secret } from '../core/secret.ts';
import type { Launched } from './launched.ts';
import type { StoreHeader } from './store/index.ts';

/** A sealing key that came back. */
export interface RecoveredKey {
  /** Owned by the caller. */
  readonly key: Secret;
  /** The header it opens, to be written over the one on the disk if it is another. */
  readonly header: Uint8Array;
  /** Which boot of the node this is. */
  readonly incarnation: number;
}

export interface KeyOptions {
  readonly signal: AbortSignal;
  /** Told what is waited for, in one line. */
  readonly waitsFor: (reason: string) => void;
}

export interface SealingKeys {
  /** What to tell operators about a node that depends on this now; undefined if there is nothing to say. */
  warning(): string | undefined;
  /** The sealing key of a store; undefined when nobody has it any more. @param header as on the disk, read. */
  recover(
    header: { readonly bytes: Uint8Array; readonly read: StoreHeader },
    options: KeyOptions,
  ): Promise<RecoveredKey | undefined>;
  /** Resolves when a new store may be made: when there is somebody to keep its key. */
  mayMake(options: KeyOptions): Promise<void>;
  /**
   * The store is open and its node has an identity: sees to it that its key is kept from now on, and resolves once a
   * header is on the disk that leads back to it.
   */
  keep(launched: Launched, options: KeyOptions): Promise<void>;
  /** Nothing is kept any more from here on. */
  stop(): Promise<void>;
}
