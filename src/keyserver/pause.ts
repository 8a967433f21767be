// A pause of a loop that ends early when there is something to do.

import type { Clock } from '../core/ports.ts';

export interface Pause {
  /** Resolves after `ms`, or when woken; one at a time. */
  wait(ms: number): Promise<void>;
  /** Ends the wait, if there is one. */
  wake(): void;
}

export function createPause({ clock }: { readonly clock: Clock }): Pause {
  let end: (() => void) | undefined;
  return {
    wait: (ms) =>
      new Promise((resolve) => {
        const done = () => {
          timer.cancel();
          end = undefined;
          resolve();
        };
        const timer = clock.schedule(ms, done);
        end = done;
      }),
    wake: () => end?.(),
  };
}
