// What the loops of sync have in common: waiting until somebody rings, backing off from a peer, asking it.

import { isKithError, KithError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { SyncPeer } from '../replica.ts';
import { REQUEST_TIMEOUT_MS, RETRY_MS_MAX, RETRY_MS_MIN } from './limits.ts';
import { decodeSyncAnswer, encodeSyncRequest, type SyncAnswer, type SyncRequest } from './messages.ts';

export type SyncErrorCode = 'unexpected-answer' | 'peer-lied';

/** Wakes one loop. Rung while nobody waits, the next wait is over at once: nothing is kept but that it rang. */
export interface Bell {
  ring(): void;
  /** Until it rings or `ms` have passed. @throws the signal's reason. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export function createBell(clock: Clock): Bell {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    async wait(ms, signal) {
      // Bell, time or end: told apart below.
      if (!rung && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const over = () => {
            wake = undefined;
            timer.cancel();
            signal.removeEventListener('abort', over);
            resolve();
          };
          const timer = clock.schedule(Math.max(1, ms), over);
          signal.addEventListener('abort', over, { once: true });
          wake = over;
        });
      }
      rung = false;
      signal.throwIfAborted();
    },
  };
}

/** A number from 0 to n - 1, close to even for small n. */
export function randomBelow(random: Random, n: number): number {
  const [a, b, c, d] = random.bytes(4);
  return (a! * 2 ** 24 + b! * 2 ** 16 + c! * 2 ** 8 + d!) % Math.max(1, n);
}

/** `items` in an order that nobody chose. */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const mixed = [...items];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = randomBelow(random, i + 1);
    [mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!];
  }
  return mixed;
}

/** Work that ends with a loop, each piece with a signal of its own: one signal would collect a listener for each. */
export interface Scope extends Disposable {
  run<T>(work: (signal: AbortSignal, controller: AbortController) => Promise<T>): Promise<T>;
}

export function createScope(parent: AbortSignal): Scope {
  const controllers = new Set<AbortController>();
  const onAbort = () => {
    for (const controller of controllers) controller.abort(parent.reason);
  };
  parent.addEventListener('abort', onAbort, { once: true });
  return {
    async run(work) {
      const controller = new AbortController();
      if (parent.aborted) controller.abort(parent.reason);
      controllers.add(controller);
      try {
        return await work(controller.signal, controller);
      } finally {
        controllers.delete(controller);
      }
    },
    [Symbol.dispose]: () => parent.removeEventListener('abort', onAbort),
  };
}

/** Which peers are left alone for now because they failed. */
export interface Backoff {
  /** @param error what it was, if the peer may be to blame: it counts if the peer did not give what it should. */
  failed(nodeId: NodeId, error?: unknown): void;
  worked(nodeId: NodeId): void;
  /** Milliseconds to wait; 0 if it may be asked. */
  left(nodeId: NodeId): number;
  /** How often in a row, not counting other failures, it did not give what it should. */
  blamed(nodeId: NodeId): number;
  forget(nodeId: NodeId): void;
}

/** Not: lost connections, and this node's own store. */
const BLAMED = [
  'peer-lied',
  'unexpected-answer',
  'timeout',
  'truncated',
  'too-large',
  'malformed',
  'bad-shape',
  'non-canonical',
] as const;

export function createBackoff(deps: { clock: Clock; random: Random }): Backoff {
  const { clock, random } = deps;
  const states = new Map<NodeId, { failures: number; blamed: number; until: number }>();
  return {
    failed(nodeId, error) {
      const before = states.get(nodeId);
      const failures = Math.min(16, (before?.failures ?? 0) + 1);
      const blamed = (before?.blamed ?? 0) + (isKithError(error, ...BLAMED) ? 1 : 0);
      const pause = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (failures - 1));
      states.set(nodeId, { failures, blamed, until: clock.monotonic() + pause + randomBelow(random, pause) });
    },
    worked: (nodeId) => void states.delete(nodeId),
    left: (nodeId) => Math.max(0, (states.get(nodeId)?.until ?? 0) - clock.monotonic()),
    blamed: (nodeId) => states.get(nodeId)?.blamed ?? 0,
    forget: (nodeId) => void states.delete(nodeId),
  };
}

type AnswerOf<K extends SyncAnswer['kind']> = Extract<SyncAnswer, { kind: K }>;

/**
 * Asks a peer for one of these kinds of answers.
 * @throws KithError `unexpected-answer`, those of the codec, and what the connection throws.
 */
export async function ask<K extends SyncAnswer['kind']>(
  peer: SyncPeer,
  request: SyncRequest,
  kinds: readonly K[],
  options: { signal: AbortSignal; timeoutMs?: number },
): Promise<AnswerOf<K>> {
  const { signal, timeoutMs = REQUEST_TIMEOUT_MS } = options;
  const answer = decodeSyncAnswer(await peer.request(encodeSyncRequest(request), { signal, timeoutMs }));
  if (!(kinds as readonly string[]).includes(answer.kind)) {
    throw new KithError<SyncErrorCode>('unexpected-answer', `${answer.kind} to ${request.kind}`);
  }
  return answer as AnswerOf<K>;
}

/** What a peer did that no honest one does. */
export const lied = (what: string): KithError<SyncErrorCode> => new KithError<SyncErrorCode>('peer-lied', what);
