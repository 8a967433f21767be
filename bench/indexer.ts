// Blocks per second through the whole chain side: the simulated chain in another process, HTTP, decoding, LevelDB with
// synced writes. Each block has a transaction with two flags, which Namada's have not: the figure is the low end.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { toHex } from '../src/core/bytes.ts';
import { systemRandom } from '../src/core/system.ts';

const FIRST = 1_000_000;

/** A short chain and one five times as long: memory must not follow. */
const LENGTHS = process.env['KITH_LONG'] ? [4_000, 20_000, 100_000] : [4_000, 20_000];

export async function benchIndexer(): Promise<void> {
  const rows: Record<string, string | number>[] = [];
  for (const heights of LENGTHS) rows.push(await run(heights));
  console.log('\nIndexer (CometBFT source, one transaction of two flags a block)');
  console.table(rows);
}

async function run(heights: number): Promise<Record<string, string | number>> {
  const folder = mkdtempSync(join(tmpdir(), 'kith-bench-'));
  const replay = join(folder, 'chain.jsonl');
  await writeReplay(replay, heights);
  const { devnet, url } = await startDevnet(replay);
  const last = FIRST + heights - 1;
  const indexer = start([await bundled(), join(folder, 'store'), url, String(FIRST), String(last)]);
  const figures = JSON.parse(await firstLine(indexer)) as { seconds: number; cpuSeconds: number; rssMax: number };
  devnet.kill();
  rmSync(folder, { recursive: true });
  return {
    blocks: heights,
    'blocks/s': Math.round(heights / figures.seconds),
    'blocks per CPU second': Math.round(heights / figures.cpuSeconds),
    'largest RSS, MB': Math.round(figures.rssMax / 1e6),
  };
}

/** The measured process without TypeScript's loader in it. */
async function bundled(): Promise<string> {
  const outfile = fileURLToPath(new URL('../node_modules/.cache/kith/indexer-process.mjs', import.meta.url));
  const entry = fileURLToPath(new URL('indexer-process.ts', import.meta.url));
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['kith-source'],
    external: ['classic-level'],
  });
  return outfile;
}

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return line;
}

async function writeReplay(path: string, heights: number): Promise<void> {
  const out = createWriteStream(path);
  for (let i = 0; i < heights; i++) {
    const flags = [flag(), flag()];
    if (!out.write(`${JSON.stringify({ height: FIRST + i, block_index: 0, flags })}\n`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
}

/** Noise in the frame of a flag; the indexer looks no deeper. */
function flag(): string {
  const bytes = systemRandom.bytes(111);
  bytes.set([3, 0, 0, 0, 0, 0, 0, 0], 100);
  bytes[110] = bytes[110]! & 0x0f;
  return toHex(bytes);
}

async function startDevnet(replay: string): Promise<{ devnet: ChildProcess; url: string }> {
  const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
  const args = ['--conditions=kith-source', '--import', 'tsx', main];
  args.push('devnet', '--replay', replay, '--http', '127.0.0.1:0', '--block-ms', '3600000', '--json');
  const devnet = start(args);
  return { devnet, url: (JSON.parse(await firstLine(devnet)) as { url: string }).url };
}
