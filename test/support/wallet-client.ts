// A wallet and fake nodes on one manual clock, for tests of the SDK.

import { createNodeApi, createWallet, ownerOf, registerWallet } from '../../src/client/index.ts';
import { NOW } from './attestation.ts';
import { cluster, createFakeNode, type Deviations, type FakeNode } from './fake-node.ts';
import { createManualClock } from './manual-clock.ts';
import { seededRandom } from './seeded-random.ts';

const random = seededRandom('wallets of client tests');
export const wallet = createWallet({ random }, { n: 5, birthday: 10 });
export const owner = ownerOf(wallet, cluster.id);

export function createBench() {
  const clock = createManualClock(NOW * 1000);
  let nodes = 0;
  return {
    clock,
    random,
    /** A node and the API of it. */
    node(deviations: Deviations = {}) {
      const node = createFakeNode({ clock, ...deviations });
      const api = createNodeApi({ transport: node.transport, clock }, `http://node-${nodes++}.test/`);
      return { node, api, clock, random };
    },
  };
}

/** Registers the wallet, at whatever deviations let through. */
export async function registeredAt(node: FakeNode, birthday = 10): Promise<void> {
  const clock = createManualClock(NOW * 1000);
  const api = createNodeApi({ transport: node.transport, clock }, 'http://setup.test');
  const signal = new AbortController().signal;
  await registerWallet({ api, clock, random }, cluster, wallet, { signal, birthday });
}
