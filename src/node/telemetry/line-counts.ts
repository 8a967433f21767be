// How many lines a node had to say, by level: what is at level `error` is for somebody to look at.

import type { Log } from '../log.ts';

const NO_LINES = { warn: 0, error: 0 } as const;

/** Also of lines that the level of the log leaves out. */
export type LineCounts = Readonly<Record<keyof typeof NO_LINES, number>>;

export interface CountedLog {
  readonly log: Log;
  read(): LineCounts;
}

/** The same log; the counters begin at zero. */
export function countLines(log: Log): CountedLog {
  const counts: Record<keyof typeof NO_LINES, number> = { ...NO_LINES };
  return {
    log: {
      debug: (event, fields) => log.debug(event, fields),
      info: (event, fields) => log.info(event, fields),
      warn(event, fields) {
        counts.warn += 1;
        log.warn(event, fields);
      },
      error(event, fields) {
        counts.error += 1;
        log.error(event, fields);
      },
    },
    read: () => ({ ...counts }),
  };
}
