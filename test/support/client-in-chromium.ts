// A wallet in a browser: verify a node, register, read the index set, with the SDK as it is bundled for a page. The
// node is any URL, a fake one or a real one.

import { type Cluster, formatCluster } from '../../src/attestation/index.ts';
import { formatWallet, type Wallet } from '../../src/client/index.ts';
import { runInChromium } from './chromium.ts';

export interface BrowserStory {
  readonly simulated: boolean;
  readonly id: string;
  readonly status: string;
  readonly syncedTo: number;
  readonly entries: readonly (readonly [number, number])[];
  /** Code of the error for a node that does not know the wallet's id. */
  readonly stranger: string;
  readonly revoked: string;
}

const SOURCE = `
  import { parseCluster } from './src/attestation/browser.ts';
  import {
    createFetchTransport, createWallet, createWalletClient, parseWallet, viewSyncedTo,
  } from './src/client/index.ts';
  import { systemClock as clock, systemRandom as random } from './src/core/system.ts';

  // A classic script has no await at its top level.
  async function story(input) {
    const { signal } = new AbortController();
    const nodes = input.nodes;
    const client = createWalletClient({ transport: createFetchTransport(), clock, random }, { cluster: parseCluster(input.cluster), nodes });
    const wallet = parseWallet(input.wallet, 'wallet');
    const { simulated } = await client.verify({ signal });
    const { id, status } = await client.register(wallet, { signal, waitMs: 30_000 });
    const view = await client.waitForHeight(wallet, undefined, { height: input.height, timeoutMs: 60_000, signal });
    const other = createWallet({ random }, { n: 2 });
    const stranger = await client.read(other, undefined, { signal }).then(() => 'read', (error) => error.code);
    await client.revoke(wallet, { signal });
    const revoked = (await client.status(wallet, { signal })).status;
    return { simulated, id, status, syncedTo: viewSyncedTo(view), entries: view.entries, stranger, revoked };
  }

  story(globalThis.input).then(globalThis.done);
`;

/** @param height up to which the index set is waited for. */
export async function walletInChromium(
  nodes: readonly string[],
  cluster: Cluster,
  wallet: Wallet,
  height: number,
): Promise<BrowserStory> {
  const input = { nodes, height, cluster: formatCluster(cluster), wallet: formatWallet(wallet) };
  return (await runInChromium(SOURCE, input)) as BrowserStory;
}
