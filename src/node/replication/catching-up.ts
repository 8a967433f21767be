// Whether this node is where the members are: what keeps it from being ready, and whether its disk was put back. Members
// keep the newest head they have seen of it; a store behind that is caught up with a majority before it counts again.

import { messageOf } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import { countConfirmations, quorumOf } from '../../core/quorum.ts';
import type { RosterEntry } from '../../core/roster.ts';
import type { Sync } from '../../replication/index.ts';
import type { OwnCondition } from '../condition.ts';
import type { Log } from '../log.ts';
import { findRollback } from '../rollback.ts';
import type { StoreHead } from '../store/index.ts';

export interface CatchingUpDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly condition: OwnCondition;
  readonly nodeId: NodeId;
  readonly roster: () => readonly RosterEntry[];
  readonly sync: Pick<Sync, 'missing' | 'coverage' | 'askHeads' | 'onFrontier'>;
  /** Of the store as it was opened. */
  readonly head: StoreHead;
  /** Of this boot: what members saw of it says nothing about the disk it began with. */
  readonly incarnation: number;
}

export interface CatchingUp {
  start(): void;
  stop(): void;
  /** Why this node is not ready as far as the members are concerned; notices the end of a rollback. */
  missing(): string[];
  /** Whether this node knows what members remember of it, so that its word counts. */
  mayConfirm(): boolean;
}

/** Members that announce something are asked at most so often what they remember of this node. */
const ASK_AGAIN_MS = 1_000;
/** So many times too few answer before this node goes on without: as long as sync waits for somebody to be there. */
const ASKED_IN_VAIN_MAX = 30;

export function createCatchingUp(deps: CatchingUpDeps): CatchingUp {
  const { clock, log, condition, sync } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  let unsubscribe: (() => void) | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let asking = false;
  const answered = new Set<NodeId>();
  let failures = 0;
  /** What members remembered when this node had caught up after a rollback: they go on remembering it. */
  let caughtUpWith = 0;

  /** Whether a majority of the roster has told what it remembers, this node counted: alone it need not ask. */
  function isAsked(): boolean {
    const roster = deps.roster();
    return roster.length === 0 || countConfirmations(roster, [...answered, deps.nodeId]) >= quorumOf(roster).needed;
  }

  async function askHeads(): Promise<void> {
    if (asking || signal.aborted || condition.phase !== 'catching-up') return;
    if (clock.monotonic() - askedAtMs < ASK_AGAIN_MS) return;
    asking = true;
    askedAtMs = clock.monotonic();
    try {
      const heads = await sync.askHeads({ signal });
      for (const { nodeId } of heads) answered.add(nodeId);
      if (!isAsked()) failures += 1;
      const before = heads.flatMap(({ head }) => (head && head.incarnation < deps.incarnation ? [{ head }] : []));
      const found = findRollback(deps.head, before);
      if (!found || condition.rollback || condition.phase !== 'catching-up') return;
      if (found.remembered <= caughtUpWith) return;
      condition.rollback = found;
      log.error('rollback', { ...found });
    } finally {
      asking = false;
    }
  }

  function look(): void {
    askHeads().catch((error: unknown) => {
      if (!signal.aborted) log.warn('heads-not-asked', { reason: messageOf(error) });
    });
  }

  return {
    start() {
      unsubscribe ??= sync.onFrontier(look);
      look();
    },
    stop() {
      stopping.abort();
      unsubscribe?.();
    },
    mayConfirm: () => condition.rollback === undefined && (isAsked() || condition.phase === 'ready'),
    missing() {
      const { rollback } = condition;
      if (!rollback) {
        look();
        return [
          ...(isAsked() || failures >= ASKED_IN_VAIN_MAX ? [] : ['asking members what they remember of this node']),
          ...sync.missing(),
        ];
      }
      const coverage = sync.coverage();
      const where = `rollback: the disk ends with batch ${rollback.found}, members remember ${rollback.remembered}`;
      if (coverage.kind === 'behind') return [where, ...coverage.why];
      condition.rollback = undefined;
      caughtUpWith = rollback.remembered;
      log.warn('rollback-caught-up', { ...rollback, with: coverage.kind });
      return sync.missing();
    },
  };
}
