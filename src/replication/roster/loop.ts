// One round of work after another, with pauses that a word from outside ends.

import type { Clock } from '../../core/ports.ts';

export interface LoopDeps {
  readonly clock: Clock;
  /** Ends the loop after the round under way. */
  readonly signal: AbortSignal;
  round(): Promise<void>;
  /** When the next round is due, on the monotonic clock; undefined for at once. */
  nextMs(): number | undefined;
  /** A round threw; the loop goes on. */
  failed(error: unknown): void;
}

export interface Loop {
  /** Resolves once `signal` has aborted. */
  run(): Promise<void>;
  /** Another round now; one that is under way is followed by another. */
  wake(): void;
}

export function createLoop({ clock, signal, round, nextMs, failed }: LoopDeps): Loop {
  let wakeUp: (() => void) | undefined;
  let woken = false;

  function pause(): Promise<void> {
    const until = nextMs();
    if (woken || until === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        wakeUp = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = clock.schedule(Math.max(1, until - clock.monotonic()), done);
      wakeUp = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  return {
    async run() {
      while (!signal.aborted) {
        woken = false;
        try {
          await round();
        } catch (error) {
          if (!signal.aborted) failed(error);
        }
        if (!signal.aborted) await pause();
      }
    },
    wake() {
      woken = true;
      wakeUp?.();
    },
  };
}
