// All entries that come in, pushed or pulled, pass through here: one call of the replica at a time, and what comes
// meanwhile is taken together by the next, so that it is synced together. Order is kept. What waits is bounded by the
// messages that peers may have under way.

import type { LogEntry } from '../log-entry.ts';
import type { EntryOutcome, EntryWithBodies, Replica } from '../replica.ts';
import { TAKE_ENTRIES_MAX } from './limits.ts';

export interface Taker {
  /** @throws what the replica throws: then nothing of these entries was taken. */
  take(entries: readonly EntryWithBodies[]): Promise<EntryOutcome[]>;
}

interface Waiting {
  readonly entries: readonly EntryWithBodies[];
  resolve(outcomes: EntryOutcome[]): void;
  reject(error: unknown): void;
}

/** @param deps.onTaken told of every entry that was taken. */
export function createTaker(deps: {
  readonly replica: Replica;
  readonly onTaken: (entry: EntryWithBodies) => void;
  readonly onFork: (entry: LogEntry) => void;
}): Taker {
  const { replica } = deps;
  const waiting: Waiting[] = [];
  let running = false;

  /**
   * An operation that became too old for this member is one that nobody needs any more: its entry is taken without it.
   * The others of the entry are taken first, so that the entry never counts for what is not held.
   */
  async function withoutOld(item: EntryWithBodies): Promise<EntryOutcome> {
    const present = item.bodies.filter((body) => body !== undefined);
    const outcomes = await replica.takeBodies(present);
    const old = new Set(
      present.filter((_, i) => {
        const outcome = outcomes[i]!;
        return typeof outcome === 'object' && outcome.reason === 'version-too-old';
      }),
    );
    const bodies = item.bodies.map((body) => (body && old.has(body) ? undefined : body));
    const [outcome] = await replica.take([{ entry: item.entry, bodies }]);
    return outcome!;
  }

  async function takeAll(entries: readonly EntryWithBodies[]): Promise<EntryOutcome[]> {
    const outcomes = await replica.take(entries);
    let retried = false;
    for (const [i, outcome] of outcomes.entries()) {
      const item = entries[i]!;
      const old = outcome.kind === 'refused' && outcome.refusal.reason === 'version-too-old';
      // What follows an entry that was refused was a gap then, and may be none now.
      if (old) {
        outcomes[i] = await withoutOld(item);
        retried = true;
      } else if (retried && outcome.kind === 'gap') {
        const [again] = await replica.take([item]);
        outcomes[i] = again!;
      }
      if (outcomes[i]!.kind === 'taken') deps.onTaken(item);
      else if (outcomes[i]!.kind === 'equivocation') deps.onFork(item.entry);
    }
    return outcomes;
  }

  function nextBatch(): Waiting[] {
    let entries = 0;
    let count = 0;
    for (const { entries: more } of waiting) {
      if (count > 0 && entries + more.length > TAKE_ENTRIES_MAX) break;
      entries += more.length;
      count += 1;
    }
    return waiting.splice(0, count);
  }

  async function run(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      const batch = nextBatch();
      try {
        const outcomes = await takeAll(batch.flatMap(({ entries }) => entries));
        let at = 0;
        for (const { entries, resolve } of batch) {
          resolve(outcomes.slice(at, at + entries.length));
          at += entries.length;
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  }

  return {
    take(entries) {
      if (entries.length === 0) return Promise.resolve([]);
      return new Promise((resolve, reject) => {
        waiting.push({ entries, resolve, reject });
        if (!running) void run();
      });
    },
  };
}
