// The first thing a node does with its disk: open the sealed store it finds there, or make one (S1-1, S1-2, S1-3).
// A store whose key nobody has any more is set aside untouched, and the node begins anew under another id.

import { ed25519PublicKey } from '#crypto';
import { equalBytes } from '../core/bytes.ts';
import { sleep } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import { type ClusterId, idBytes, type NodeId, nodeIdFromBytes } from '../core/ids.ts';
import type { Clock, Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import type { Disk } from './disk.ts';
import { IDENTITY_SECRET_BYTES, readIdentity, writeIdentity } from './identity.ts';
import type { Launched } from './launched.ts';
import type { Log } from './log.ts';
import { type RecoveryKeys, recoveryWrapFor } from './recovery-wrap.ts';
import type { KeyOptions, RecoveredKey, SealingKeys } from './sealing-keys.ts';
import type { Offer, SetAside } from './set-aside/set-aside.ts';
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
  /** What becomes of a store whose key nobody has, or recovery shares open. */
  readonly setAside: Pick<SetAside, 'offer' | 'scan'>;
  /** Of the configuration in force. */
  readonly recoveryKeys: RecoveryKeys | undefined;
}

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
  const recovered = await recover(deps, { bytes: found, read: header }, options);
  if (typeof recovered !== 'object') {
    const where = await deps.disk.setAside();
    deps.log.warn('store-set-aside', { where, nodeId: header.nodeId, reason: WHY_SET_ASIDE[recovered] });
    await deps.setAside.scan();
    return make(deps, clusterId, options);
  }
  using key = recovered.key;
  if (!equalBytes(recovered.header, found)) await deps.disk.header.write(recovered.header);
  return await open(deps, readHeader(recovered.header), key, recovered.incarnation);
}

/** Of asking the members alone: where some of them are up, a key is back before. */
const OFFER_AFTER_MS = 10_000;

const WHY_SET_ASIDE = {
  gone: 'nobody holds its sealing key',
  entered: 'recovery shares give its data key: it is read, and not written any more',
} as const;

/** The sealing key, unless nobody has it, or the holders of recovery keys are faster. */
async function recover(
  { clock, sealingKeys, setAside }: LaunchDeps,
  header: { readonly bytes: Uint8Array; readonly read: StoreHeader },
  { signal, waitsFor }: KeyOptions,
): Promise<RecoveredKey | keyof typeof WHY_SET_ASIDE> {
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  let offer: Offer | undefined;
  const asked = sealingKeys.recover(header, { signal: both, waitsFor });
  const entered = async () => {
    await sleep(clock, OFFER_AFTER_MS, { signal: both });
    offer = setAside.offer(header.read);
    await offer.key;
    return 'entered' as const;
  };
  const first = await Promise.race([asked.then((recovered) => recovered ?? ('gone' as const)), entered()]);
  ending.abort(new KithError('stopped', 'the key has come, or will not'));
  if (typeof first === 'object') {
    offer?.end();
    offer?.key.then((late) => late.wipe()).catch(() => undefined);
  } else if (first === 'entered') {
    asked.then((late) => late?.key.wipe()).catch(() => undefined);
  }
  return first;
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
  const stored = await readIdentity(store);
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
  const nodeSecret = Secret.own(deps.random.bytes(IDENTITY_SECRET_BYTES));
  const logKey = Secret.own(deps.random.bytes(IDENTITY_SECRET_BYTES));
  const nodeId = nodeIdFromBytes(ed25519PublicKey(nodeSecret.expose()));
  const store = await makeEmpty(deps, clusterId, nodeId);
  const record = { nodeSecret: nodeSecret.expose(), logKey: logKey.expose() };
  await store.commit([writeIdentity(store, record)]);
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
