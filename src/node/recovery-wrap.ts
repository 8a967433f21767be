// The data key of the own store under the recovery keys of the configuration in force, for its headers.

import type { Cluster } from '../attestation/index.ts';
import { fromBase64Url } from '../core/bytes.ts';
import { isKithError } from '../core/errors.ts';
import type { Random } from '../core/ports.ts';
import { wrappedFor, wrapToRecoveryKeys } from '../keyserver/index.ts';
import type { SealedStore } from './store/index.ts';

export interface RecoveryKeys {
  /** X25519. */
  readonly publicKeys: readonly Uint8Array[];
  readonly threshold: number;
}

/** Undefined if the configuration names none: then a total restart cannot be undone. */
export function recoveryKeysOf({ configuration }: Cluster): RecoveryKeys | undefined {
  const { publicKeys, threshold } = configuration.recovery;
  if (publicKeys.length === 0) return undefined;
  return { publicKeys: publicKeys.map((key) => fromBase64Url(key)), threshold };
}

/**
 * The wrapping as the store's header has it, if it is for these keys, else a new one: holders fetch it and open their
 * share of it, so that it must not change with each header.
 * @param existing of the header that opened the store.
 * @throws KithError `bad-recovery-keys`: a key of the configuration is none.
 */
export function recoveryWrapFor(
  deps: { readonly random: Random },
  store: Pick<SealedStore, 'identity' | 'copyDataKey'>,
  keys: RecoveryKeys | undefined,
  existing: Uint8Array | undefined,
): Uint8Array | undefined {
  if (!keys) return undefined;
  if (existing && isFor(existing, keys)) return existing;
  using dataKey = store.copyDataKey();
  return wrapToRecoveryKeys(deps, { ...store.identity, ...keys, dataKey });
}

function isFor(wrapped: Uint8Array, { publicKeys, threshold }: RecoveryKeys): boolean {
  try {
    return wrappedFor(wrapped, publicKeys, threshold);
  } catch (error) {
    if (isKithError(error, 'bad-recovery-wrap')) return false;
    throw error;
  }
}
