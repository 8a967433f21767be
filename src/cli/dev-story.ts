// The story of `kith dev`: what wallets do with a cluster, from the first look at its nodes to the end of a
// registration, with a node that dies and comes back in between. What is wrong is collected; what cannot go on is thrown.

import { systemClock } from '../core/system.ts';
import { playOutage } from './dev-outage.ts';
import { type NodeFacts, type Outage, problemOf, type Story, type WalletRow } from './dev-report.ts';
import type { Sample, Samples } from './dev-samples.ts';
import { readAll, refusedByStrangers, register, renew, revoke, type StoryDeps, verified } from './dev-wallets.ts';
import type { DevNode } from './dev-world.ts';

/** From so many nodes on, a quorum goes on without one. */
const OUTAGE_NODES_MIN = 3;

/** @throws KithError of a step that keeps the story from going on, or the reason why the world ended. */
export async function playStory(given: Omit<StoryDeps, 'check'>, { samples, first, last }: Samples): Promise<Story> {
  const { world, watch, view } = given;
  const started = systemClock.monotonic();
  const problems: string[] = [];
  const deps: StoryDeps = { ...given, check: (right, otherwise) => void (right || problems.push(otherwise)) };
  /** The node with this number, from 1; with fewer nodes, one of them. */
  const at = (number: number): DevNode => world.nodes[(number - 1) % world.nodes.length]!;

  view.say(`simulated chain at ${world.chainUrl}: heights ${first} to ${last}, the last of them arrive live`);
  for (const { name, url, adminUrl } of world.nodes) view.say(`${name}: API ${url}, console ${adminUrl}/console`);
  await watch.together();
  const nodes: NodeFacts[] = [];
  for (const node of world.nodes) nodes.push(await verified(deps, node));
  deps.check(await refusedByStrangers(world), 'a client that trusts another cluster believed the node');
  view.say('a client that trusts another cluster refuses it');

  const early = samples.filter(({ late }) => !late);
  const late = samples.filter((sample) => sample.late);
  for (const sample of early) await register(deps, at(1), sample);
  view.say(`notes arrive until height ${last}${at(2) === at(1) ? '' : `; the wallets read at ${at(2).name}`}`);
  const firstRead = await readAll(deps, at(2), early, last);
  problems.push(...firstRead.map(problemOf).filter((problem) => problem !== undefined));

  const outage = await mayBeOutage(deps, nodes[0]!, at(3), { sample: late[0]!, last });
  const remaining = outage ? late.slice(1) : late;
  view.say(`${remaining.length} late wallets register${scans(world.nodes)} the whole chain for them`);
  for (const [i, sample] of remaining.entries()) await register(deps, at(i + 1), sample, true);
  const wallets = await readEverywhere(deps, [...early, ...late], last);
  problems.push(...wallets.map(problemOf).filter((problem) => problem !== undefined));

  const renewing = early[0]!;
  const renewed = await renew(deps, at(2), renewing);
  const revoking = early.at(-1)!;
  const revoked = await revoke(deps, at(3), revoking);
  for (const { name, exact, at: where } of await readEverywhere(deps, [renewing], last)) {
    deps.check(exact, `${name}: its index set at ${where} is another after renewal and revocation`);
  }
  const chain = { first, last, url: world.chainUrl };
  const seconds = (systemClock.monotonic() - started) / 1000;
  return { chain, nodes, wallets, outage, renewed, revoked, problems, seconds };
}

const scans = (nodes: readonly DevNode[]) => (nodes.length > 1 ? ' at all nodes; each scans' : '; the node scans');

async function mayBeOutage(
  deps: StoryDeps,
  before: NodeFacts,
  meanwhileAt: DevNode,
  of: { readonly sample: Sample; readonly last: number },
): Promise<Outage | undefined> {
  if (deps.world.nodes.length < OUTAGE_NODES_MIN) return undefined;
  return playOutage(deps, { before, meanwhileAt, ...of });
}

/** A row for each wallet and node. */
async function readEverywhere(deps: StoryDeps, samples: readonly Sample[], last: number): Promise<WalletRow[]> {
  const rows: WalletRow[] = [];
  for (const node of deps.world.nodes) rows.push(...(await readAll(deps, node, samples, last)));
  return rows;
}
