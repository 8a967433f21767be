// The process as the operating system and the event loop see it: an adapter, read by the metrics.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import type { ProcessStats } from './stats.ts';

/** What Node knows of its process. */
export type WatchedStats = Omit<ProcessStats, 'logLines'>;

/** How often the event loop is looked at; Node counts this interval into what it reports. */
const RESOLUTION_MS = 20;

export interface ProcessWatch {
  /** Idempotent. Keeps no process alive. */
  start(): void;
  stop(): void;
  read(): WatchedStats;
}

/** Watches nothing before `start`: the delays are zero until then. */
export function createProcessWatch(): ProcessWatch {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  // Said once: worked out anew it would differ a little each time, and a change of it is a restart.
  const startSeconds = Date.now() / 1e3 - process.uptime();
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1e3);
  return {
    start: () => void delays.enable(),
    stop: () => void delays.disable(),
    read() {
      const { rss, heapUsed, external } = process.memoryUsage();
      const { user, system } = process.cpuUsage();
      const loopDelaySeconds = {
        median: late(delays.percentile(50)),
        p99: late(delays.percentile(99)),
        max: late(delays.max),
      };
      delays.reset();
      return {
        residentBytes: rss,
        heapBytes: heapUsed,
        externalBytes: external,
        cpuSeconds: (user + system) / 1e6,
        clockSeconds: Date.now() / 1e3,
        startSeconds,
        loopDelaySeconds,
      };
    },
  };
}
