// The processes that `kith dev` starts: this program again, with other words. A channel between the two tells a child
// that its parent is gone, whatever ended it, and the child ends too.

import { type ChildProcess, fork } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { abortable, deadline } from '../core/deadline.ts';
import { KithError, messageOf } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { type Shape, shape, Type } from '../core/schema.ts';
import { systemClock } from '../core/system.ts';

export interface DevChild<Facts = unknown> {
  readonly name: string;
  /** What it said of itself once it was up. */
  readonly facts: Facts;
  /** Resolves when the process is gone, with how it ended. */
  readonly ended: Promise<string>;
  /** The last lines of its log. */
  lastLines(): readonly string[];
  /** Ends it, gracefully if it can; resolves when it is gone. Idempotent. */
  stop(): Promise<void>;
  /** Ends it as a crash would; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Set for children: they end when the channel to their parent closes. */
const END_WITH_PARENT = 'KITH_END_WITH_PARENT';
/** The first line comes after a second; on a machine that does much else it was half a minute. */
const UP_MS = 90_000;
/** Above the twenty seconds a node takes at most. */
const STOP_MS = 22_000;
/** What is shown of the log of a child that died. */
const LAST_LINES = 12;
const LINE_CHARS_MAX = 400;

const MAIN = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? 'main.ts' : 'main.js', import.meta.url));

const errorShape = shape(Type.Object({ error: Type.Object({ code: Type.String(), message: Type.String() }) }));

/** In a child of `startChild`: stops it once the parent is gone, however that ended. */
export function endWithParent(controller: AbortController): void {
  if (process.env[END_WITH_PARENT] === undefined || !process.connected) return;
  process.once('disconnect', () => {
    controller.abort();
    // Nobody is left to end what does not stop by itself.
    setTimeout(() => process.exit(1), STOP_MS).unref();
  });
  process.channel?.unref();
}

/**
 * Starts `kith` with these words and waits for its first line.
 * @throws KithError `child-ended` if it ends before, or the error it states; `timeout`.
 */
export async function startChild<Facts>(
  name: string,
  words: readonly string[],
  facts: Shape<Facts>,
  { signal, onFailure }: { signal: AbortSignal; onFailure: (lines: readonly string[]) => void },
): Promise<DevChild<Facts>> {
  const child = fork(MAIN, [...words, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: process.execArgv.filter((flag) => !flag.startsWith('--inspect')),
    env: childEnvironment(process.env),
  });
  const lines = lastLinesOf(child);
  const ended = endOf(child);
  const stop = () => stopChild(child, ended);
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  try {
    using limit = deadline(systemClock, UP_MS, signal);
    const early = ended.then((how): never => {
      throw new KithError('child-ended', `${name} ${how} before it was up`);
    });
    const first = await abortable(Promise.race([firstLine(child), early]), limit.signal);
    const said = parseJson(first, `what ${name} says`);
    if (typeof said === 'object' && said !== null && 'error' in said) {
      const { code, message } = errorShape.parse(said, name).error;
      throw new KithError(code, `${name}: ${message}`);
    }
    return { name, facts: facts.parse(said, `what ${name} says`), ended, lastLines: () => [...lines], stop, kill };
  } catch (error) {
    await stop();
    if (!signal.aborted) onFailure(lines);
    throw error;
  }
}

/** The environment without what would configure a node; the caller's flags say all. */
export function childEnvironment(environment: Readonly<Record<string, string | undefined>>) {
  const kept = Object.entries(environment).filter(([name]) => !name.startsWith('KITH_'));
  return { ...Object.fromEntries(kept), [END_WITH_PARENT]: '1' };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    createInterface({ input: child.stdout! }).once('line', resolve);
  });
}

function lastLinesOf(child: ChildProcess): string[] {
  const lines: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    lines.push(line.length > LINE_CHARS_MAX ? `${line.slice(0, LINE_CHARS_MAX)}...` : line);
    if (lines.length > LAST_LINES) lines.shift();
  });
  return lines;
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started (${messageOf(error)})`));
    child.once('close', (code, by) => resolve(by === null ? `ended with code ${code}` : `was ended by ${by}`));
  });
}

async function stopChild(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const timer = systemClock.schedule(STOP_MS, () => child.kill('SIGKILL'));
  await ended;
  timer.cancel();
}
