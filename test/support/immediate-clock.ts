// A clock on which every wait is over at the next turn of the event loop.

import { setImmediate } from 'node:timers';
import type { Clock } from '../../src/core/ports.ts';

export function createImmediateClock(): Clock {
  let elapsed = 0;
  return {
    now: () => elapsed,
    monotonic: () => elapsed,
    schedule(delayMs, callback) {
      let wanted = true;
      setImmediate(() => {
        if (!wanted) return;
        elapsed += Math.max(0, delayMs);
        callback();
      });
      return {
        cancel() {
          wanted = false;
        },
      };
    },
  };
}
