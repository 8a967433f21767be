// What happens in a run, in order: hashed as it happens, so that two runs of one seed can be compared by one number, and
// the last of it kept for whoever looks at a violation.

import { createHash } from 'node:crypto';

export interface Trace {
  /** Something a reader wants to see. `text` has no line breaks. */
  say(atMs: number, who: string, text: string): void;
  /** Something that is counted into the hash alone: there is too much of it to read. */
  mix(...numbers: readonly number[]): void;
  /** Hex, of everything so far. */
  hash(): string;
  readonly events: number;
  /** The last lines said. */
  last(): readonly string[];
}

/** Lines that are shown of a violation. */
const LAST_MAX = 60;
/** Numbers that are hashed in one go. */
const MIXED_MAX = 2_048;

/** @param onLine is given each line, for a file. */
export function createTrace(onLine: (line: string) => void = () => undefined): Trace {
  const hash = createHash('sha256');
  const mixed = new Float64Array(MIXED_MAX);
  let count = 0;
  let events = 0;
  let last: string[] = [];

  function flush(): void {
    if (count > 0) hash.update(new Uint8Array(mixed.buffer, 0, count * 8));
    count = 0;
  }

  return {
    say(atMs, who, text) {
      events += 1;
      flush();
      const line = `${(atMs / 1_000).toFixed(3).padStart(9)} ${who.padEnd(8)} ${text}`;
      hash.update(line);
      last.push(line);
      if (last.length > 2 * LAST_MAX) last = last.slice(-LAST_MAX);
      onLine(line);
    },
    mix(...numbers) {
      events += 1;
      if (count + numbers.length > MIXED_MAX) flush();
      for (const number of numbers) mixed[count++] = number;
    },
    hash() {
      flush();
      return hash.copy().digest('hex').slice(0, 32);
    },
    get events() {
      return events;
    },
    last: () => last.slice(-LAST_MAX),
  };
}
