// Registrations whose keys are missing here, and those that a user says others have: asked for from all members in turn,
// the one whose log named the registration first.

import { idBytes, type NodeId, type RegId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { registrationId } from '../../core/registration/payload.ts';
import type { EntryWithBodies, OperationBody, Replica, SyncPeer, SyncPeers } from '../replica.ts';
import {
  FETCH_PER_MESSAGE,
  NAMED_MAX,
  NAMED_TURNS_MAX,
  ORIGINS_MAX,
  WANTED_INTERVAL_MS,
  WANTED_INTERVAL_MS_MAX,
} from './limits.ts';
import { ask, createBackoff, createBell, lied, shuffled } from './loop.ts';
import type { SyncRequest } from './messages.ts';
import { bodyFromWire, refsOf, writerOf } from './wire.ts';

export interface Wanted {
  run(signal: AbortSignal): Promise<void>;
  /** An entry came in: if it has registers without keys, its writer is who to ask. */
  note(entry: EntryWithBodies): void;
  /** A registration that is not known here, and members that have it: the first is asked first. False if there are too many. */
  want(regId: RegId, holders: readonly NodeId[]): boolean;
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
  readonly failed: (nodeId: NodeId, error: unknown) => void;
}): Wanted {
  const { clock, random, replica, peers } = deps;
  const bell = createBell(clock);
  const backoff = createBackoff(deps);
  const origins = new Map<RegId, NodeId>();
  /** Named by somebody outside, with the turns in which they were looked for. */
  const named = new Map<RegId, number>();

  /** Asks one member. @returns those that are still wanted. */
  async function from(peer: SyncPeer, regIds: readonly RegId[], signal: AbortSignal): Promise<RegId[]> {
    if (regIds.length === 0 || backoff.left(peer.nodeId) > 0) return [...regIds];
    const found = new Set<RegId>();
    try {
      const { bodies } = await fetchBodies(peer, regIds, { signal });
      const useful = bodies.filter(({ keys, operation }) => keys || named.has(operation.regId));
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
      const its = left.filter((regId) => origins.get(regId) === peer.nodeId);
      const rest = new Set(await from(peer, its, signal));
      left = left.filter((regId) => rest.has(regId) || !its.includes(regId));
    }
    for (const peer of all) left = await from(peer, left, signal);
    for (const regId of batch) if (!left.includes(regId)) named.delete(regId);
    return left.length < batch.length;
  }

  /** Asks once for everything that is wanted. @returns whether anything came. */
  async function turn(signal: AbortSignal): Promise<boolean> {
    const open = [...new Set([...replica.wanted(), ...named.keys()])];
    if (open.length === 0) origins.clear();
    let came = false;
    for (let at = 0; at < open.length; at += FETCH_PER_MESSAGE) {
      signal.throwIfAborted();
      if (await fetchBatch(open.slice(at, at + FETCH_PER_MESSAGE), signal)) came = true;
    }
    // Nobody has it, as far as those can tell that are here.
    for (const [regId, turns] of named) {
      if (turns + 1 >= NAMED_TURNS_MAX) named.delete(regId);
      else named.set(regId, turns + 1);
    }
    return came;
  }

  return {
    ring: () => bell.ring(),
    want(regId, holders) {
      if (!named.has(regId) && named.size >= NAMED_MAX) return false;
      named.set(regId, 0);
      if (holders[0] && origins.size < ORIGINS_MAX) origins.set(regId, holders[0]);
      bell.ring();
      return true;
    },
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
