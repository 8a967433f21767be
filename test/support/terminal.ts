// A terminal that writes into strings, and `kith` run on it.

import { runProgram, type Terminal } from '../../src/cli/command.ts';
import { buildProgram } from '../../src/cli/program.ts';

export interface FakeTerminal extends Terminal {
  /** All that was written to stdout and stderr so far. */
  readonly out: () => string;
  readonly err: () => string;
}

export function createFakeTerminal(
  options: { isTTY?: boolean; columns?: number; signal?: AbortSignal } = {},
): FakeTerminal {
  const written = { out: [] as string[], err: [] as string[] };
  const { signal = new AbortController().signal, ...kind } = options;
  return {
    stdout: { write: (text) => void written.out.push(text) },
    stderr: { write: (text) => void written.err.push(text), ...kind },
    signal,
    out: () => written.out.join(''),
    err: () => written.err.join(''),
  };
}

export interface Run {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `kith` with these words. */
export async function kith(...words: string[]): Promise<Run> {
  const terminal = createFakeTerminal();
  const exitCode = await runProgram(buildProgram, words, terminal);
  return { exitCode, out: terminal.out(), err: terminal.err() };
}
