// Pulls what others have and this node lacks: per log, in pages, from several members in turn. A position moves only
// by what the replica verified and took; a member that fails or does not give what it announced is passed over.

import type { NodeId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { type WriterId, writerIdOf } from '../log-entry.ts';
import type { EntryWithBodies, Replica, SyncPeer, SyncPeers } from '../replica.ts';
import type { AnnouncedFrontiers } from './frontier.ts';
import { FRONTIER_INTERVAL_MS, PAGES_TAKEN_MAX, RETRY_MS_MAX, RETRY_MS_MIN, WANTS_PER_PULL } from './limits.ts';
import type { Logs } from './logs.ts';
import { ask, type Backoff, createBell, createScope, lied, shuffled } from './loop.ts';
import type { Taker } from './taker.ts';
import { decodeEntry, writerBytes, writerOf } from './wire.ts';

export interface PullDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly replica: Replica;
  readonly peers: SyncPeers;
  readonly announced: AnnouncedFrontiers;
  readonly logs: Logs;
  readonly taker: Taker;
  /** Shared with snapshots: whom not to ask now. */
  readonly backoff: Backoff;
  /** If pulling is not the way to get what is missing: does what is. Resolves when pulls may go on. */
  readonly snapshot: (signal: AbortSignal) => Promise<void>;
  readonly failed: (nodeId: NodeId, error: unknown) => void;
}

export interface Pull {
  run(signal: AbortSignal): Promise<void>;
  ring(): void;
}

interface LogPull {
  /** Where the next page begins, if pages before it are being taken. */
  next: number;
  requesting: boolean;
  taking: number;
  lastFrom: NodeId | undefined;
  /** Not before this moment: an operation of it is for later. */
  notBefore: number;
  delays: number;
}

interface Want {
  readonly writer: WriterId;
  readonly from: number;
  /** Asked for because another entry is held at this place. */
  readonly suspect?: boolean;
}

export function createPull(deps: PullDeps): Pull {
  const { clock, replica, peers, announced, logs, taker, backoff } = deps;
  const bell = createBell(clock);
  const states = new Map<WriterId, LogPull>();
  const asking = new Set<NodeId>();

  const stateOf = (writer: WriterId): LogPull => {
    const known = states.get(writer);
    if (known) return known;
    const fresh: LogPull = {
      next: 0,
      requesting: false,
      taking: 0,
      lastFrom: undefined,
      notBefore: Number.NEGATIVE_INFINITY,
      delays: 0,
    };
    states.set(writer, fresh);
    return fresh;
  };

  const fromOf = (writer: WriterId, state: LogPull): number => {
    const held = (replica.position(writer)?.seq ?? 0) + 1;
    return state.taking > 0 ? Math.max(held, state.next) : held;
  };

  /** The logs of which some member has more, each with those that have its next entry. */
  function openWants(available: readonly SyncPeer[]): (Want & { readonly sources: readonly SyncPeer[] })[] {
    const missing = new Set<WriterId>();
    for (const peer of available) for (const { writer } of logs.missingFrom(peer.nodeId)) missing.add(writer);
    const wants = [];
    for (const writer of missing) {
      const state = stateOf(writer);
      if (state.requesting || state.taking >= PAGES_TAKEN_MAX || state.notBefore > clock.monotonic()) continue;
      const from = fromOf(writer, state);
      const sources = available.filter(({ nodeId }) => {
        const position = announced.of(nodeId)?.get(writer);
        return position !== undefined && position.seq >= from && position.first <= from;
      });
      if (sources.length > 0) wants.push({ writer, from, sources });
    }
    for (const [writer, { taking, requesting, notBefore }] of states) {
      const idle = taking === 0 && !requesting && notBefore <= clock.monotonic();
      if (idle && !missing.has(writer)) states.delete(writer);
    }
    return wants;
  }

  /** Distributes what is wanted over idle members: not twice in a row to one if another has it too. */
  function plan(): Map<SyncPeer, Want[]> {
    const available = shuffled(
      deps.random,
      peers.list().filter(({ nodeId }) => backoff.left(nodeId) === 0),
    );
    const planned = new Map<SyncPeer, Want[]>();
    for (const { writer, from, sources } of openWants(available)) {
      const { lastFrom } = stateOf(writer);
      const others = sources.filter(({ nodeId }) => nodeId !== lastFrom);
      const idle = (others.length > 0 ? others : sources).filter(({ nodeId }) => !asking.has(nodeId));
      const source = idle.sort((a, b) => (planned.get(a)?.length ?? 0) - (planned.get(b)?.length ?? 0))[0];
      if (!source) continue;
      const wants = planned.get(source) ?? [];
      if (wants.length >= WANTS_PER_PULL) continue;
      wants.push({ writer, from });
      planned.set(source, wants);
    }
    for (const peer of available) {
      if (asking.has(peer.nodeId)) continue;
      const wants = planned.get(peer) ?? [];
      for (const { writer, position } of logs.suspectsOf(peer.nodeId)) {
        const { requesting, taking } = stateOf(writer);
        if (requesting || taking > 0 || wants.length >= WANTS_PER_PULL) continue;
        wants.push({ writer, from: position.seq, suspect: true });
        planned.set(peer, wants);
      }
    }
    return planned;
  }

  async function pullFrom(peer: SyncPeer, wants: readonly Want[], signal: AbortSignal): Promise<void> {
    const { nodeId } = peer;
    asking.add(nodeId);
    for (const { writer } of wants) {
      const state = stateOf(writer);
      state.requesting = true;
      state.lastFrom = nodeId;
    }
    try {
      const request = wants.map(({ writer, from }) => ({ writer: writerBytes(writer), from }));
      const answer = await ask(peer, { kind: 'pull', wants: request }, ['pulled'], { signal });
      if (answer.logs.length > wants.length || answer.logs.length === 0) throw lied('other logs than asked for');
      let problem: unknown;
      for (const [i, { entries, first }] of answer.logs.entries()) {
        try {
          // Not waited for: the next page can be asked for while this one is taken.
          void takePage(nodeId, wants[i]!, pageOf(wants[i]!, entries, first), signal);
        } catch (error) {
          problem ??= error;
        }
      }
      if (problem) throw problem;
      backoff.worked(nodeId);
    } catch (error) {
      if (signal.aborted) return;
      backoff.failed(nodeId, error);
      deps.failed(nodeId, error);
    } finally {
      asking.delete(nodeId);
      for (const { writer } of wants) stateOf(writer).requesting = false;
      bell.ring();
    }
  }

  async function takePage(
    nodeId: NodeId,
    { writer, from, suspect }: Want,
    page: readonly EntryWithBodies[],
    signal: AbortSignal,
  ): Promise<void> {
    const state = stateOf(writer);
    const ahead = state.taking > 0;
    state.taking += 1;
    state.next = from + page.length;
    const later = () => {
      state.delays += 1;
      state.notBefore = clock.monotonic() + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(state.delays, 12));
    };
    try {
      const outcomes = await taker.take(page);
      const bad = outcomes.find(({ kind }) => kind !== 'taken');
      if (suspect && outcomes[0]?.kind !== 'equivocation') throw lied('an entry other than it announced');
      if (!bad) state.delays = 0;
      else if (bad.kind === 'refused') later();
      else if (bad.kind === 'invalid') throw lied(`an entry that is not valid: ${bad.why}`);
      // Behind a page that was not taken there is a gap, and nobody lied.
      else if (bad.kind === 'gap' && !ahead) later();
      if (bad?.kind === 'refused' && bad.refusal.reason !== 'version-in-future') {
        throw lied(`an operation that is refused: ${bad.refusal.reason}`);
      }
    } catch (error) {
      if (signal.aborted) return;
      later();
      backoff.failed(nodeId, error);
      deps.failed(nodeId, error);
    } finally {
      state.taking -= 1;
      bell.ring();
    }
  }

  return {
    ring: () => bell.ring(),
    async run(signal) {
      using scope = createScope(signal);
      const ends = [peers.onChange(() => bell.ring()), announced.onChange(() => bell.ring())];
      try {
        for (;;) {
          await deps.snapshot(signal);
          for (const [peer, wants] of plan()) void scope.run((child) => pullFrom(peer, wants, child));
          await bell.wait(FRONTIER_INTERVAL_MS, signal);
        }
      } finally {
        for (const end of ends) end();
      }
    },
  };
}

/** @throws KithError `peer-lied` if these are not entries of the log from there on, or none although announced. */
function pageOf(
  { writer, from }: Want,
  encoded: readonly Uint8Array[],
  first: number | undefined,
): readonly EntryWithBodies[] {
  const page = encoded.map((entry) => decodeEntry(entry));
  for (const [i, { entry }] of page.entries()) {
    if (entry.seq !== from + i) throw lied(`entry ${entry.seq} in the place of ${from + i}`);
    if (writerIdOf(writerOf(entry)) !== writer) throw lied('an entry of another log');
  }
  // Nor if they were forgotten a moment ago: its next frontier says so.
  if (page.length === 0) throw lied(`it announced entries and gives none${first ? `: its first is ${first}` : ''}`);
  return page;
}
