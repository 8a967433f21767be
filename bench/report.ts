// How benchmarks report: one table, medians, and the ratios that matter.

import type { Bench } from 'tinybench';

/** Prints the median time and the rate of each task of a finished bench. */
export function printBench(title: string, bench: Bench): void {
  console.log(`\n${title}`);
  console.table(
    bench.tasks.map(({ name, result }) => {
      if (result.state !== 'completed') return { task: name, state: result.state };
      const medianMs = result.latency.p50;
      return {
        task: name,
        'median ms': medianMs.toPrecision(4),
        'per second': (1000 / medianMs).toPrecision(4),
        runs: result.latency.samplesCount,
      };
    }),
  );
}

export const medianOf = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Above everything a benchmark waits for. */
const UNTIL_MS = 60_000;

/** Looks again at every turn of the event loop. @throws after a minute. */
export async function until(condition: () => boolean): Promise<void> {
  const began = performance.now();
  while (!condition()) {
    if (performance.now() - began > UNTIL_MS) throw new Error(`not within ${UNTIL_MS / 1000} s: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
