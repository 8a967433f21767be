// Before a node stops: the shares it keeps in memory end with it. Owners that hear it is leaving deal anew at once and
// tell it to drop theirs; those that could not get their keys back without it are waited for, within bounds.

import { abortable, deadline, sleep } from '../core/deadline.ts';
import type { NodeId } from '../core/ids.ts';
import type { Clock } from '../core/ports.ts';
import type { KeptOwner } from '../keyserver/index.ts';
import type { Log } from './log.ts';

export interface DrainDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly ownId: () => NodeId;
  /** Whose shares this node keeps. */
  readonly owners: () => readonly KeptOwner[];
  /** Members that are connected now, and proven. */
  readonly connected: () => readonly { readonly nodeId: NodeId; readonly leaving: boolean }[];
  /** Whether a member said that it stops, also if it is gone since. */
  readonly left: (nodeId: NodeId) => boolean;
  /** Tells all members the own phase; resolves when each has answered or is gone. */
  readonly announce: () => Promise<void>;
}

/** A deal takes two rounds of requests, and begins when one that is under way is answered or given up. */
const DRAIN_MS = 10_000;
/** Each is told within a second, and answers in the time of a round trip. */
const TELL_MS = 2_000;
const LOOK_MS = 100;

/** Owners that could not get their keys back if this node stopped now, as far as it knows. */
function dependents(deps: DrainDeps): KeptOwner[] {
  const staying = new Set(deps.connected().flatMap(({ nodeId, leaving }) => (leaving ? [] : [nodeId])));
  return deps
    .owners()
    .filter(({ keyServers, threshold }) => keyServers.filter((one) => staying.has(one)).length < threshold);
}

/** Whether waiting may help: it goes on, and there are enough others to keep its key, or it may be on its way back. */
function mayBeHelped(deps: DrainDeps, { nodeId, threshold }: KeptOwner): boolean {
  if (deps.left(nodeId)) return false;
  const connected = deps.connected();
  const owner = connected.find((peer) => peer.nodeId === nodeId);
  if (!owner) return true;
  const others = connected.filter((peer) => !peer.leaving && peer.nodeId !== nodeId && peer.nodeId !== deps.ownId());
  return !owner.leaving && others.length >= threshold;
}

/** Who stops too should know that this node did not just vanish: it would be waited for. */
async function tell({ clock, announce }: DrainDeps): Promise<void> {
  const limit = deadline(clock, TELL_MS);
  await abortable(announce(), limit.signal).catch(() => undefined);
  limit.cancel();
}

/** Resolves when nobody depends on this node whom waiting could help, or after ten seconds. */
export async function drain(deps: DrainDeps): Promise<void> {
  const { clock, log } = deps;
  const until = clock.monotonic() + DRAIN_MS;
  await tell(deps);
  while (clock.monotonic() < until && dependents(deps).some((owner) => mayBeHelped(deps, owner))) {
    await sleep(clock, LOOK_MS);
  }
  const owners = dependents(deps).length;
  if (owners > 0) {
    log.warn('still-needed', { owners, reason: 'without this node they have too few shares of their keys to restart' });
  }
}
