// A real process on a real disk, killed twenty times in the middle of a scan.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { beforeAll, expect, it } from 'vitest';
import { createDevnet, serveDevnet } from '../../../src/devnet/index.ts';
import { openNoteStore } from '../../../src/indexer/index.ts';
import { openLevelStore } from '../../../src/node/store/level.ts';
import { collect, linesOf, recordedChain, recordedLines } from '../../support/replay.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const KILLS = 20;

/** Twenty-one processes have to start, on a machine that may be busy. */
const TIMEOUT_MS = 240_000;

const source = fileURLToPath(new URL('../../support/crash-child.ts', import.meta.url));

/** Where the child is bundled to, so that it starts at once; inside the project, for it to find its libraries. */
const child = fileURLToPath(new URL('../../../node_modules/.cache/kith/crash-child.mjs', import.meta.url));

beforeAll(() =>
  build({
    entryPoints: [source],
    outfile: child,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['kith-source'],
    external: ['classic-level'],
  }),
);

interface Life {
  /** Cursor it found on the disk. */
  readonly opened: number;
  /** Heights it announced. */
  readonly announced: number[];
}

/** One life of the process: it is killed as soon as it announces `killAt`, or ends by itself. */
function live(args: readonly string[], killAt: number): Promise<Life> {
  return new Promise((resolve, reject) => {
    const alive: ChildProcess = spawn(process.execPath, [child, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let opened = -1;
    const announced: number[] = [];
    createInterface({ input: alive.stdout! }).on('line', (line) => {
      const [word, height] = line.split(' ');
      if (word === 'opened') opened = Number(height);
      else announced.push(Number(height));
      if (word === 'announced' && Number(height) >= killAt) alive.kill('SIGKILL');
    });
    alive.once('error', reject);
    alive.once('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve({ opened, announced });
      else reject(new Error(`the child ended with ${code ?? signal}`));
    });
  });
}

it('loses no row and doubles none when it is killed at 20 random points of a scan', {
  timeout: TIMEOUT_MS,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kith-crash-'));
  const devnet = createDevnet({ replay: recordedChain() });
  const server = await serveDevnet(devnet, { host: '127.0.0.1', port: 0 });
  const args = [folder, server.url, String(devnet.first), String(devnet.tip)];
  const step = Math.floor((devnet.tip - devnet.first) / (KILLS + 1));
  const seed = `crash ${process.env['KITH_SEED'] ?? '1'}`;
  const random = seededRandom(seed);
  try {
    let last = 0;
    const seen: number[] = [];
    for (let kill = 0; kill <= KILLS; kill++) {
      const [low = 0, high = 0] = random.bytes(2);
      const killAt = devnet.first + kill * step + ((low + 256 * high) % step);
      const life = await live(args, kill < KILLS ? killAt : Number.POSITIVE_INFINITY);
      // Whatever was announced was on the disk.
      expect(life.opened, seed).toBeGreaterThanOrEqual(last);
      last = life.announced.at(-1) ?? life.opened;
      seen.push(...life.announced);
    }
    expect(last).toBe(devnet.tip);
    // No height is announced twice: each life goes on from what the disk holds.
    expect(new Set(seen).size).toBe(seen.length);
    const store = await openLevelStore(folder);
    const notes = await openNoteStore(store);
    const blocks = await collect(notes.read(devnet.first, devnet.tip));
    await store.close();
    expect(blocks.map(({ height }) => height)).toEqual(
      Array.from({ length: devnet.tip - devnet.first + 1 }, (_, i) => devnet.first + i),
    );
    expect(linesOf(blocks)).toEqual(recordedLines());
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
