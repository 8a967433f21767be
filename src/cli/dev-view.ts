// What `kith dev` shows on its way: lines that stay, and on a terminal a live view below them that is drawn anew.

import type { Terminal } from './command.ts';
import { formatTable } from './table.ts';

export interface LiveNode {
  readonly name: string;
  readonly phase: string;
  /** What it waits for, or what an operator should know. */
  readonly reason: string | undefined;
  readonly chain: number;
  readonly detected: number;
  readonly registrations: number;
  /** How its own sealing key is kept. */
  readonly key: string;
  readonly quorum: { readonly needed: number; readonly reachable: number };
  readonly incarnation: number;
}

export interface LiveWallet {
  readonly name: string;
  readonly entries: number;
  readonly syncedTo: number;
}

export interface LiveState {
  readonly nodes: readonly LiveNode[];
  readonly wallets: readonly LiveWallet[];
}

export interface DevView {
  /** A line that stays. */
  say(line: string): void;
  show(state: LiveState): void;
  /** Removes the live view; lines that are said later still stay. */
  end(): void;
}

/** Without a terminal: a line for every so many heights. */
const HEIGHTS_PER_LINE = 20;

/** The live view of a terminal, as lines without their ends. */
export function liveLines({ nodes, wallets }: LiveState, columns: number): string[] {
  const nodeRows = nodes.map(({ name, phase, chain, detected, registrations, key, quorum, incarnation }) =>
    [name, phase, chain, detected, registrations, key, `${quorum.reachable} of ${quorum.needed}`, incarnation].map(
      String,
    ),
  );
  const parts = [
    formatTable(['node', 'phase', 'chain', 'detected', 'registrations', 'key', 'quorum', 'boot'], nodeRows),
    wallets.length === 0
      ? ''
      : formatTable(
          ['wallet', 'entries', 'synced to'],
          wallets.map(({ name, entries, syncedTo }) => [name, entries, syncedTo].map(String)),
        ),
  ];
  const lines = parts.flatMap((part) => (part === '' ? [] : ['', ...part.trimEnd().split('\n')]));
  return lines.map((line) => line.slice(0, columns - 1));
}

/** The state on one line. */
export function plainLine({ nodes, wallets }: LiveState): string {
  const ofNodes = nodes.map(({ name, phase, chain, detected, registrations }) =>
    [`${name} ${phase}`, `chain ${chain}`, `detected ${detected}`, `registrations ${registrations}`].join(', '),
  );
  const ofWallets = wallets.map(({ name, entries }) => `${name} ${entries}`).join(', ');
  return [...ofNodes, ...(ofWallets === '' ? [] : [`entries: ${ofWallets}`])].join('; ');
}

/** When two states have the same, one line is enough for both. */
const stepOf = ({ nodes }: LiveState): string =>
  nodes.map(({ phase, chain }) => `${phase} ${Math.floor(chain / HEIGHTS_PER_LINE)}`).join();

export function createDevView({ stderr }: Terminal): DevView {
  let drawn = 0;
  let latest: LiveState | undefined;
  let step = '';
  const clear = () => {
    if (drawn > 0) stderr.write(`\u001b[${drawn}A\u001b[0J`);
    drawn = 0;
  };
  const draw = () => {
    if (!latest) return;
    const lines = liveLines(latest, stderr.columns ?? 100);
    stderr.write(`${lines.join('\n')}\n`);
    drawn = lines.length;
  };
  if (!stderr.isTTY) {
    return {
      say: (line) => void stderr.write(`${line}\n`),
      show(state) {
        const next = stepOf(state);
        if (next !== step) stderr.write(`  ${plainLine(state)}\n`);
        step = next;
      },
      end: () => undefined,
    };
  }
  return {
    say(line) {
      clear();
      stderr.write(`${line}\n`);
      draw();
    },
    show(state) {
      clear();
      latest = state;
      draw();
    },
    end() {
      clear();
      latest = undefined;
    },
  };
}
