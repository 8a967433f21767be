// Real processes on a real disk: killed at random moments, held against a limit, and their folder searched.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { concatBytes, toBase64Url, toHex, utf8 } from '../../../../src/core/bytes.ts';
import { systemClock, systemRandom } from '../../../../src/core/system.ts';
import {
  createHeaderFile,
  createSealedStore,
  openLevelStore,
  openSealedStore,
  readHeader,
  signHeader,
} from '../../../../src/node/store/index.ts';
import { longForm } from '../../../support/fuzz.ts';
import { codeOf, headerFor, itemShape, testNode } from '../../../support/sealed-store.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

/** Each takes a process half a second, more on a busy machine. */
const KILLS = longForm ? 50 : 8;

/** Acknowledgements a life may last. */
const LIFE_MAX = 120;

const source = fileURLToPath(new URL('../../../support/store-child.ts', import.meta.url));
/** Inside the project, for it to find its libraries. */
const child = fileURLToPath(new URL('../../../../node_modules/.cache/kith/store-child.mjs', import.meta.url));

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

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kith-store-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Life {
  readonly opened: readonly number[];
  /** The highest number each worker was told is safe. */
  readonly acknowledged: readonly number[];
}

/** One life: killed at its `killAt`th line after opening. */
function live(killAt: number): Promise<Life> {
  return new Promise((resolve, reject) => {
    const alive = spawn(process.execPath, [child, 'write', folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let opened: number[] = [];
    let acknowledged: number[] = [];
    let lines = 0;
    createInterface({ input: alive.stdout }).on('line', (line) => {
      const [word, ...numbers] = line.split(' ');
      if (word === 'opened') {
        opened = numbers.map(Number);
        acknowledged = [...opened];
      } else {
        acknowledged[Number(word)] = Number(numbers[0]);
      }
      if (lines++ === killAt) alive.kill('SIGKILL');
    });
    alive.once('error', reject);
    alive.once('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve({ opened, acknowledged });
      else reject(new Error(`the child ended with ${code ?? signal}`));
    });
  });
}

it(`loses nothing acknowledged and doubles nothing when it is killed at ${KILLS} random moments`, async () => {
  const seed = `kill ${process.env['KITH_SEED'] ?? '1'}`;
  const random = seededRandom(seed);
  let last: readonly number[] = [0, 0, 0, 0];
  let total = 0;
  for (let kill = 0; kill <= KILLS; kill++) {
    const { opened, acknowledged } = await live(random.bytes(1)[0]! % LIFE_MAX);
    expect(opened.length).toBe(4);
    for (const [worker, count] of opened.entries()) {
      // At most the one commit of each worker that was under way may be there unacknowledged.
      expect(count - last[worker]!, `${seed}, life ${kill}`).toBeGreaterThanOrEqual(0);
      expect(count - last[worker]!, `${seed}, life ${kill}`).toBeLessThanOrEqual(1);
    }
    last = acknowledged;
    total = acknowledged.reduce((sum, count) => sum + count, 0);
  }
  expect(total).toBeGreaterThan(KILLS);
});

it.skipIf(process.platform === 'win32')('goes on after a batch that LevelDB could write only half', () => {
  // Twelve megabytes of log do not fit a limit of six; reopening does.
  const command = `trap '' XFSZ; ulimit -f 12288; exec "$0" "$@"`;
  const output = execFileSync('sh', ['-c', command, process.execPath, child, 'fill', folder], { encoding: 'utf8' });
  const [before, after] = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(before).toEqual({
    codes: ['no error', 'store-full', 'no error', 'store-full', 'no error'],
    names: ['after', 'before', 'last'],
  });
  expect(after).toEqual({ names: ['after', 'before', 'last'] });
});

it('is opened by one process at a time', async () => {
  const store = await openLevelStore(join(folder, 'sealed'));
  expect(await codeOf(openLevelStore(join(folder, 'sealed')))).toBe('store-locked');
  await store.close();
});

function findings(needles: ReadonlyMap<string, Uint8Array>): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(3);
  return files.flatMap((file) => {
    const content = readFileSync(join(file.parentPath, file.name));
    return [...needles]
      .filter(([, needle]) => content.includes(Buffer.from(needle)))
      .map(([name]) => `${name} in ${file.name}`);
  });
}

it('leaves nothing readable on the disk: no value, no record key, no label, no key material', async () => {
  const node = testNode('marked');
  const file = createHeaderFile(join(folder, 'header'));
  const random = systemRandom;
  const made: Uint8Array[] = [];
  const watched = {
    bytes(length: number) {
      const bytes = random.bytes(length);
      if (length === 32) made.push(bytes.slice());
      return bytes;
    },
  };
  const deps = async () => ({
    kv: await openLevelStore(join(folder, 'sealed')),
    clock: systemClock,
    random: watched,
  });
  const store = await createSealedStore(await deps(), node.identity);
  const header = signHeader(headerFor(store, node), node.nodeSecret);
  await file.write(header);
  const space = store.namespace('marked-label', itemShape);
  const needles = new Map<string, Uint8Array>();
  const add = (name: string, bytes: Uint8Array) => {
    // Any half of it, in bytes and in the usual writings.
    for (let at = 0; at + 8 <= bytes.length; at += 8) {
      const part = bytes.slice(at, at + 8);
      needles.set(`${name} at ${at}`, part);
      needles.set(`${name} at ${at} in hex`, utf8(toHex(part)));
      needles.set(`${name} at ${at} in base64url`, utf8(toBase64Url(part).slice(0, 10)));
    }
  };
  for (let i = 0; i < 300; i++) {
    const key = random.bytes(16);
    const data = random.bytes(64);
    if (i < 20) {
      add(`key ${i}`, key);
      add(`value ${i}`, data);
    }
    await store.commit([space.put(key, { count: i, data: concatBytes(data, new Uint8Array(i * 20)) })]);
  }
  add('data key', store.copyDataKey().expose());
  add('sealing key', node.sealingKey.expose());
  add('node secret', node.nodeSecret.expose());
  for (const [i, bytes] of made.entries()) add(`random ${i}`, bytes);
  add('label', utf8('marked-label'));
  await store.close();
  const again = await openSealedStore(await deps(), { header: readHeader(header), sealingKey: node.sealingKey });
  expect(again.namespace('marked-label', itemShape).size).toBe(300);
  await again.close();
  expect(findings(needles)).toEqual([]);
  // The search does find what lies there in the clear.
  expect(findings(new Map([['store id', node.identity.storeId]]))).not.toEqual([]);
  const kv = await openLevelStore(join(folder, 'sealed'));
  await kv.batch([{ kind: 'put', key: utf8('clear'), value: [...needles.values()][0]! }]);
  await kv.close();
  expect(findings(needles).length).toBeGreaterThan(0);
});
