// polyfuzzy 0.5.0 in native code beside our own: builds the harness where cargo is there, then asks it for timings, one
// line a request, so that its runs stand between ours.

import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export interface Polyfuzzy {
  /** Nanoseconds for one detection, the mean of `pairs` of them, for a key of this many subkeys. */
  time(subkeys: number, pairs: number): Promise<number>;
  stop(): Promise<void>;
}

const FOLDER = fileURLToPath(new URL('./polyfuzzy/', import.meta.url));
const BINARY = `${FOLDER}target/release/kith-bench-polyfuzzy`;

/** The harness, running; undefined where it cannot be built. Compiled for this very processor. */
export async function startPolyfuzzy(): Promise<Polyfuzzy | undefined> {
  const env = { ...process.env, RUSTFLAGS: '-C target-cpu=native' };
  const built = spawnSync('cargo', ['build', '--release', '--quiet'], { cwd: FOLDER, env, stdio: 'ignore' });
  if (built.status !== 0) return undefined;
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(BINARY, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async time(subkeys, pairs) {
      child.stdin.write(`${subkeys} ${pairs}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('the polyfuzzy harness ended');
      return Number(value) / pairs;
    },
    async stop() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}
