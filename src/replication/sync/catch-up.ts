// Whether this node has caught up: with the frontiers that the members which were there at its start announced then,
// and, after a rollback, with those of a majority of the roster. And whether pulls are enough for that.

import type { NodeId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import type { SyncPeer, SyncPeers } from '../replica.ts';
import type { AnnouncedFrontiers, Frontier } from './frontier.ts';
import {
  ENTRY_PATIENCE_MS,
  FRONTIERS_MAX,
  LIES_MAX,
  SNAPSHOT_BEHIND_ENTRIES,
  SNAPSHOT_COLD_ENTRIES,
} from './limits.ts';
import type { Logs } from './logs.ts';
import type { Backoff } from './loop.ts';

/**
 * `majority`: of the roster. `reachable`: of all that can be reached half a minute after the start, fewer than a
 * majority: to be said as degraded.
 */
export type Coverage =
  | { readonly kind: 'majority' | 'reachable' }
  | { readonly kind: 'behind'; readonly why: string[] };

export interface CatchUp {
  /** Notes who is there. */
  start(): void;
  /** Why this node is not yet where the others were at its start; empty once it has been. */
  missing(): string[];
  /** Whose frontiers of the start this node covers. */
  coverage(): Coverage;
  /** Members to take a snapshot of, in no order; empty if pulling is the way, or nothing is missing. */
  snapshotSources(): SyncPeer[];
}

export function createCatchUp(deps: {
  readonly clock: Clock;
  readonly peers: SyncPeers;
  readonly announced: AnnouncedFrontiers;
  readonly logs: Logs;
  readonly backoff: Backoff;
  readonly nodeId: NodeId;
  readonly roster: () => readonly RosterEntry[];
}): CatchUp {
  const { clock, peers, announced, logs, backoff } = deps;
  /** What members announced first after the start. Bounded as the announced frontiers are. */
  const targets = new Map<NodeId, Frontier>();
  let startedAt: number | undefined;
  let done = false;

  announced.onChange((nodeId) => {
    const frontier = announced.of(nodeId);
    if (startedAt === undefined || !frontier || targets.has(nodeId) || targets.size >= FRONTIERS_MAX) return;
    targets.set(nodeId, new Map(frontier));
  });

  /** A member that does not give what it announced does not hold up this node. */
  const believed = (nodeId: NodeId) => backoff.blamed(nodeId) < LIES_MAX;
  const patient = () => startedAt !== undefined && clock.monotonic() - startedAt < ENTRY_PATIENCE_MS;

  function reasonsFor(members: readonly SyncPeer[]): string[] {
    const reasons: string[] = [];
    const silent = members.filter(({ nodeId }) => !targets.has(nodeId));
    const alone = members.length === 0 && deps.roster().some(({ nodeId }) => nodeId !== deps.nodeId);
    if (alone && patient()) reasons.push('no member can be reached yet');
    if (silent.length > 0 && patient()) reasons.push(`${silent.length} members have not said how far they are`);
    const lacking = new Map<string, number>();
    for (const { nodeId } of members) {
      const target = targets.get(nodeId);
      if (!target || !believed(nodeId)) continue;
      for (const { writer, position, held } of logs.missingOf(target)) {
        lacking.set(writer, Math.max(lacking.get(writer) ?? 0, position.seq - held));
      }
    }
    const entries = [...lacking.values()].reduce((sum, count) => sum + count, 0);
    if (entries > 0) reasons.push(`members have ${entries} entries in ${lacking.size} logs that this node lacks`);
    return reasons;
  }

  function missing(): string[] {
    if (startedAt === undefined) return ['sync has not started'];
    if (done) return [];
    const reasons = reasonsFor(peers.list());
    done = reasons.length === 0;
    return reasons;
  }

  return {
    start() {
      startedAt ??= clock.monotonic();
    },
    missing,
    coverage() {
      const roster = deps.roster();
      const own = roster.find(({ nodeId }) => nodeId === deps.nodeId)?.platform;
      const others = new Set(roster.map(({ platform }) => platform).filter((platform) => platform !== own));
      const platforms = others.size + (own === undefined ? 0 : 1);
      const needed = Math.min(Math.floor(platforms / 2) + 1, others.size);
      const connected = peers.list();
      const covered = (nodeId: NodeId) => {
        const target = targets.get(nodeId);
        return target !== undefined && logs.missingOf(target).length === 0;
      };
      const there = roster.filter(({ nodeId, platform }) => others.has(platform) && covered(nodeId));
      if (needed > 0 && new Set(there.map(({ platform }) => platform)).size >= needed) return { kind: 'majority' };
      const why = startedAt === undefined ? ['sync has not started'] : reasonsFor(connected);
      if (connected.length === 0) why.push('no member can be reached');
      // Connections come one after the other: the first member that is there is not all that can be reached.
      else if (patient()) why.push('waiting for a majority of the members');
      return why.length > 0 ? { kind: 'behind', why } : { kind: 'reachable' };
    },
    snapshotSources() {
      const available = peers.list().filter(({ nodeId }) => backoff.left(nodeId) === 0 && announced.of(nodeId));
      return snapshotSources(available, logs);
    },
  };
}

/**
 * A snapshot is due if no member that can be asked still has the next entry of a log, if a member has more than
 * SNAPSHOT_BEHIND_ENTRIES entries that are missing here, or SNAPSHOT_COLD_ENTRIES where nothing is held.
 */
function snapshotSources(available: readonly SyncPeer[], logs: Logs): SyncPeer[] {
  const missing = new Map(available.map((peer) => [peer, logs.missingFrom(peer.nodeId)]));
  const pullable = new Set<string>();
  for (const items of missing.values()) {
    for (const { writer, position, held } of items) if (position.first <= held + 1) pullable.add(writer);
  }
  const entriesMax = logs.own().size === 0 ? SNAPSHOT_COLD_ENTRIES : SNAPSHOT_BEHIND_ENTRIES;
  return available.filter((peer) => {
    const items = missing.get(peer)!;
    if (items.some(({ writer }) => !pullable.has(writer))) return true;
    return items.reduce((sum, { position, held }) => sum + position.seq - held, 0) > entriesMax;
  });
}
