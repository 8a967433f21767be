// Audits: compares all states with a random member's, tells if two members whose frontiers cover one another differ,
// and exchanges what differs, both ways. Also reads a sample of this node's own records against its states in memory.

import { equalBytes } from '../../core/bytes.ts';
import { sleep } from '../../core/deadline.ts';
import { type NodeId, type RegId, regIdFromBytes } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { Replica, SyncPeer, SyncPeers } from '../replica.ts';
import { type AuditId, type AuditTable, auditIds, auditTable, differencesOf } from './audit-table.ts';
import type { Exchange } from './exchange.ts';
import type { AnnouncedFrontiers } from './frontier.ts';
import {
  AUDIT_DIFFERENCES_MAX,
  AUDIT_FANOUT,
  AUDIT_INTERVAL_MS,
  AUDIT_JITTER,
  AUDIT_LEAVES_MAX,
  AUDIT_RETRY_MS,
  AUDIT_SETTLE_MS,
  AUDIT_TIMEOUT_MS,
  BODIES_PER_MESSAGE,
  FETCH_PER_MESSAGE,
  FRONTIER_INTERVAL_MS,
  PAGE_BYTES_MAX,
} from './limits.ts';
import type { Logs } from './logs.ts';
import { ask, lied, randomBelow, shuffled } from './loop.ts';
import { OFFERED } from './messages.ts';
import { checkSample } from './record-check.ts';
import { fetchBodies } from './wanted.ts';
import { bodyToWire, wireBodyBytes } from './wire.ts';

export type AuditOutcome =
  /** The same states, or they differed only by what was on its way. */
  | { readonly kind: 'equal'; readonly nodeId: NodeId; readonly registrations: number }
  /** What differed was exchanged. `takenHere`, `takenThere`: operations the one lacked that the other had. */
  | {
      readonly kind: 'diverged';
      readonly nodeId: NodeId;
      readonly registrations: number;
      readonly takenHere: number;
      readonly takenThere: number;
      /** There is more than one audit exchanges: audit again. */
      readonly more: boolean;
    }
  /** Nothing can be said: the member is busy, or the two are not equally far. */
  | { readonly kind: 'inconclusive'; readonly nodeId: NodeId | undefined; readonly why: string };

export type Divergence =
  | (Extract<AuditOutcome, { kind: 'diverged' }> & { readonly regIds: readonly RegId[] })
  /** Records of this node's own store do not say what its memory says. */
  | { readonly kind: 'records'; readonly regIds: readonly RegId[] };

export interface AuditDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly replica: Replica;
  readonly peers: SyncPeers;
  readonly announced: AnnouncedFrontiers;
  readonly logs: Logs;
  readonly exchange: Exchange;
  /** An alarm: members that should agree do not. */
  readonly onDivergence: (divergence: Divergence) => void;
  readonly failed: (nodeId: NodeId | undefined, error: unknown) => void;
}

export interface Audit {
  run(signal: AbortSignal): Promise<void>;
  /** One audit now, with this member or a random one. @throws what asking throws. */
  once(options: { nodeId?: NodeId; signal: AbortSignal }): Promise<AuditOutcome>;
  /** Registrations of a random sample whose records do not say what the states say. */
  checkRecords(options: { signal: AbortSignal }): Promise<RegId[]>;
}

export function createAudit(deps: AuditDeps): Audit {
  const { clock, random, peers } = deps;
  let running: Promise<unknown> = Promise.resolve();

  async function once({ nodeId, signal }: { nodeId?: NodeId; signal: AbortSignal }): Promise<AuditOutcome> {
    const candidates = peers.list().filter((peer) => nodeId === undefined || peer.nodeId === nodeId);
    let last: AuditOutcome = { kind: 'inconclusive', nodeId, why: 'no member to audit with' };
    for (const peer of shuffled(random, candidates)) {
      last = await auditWith(deps, peer, signal);
      if (last.kind !== 'inconclusive') break;
    }
    return last;
  }

  /** One at a time: each walks over everything. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = running.then(work);
    running = turn.catch(() => undefined);
    return turn;
  }

  async function checkRecords(signal: AbortSignal): Promise<RegId[]> {
    const wrong = await checkSample(deps, signal);
    if (wrong.length > 0) deps.onDivergence({ kind: 'records', regIds: wrong });
    return wrong;
  }

  const audit: Audit = {
    once: (options) => inTurn(() => once(options)),
    checkRecords: ({ signal }) => inTurn(() => checkRecords(signal)),
    async run(signal) {
      let pause = AUDIT_INTERVAL_MS;
      for (;;) {
        const jitter = 1 - AUDIT_JITTER / 2 + (AUDIT_JITTER * randomBelow(random, 1_024)) / 1_024;
        await sleep(clock, pause * jitter, { signal });
        try {
          await audit.checkRecords({ signal });
          const outcome = await audit.once({ signal });
          const again = outcome.kind === 'inconclusive' || (outcome.kind === 'diverged' && outcome.more);
          pause = again ? AUDIT_RETRY_MS : AUDIT_INTERVAL_MS;
        } catch (error) {
          if (signal.aborted) throw error;
          pause = AUDIT_RETRY_MS;
          deps.failed(undefined, error);
        }
      }
    },
  };
  return audit;
}

/** Whether the two cover one another, as far as the peer says now. */
async function levelWith(deps: AuditDeps, peer: SyncPeer, signal: AbortSignal): Promise<boolean> {
  const before = deps.logs.own();
  await deps.exchange.refresh(peer, { signal });
  return deps.logs.missingFrom(peer.nodeId).length === 0 && deps.logs.lackedBy(peer.nodeId, before).length === 0;
}

/**
 * Waits until each covers what the other had at this moment, so that what still differs is not on its way.
 * @returns false if that does not happen in time.
 */
async function settled(deps: AuditDeps, peer: SyncPeer, signal: AbortSignal): Promise<boolean> {
  const { clock, exchange, logs, announced } = deps;
  const until = clock.monotonic() + AUDIT_SETTLE_MS;
  await exchange.refresh(peer, { signal });
  const [own, theirs] = [logs.own(), new Map(announced.of(peer.nodeId) ?? [])];
  for (;;) {
    if (logs.missingOf(theirs).length === 0 && logs.lackedBy(peer.nodeId, own).length === 0) return true;
    if (clock.monotonic() >= until) return false;
    await sleep(clock, FRONTIER_INTERVAL_MS / 2, { signal });
    await exchange.refresh(peer, { signal });
  }
}

async function auditWith(deps: AuditDeps, peer: SyncPeer, signal: AbortSignal): Promise<AuditOutcome> {
  const { nodeId } = peer;
  const inconclusive = (why: string): AuditOutcome => ({ kind: 'inconclusive', nodeId, why });
  const options = { signal, timeoutMs: AUDIT_TIMEOUT_MS };
  if (!(await levelWith(deps, peer, signal))) return inconclusive('the frontiers do not agree');
  const key = deps.random.bytes(32);
  const [table, answer] = await Promise.all([
    auditTable(deps, key, signal),
    ask(peer, { kind: 'audit-root', key }, ['audit-root', 'busy'], options),
  ]);
  if (answer.kind === 'busy') return inconclusive('the member is busy');
  if (equalBytes(answer.sum, table.root())) return { kind: 'equal', nodeId, registrations: table.count };
  const leaves = await differingLeaves(peer, key, table, options);
  if (!leaves) return inconclusive('the member is busy');
  const found = await differingIds(deps, peer, key, leaves.slice(0, AUDIT_LEAVES_MAX), options);
  if (!found) return inconclusive('the member is busy');
  const conclusive = await settled(deps, peer, signal);
  const regIds = found.slice(0, AUDIT_DIFFERENCES_MAX);
  const more = leaves.length > AUDIT_LEAVES_MAX || found.length > AUDIT_DIFFERENCES_MAX;
  const taken = await exchangeStates(deps, peer, regIds, signal);
  if (!conclusive) return inconclusive('the frontiers do not come to agree');
  if (taken.here + taken.there === 0) return { kind: 'equal', nodeId, registrations: table.count };
  const outcome = {
    kind: 'diverged' as const,
    nodeId,
    registrations: table.count,
    takenHere: taken.here,
    takenThere: taken.there,
    more,
  };
  deps.onDivergence({ ...outcome, regIds: taken.regIds });
  return outcome;
}

type Asking = { readonly signal: AbortSignal; readonly timeoutMs: number };

async function differingLeaves(
  peer: SyncPeer,
  key: Uint8Array,
  table: AuditTable,
  options: Asking,
): Promise<number[] | undefined> {
  const top = await ask(peer, { kind: 'audit-branches', key }, ['audit-branches', 'busy'], options);
  if (top.kind === 'busy') return undefined;
  const own = table.branches();
  const branches = own.flatMap((sum, i) => (equalBytes(sum, top.sums[i]!) ? [] : [i]));
  if (branches.length === 0) throw lied('branches that do not add up to the root');
  const below = await ask(peer, { kind: 'audit-leaves', key, branches }, ['audit-leaves', 'busy'], options);
  if (below.kind === 'busy') return undefined;
  if (below.branches.length !== branches.length) throw lied('other branches than asked for');
  const leaves = branches.flatMap((branch, at) =>
    table.leaves(branch).flatMap((sum, leaf) => {
      return equalBytes(sum, below.branches[at]![leaf]!) ? [] : [branch * AUDIT_FANOUT + leaf];
    }),
  );
  if (leaves.length === 0) throw lied('leaves that do not add up to their branch');
  return leaves;
}

async function differingIds(
  deps: AuditDeps,
  peer: SyncPeer,
  key: Uint8Array,
  leaves: readonly number[],
  options: Asking,
): Promise<RegId[] | undefined> {
  const own = await auditIds(deps, key, leaves, options.signal);
  const different: RegId[] = [];
  for (let at = 0; at < leaves.length && different.length <= AUDIT_DIFFERENCES_MAX; ) {
    const request = { kind: 'audit-ids' as const, key, leaves: [...leaves], from: at };
    const answer = await ask(peer, request, ['audit-ids', 'busy'], options);
    if (answer.kind === 'busy') return undefined;
    if (answer.answered === 0 || at + answer.answered > leaves.length) throw lied('no ids of a leaf');
    const theirs: AuditId[] = answer.ids.map(({ regId, state }) => ({ regId: regIdFromBytes(regId), state }));
    different.push(...differencesOf(own.slice(at, at + answer.answered).flat(), theirs));
    at += answer.answered;
  }
  return different;
}

/** Takes what the peer has of these, and gives it what is held here. */
async function exchangeStates(
  deps: AuditDeps,
  peer: SyncPeer,
  regIds: readonly RegId[],
  signal: AbortSignal,
): Promise<{ here: number; there: number; regIds: RegId[] }> {
  const { replica } = deps;
  const options = { signal, timeoutMs: AUDIT_TIMEOUT_MS };
  const lacked = new Set<RegId>();
  let here = 0;
  let there = 0;
  for (let at = 0; at < regIds.length; ) {
    const asked = regIds.slice(at, at + FETCH_PER_MESSAGE);
    const own = (await Promise.all(asked.map((regId) => replica.bodiesOf(regId)))).flat();
    const { bodies, answered } = await fetchBodies(peer, asked, options);
    const looked = new Set(asked.slice(0, answered));
    const outcomes = await replica.takeBodies(bodies);
    for (const [i, { operation }] of bodies.entries()) {
      if (outcomes[i] !== 'taken') continue;
      here += 1;
      lacked.add(operation.regId);
    }
    const given = own.filter(({ operation }) => looked.has(operation.regId));
    for (const page of pagesOf(given.map(bodyToWire))) {
      const answer = await ask(peer, { kind: 'offer', bodies: page }, ['offered'], options);
      there += answer.outcomes.filter((outcome) => outcome === OFFERED.taken).length;
    }
    at += answered;
  }
  return { here, there, regIds: lacked.size > 0 ? [...lacked] : [...regIds] };
}

function pagesOf(bodies: readonly ReturnType<typeof bodyToWire>[]): ReturnType<typeof bodyToWire>[][] {
  const pages: ReturnType<typeof bodyToWire>[][] = [];
  let bytes = PAGE_BYTES_MAX;
  for (const body of bodies) {
    const size = wireBodyBytes(body);
    const page = pages.at(-1);
    if (page && bytes + size <= PAGE_BYTES_MAX && page.length < BODIES_PER_MESSAGE) {
      page.push(body);
      bytes += size;
    } else {
      pages.push([body]);
      bytes = size;
    }
  }
  return pages;
}
