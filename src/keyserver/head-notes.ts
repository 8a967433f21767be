// Tells the key servers of each new head of the store soon after it was synced, so that a disk that is put back by a few
// seconds is noticed at the next start. The dealer's probes carry heads too, but come every half minute.

import { throwIfAborted } from '../core/deadline.ts';
import { KithError } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import type { Part } from '../core/life-cycle.ts';
import type { Clock, Timer } from '../core/ports.ts';
import { ask } from './ask.ts';
import { compareHeads, type JournalHead } from './journal-head.ts';
import { HEAD_INTERVAL_MS } from './limits.ts';
import type { CustodyPeer } from './ports.ts';

export interface HeadNotesDeps {
  readonly clock: Clock;
  /** The newest synced state; undefined while there is none. */
  head(): JournalHead | undefined;
  /** Those that keep shares of this node now. */
  keyServers(): readonly NodeId[];
  /** The way to a member, undefined while it is not connected. */
  peer(nodeId: NodeId): CustodyPeer | undefined;
}

/** A part that looks at the head once a second and does nothing while it stands still. */
export function createHeadNotes(deps: HeadNotesDeps): Part {
  const { clock } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  /** The head each server has acknowledged. */
  const told = new Map<NodeId, JournalHead>();
  /** Those that have not answered yet: a slow one is told the newest head then, not each. */
  const asked = new Set<NodeId>();
  let timer: Timer | undefined;

  async function tell(nodeId: NodeId, head: JournalHead): Promise<void> {
    asked.add(nodeId);
    try {
      const answer = await ask(deps, deps.peer(nodeId), { kind: 'probe', head }, { signal });
      if (answer.kind === 'holding') told.set(nodeId, head);
    } finally {
      asked.delete(nodeId);
    }
  }

  function look(): void {
    timer = clock.schedule(HEAD_INTERVAL_MS, look);
    const head = deps.head();
    if (!head) return;
    const servers = deps.keyServers();
    for (const nodeId of told.keys()) if (!servers.includes(nodeId)) told.delete(nodeId);
    for (const nodeId of servers) {
      const before = told.get(nodeId);
      if (asked.has(nodeId) || (before && compareHeads(head, before) <= 0)) continue;
      // What a server says of this boot is heard by the dealer's own probes.
      tell(nodeId, head).catch(() => undefined);
    }
  }

  return {
    name: 'head notes',
    async start({ signal: given }) {
      throwIfAborted(given);
      look();
    },
    async stop() {
      timer?.cancel();
      stopping.abort(new KithError('stopped', 'the node stops'));
    },
  };
}
