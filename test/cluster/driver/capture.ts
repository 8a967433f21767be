// tcpdump, where there is one and it may listen.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';

export interface Capture {
  /** Everything captured so far. */
  read(): Promise<Uint8Array>;
  stop(): Promise<void>;
}

const STARTED_MS = 20_000;
/** What is captured sits in a buffer of the kernel before it is written. */
const FLUSH_MS = 1_500;

/** Captures whole packets into `path`. @returns undefined where that cannot be, and says why. */
export async function startCapture(path: string, network: string, filter: string): Promise<Capture | undefined> {
  if (process.getuid?.() !== 0) return unavailable('it takes root');
  const words = ['-i', network, '-s', '0', '-U', '-n', '-Z', 'root', '-w', path, ...(filter ? [filter] : [])];
  const child: ChildProcess = spawn('tcpdump', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const failed = once(child, 'error').then(([error]) => String(error));
  const ended = once(child, 'close').then(([code]) => `tcpdump ended with ${code}`);
  const listening = (async () => {
    for await (const line of createInterface({ input: child.stderr! })) if (line.includes('listening on')) return;
    return 'tcpdump says nothing';
  })();
  const late = new Promise<string>((resolve) => setTimeout(resolve, STARTED_MS, 'tcpdump does not start').unref());
  const why = await Promise.race([listening, failed, ended, late]);
  child.stderr?.resume();
  if (why !== undefined) return unavailable(why);
  return {
    async read() {
      await new Promise((resolve) => setTimeout(resolve, FLUSH_MS));
      return existsSync(path) ? readFileSync(path) : new Uint8Array();
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function unavailable(why: string): undefined {
  console.warn(`traffic is NOT captured: ${why}`);
}
