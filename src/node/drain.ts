// Before a node stops: the shares it keeps in memory end with it. Owners that hear it is leaving deal anew at once and
// tell it to drop theirs; those that could not get their keys back without it are waited for, within bounds.

import { sleep } from '../core/deadline.ts';
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
}

/** A heartbeat tells owners within five seconds; a deal takes two rounds of requests. */
const DRAIN_MS = 10_000;
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

/** Resolves when nobody depends on this node whom waiting could help, or after ten seconds. */
export async function drain(deps: DrainDeps): Promise<void> {
  const { clock, log } = deps;
  const until = clock.monotonic() + DRAIN_MS;
  while (clock.monotonic() < until && dependents(deps).some((owner) => mayBeHelped(deps, owner))) {
    await sleep(clock, LOOK_MS);
  }
  const owners = dependents(deps).length;
  if (owners > 0) {
    log.warn('still-needed', { owners, reason: 'without this node they have too few shares of their keys to restart' });
  }
}
