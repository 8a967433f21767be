// Getting the own sealing key back. The header on the disk is the host's word: it says which node and store to ask for
// and nothing else is believed of it; headers come from key servers, shares are checked against what the node signed,
// the key against the header's commitment. docs/CUSTODY.md has the protocol and the attacks.

import { equalBytes } from '../core/bytes.ts';
import { sleep, throwIfAborted } from '../core/deadline.ts';
import type { NodeId } from '../core/ids.ts';
import type { Clock, Random } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import { ask, backoffMs, jittered, type Silence, wipeShares } from './ask.ts';
import { attemptIdOf, storeIdHashOf } from './deal.ts';
import { keyserverError } from './errors.ts';
import type { JournalHead } from './journal-head.ts';
import type { CustodyAnswer, RefusalReason } from './messages.ts';
import { nextIncarnation } from './next-incarnation.ts';
import type { CustodyPeer, HeaderView, ReadHeader } from './ports.ts';
import type { KnownDeal } from './prepare-deal.ts';
import { createReleases, type ReleaseFault, type Releases } from './releases.ts';

/** Somebody to ask: every attested member, those of the header first. */
export interface RecoveryServer {
  readonly nodeId: NodeId;
  readonly peer: CustodyPeer;
}

export interface RecoveryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly readHeader: ReadHeader;
  /** Who can be asked now; read again in each round. */
  servers(): readonly RecoveryServer[];
  /** Whether a newer boot of this node was met: then what the earlier one kept in memory is gone. */
  hasRestarted?(nodeId: NodeId): boolean;
}

/** What a member said last. */
export type ServerWord = 'released' | 'silent' | RefusalReason | ReleaseFault;

export interface RecoveryReport {
  /** Members that answered at all. */
  readonly reachable: number;
  /** Good shares of the best deal so far. */
  readonly shares: number;
  readonly needed: number;
  readonly words: readonly { readonly nodeId: NodeId; readonly word: ServerWord }[];
}

export interface Recovered {
  readonly kind: 'recovered';
  /** Opens `header`; the caller wipes it. */
  readonly key: Secret;
  /** The newest there are enough shares of, to be written over the one on the disk if it is another. */
  readonly header: Uint8Array;
  readonly deal: KnownDeal;
  /** Highest key epoch heard of: the next deal must be above. */
  readonly keyEpochMax: number;
  /** This boot's own from now on. */
  readonly incarnation: number;
  /** The newest journal head that each key server saw; how many must agree is the caller's rule. */
  readonly heads: readonly { readonly nodeId: NodeId; readonly head: JournalHead }[];
  /** Key servers that gave back something else than they were given. */
  readonly faulty: readonly { readonly nodeId: NodeId; readonly fault: ReleaseFault }[];
}

export interface NotRecoverable extends RecoveryReport {
  readonly kind: 'not-recoverable';
}

export interface RecoveryRequest {
  /** As found on the disk. */
  readonly header: Uint8Array;
  /** This boot's keys, 32 bytes each. */
  readonly bootKey: Uint8Array;
  readonly hpkeKey: Uint8Array;
  readonly ticket?: Uint8Array | undefined;
  /** An incarnation this boot cannot have: for a boot that found its own contested. */
  readonly above?: number | undefined;
}

export interface RecoveryOptions {
  readonly signal: AbortSignal;
  /** After each round that was not enough. */
  readonly onProgress?: (report: RecoveryReport) => void;
  /** Between two rounds at most; half a minute if undefined. */
  readonly pauseMaxMs?: number | undefined;
}

/** Refusals that another round may change; all others are final for this boot of the server. */
const PASSING: ReadonlySet<ServerWord> = new Set<ServerWord>([
  'silent',
  'old-incarnation',
  'incarnation-taken',
  'incarnation-too-far',
  'contested',
  'stale-answer',
]);

/**
 * Asks until there are enough shares of one deal, or until it is certain that there are not, which is when every key
 * server of the header has answered or has restarted, and every other member has answered.
 * @throws KithError `bad-header`; the reason of `signal`.
 */
export async function recoverSealingKey(
  deps: RecoveryDeps,
  request: RecoveryRequest,
  { signal, onProgress, pauseMaxMs }: RecoveryOptions,
): Promise<Recovered | NotRecoverable> {
  const view = deps.readHeader(request.header);
  if (!view?.signatureValid) throw keyserverError('bad-header', 'the header is not one that its node signed');
  const storeIdHash = storeIdHashOf(view.storeId);
  const releases = createReleases(deps, view);
  const lasts = new Map<NodeId, number>();
  let incarnation: number | undefined;
  try {
    for (let failures = 1; ; failures++) {
      throwIfAborted(signal);
      const servers = deps.servers().filter(({ nodeId }) => nodeId !== view.nodeId);
      const words = new Map<NodeId, ServerWord>();
      incarnation ??= await firstIncarnation(deps, servers, { view, storeIdHash, lasts, words, signal }, request.above);
      if (incarnation !== undefined) {
        const asked = { ...request, nodeId: view.nodeId, storeIdHash, incarnation };
        await gather(deps, servers, asked, { releases, lasts, words, signal });
        const recovered = releases.combine();
        if (recovered) return { kind: 'recovered', ...recovered, incarnation };
      }
      const report = reportOf(view, servers, words, releases);
      if (isHopeless(deps, view, servers, words, releases)) return { kind: 'not-recoverable', ...report };
      onProgress?.(report);
      if (incarnation !== undefined) {
        // A number too far up came from somebody who lied about the last one: then down is the way.
        const tooFar = [...words.values()].includes('incarnation-too-far');
        const next = nextIncarnation(lasts, tooFar ? (request.above ?? 0) + 1 : incarnation) ?? incarnation;
        if (next !== incarnation) releases.clear();
        incarnation = next;
      }
      await sleep(deps.clock, jittered(deps, backoffMs(failures, pauseMaxMs)), { signal });
    }
  } finally {
    releases.clear();
  }
}

interface Round {
  readonly lasts: Map<NodeId, number>;
  readonly words: Map<NodeId, ServerWord>;
  readonly signal: AbortSignal;
}

/** One above what the servers saw; undefined while none of them knows this node. */
async function firstIncarnation(
  deps: RecoveryDeps,
  servers: readonly RecoveryServer[],
  round: Round & { readonly view: HeaderView; readonly storeIdHash: Uint8Array },
  above = 0,
): Promise<number | undefined> {
  const { view, storeIdHash, lasts, words, signal } = round;
  const message = { kind: 'last', nodeId: view.nodeId, storeIdHash } as const;
  const answers = await Promise.all(servers.map(({ peer }) => ask(deps, peer, message, { signal })));
  for (const [position, answer] of answers.entries()) {
    const { nodeId } = servers[position]!;
    if (answer.kind === 'last') lasts.set(nodeId, answer.incarnation);
    else words.set(nodeId, answer.kind === 'refused' ? answer.reason : 'silent');
  }
  return lasts.size === 0 ? undefined : Math.max(nextIncarnation(lasts, 0) ?? 1, above + 1);
}

async function gather(
  deps: RecoveryDeps,
  servers: readonly RecoveryServer[],
  asked: RecoveryRequest & { readonly nodeId: NodeId; readonly storeIdHash: Uint8Array; readonly incarnation: number },
  { releases, lasts, words, signal }: Round & { readonly releases: Releases },
): Promise<void> {
  const { nodeId, incarnation, storeIdHash, ticket } = asked;
  const attemptId = attemptIdOf(asked);
  const message = { kind: 'release', nodeId, incarnation, storeIdHash, ticket } as const;
  const note = (server: NodeId, answer: CustodyAnswer | Silence): ServerWord => {
    if (answer.kind === 'refused') {
      if (answer.last !== undefined) lasts.set(server, answer.last);
      return answer.reason;
    }
    if (answer.kind !== 'released') return 'silent';
    const stale = !equalBytes(answer.attemptId, attemptId);
    if (stale) wipeShares(answer);
    return stale ? 'stale-answer' : (releases.add(server, answer) ?? 'released');
  };
  await Promise.all(
    servers.map(async ({ nodeId: server, peer }) => {
      const known = releases.wordOf(server);
      words.set(server, known ?? note(server, await ask(deps, peer, message, { signal })));
    }),
  );
}

/** How many more members may still have a share: those silent, and those of the header that could not be asked. */
function undecided(
  deps: RecoveryDeps,
  view: HeaderView,
  servers: readonly RecoveryServer[],
  words: ReadonlyMap<NodeId, ServerWord>,
): number {
  const asked = new Set(servers.map(({ nodeId }) => nodeId));
  // Nodes that restarted together wait for one another under ids that none of them may ever have again.
  const absent = view.keyServers.filter((nodeId) => !asked.has(nodeId) && !deps.hasRestarted?.(nodeId)).length;
  return absent + servers.filter(({ nodeId }) => PASSING.has(words.get(nodeId) ?? 'silent')).length;
}

function isHopeless(
  deps: RecoveryDeps,
  view: HeaderView,
  servers: readonly RecoveryServer[],
  words: ReadonlyMap<NodeId, ServerWord>,
  releases: Releases,
): boolean {
  const more = undecided(deps, view, servers, words);
  const missing = Math.min(view.threshold, releases.missing() ?? view.threshold);
  return more < missing || view.threshold === 0;
}

function reportOf(
  view: HeaderView,
  servers: readonly RecoveryServer[],
  words: ReadonlyMap<NodeId, ServerWord>,
  releases: Releases,
): RecoveryReport {
  const missing = releases.missing() ?? view.threshold;
  return {
    reachable: servers.filter(({ nodeId }) => (words.get(nodeId) ?? 'silent') !== 'silent').length,
    shares: Math.max(0, view.threshold - missing),
    needed: view.threshold,
    words: [...words].map(([nodeId, word]) => ({ nodeId, word })),
  };
}
