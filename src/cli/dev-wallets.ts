// What the wallets of `kith dev` do with nodes, each step checked: what is wrong is collected, what cannot go on thrown.

import {
  createFetchTransport,
  createWalletClient,
  type Entry,
  isNodeRefusal,
  type VerifiedNode,
  viewSyncedTo,
  type WalletClient,
} from '../client/index.ts';
import { sleep } from '../core/deadline.ts';
import { isKithError } from '../core/errors.ts';
import { systemClock, systemRandom } from '../core/system.ts';
import { compareSet, type NodeFacts, type WalletRow } from './dev-report.ts';
import type { Sample } from './dev-samples.ts';
import type { DevView } from './dev-view.ts';
import type { DevWatch } from './dev-watch.ts';
import { type DevNode, type DevWorld, simulatedCluster } from './dev-world.ts';

export interface StoryDeps {
  readonly world: DevWorld;
  readonly watch: DevWatch;
  readonly view: DevView;
  /** Notes what is wrong unless `right`. */
  readonly check: (right: boolean, otherwise: string) => void;
}

/** How long an operation may take to be confirmed. */
const CONFIRM_MS = 30_000;
/** Above what the rest of the chain takes to come, by far. */
const SYNC_MS = 120_000;
/** What one node took may need so long to be known at another: rounds of a few seconds, and a busy machine. */
const SPREAD_MS = 30_000;
const LOOK_MS = 250;
/** Unlike the default, so that a renewal shows. */
const RENEWAL_BLOCKS = 5_000;

const clientDeps = () => ({ transport: createFetchTransport(), clock: systemClock, random: systemRandom });

/** A client that knows one node only. */
export const clientAt = ({ cluster }: DevWorld, { url }: DevNode): WalletClient =>
  createWalletClient(clientDeps(), { cluster, nodes: [url] });

/** The platforms that make a quorum of so many nodes, each on its own. */
const quorumOfNodes = (nodes: number): number => Math.floor(nodes / 2) + 1;

export async function verified({ world, view }: StoryDeps, node: DevNode): Promise<NodeFacts> {
  const { cluster, signal } = world;
  const found: VerifiedNode = await clientAt(world, node).verify({ signal });
  const measurements = cluster.configuration.policy.measurements.map(({ name }) => name);
  view.say(
    `${node.name} verified: quote over a fresh nonce, operator ${found.operator}, TCB ${found.tcbStatus}, ` +
      `measurements of ${measurements.join(', ')}${found.simulated ? '; SIMULATED: protects nobody' : ''}`,
  );
  const { nodeId, operator, tcbStatus } = found;
  return { ...node, nodeId, operator, tcbStatus, measurements };
}

/** Whether a client of another simulated cluster refuses the first node before it sends anything. */
export async function refusedByStrangers({ nodes, signal }: DevWorld): Promise<boolean> {
  const { cluster } = await simulatedCluster(nodes.length);
  try {
    await createWalletClient(clientDeps(), { cluster, nodes: [nodes[0]!.url] }).verify({ signal });
    return false;
  } catch (error) {
    if (isKithError(error, 'node-not-believed')) return true;
    throw error;
  }
}

/** Registers at one node, which must have it confirmed by as many members as a quorum takes. */
export async function register({ world, view, check }: StoryDeps, node: DevNode, sample: Sample, quiet = false) {
  const { signal } = world;
  const { name, n, wallet } = sample;
  const client = clientAt(world, node);
  const { status, expiryHeight } = await client.register(wallet, { signal, waitMs: CONFIRM_MS });
  const { confirmations } = await client.status(wallet, { signal });
  const needed = quorumOfNodes(world.nodes.length);
  check(status === 'confirmed', `${name}: registered at ${node.name}, and still ${status}`);
  check(confirmations >= needed, `${name}: ${node.name} tells ${confirmations} of ${needed} confirmations`);
  if (quiet) return;
  const by = `${confirmations} ${confirmations === 1 ? 'confirmation' : 'confirmations'}`;
  view.say(`${name} (n = ${n}): ${status} at ${node.name}, ${by}, expires at height ${expiryHeight}`);
}

/** The index sets up to `last` as one node tells them, compared; waits until that node has come so far. */
export async function readAll(
  { world, watch }: StoryDeps,
  node: DevNode,
  samples: readonly Sample[],
  last: number,
): Promise<WalletRow[]> {
  const { signal } = world;
  const client = clientAt(world, node);
  return Promise.all(
    samples.map(async (sample) => {
      const show = (entries: readonly Entry[], syncedTo: number) =>
        sample.late || watch.wallet(sample.name, entries, syncedTo);
      const view = await client.waitForHeight(sample.wallet, undefined, {
        height: last,
        timeoutMs: SYNC_MS,
        signal,
        onProgress: (known) => show(known.entries, viewSyncedTo(known)),
      });
      return compareSet(sample, node.name, view.entries);
    }),
  );
}

/** Renews at one node; the others must hear of it. */
export async function renew({ world, view, check }: StoryDeps, node: DevNode, { name, wallet }: Sample) {
  const { signal, nodes } = world;
  const how = { signal, waitMs: CONFIRM_MS, expiresInBlocks: RENEWAL_BLOCKS };
  const { version, expiryHeight } = await clientAt(world, node).renew(wallet, how);
  check(expiryHeight === version + RENEWAL_BLOCKS, `${name}: renewed up to ${expiryHeight}, not as asked`);
  for (const other of nodes) {
    const client = clientAt(world, other);
    let told = 0;
    const heard = await becomes(async () => {
      told = (await client.status(wallet, { signal })).expiryHeight;
      return told === expiryHeight;
    }, signal);
    check(heard, `${name}: ${other.name} says it expires at ${told}, not at ${expiryHeight}`);
  }
  view.say(`${name} renewed at ${node.name}: now expires at height ${expiryHeight}${everywhere(nodes)}`);
  return { name, node: node.name, expiryHeight };
}

/** Revokes at one node; no node may tell its index set any more. */
export async function revoke({ world, view, check }: StoryDeps, node: DevNode, { name, wallet }: Sample) {
  const { signal, nodes } = world;
  await clientAt(world, node).revoke(wallet, { signal, waitMs: CONFIRM_MS });
  for (const other of nodes) {
    const client = clientAt(world, other);
    let status = '';
    const heard = await becomes(async () => {
      status = (await client.status(wallet, { signal })).status;
      return status === 'revoked';
    }, signal);
    check(heard, `${name}: at ${other.name} its registration is ${status} after revoking`);
    check(await isGone(client, wallet, signal), `${name}: its index set is still at ${other.name} after revoking`);
  }
  view.say(`${name} revoked at ${node.name}: its index set is gone${everywhere(nodes)}`);
  return { name, node: node.name };
}

const everywhere = (nodes: readonly DevNode[]) => (nodes.length > 1 ? ', at every node' : '');

async function isGone(client: WalletClient, wallet: Sample['wallet'], signal: AbortSignal): Promise<boolean> {
  try {
    await client.read(wallet, undefined, { signal });
    return false;
  } catch (error) {
    if (isNodeRefusal(error, 'unknown-registration', 'revoked')) return true;
    throw error;
  }
}

/** Whether it becomes true while what one node took may still be on its way to another. */
async function becomes(condition: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  const began = systemClock.monotonic();
  while (!(await condition())) {
    if (systemClock.monotonic() - began > SPREAD_MS) return false;
    await sleep(systemClock, LOOK_MS, { signal });
  }
  return true;
}
