// What many runs have in common: faults by kind, how many runs each of them occurred in, times and costs.

import type { RunResult } from './run.ts';

export interface Summary {
  runs: number;
  failed: number[];
  /** By kind: how often in all, and in how many runs. */
  readonly faults: Map<string, { times: number; runs: number }>;
  virtualMs: number;
  cpuMs: number;
  events: number;
  confirmed: number;
  readonly healedMs: number[];
  scannedBytes: number;
}

export const emptySummary = (): Summary => ({
  runs: 0,
  failed: [],
  faults: new Map(),
  virtualMs: 0,
  cpuMs: 0,
  events: 0,
  confirmed: 0,
  healedMs: [],
  scannedBytes: 0,
});

export function addUp(summary: Summary, result: RunResult, cpuMs: number): void {
  summary.runs += 1;
  if (result.violation) summary.failed.push(result.seed);
  for (const [kind, times] of Object.entries(result.faults)) {
    const before = summary.faults.get(kind) ?? { times: 0, runs: 0 };
    summary.faults.set(kind, { times: before.times + times, runs: before.runs + 1 });
  }
  summary.virtualMs += result.virtualMs;
  summary.cpuMs += cpuMs;
  summary.events += result.events;
  summary.confirmed += result.confirmed;
  summary.scannedBytes += result.scannedBytes;
  if (result.healedMs !== undefined) summary.healedMs.push(result.healedMs);
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** @param kinds all there are, so that those that never occurred are named too. */
export function formatSummary(summary: Summary, kinds: readonly string[]): string {
  const { runs, failed, faults, virtualMs, cpuMs, events, confirmed } = summary;
  const healed = [...summary.healedMs].sort((a, b) => a - b);
  const names = [...new Set([...kinds, ...faults.keys()])];
  const coverage = names.map((kind) => {
    const { times, runs: inRuns } = faults.get(kind) ?? { times: 0, runs: 0 };
    const share = runs === 0 ? 0 : (100 * inRuns) / runs;
    return `  ${kind.padEnd(26)} ${String(times).padStart(7)} times, in ${share.toFixed(1).padStart(5)} % of the runs`;
  });
  return [
    'faults injected:',
    ...coverage,
    `${runs} runs, ${failed.length} with a violation${failed.length > 0 ? `: seeds ${failed.join(', ')}` : ''}`,
    `${(virtualMs / 60_000).toFixed(1)} minutes of virtual time, ${events} events, ${confirmed} operations confirmed, ` +
      `${(summary.scannedBytes / 1e6).toFixed(1)} MB looked at for secrets`,
    `whole again after ${(quantile(healed, 0.5) / 1_000).toFixed(0)} s (median), ` +
      `${(quantile(healed, 0.99) / 1_000).toFixed(0)} s (99 %), ${(quantile(healed, 1) / 1_000).toFixed(0)} s (most)`,
    `${((60_000 * runs) / Math.max(1, cpuMs)).toFixed(1)} seeds a minute of processor time, ` +
      `${(cpuMs / Math.max(1, runs)).toFixed(0)} ms each`,
  ].join('\n');
}
