// What `kith dev` found: each index set beside the one it must be, as rows, as text and as one JSON document.

import type { Entry } from '../client/index.ts';
import { EXIT, type Outcome } from './command.ts';
import type { Sample } from './dev-samples.ts';
import { formatTable } from './table.ts';

export interface WalletRow {
  readonly name: string;
  readonly n: number;
  readonly late: boolean;
  readonly expected: number;
  readonly entries: number;
  readonly own: number;
  /** Own transactions that are not in the set: must be 0. */
  readonly ownMissing: number;
  /** The set is the expected one, entry by entry. */
  readonly exact: boolean;
}

export interface NodeFacts {
  readonly name: string;
  readonly url: string;
  readonly adminUrl: string;
  readonly nodeId: string;
  readonly operator: string;
  readonly tcbStatus: string;
  readonly measurements: readonly string[];
}

export interface Story {
  readonly chain: { readonly first: number; readonly last: number; readonly url: string };
  readonly nodes: readonly NodeFacts[];
  readonly wallets: readonly WalletRow[];
  readonly renewed: { readonly name: string; readonly expiryHeight: number };
  readonly revoked: { readonly name: string };
  /** What was wrong; empty if nothing was. */
  readonly problems: readonly string[];
  readonly seconds: number;
}

/** Compares an index set with the one the sample must have. */
export function compareSet({ name, n, late, expected, own }: Sample, entries: readonly Entry[]): WalletRow {
  const found = new Set(entries.map(String));
  return {
    name,
    n,
    late,
    expected: expected.length,
    entries: entries.length,
    own: own.length,
    ownMissing: own.filter((entry) => !found.has(String(entry))).length,
    exact: JSON.stringify(entries) === JSON.stringify(expected),
  };
}

/** What is wrong with a row, if anything. */
export function problemOf({ name, entries, expected, ownMissing, exact }: WalletRow): string | undefined {
  if (ownMissing > 0) return `${name}: ${ownMissing} of its own transactions are not in its index set`;
  if (exact) return undefined;
  return `${name}: its index set (${entries} entries) is not the expected one (${expected})`;
}

/** The outcome of a story. */
export function reportOf(story: Story): Outcome {
  const { wallets, problems, renewed, revoked, seconds } = story;
  const ok = problems.length === 0;
  const table = formatTable(
    ['wallet', 'n', 'registered', 'own', 'expected', 'index set', 'exact'],
    wallets.map(({ name, n, late, own, expected, entries, exact }) =>
      [name, n, late ? 'late' : 'early', own, expected, entries, exact ? 'yes' : 'NO'].map(String),
    ),
  );
  const exact = wallets.filter((row) => row.exact).length;
  const lines = [
    '',
    table,
    `${exact} of ${wallets.length} index sets are exact; ${renewed.name} was renewed, ${revoked.name} revoked; ${seconds.toFixed(1)} s`,
    ...problems.map((problem) => `WRONG: ${problem}`),
    ok ? 'all was right' : `not all was right: ${problems.length} of the checks failed`,
    '',
  ];
  return {
    json: { ok, simulated: true, ...story },
    text: lines.join('\n'),
    exitCode: ok ? EXIT.done : EXIT.failed,
  };
}
