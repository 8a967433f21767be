// A clock that stands still until a test moves it.

import { setImmediate } from 'node:timers';
import type { Clock } from '../../src/core/ports.ts';

export interface ManualClock extends Clock {
  /** Lets `ms` pass, calling what falls due in order and letting its promise jobs run in between. */
  advance(ms: number): Promise<void>;
  /**
   * Lets time pass, timer by timer, until `work` is done; its result.
   * Only for work without real I/O: whenever its promise jobs have run dry, the next timer fires.
   */
  settle<T>(work: Promise<T>, options?: { msMax?: number }): Promise<T>;
  /** Timers that have not fired. */
  readonly pending: number;
}

/** An hour of virtual time: work that needs more is stuck. */
const SETTLE_MS_MAX = 3_600_000;

interface Waiting {
  readonly dueMs: number;
  /** Of two due at once, the first scheduled fires first. */
  readonly order: number;
  /** Undefined once it has fired or was cancelled. */
  callback: (() => void) | undefined;
}

const isBefore = (a: Waiting, b: Waiting): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);

/** A binary heap. What is cancelled stays in it until it comes to the top. */
function createQueue() {
  const heap: Waiting[] = [];
  return {
    push(item: Waiting): void {
      let at = heap.length;
      heap.push(item);
      while (at > 0) {
        const above = (at - 1) >> 1;
        if (!isBefore(item, heap[above]!)) break;
        heap[at] = heap[above]!;
        at = above;
      }
      heap[at] = item;
    },
    first: (): Waiting | undefined => heap[0],
    removeFirst(): void {
      const item = heap.pop()!;
      if (heap.length === 0) return;
      let at = 0;
      for (;;) {
        let below = 2 * at + 1;
        if (below >= heap.length) break;
        if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1;
        if (!isBefore(heap[below]!, item)) break;
        heap[at] = heap[below]!;
        at = below;
      }
      heap[at] = item;
    },
  };
}

export function createManualClock(startMs = 1_700_000_000_000): ManualClock {
  let elapsed = 0;
  let order = 0;
  let pending = 0;
  const queue = createQueue();

  const drain = () => new Promise<void>((resolve) => setImmediate(resolve));

  function next(): Waiting | undefined {
    for (let first = queue.first(); first; first = queue.first()) {
      if (first.callback) return first;
      queue.removeFirst();
    }
    return undefined;
  }

  function fire(timer: Waiting): void {
    const { callback } = timer;
    queue.removeFirst();
    timer.callback = undefined;
    pending -= 1;
    elapsed = Math.max(elapsed, timer.dueMs);
    callback?.();
  }

  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    schedule(delayMs, callback) {
      const timer: Waiting = { dueMs: elapsed + Math.max(0, delayMs), order: order++, callback };
      queue.push(timer);
      pending += 1;
      return {
        cancel() {
          if (!timer.callback) return;
          timer.callback = undefined;
          pending -= 1;
        },
      };
    },
    async advance(ms) {
      const until = elapsed + ms;
      await drain();
      for (let timer = next(); timer && timer.dueMs <= until; timer = next()) {
        fire(timer);
        await drain();
      }
      elapsed = until;
    },
    async settle(work, { msMax = SETTLE_MS_MAX } = {}) {
      const until = elapsed + msMax;
      let done = false;
      const mark = () => {
        done = true;
      };
      work.then(mark, mark);
      for (;;) {
        await drain();
        if (done) return work;
        const timer = next();
        if (!timer) throw new Error('the work waits for something that no timer brings');
        if (timer.dueMs > until) throw new Error(`the work is not done after ${msMax} ms of virtual time`);
        fire(timer);
      }
    },
    get pending() {
      return pending;
    },
  };
}
