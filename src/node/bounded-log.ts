// Log lines that others can cause: as many of a sort as people read, and how many were left out, so that a flood does
// not fill the log of the node it is aimed at. Metrics count all of them.

import type { Clock } from '../core/ports.ts';
import type { Log, LogFields } from './log.ts';

/** Of one sort at once: an incident with all members of a cluster in it. */
const BURST = 20;
/** After a burst: six lines a minute are enough to see that it goes on. */
const INTERVAL_MS = 10_000;
/** Sorts are made of words of ours (event and code), a few hundred in all. */
const SORTS_MAX = 512;

export interface BoundedLog {
  /** @param sort what is bounded together, of few values: the code of a refusal. */
  write(level: keyof Log, event: string, sort: string, fields: LogFields): void;
}

/** Writes to `log`. */
export function createBoundedLog({ clock, log }: { readonly clock: Clock; readonly log: Log }): BoundedLog {
  const sorts = new Map<string, { tokens: number; refilledMs: number; left: number }>();

  return {
    write(level, event, sort, fields) {
      const name = `${event} ${sort}`;
      const key = sorts.has(name) || sorts.size < SORTS_MAX ? name : '';
      const now = clock.monotonic();
      const known = sorts.get(key) ?? { tokens: BURST, refilledMs: now, left: 0 };
      sorts.set(key, known);
      const gained = Math.floor((now - known.refilledMs) / INTERVAL_MS);
      known.tokens = Math.min(BURST, known.tokens + gained);
      known.refilledMs += gained * INTERVAL_MS;
      if (known.tokens === 0) {
        known.left++;
        return;
      }
      known.tokens--;
      log[level](event, known.left > 0 ? { ...fields, leftOut: known.left } : fields);
      known.left = 0;
    },
  };
}
