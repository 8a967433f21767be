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
