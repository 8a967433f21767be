// Headers of the own store: what the owner's side of custody, and a node alone, write beside it.

import type { Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import type { Disk } from './disk.ts';
import type { Launched } from './launched.ts';
import { commitToSealingKey, type HeaderKeyServer, SEALING_KEY_BYTES, signHeader } from './store/index.ts';

export interface HeaderFields {
  readonly sealingKey: Secret;
  readonly keyEpoch: number;
  readonly threshold: number;
  readonly keyServers: readonly HeaderKeyServer[];
}

/** The signed header of an open store under a sealing key. Writes nothing. */
export function ownHeader(
  { store, identity, recoveryWrap }: Launched,
  { sealingKey, ...fields }: HeaderFields,
): Uint8Array {
  return signHeader(
    {
      ...store.identity,
      ...fields,
      keyCommitment: commitToSealingKey(sealingKey),
      wrappedDataKey: store.wrapDataKey(sealingKey, fields.keyEpoch),
      recoveryWrappedDataKey: recoveryWrap,
    },
    identity.nodeSecret,
  );
}

/** A header under a fresh key that no one keeps: epoch 0, without key servers. */
export function memoryOnlyHeader(
  { random }: { readonly random: Random; readonly disk: Disk },
  launched: Launched,
): { readonly header: Uint8Array; readonly sealingKey: Secret } {
  const sealingKey = Secret.own(random.bytes(SEALING_KEY_BYTES));
  const header = ownHeader(launched, { sealingKey, keyEpoch: 0, threshold: 0, keyServers: [] });
  return { header, sealingKey };
}
