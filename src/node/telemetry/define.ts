// How a metric is described: its name, its meaning, and how it is read out of the stats of a node.

import type { NodeStats, ProcessStats } from './stats.ts';
import type { Counted } from './tally.ts';

export interface Snapshot {
  readonly node: NodeStats;
  readonly runtime: ProcessStats;
}

export type Sample = readonly [value: number, labels?: Readonly<Record<string, string>>];

export interface MetricDefinition {
  readonly name: string;
  readonly kind: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  read(snapshot: Snapshot): readonly Sample[];
}

type Value = number | boolean | readonly Sample[];

export function define(kind: MetricDefinition['kind'], labels: readonly string[]) {
  return (name: string, help: string, value: (snapshot: Snapshot) => Value): MetricDefinition => ({
    name,
    kind,
    help,
    labels,
    read(snapshot) {
      const found = value(snapshot);
      return typeof found === 'object' ? found : [[Number(found)]];
    },
  });
}

export const gauge = define('gauge', []);
export const counter = define('counter', []);
export const gaugeBy = (label: string) => define('gauge', [label]);

/** One sample for each entry of a record. */
export const each = (label: string, values: Readonly<Record<string, number>>): Sample[] =>
  Object.entries(values).map(([name, value]) => [value, { [label]: name }]);

/** One for the state that is, zero for the others, so that a state that ends is seen to. */
export const oneOf = (label: string, names: readonly string[], is: string): Sample[] =>
  names.map((name) => [Number(name === is), { [label]: name }]);

/** 1 for each word of the table that holds, 0 for the others. */
export const noted = <Word extends string>(
  label: string,
  words: Readonly<Record<Word, true>>,
  holding: readonly Word[],
): Sample[] => (Object.keys(words) as Word[]).map((word) => [Number(holding.includes(word)), { [label]: word }]);

/** Samples of counters by words. */
export const counted = (counts: readonly Counted[]): Sample[] => counts.map(({ labels, count }) => [count, labels]);
