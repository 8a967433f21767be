// A sealed store with a header, as tests need it: known keys, any key-value store below.

import { ed25519PublicKey } from '#crypto';
import { clusterIdFromBytes, nodeIdFromBytes } from '../../src/core/ids.ts';
import type { Clock, Random } from '../../src/core/ports.ts';
import { bytesUpTo, closed, shape, uint } from '../../src/core/schema.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  commitToSealingKey,
  createSealedStore,
  type KeyValueStore,
  openSealedStore,
  readHeader,
  type SealedStore,
  type StoreHeader,
  type StoreIdentity,
  signHeader,
} from '../../src/node/store/index.ts';
import { createImmediateClock } from './immediate-clock.ts';
import { seededRandom } from './seeded-random.ts';

export const itemShape = shape(closed({ count: uint(), data: bytesUpTo(1_000_000) }));

export interface Item {
  count: number;
  data: Uint8Array;
}

/** The keys and ids of one node, the same for the same seed. */
export function testNode(seed = 'node') {
  const random = seededRandom(seed);
  const nodeSecret = Secret.own(random.bytes(32));
  const sealingKey = Secret.own(random.bytes(32));
  const identity: StoreIdentity = {
    clusterId: clusterIdFromBytes(random.bytes(32)),
    nodeId: nodeIdFromBytes(ed25519PublicKey(nodeSecret.expose())),
    storeId: random.bytes(32),
  };
  return { nodeSecret, sealingKey, identity };
}

export type TestNode = ReturnType<typeof testNode>;

/** A header for this store as it would be written at `keyEpoch`. */
export function headerFor(store: SealedStore, { sealingKey }: TestNode, keyEpoch = 1): StoreHeader {
  return {
    ...store.identity,
    keyEpoch,
    threshold: 1,
    keyServers: [{ nodeId: testNode('key server').identity.nodeId, addresses: ['/dns4/peer.example/tcp/4001'] }],
    keyCommitment: commitToSealingKey(sealingKey),
    wrappedDataKey: store.wrapDataKey(sealingKey, keyEpoch),
    recoveryWrappedDataKey: undefined,
  };
}

export interface Made {
  readonly store: SealedStore;
  readonly header: Uint8Array;
}

export const testDeps = (kv: KeyValueStore, seed = 'store', clock: Clock = createImmediateClock()) => {
  const random: Random = seededRandom(seed);
  return { kv, clock, random };
};

export async function makeStore(kv: KeyValueStore, node: TestNode = testNode(), seed = 'store'): Promise<Made> {
  const store = await createSealedStore(testDeps(kv, seed), node.identity);
  return { store, header: signHeader(headerFor(store, node), node.nodeSecret) };
}

export function reopenStore(kv: KeyValueStore, header: Uint8Array, node: TestNode = testNode()): Promise<SealedStore> {
  return openSealedStore(testDeps(kv, 'reopened'), { header: readHeader(header), sealingKey: node.sealingKey });
}

/** The code of the KithError that `work` ends with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  return 'no error';
}

export async function entriesOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
