// Registrations whose keys are missing here, and operations known by a tag only: asked for from all members in turn,
// the one whose log named the registration first.

import { idBytes, type NodeId, type RegId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { registrationId } from '../../core/registration/payload.ts';
import type { EntryWithBodies, OperationBody, Replica, SyncPeer, SyncPeers } from '../replica.ts';
import { FETCH_PER_MESSAGE, ORIGINS_MAX, WANTED_INTERVAL_MS, WANTED_INTERVAL_MS_MAX } from './limits.ts';
import { ask, createBackoff, createBell, lied, shuffled } from './loop.ts';
import type { SyncRequest } from './messages.ts';
import { bodyFromWire, refsOf, writerOf } from './wire.ts';

/** Operations that anchors name by a tag and nobody has brought yet. Implemented by src/replication/anchors. */
export interface WantedTags {
  readonly size: number;
  /** Asks a member for some of them; the bodies it gave, checked against their tags. @throws what asking throws. */
  fetch(peer: SyncPeer, options: { readonly signal: AbortSignal }): Promise<readonly OperationBody[]>;
}

export interface Wanted {
  run(signal: AbortSignal): Promise<void>;
  /** An entry came in: if it has registers without keys, its writer is who to ask. */
  note(entry: EntryWithBodies): void;
  ring(): void;
}

/**
 * The bodies a member has of these registrations, and how many it looked at.
 * @throws KithError `peer-lied` if it sends others, and what asking throws.
 */
export async function fetchBodies(
  peer: SyncPeer,
  regIds: readonly RegId[],
  options: { signal: AbortSignal },
): Promise<{ bodies: OperationBody[]; answered: number }> {
  const request: SyncRequest = { kind: 'fetch', regIds: regIds.map(idBytes), operations: [] };
  const answer = await ask(peer, request, ['bodies'], options);
  if (answer.answered > regIds.length || (answer.answered === 0 && regIds.length > 0)) throw lied('a wrong count');
  const asked = new Set(regIds);
  const bodies = answer.bodies.map(bodyFromWire);
  // A state has two operations at most.
  if (bodies.length > 2 * answer.answered) throw lied('more bodies than asked for');
  for (const { operation } of bodies) {
    // The id it names is checked against its own fields when it is taken.
    if (!asked.has(operation.regId)) throw lied('a body that nobody asked for');
    if (registrationId(operation.inner, operation.authPublicKey) !== operation.regId) throw lied('a forged body');
  }
  return { bodies, answered: answer.answered };
}

export function createWanted(deps: {
  readonly clock: Clock;
  readonly random: Random;
  readonly replica: Replica;
  readonly peers: SyncPeers;
  readonly tags: WantedTags | undefined;
  readonly failed: (nodeId: NodeId, error: unknown) => void;
}): Wanted {
  const { clock, random, replica, peers, tags } = deps;
  const bell = createBell(clock);
  const backoff = createBackoff(deps);
  const origins = new Map<RegId, NodeId>();

  /** Asks one member. @returns those that are still wanted. */
  async function from(peer: SyncPeer, regIds: readonly RegId[], signal: AbortSignal): Promise<RegId[]> {
    if (regIds.length === 0 || backoff.left(peer.nodeId) > 0) return [...regIds];
    const found = new Set<RegId>();
    try {
      const { bodies } = await fetchBodies(peer, regIds, { signal });
      const useful = bodies.filter(({ keys }) => keys);
      const outcomes = await replica.takeBodies(useful);
      for (const [i, { operation }] of useful.entries()) {
        if (typeof outcomes[i] === 'string') found.add(operation.regId);
      }
      backoff.worked(peer.nodeId);
    } catch (error) {
      if (signal.aborted) throw error;
      backoff.failed(peer.nodeId);
      deps.failed(peer.nodeId, error);
    }
    return regIds.filter((regId) => !found.has(regId));
  }

  /** One batch from all members, its origins first, until it is there. @returns whether anything came. */
  async function fetchBatch(batch: readonly RegId[], signal: AbortSignal): Promise<boolean> {
    let left = [...batch];
    const all = shuffled(random, peers.list());
    for (const peer of all) {
      const named = left.filter((regId) => origins.get(regId) === peer.nodeId);
      const rest = new Set(await from(peer, named, signal));
      left = left.filter((regId) => rest.has(regId) || !named.includes(regId));
    }
    for (const peer of all) left = await from(peer, left, signal);
    return left.length < batch.length;
  }

  /** Asks once for everything that is wanted. @returns whether anything came. */
  async function turn(signal: AbortSignal): Promise<boolean> {
    const open = replica.wanted();
    if (open.length === 0) origins.clear();
    let came = false;
    for (let at = 0; at < open.length; at += FETCH_PER_MESSAGE) {
      signal.throwIfAborted();
      if (await fetchBatch(open.slice(at, at + FETCH_PER_MESSAGE), signal)) came = true;
    }
    await fetchTags(signal);
    return came;
  }

  async function fetchTags(signal: AbortSignal): Promise<void> {
    for (const peer of shuffled(random, peers.list())) {
      if (!tags || tags.size === 0) return;
      if (backoff.left(peer.nodeId) > 0) continue;
      try {
        const bodies = await tags.fetch(peer, { signal });
        if (bodies.length > 0) await replica.takeBodies(bodies);
      } catch (error) {
        if (signal.aborted) throw error;
        backoff.failed(peer.nodeId);
        deps.failed(peer.nodeId, error);
      }
    }
  }

  return {
    ring: () => bell.ring(),
    note({ entry, bodies }) {
      const refs = refsOf(entry);
      for (const [i, body] of bodies.entries()) {
        if (body?.operation.type !== 'register' || body.keys) continue;
        if (origins.size >= ORIGINS_MAX) origins.delete(origins.keys().next().value!);
        origins.set(refs[i]!.regId, writerOf(entry).nodeId);
        bell.ring();
      }
    },
    async run(signal) {
      let fruitless = 0;
      const stop = peers.onChange(() => {
        fruitless = 0;
        bell.ring();
      });
      try {
        for (;;) {
          fruitless = (await turn(signal)) ? 0 : Math.min(fruitless + 1, 16);
          const pause = Math.min(WANTED_INTERVAL_MS_MAX, WANTED_INTERVAL_MS * 2 ** Math.max(0, fruitless - 1));
          await bell.wait(pause, signal);
        }
      } finally {
        stop();
      }
    },
  };
}
