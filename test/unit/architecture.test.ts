// The rules about imports and about time, chance and I/O: each kind is broken once, on purpose, in a small tree of its
// own, and must be caught there; a clean tree must pass.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { breachesIn } from '../../scripts/check-determinism.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Files every planted tree needs so that what is planted has something to point at. */
const CLEAN: Record<string, string> = {
  'src/core/ids.ts': "export type Id = string;\nexport const id = 'x';\n",
  'src/core/system.ts': 'export const systemClock = {};\n',
  'src/core/crypto/node.ts': "import { sha } from '@noble/hashes/sha2.js';\nexport const sha256 = sha;\n",
  'src/core/crypto/noble.ts': 'export const sha256 = 1;\n',
  'src/core/hash.ts': "import { sha256 } from '#crypto';\nexport const hash = sha256;\n",
  'src/fmd/index.ts': "export { detect } from './detect.ts';\n",
  'src/fmd/codec.ts': 'export const size = 1;\n',
  'src/fmd/browser.ts': "export { size } from './codec.ts';\n",
  'src/fmd/detect.ts': "import { id } from '../core/ids.ts';\nexport const detect = id;\n",
  'src/attestation/index.ts': 'export const verify = 1;\n',
  'src/p2p/index.ts': "export { verify } from '../attestation/index.ts';\n",
  'src/p2p/libp2p/host.ts': "import 'libp2p';\nexport const host = 1;\n",
  'src/node/index.ts': "import { detect } from '../fmd/index.ts';\nexport const node = detect;\n",
  'src/node/main.ts': "import { systemClock } from '../core/system.ts';\nexport const main = systemClock;\n",
  'src/client/index.ts': "import { size } from '../fmd/browser.ts';\nexport const client = size;\n",
  'src/devnet/index.ts': "import { size } from '../fmd/codec.ts';\nexport const devnet = size;\n",
  'src/cli/main.ts': "import 'commander';\nimport { node } from '../node/index.ts';\nexport const cli = node;\n",
};

/** What is planted where, and the rule that must catch it. */
const PLANTED: [rule: string, file: string, source: string][] = [
  ['fmd-imports-core-only', 'src/fmd/a.ts', "import '../attestation/index.ts';\n"],
  ['indexer-imports-core-only', 'src/indexer/a.ts', "import '../fmd/index.ts';\n"],
  ['keyserver-imports-core-only', 'src/keyserver/a.ts', "import '../p2p/index.ts';\n"],
  ['replication-imports-core-only', 'src/replication/a.ts', "import '../fmd/index.ts';\n"],
  ['attestation-imports-core-only', 'src/attestation/a.ts', "import '../p2p/index.ts';\n"],
  ['core-imports-nothing', 'src/core/a.ts', "import '../fmd/index.ts';\n"],
  [
    'core-imports-nothing',
    'src/core/b.ts',
    "import type { detect } from '../fmd/index.ts';\nexport type D = typeof detect;\n",
  ],
  ['core-imports-nothing', 'src/core/c.ts', "export const load = () => import('../fmd/index.ts');\n"],
  ['core-imports-nothing', 'src/core/d.ts', "export * from '../fmd/index.ts';\n"],
  ['p2p-imports-core-and-attestation', 'src/p2p/a.ts', "import '../fmd/index.ts';\n"],
  ['client-imports-core-and-browser-doors', 'src/client/a.ts', "import '../fmd/index.ts';\n"],
  ['devnet-imports-core-and-codecs', 'src/devnet/a.ts', "import '../fmd/index.ts';\n"],
  ['nobody-imports-node-or-cli', 'src/p2p/b.ts', "import '../node/index.ts';\n"],
  ['node-does-not-import-cli-client-devnet', 'src/node/a.ts', "import '../devnet/index.ts';\n"],
  ['through-the-door', 'src/node/b.ts', "import '../fmd/detect.ts';\n"],
  ['system-ports-at-entry-points', 'src/fmd/b.ts', "import '../core/system.ts';\n"],
  ['libp2p-at-home', 'src/p2p/c.ts', "import 'libp2p';\n"],
  ['it-pipe-at-home', 'src/replication/b.ts', "import 'it-pipe';\n"],
  ['level-at-home', 'src/node/c.ts', "import 'classic-level';\n"],
  ['fastify-at-home', 'src/node/d.ts', "import 'fastify';\n"],
  ['pino-at-home', 'src/node/f.ts', "import 'pino';\n"],
  ['prom-client-at-home', 'src/node/g.ts', "import 'prom-client';\n"],
  ['commander-at-home', 'src/node/e.ts', "import 'commander';\n"],
  ['crypto-through-the-door', 'src/indexer/b.ts', "import '@noble/hashes/sha2.js';\n"],
  ['crypto-through-the-door', 'src/indexer/c.ts', "import 'node:crypto';\n"],
  ['browser-is-browser-safe', 'src/client/b.ts', "import 'node:fs';\n"],
  ['browser-is-browser-safe', 'src/attestation/browser.ts', "import 'node:fs';\n"],
  ['no-cycles', 'src/indexer/d.ts', "import './e.ts';\nexport const d = 1;\n"],
  ['no-unresolvable', 'src/indexer/f.ts', "import './missing.ts';\n"],
  ['no-development-dependencies', 'src/indexer/g.ts', "import 'vitest';\n"],
];

/** Completes what is planted above. */
const ACCOMPLICES: Record<string, string> = {
  'src/indexer/e.ts': "import './d.ts';\nexport const e = 1;\n",
};

const LIBRARIES = [
  'libp2p',
  'it-pipe',
  'classic-level',
  'fastify',
  'pino',
  'prom-client',
  'commander',
  '@noble/hashes',
];

function plant(folder: string, files: Record<string, string>): void {
  for (const [path, source] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), source);
  }
}

/** A small project with the real rules, the real tsconfig and libraries that are empty. */
function createTree(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'kith-architecture-'));
  for (const file of ['.dependency-cruiser.cjs', 'tsconfig.json']) cpSync(join(ROOT, file), join(folder, file));
  const manifest = {
    name: 'planted',
    type: 'module',
    imports: { '#crypto': { node: './src/core/crypto/node.ts' } },
    dependencies: Object.fromEntries(LIBRARIES.map((library) => [library, '1.0.0'])),
    devDependencies: { vitest: '1.0.0' },
  };
  plant(folder, { ...files, 'package.json': JSON.stringify(manifest) });
  for (const library of [...LIBRARIES, 'vitest']) {
    const home = `node_modules/${library}`;
    const exports = { '.': './index.js', './*': './index.js' };
    const description = JSON.stringify({ name: library, version: '1.0.0', type: 'module', exports });
    plant(folder, { [`${home}/package.json`]: description, [`${home}/index.js`]: 'export const sha = 1;\n' });
  }
  // Where the cruiser looks for the compiler it reads TypeScript with.
  symlinkSync(join(ROOT, 'node_modules', 'typescript'), join(folder, 'node_modules', 'typescript'));
  return folder;
}

interface Cruise {
  readonly summary: {
    readonly violations: { readonly from: string; readonly rule: { readonly name: string } }[];
    readonly totalCruised: number;
  };
}

/** What `npm run check:imports` finds in a tree. */
function cruise(folder: string): Cruise['summary'] {
  const program = join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
  const words = [program, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'];
  const { stdout, stderr } = spawnSync(process.execPath, words, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  expect(stderr).toBe('');
  return (JSON.parse(stdout) as Cruise).summary;
}

describe('the rules about imports', () => {
  const folders: string[] = [];
  let clean: Cruise['summary'];
  let planted: Cruise['summary'];

  beforeAll(() => {
    const wrong = Object.fromEntries(PLANTED.map(([, file, source]) => [file, source]));
    folders.push(createTree(CLEAN), createTree({ ...CLEAN, ...ACCOMPLICES, ...wrong }));
    clean = cruise(folders[0]!);
    planted = cruise(folders[1]!);
  });

  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  it('let a clean tree pass, and saw all of it', () => {
    expect(clean.violations).toEqual([]);
    expect(clean.totalCruised).toBeGreaterThanOrEqual(Object.keys(CLEAN).length);
  });

  it.each(PLANTED)('catch by %s what is planted in %s', (rule, file) => {
    const found = planted.violations.filter(({ from }) => from === file).map((violation) => violation.rule.name);
    expect(found).toContain(rule);
  });

  it('find nothing where nothing was planted', () => {
    const suspects = new Set([...PLANTED.map(([, file]) => file), ...Object.keys(ACCOMPLICES)]);
    expect(planted.violations.filter(({ from }) => !suspects.has(from))).toEqual([]);
  });

  it('all have a planted violation', async () => {
    const config = (await import('../../.dependency-cruiser.cjs' as string)) as {
      default: { forbidden: { name: string }[] };
    };
    const rules = config.default.forbidden.map(({ name }) => name);
    expect(rules.length).toBeGreaterThan(10);
    expect([...new Set(PLANTED.map(([rule]) => rule))].sort()).toEqual([...rules].sort());
  });
});

describe('the rules about time, chance and I/O', () => {
  const found = (source: string, file = 'src/replication/merge.ts') => breachesIn(file, source);

  it.each([
    ['the wall clock', 'export const f = () => Date.now();'],
    ['a new Date', 'export const f = () => new Date();'],
    ['the monotonic clock', 'export const f = () => performance.now();'],
    ['a timer', 'export const f = () => setTimeout(() => 1, 5);'],
    ['an interval', 'export const f = () => setInterval(() => 1, 5);'],
    ['an immediate', 'export const f = () => setImmediate(() => 1);'],
    ['a timer handed on', 'export const f = (g: (t: unknown) => void) => g(setTimeout);'],
    ['a timer in an object', 'export const ports = { setTimeout };'],
    ['randomness', 'export const f = () => Math.random();'],
    ['web cryptography', 'export const f = () => crypto.getRandomValues(new Uint8Array(1));'],
    ['web cryptography by a detour', 'export const f = () => globalThis.crypto;'],
    ['the wall clock by a detour', 'export const f = () => globalThis.Date.now();'],
    ['a timer by name', "export const f = () => globalThis['setTimeout'];"],
    ['randomness taken apart', 'const { random } = Math;\nexport const f = random;'],
    ['randomness by name', "export const f = () => Math['random']();"],
    ['a time-out signal', 'export const f = () => AbortSignal.timeout(5);'],
    ['the next tick', 'export const f = () => process.nextTick(() => 1);'],
    ['the environment', "export const f = () => process.env['HOME'];"],
    ['the network', "export const f = () => fetch('http://x');"],
    ['a web socket', "export const f = () => new WebSocket('ws://x');"],
    ['a thread', "export const f = () => new Worker('x');"],
    ['waiting on shared memory', 'export const f = (a: Int32Array) => Atomics.waitAsync(a, 0, 0);'],
    ['garbage collection seen', 'export const f = (o: object) => new WeakRef(o);'],
    ['garbage collection heard', 'export const f = () => new FinalizationRegistry(() => 1);'],
    ['the file system', "import { readFileSync } from 'node:fs';\nexport const f = readFileSync;"],
    ['the file system without names', "import 'node:fs/promises';"],
    ['the file system passed on', "export { readFileSync } from 'node:fs';"],
    ['the file system on demand', "export const f = () => import('node:fs');"],
    ['a module on demand by a computed name', 'export const f = (name: string) => import(name);'],
    ['timers by import', "import { setTimeout as later } from 'node:timers/promises';\nexport const f = later;"],
    ["node:crypto's chance", "import { randomBytes } from 'node:crypto';\nexport const f = randomBytes;"],
    ["node:crypto's chance renamed", "import { randomBytes as sha } from 'node:crypto';\nexport const f = sha;"],
    ['all of node:crypto', "import * as everything from 'node:crypto';\nexport const f = everything;"],
    ['the default of node:crypto', "import everything from 'node:crypto';\nexport const f = everything;"],
    ['asynchronous cryptography', "import { scrypt } from 'node:crypto';\nexport const f = scrypt;"],
    ['a library with timers', "import PQueue from 'p-queue';\nexport const f = PQueue;"],
    ['a library with chance', "import { nanoid } from 'nanoid/non-secure';\nexport const f = nanoid;"],
    ['a variable of the module', 'let count = 0;\nexport const f = () => count++;'],
    ['an exported variable', 'export let count = 0;'],
    ['an old variable', 'var count = 0;\nexport const f = () => count++;'],
    ['a map of the module', 'const seen = new Map<string, number>();\nexport const f = seen;'],
    ['a set of the module', "const seen: Set<string> = new Set(['a']);\nexport const f = seen;"],
    ['a weak map of the module', 'const seen = new WeakMap<object, number>();\nexport const f = seen;'],
  ])('catch %s', (_what, source) => {
    const breaches = found(source);
    expect(breaches.length).toBeGreaterThan(0);
    expect(breaches[0]).toMatchObject({ file: 'src/replication/merge.ts', line: 1 });
    expect(breaches[0]!.what).not.toBe('');
  });

  it.each([
    ['ports', 'export const f = (clock: { now(): number }) => clock.now();'],
    ['a method of a banned name', 'export const f = (o: { fetch(): void; Date: number }) => [o.fetch(), o.Date];'],
    ['a property of a banned name', 'export const o = { process: 1, crypto: 2 };'],
    ['a type of a banned name', 'export const f = (at: Date): Date => at;'],
    ['a type of a library', "import type { Stats } from 'node:fs';\nexport type S = Stats;"],
    [
      'a type from node:crypto',
      "import { type KeyObject, createHash } from 'node:crypto';\nexport const f = createHash;\nexport type K = KeyObject;",
    ],
    ['synchronous hashes', "import { createHash } from 'node:crypto';\nexport const f = createHash;"],
    ['other arithmetic', 'export const f = () => Math.max(1, 2);'],
    ['a check for a signal', 'export const f = (x: unknown) => x instanceof AbortSignal && AbortSignal.any([x]);'],
    ['a module of ours on demand', "export const f = () => import('./other.ts');"],
    ['a type passed on', "export type { Stats } from 'node:fs';"],
    ['a constant of the module', "export const NAMES = ['a', 'b'] as const;"],
    ['a read-only set of the module', "const NAMES: ReadonlySet<string> = new Set(['a']);\nexport const f = NAMES;"],
    ['a map inside a function', 'export const f = () => new Map<string, number>();'],
    ['a variable inside a function', 'export function f() {\n  let n = 0;\n  n++;\n  return n;\n}'],
    ['words in comments and strings', "// Date.now() and fetch\nexport const s = 'setTimeout(Math.random())';"],
  ])('allow %s', (_what, source) => {
    expect(found(source)).toEqual([]);
  });

  it('name the line', () => {
    const breaches = found('export const a = 1;\n\nexport const f = () => {\n  return Date.now();\n};\n');
    expect(breaches).toEqual([{ file: 'src/replication/merge.ts', line: 4, what: 'the global Date' }]);
  });

  it.each([
    'src/core/system.ts',
    'src/cli/files.ts',
    'src/devnet/server.ts',
    'src/p2p/libp2p/host.ts',
    'src/node/main.ts',
    'src/node/http/server.ts',
  ])('leave the adapter %s alone', (file) => {
    expect(found('export const f = () => Date.now();', file)).toEqual([]);
  });

  it.each([
    'src/core/system-time.ts',
    'src/node/cluster.ts',
    'src/p2p/mesh.ts',
    'src/fmd/engine.ts',
    'src/node/main.tsx',
  ])('do not take %s for an adapter', (file) => {
    expect(found('export const f = () => Date.now();', file).length).toBe(1);
  });
});
