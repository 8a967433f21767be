// Where a node's sealing key lives while the node does not: the port between the launch of a store and custody.

import type { Secret } from '../core/secret.ts';
import type { StoreHeader } from './store/index.ts';

export interface SealingKeys {
  /** What to tell operators about a node that depends on this; undefined if there is nothing to say. */
  readonly warning: string | undefined;
  /** The sealing key of this header, owned by the caller; undefined when nobody has it any more. */
  recover(header: StoreHeader, options: { signal: AbortSignal }): Promise<Secret | undefined>;
  /** Takes the key of a new store into custody before anything is sealed with it; copies what it keeps. */
  entrust(sealingKey: Secret, storeId: Uint8Array, options: { signal: AbortSignal }): Promise<void>;
}

/** For clusters that allow a node alone: nobody keeps the key, and with the process it is gone. */
export function createUnbackedKeys(): SealingKeys {
  return {
    warning: 'unbacked: nobody else holds the sealing key of this node; when it stops, its registrations are lost',
    recover: async () => undefined,
    entrust: async () => undefined,
  };
}
