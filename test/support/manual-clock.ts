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

export function createManualClock(startMs = 1_700_000_000_000): ManualClock {
  let elapsed = 0;
  let order = 0;
  const timers = new Map<number, { readonly dueMs: number; readonly callback: () => void }>();

  const drain = () => new Promise<void>((resolve) => setImmediate(resolve));

  function next(): number | undefined {
    let first: number | undefined;
    for (const [id, { dueMs }] of timers) {
      if (first === undefined || dueMs < timers.get(first)!.dueMs) first = id;
    }
    return first;
  }

  function fire(id: number): void {
    const timer = timers.get(id)!;
    timers.delete(id);
    elapsed = Math.max(elapsed, timer.dueMs);
    timer.callback();
  }

  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    schedule(delayMs, callback) {
      const id = order++;
      timers.set(id, { dueMs: elapsed + Math.max(0, delayMs), callback });
      return { cancel: () => void timers.delete(id) };
    },
    async advance(ms) {
      const until = elapsed + ms;
      await drain();
      for (let id = next(); id !== undefined && timers.get(id)!.dueMs <= until; id = next()) {
        fire(id);
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
        const id = next();
        if (id === undefined) throw new Error('the work waits for something that no timer brings');
        if (timers.get(id)!.dueMs > until) throw new Error(`the work is not done after ${msMax} ms of virtual time`);
        fire(id);
      }
    },
    get pending() {
      return timers.size;
    },
  };
}
