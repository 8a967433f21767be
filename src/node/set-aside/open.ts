// A store that was set aside, opened to be read: by the sealing key that its key servers gave back, which proves whose
// it is, or by its data key under the recovery keys, which proves nothing (docs/RECOVERY.md).

import { ed25519PublicKey } from '#crypto';
import { equalBytes } from '../../core/bytes.ts';
import { idBytes } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { Secret } from '../../core/secret.ts';
import type { SetAsideStore } from '../disk.ts';
import { readIdentity } from '../identity.ts';
import { storeError } from '../store/errors.ts';
import {
  openSealedStore,
  openSealedStoreWithDataKey,
  readHeader,
  type SealedStore,
  type StoreHeader,
} from '../store/index.ts';

/** What opens a store; whoever holds it wipes it. */
export type StoreKey =
  | { readonly kind: 'data-key'; readonly key: Secret }
  /** With the header it opens, which may be newer than the one on the disk. */
  | { readonly kind: 'sealing-key'; readonly key: Secret; readonly header: Uint8Array };

export interface OpenedStore {
  readonly store: SealedStore;
  /** Ed25519 key of its node, if it is certain whose store this is; wiped with `close`. */
  readonly nodeSecret: Secret | undefined;
  close(): Promise<void>;
}

/** @throws KithError `store-wrong-key`, `store-other-cluster`, `store-mixed`, `store-corrupt`, `store-locked`. */
export async function openSetAside(
  deps: { readonly clock: Clock; readonly random: Random },
  aside: Pick<SetAsideStore, 'openSealed'>,
  header: StoreHeader,
  opener: StoreKey,
): Promise<OpenedStore> {
  const kv = await aside.openSealed();
  let store: SealedStore;
  try {
    store =
      opener.kind === 'data-key'
        ? await openSealedStoreWithDataKey({ ...deps, kv }, { header, dataKey: opener.key })
        : await openSealedStore({ ...deps, kv }, { header: readHeader(opener.header), sealingKey: opener.key });
  } catch (error) {
    await kv.close();
    throw error;
  }
  try {
    const nodeSecret = opener.kind === 'sealing-key' ? await provenSecret(store, header) : undefined;
    return {
      store,
      nodeSecret,
      async close() {
        nodeSecret?.wipe();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function provenSecret(store: SealedStore, { nodeId }: StoreHeader): Promise<Secret> {
  const identity = await readIdentity(store);
  if (identity && equalBytes(ed25519PublicKey(identity.nodeSecret), idBytes(nodeId))) {
    identity.logKey.fill(0);
    return Secret.own(identity.nodeSecret);
  }
  throw storeError('store-corrupt', 'the store does not hold the key of its node');
}
