// The story of `kith dev`: what a wallet does with a cluster, from the first look at a node to the end of its
// registration, each step checked. What is wrong is collected; what cannot go on is thrown.

import {
  createFetchTransport,
  createWalletClient,
  type Entry,
  isNodeRefusal,
  type VerifiedNode,
  viewSyncedTo,
  type WalletClient,
} from '../client/index.ts';
import { isKithError } from '../core/errors.ts';
import { systemClock, systemRandom } from '../core/system.ts';
import { compareSet, type NodeFacts, problemOf, type Story, type WalletRow } from './dev-report.ts';
import type { Sample, Samples } from './dev-samples.ts';
import type { DevView } from './dev-view.ts';
import type { DevWatch } from './dev-watch.ts';
import { type DevNode, type DevWorld, simulatedCluster } from './dev-world.ts';

export interface StoryDeps {
  readonly world: DevWorld;
  readonly watch: DevWatch;
  readonly view: DevView;
}

/** How long an operation may take to be confirmed. */
const CONFIRM_MS = 30_000;
/** Above what the rest of the chain takes to come, by far. */
const SYNC_MS = 120_000;
/** Unlike the default, so that a renewal shows. */
const RENEWAL_BLOCKS = 5_000;

/** @throws KithError of a step that keeps the story from going on, or the reason why the world ended. */
export async function playStory(deps: StoryDeps, { samples, first, last }: Samples): Promise<Story> {
  const { world, watch, view } = deps;
  const started = systemClock.monotonic();
  const problems: string[] = [];
  const check = (right: boolean, otherwise: string) => {
    if (!right) problems.push(otherwise);
  };
  const clientDeps = { transport: createFetchTransport(), clock: systemClock, random: systemRandom };
  const client = createWalletClient(clientDeps, { cluster: world.cluster, nodes: world.nodes.map(({ url }) => url) });

  view.say(`simulated chain at ${world.chainUrl}: heights ${first} to ${last}, the last of them arrive live`);
  for (const { name, url, adminUrl } of world.nodes) view.say(`${name}: API ${url}, console ${adminUrl}/console`);
  await watch.ready();
  const nodes: NodeFacts[] = [];
  for (const node of world.nodes) nodes.push(await verified(deps, node));
  check(await refusedByStrangers(world), 'a client that trusts another cluster believed the node');
  view.say('a client that trusts another cluster refuses it');

  const early = samples.filter(({ late }) => !late);
  const late = samples.filter((sample) => sample.late);
  await registerAll(deps, client, early);
  view.say(`notes arrive until height ${last}`);
  const wallets: WalletRow[] = await readAll(deps, client, early, last);
  view.say(`${late.length} late wallets register; the node scans the whole chain for them`);
  await registerAll(deps, client, late);
  wallets.push(...(await readAll(deps, client, late, last)));
  problems.push(...wallets.map(problemOf).filter((problem) => problem !== undefined));

  const renewing = early[0]!;
  const renewed = await renew(deps, client, renewing, check);
  const revoking = early.at(-1)!;
  await revoke(deps, client, revoking, check);
  const { entries } = (await client.read(renewing.wallet, undefined, { signal: world.signal })).view;
  check(compareSet(renewing, entries).exact, `${renewing.name}: its index set is another after renewal and revocation`);
  return {
    chain: { first, last, url: world.chainUrl },
    nodes,
    wallets,
    renewed,
    revoked: { name: revoking.name },
    problems,
    seconds: (systemClock.monotonic() - started) / 1000,
  };
}

type Check = (right: boolean, otherwise: string) => void;

async function verified({ world, view }: StoryDeps, node: DevNode): Promise<NodeFacts> {
  const { cluster, signal } = world;
  const deps = { transport: createFetchTransport(), clock: systemClock, random: systemRandom };
  const client = createWalletClient(deps, { cluster, nodes: [node.url] });
  const found: VerifiedNode = await client.verify({ signal });
  const measurements = cluster.configuration.policy.measurements.map(({ name }) => name);
  view.say(
    `${node.name} verified: quote over a fresh nonce, operator ${found.operator}, TCB ${found.tcbStatus}, ` +
      `measurements of ${measurements.join(', ')}${found.simulated ? '; SIMULATED: protects nobody' : ''}`,
  );
  const { nodeId, operator, tcbStatus } = found;
  return { ...node, nodeId, operator, tcbStatus, measurements };
}

/** Whether a client of another simulated cluster refuses the first node before it sends anything. */
async function refusedByStrangers({ nodes, signal }: DevWorld): Promise<boolean> {
  const { cluster } = await simulatedCluster();
  const deps = { transport: createFetchTransport(), clock: systemClock, random: systemRandom };
  try {
    await createWalletClient(deps, { cluster, nodes: [nodes[0]!.url] }).verify({ signal });
    return false;
  } catch (error) {
    if (isKithError(error, 'node-not-believed')) return true;
    throw error;
  }
}

async function registerAll({ world, view }: StoryDeps, client: WalletClient, samples: readonly Sample[]) {
  const { signal } = world;
  for (const { name, n, wallet, late } of samples) {
    const { status, expiryHeight } = await client.register(wallet, { signal, waitMs: CONFIRM_MS });
    if (!late) view.say(`${name} (n = ${n}): ${status}, expires at height ${expiryHeight}`);
  }
}

/** The index sets up to `last`, compared. */
async function readAll(
  { world, watch }: StoryDeps,
  client: WalletClient,
  samples: readonly Sample[],
  last: number,
): Promise<WalletRow[]> {
  const { signal } = world;
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
      return compareSet(sample, view.entries);
    }),
  );
}

async function renew({ world, view }: StoryDeps, client: WalletClient, { name, wallet }: Sample, check: Check) {
  const { signal } = world;
  const how = { signal, waitMs: CONFIRM_MS, expiresInBlocks: RENEWAL_BLOCKS };
  const { version, expiryHeight } = await client.renew(wallet, how);
  const told = await client.status(wallet, { signal });
  check(expiryHeight === version + RENEWAL_BLOCKS, `${name}: renewed up to ${expiryHeight}, not as asked`);
  check(told.expiryHeight === expiryHeight, `${name}: the node says it expires at ${told.expiryHeight}`);
  view.say(`${name} renewed: now expires at height ${expiryHeight}`);
  return { name, expiryHeight };
}

async function revoke({ world, view }: StoryDeps, client: WalletClient, { name, wallet }: Sample, check: Check) {
  const { signal } = world;
  await client.revoke(wallet, { signal, waitMs: CONFIRM_MS });
  const { status } = await client.status(wallet, { signal });
  check(status === 'revoked', `${name}: its registration is ${status} after revoking`);
  const gone = await client.read(wallet, undefined, { signal }).then(
    () => false,
    (error: unknown) => {
      if (isNodeRefusal(error, 'unknown-registration', 'revoked')) return true;
      throw error;
    },
  );
  check(gone, `${name}: its index set is still there after revoking`);
  if (gone) view.say(`${name} revoked: its index set is gone`);
}
