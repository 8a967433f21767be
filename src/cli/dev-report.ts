// What `kith dev` found: each index set beside the one it must be, as rows, as text and as one JSON document.

import type { Entry } from '../client/index.ts';
import { EXIT, type Outcome } from './command.ts';
import type { Sample } from './dev-samples.ts';
import { formatTable } from './table.ts';

/** What one node tells of one wallet. */
export interface WalletRow {
  readonly name: string;
  /** The node. */
  readonly at: string;
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

/** A node that was killed and came back. */
export interface Outage {
  readonly node: string;
  /** The wallet that registered while it was away. */
  readonly meanwhile: string;
  /** From its start until it had its sealing key from its peers. */
  readonly keySeconds: number;
  /** From its start until it served. */
  readonly readySeconds: number;
  readonly incarnation: number;
}

export interface Story {
  readonly chain: { readonly first: number; readonly last: number; readonly url: string };
  readonly nodes: readonly NodeFacts[];
  /** Each wallet as each node tells it. */
  readonly wallets: readonly WalletRow[];
  /** With three nodes or more. */
  readonly outage?: Outage | undefined;
  readonly renewed: { readonly name: string; readonly node: string; readonly expiryHeight: number };
  readonly revoked: { readonly name: string; readonly node: string };
  /** What was wrong; empty if nothing was. */
  readonly problems: readonly string[];
  readonly seconds: number;
}

/** Compares an index set with the one the sample must have. */
export function compareSet({ name, n, late, expected, own }: Sample, at: string, entries: readonly Entry[]): WalletRow {
  const found = new Set(entries.map(String));
  return {
    name,
    at,
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
export function problemOf({ name, at, entries, expected, ownMissing, exact }: WalletRow): string | undefined {
  if (ownMissing > 0) return `${name}: ${ownMissing} of its own transactions are not in its index set at ${at}`;
  if (exact) return undefined;
  return `${name}: its index set at ${at} (${entries} entries) is not the expected one (${expected})`;
}

/** The outcome of a story. */
export function reportOf(story: Story): Outcome {
  const { nodes, wallets, outage, problems, renewed, revoked, seconds } = story;
  const ok = problems.length === 0;
  const exact = wallets.filter((row) => row.exact).length;
  const lines = [
    '',
    walletTable(wallets, nodes.length),
    `${exact} of ${wallets.length} index sets are exact; ${renewed.name} was renewed, ${revoked.name} revoked; ${seconds.toFixed(1)} s`,
    ...(outage ? [`${outage.node} was killed, and back with its own key ${outage.keySeconds.toFixed(1)} s later`] : []),
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

/** A line for each wallet, as the first node tells it; how many nodes tell its index set exactly. */
function walletTable(rows: readonly WalletRow[], nodes: number): string {
  const exactAt = (wallet: string) => rows.filter(({ name, exact }) => name === wallet && exact).length;
  return formatTable(
    ['wallet', 'n', 'registered', 'own', 'expected', 'index set', 'exact at'],
    rows
      .filter(({ at }) => at === rows[0]?.at)
      .map(({ name, n, late, own, expected, entries }) => {
        const exact = exactAt(name);
        const where = nodes === exact ? (nodes === 1 ? 'the node' : `all ${nodes} nodes`) : `ONLY ${exact} of ${nodes}`;
        return [name, n, late ? 'late' : 'early', own, expected, entries, where].map(String);
      }),
  );
}
