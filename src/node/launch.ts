// The first thing a node does with its disk: open the sealed store it finds there, or make one (S1-1, S1-2, S1-3).
// A store whose key nobody has any more is set aside untouched, and the node begins anew under another id.

import { ed25519PublicKey } from '#crypto';
import { equalBytes } from '../core/bytes.ts';
import { isKithError } from '../core/errors.ts';
import { type ClusterId, idBytes, type NodeId, nodeIdFromBytes } from '../core/ids.ts';
import type { Clock, Random } from '../core/ports.ts';
import { bytes, closed, shape } from '../core/schema.ts';
import { Secret } from '../core/secret.ts';
import type { Disk } from './disk.ts';
import type { Launched } from './launched.ts';
import type { Log } from './log.ts';
import { type RecoveryKeys, recoveryWrapFor } from './recovery-wrap.ts';
import type { KeyOptions, SealingKeys } from './sealing-keys.ts';
import { storeError } from './store/errors.ts';
import {
  createSealedStore,
  newStoreId,
  openSealedStore,
  readHeader,
  type SealedStore,
  type StoreHeader,
} from './store/index.ts';

export interface LaunchDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly sealingKeys: SealingKeys;
  /** Of the configuration in force. */
  readonly recoveryKeys: RecoveryKeys | undefined;
}

const SECRET_BYTES = 32;
const identityShape = shape(closed({ nodeSecret: bytes(SECRET_BYTES), logKey: bytes(SECRET_BYTES) }));
const IDENTITY_KEY = new Uint8Array(0);

const identityOf = (store: SealedStore) => store.namespace('identity', identityShape);

/**
 * The sealed store of this disk, open, its key kept.
 * @throws KithError of the store (`store-mixed`, `store-other-cluster`, ...), before anything of it was used.
 */
export async function launch(deps: LaunchDeps, clusterId: ClusterId, options: KeyOptions): Promise<Launched> {
  const launched = await openOrMake(deps, clusterId, options);
  try {
    await deps.sealingKeys.keep(launched, options);
    return launched;
  } catch (error) {
    await launched.store.close();
    throw error;
  }
}

async function openOrMake(deps: LaunchDeps, clusterId: ClusterId, options: KeyOptions): Promise<Launched> {
  const found = await deps.disk.header.read();
  if (!found) return make(deps, clusterId, options);
  const header = readHeader(found);
  if (header.clusterId !== clusterId) {
    throw storeError('store-other-cluster', `the store on this disk is of the cluster ${header.clusterId}`);
  }
  const recovered = await deps.sealingKeys.recover({ bytes: found, read: header }, options);
  if (!recovered) {
    const where = await deps.disk.setAside();
    deps.log.warn('store-set-aside', { where, nodeId: header.nodeId, reason: 'nobody holds its sealing key' });
    return make(deps, clusterId, options);
  }
  using key = recovered.key;
  if (!equalBytes(recovered.header, found)) await deps.disk.header.write(recovered.header);
  return await open(deps, readHeader(recovered.header), key, recovered.incarnation);
}

async function open(deps: LaunchDeps, header: StoreHeader, sealingKey: Secret, incarnation: number): Promise<Launched> {
  const kv = await deps.disk.openSealed();
  let store: SealedStore;
  try {
    store = await openSealedStore({ ...deps, kv }, { header, sealingKey });
  } catch (error) {
    await kv.close();
    throw error;
  }
  const stored = await identityOf(store).get(IDENTITY_KEY);
  if (!stored || !equalBytes(ed25519PublicKey(stored.nodeSecret), idBytes(header.nodeId))) {
    await store.close();
    throw storeError('store-corrupt', 'the store does not hold the key of its node');
  }
  const identity = {
    nodeId: header.nodeId,
    nodeSecret: Secret.own(stored.nodeSecret),
    logKey: Secret.own(stored.logKey),
  };
  const recoveryWrap = await wrapFor(deps, store, header.recoveryWrappedDataKey);
  return { store, identity, incarnation, fresh: false, recoveryWrap };
}

/** A crash before a header is written leaves records that nobody can read: the next launch sets them aside. */
async function make(deps: LaunchDeps, clusterId: ClusterId, options: KeyOptions): Promise<Launched> {
  await deps.sealingKeys.mayMake(options);
  const nodeSecret = Secret.own(deps.random.bytes(SECRET_BYTES));
  const logKey = Secret.own(deps.random.bytes(SECRET_BYTES));
  const nodeId = nodeIdFromBytes(ed25519PublicKey(nodeSecret.expose()));
  const store = await makeEmpty(deps, clusterId, nodeId);
  const record = { nodeSecret: nodeSecret.expose(), logKey: logKey.expose() };
  await store.commit([identityOf(store).put(IDENTITY_KEY, record)]);
  const recoveryWrap = await wrapFor(deps, store, undefined);
  return { store, identity: { nodeId, nodeSecret, logKey }, incarnation: 1, fresh: true, recoveryWrap };
}

async function wrapFor(deps: LaunchDeps, store: SealedStore, existing: Uint8Array | undefined) {
  try {
    return recoveryWrapFor(deps, store, deps.recoveryKeys, existing);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function makeEmpty(deps: LaunchDeps, clusterId: ClusterId, nodeId: NodeId): Promise<SealedStore> {
  const identity = () => ({ clusterId, nodeId, storeId: newStoreId(deps) });
  const first = await deps.disk.openSealed();
  try {
    return await createSealedStore({ ...deps, kv: first }, identity());
  } catch (error) {
    await first.close();
    if (!isKithError(error, 'store-not-empty')) throw error;
  }
  const where = await deps.disk.setAside();
  deps.log.warn('store-set-aside', { where, reason: 'it has no header' });
  const kv = await deps.disk.openSealed();
  try {
    return await createSealedStore({ ...deps, kv }, identity());
  } catch (error) {
    await kv.close();
    throw error;
  }
}
