// Real `kith` processes, started from the build and listened to. Tests take them from `processes.ts`, which ends them.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Started {
  readonly child: ChildProcess;
  /** The first line of stdout. */
  readonly first: string;
  /** All of stderr so far, or the end of it. */
  readonly err: () => string;
  /** The exit code; null after a signal. */
  readonly ended: Promise<number | null>;
}

/** What is kept of a stream: a node that runs for hours says more than anybody reads. */
const KEPT_CHARS_MAX = 4_194_304;

const running = new Set<ChildProcess>();

/** Ends at once whatever was started here and still runs. */
export function endAllProcesses(): void {
  for (const child of running) child.kill('SIGKILL');
}

function follow(child: ChildProcess): { out: () => string; err: () => string; ended: Promise<number | null> } {
  running.add(child);
  let out = '';
  let err = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out = (out + text).slice(-KEPT_CHARS_MAX);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err = (err + text).slice(-KEPT_CHARS_MAX);
  });
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { out: () => out, err: () => err, ended };
}

/** A long-running process, once it has said its first line. @throws if it ends before. */
async function startProcess(file: string, args: readonly string[]): Promise<Started> {
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { err, ended } = follow(child);
  const first = await Promise.race([
    once(createInterface({ input: child.stdout! }), 'line').then(([line]) => line as string),
    ended.then((code) => Promise.reject(new Error(`${args.join(' ')} ended with ${code}: ${err()}`))),
  ]);
  return { child, first, err, ended };
}

/** A long-running `kith` command. */
export const startKith = (...words: string[]): Promise<Started> => startProcess(main, words);

/** The same of the build that a `main.js` belongs to. */
export const startBuild = (file: string, ...words: string[]): Promise<Started> => startProcess(file, words);

export interface Ran {
  readonly exitCode: number | null;
  readonly out: string;
  readonly err: string;
}

/** `kith` with these words, to its end. */
export const runKith = (...words: string[]): Promise<Ran> => runBuild(main, ...words);

/** The same of the build that a `main.js` belongs to. */
export async function runBuild(file: string, ...words: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [file, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { out, err, ended } = follow(child);
  const exitCode = await ended;
  return { exitCode, out: out(), err: err() };
}

/** Ends a process at once and waits until it is gone. */
export async function kill({ child, ended }: Started, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  child.kill(signal);
  await ended;
}
