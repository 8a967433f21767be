// The processes of the node's benchmark that are no node themselves. `fill FOLDER CLUSTER COMET COUNT N` makes a store
// with so many registrations of n keys; `open FOLDER CLUSTER` opens it step by step and prints the times; `head FOLDER
// CLUSTER COMET` follows the chain and prints what each block took. All of it as JSON.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import {
  type Cluster,
  createCluster,
  createDevelopmentPki,
  createSimulatedCollateral,
  createSimulatedSource,
  parseSimulatedPlatform,
  simulatedMeasurements,
} from '../src/attestation/index.ts';
import { createWallet, walletKeys, walletPayload } from '../src/client/index.ts';
import { utf8 } from '../src/core/bytes.ts';
import { signOperation } from '../src/core/registration/operation.ts';
import { innerHash } from '../src/core/registration/payload.ts';
import { systemClock as clock, systemRandom as random } from '../src/core/system.ts';
import { createDefaultExecutor, createDetectionEngine, createIndexSets, registrationKeys } from '../src/fmd/index.ts';
import { createCometSource, createHttpTransport } from '../src/indexer/index.ts';
import { readProgress } from '../src/node/detection/progress.ts';
import type { Disk } from '../src/node/disk.ts';
import { launch } from '../src/node/launch.ts';
import { createNode, type KithNode } from '../src/node/node.ts';
import { createBatchWriter } from '../src/node/registrations/batch-writer.ts';
import { createRegistrations } from '../src/node/registrations/registrations.ts';
import type { KeyValueStore } from '../src/node/store/index.ts';
import { createLevelDisk } from '../src/node/store/level-disk.ts';
import { createFileKeys } from '../test/support/file-keys.ts';

/** Side by side: enough for full batches, little in memory. */
const SUBMITTERS = 256;

const silent = () => undefined;
const log = { debug: silent, info: silent, warn: silent, error: console.error };
const say = (value: unknown) => void process.stdout.write(`${JSON.stringify(value)}\n`);

const [what, folder = '', clusterFile = '', ...rest] = process.argv.slice(2);
const cluster = createCluster(JSON.parse(readFileSync(clusterFile, 'utf8')));
const disk = createLevelDisk(join(folder, 'data'));
const sealingKeys = createFileKeys(join(folder, 'keys'), disk);

/** A node over the real disk, which may be one that is watched. */
async function startedNode(comet: string, disk: Disk): Promise<KithNode> {
  const pki = createDevelopmentPki();
  const platform = pki.platform(parseSimulatedPlatform('op-bench/bench'));
  const node = createNode(
    {
      clock,
      random,
      log,
      cluster,
      disk,
      sources: [createCometSource({ transport: createHttpTransport(comet), clock })],
      chainClients: [],
      executor: createDefaultExecutor({ clock }),
      custody: { kind: 'injected', keys: sealingKeys },
      quoteSource: createSimulatedSource({ clock }, platform, simulatedMeasurements('this build', utf8('build'))),
      collateralSources: [createSimulatedCollateral(pki)],
    },
    { version: '0.0.0' },
  );
  await node.start();
  while (!node.service.readiness().ready) await new Promise((resolve) => setTimeout(resolve, 50));
  return node;
}

async function fill(comet: string, count: number, n: number): Promise<void> {
  const node = await startedNode(comet, createLevelDisk(join(folder, 'data')));
  let left = count;
  const submitter = async () => {
    while (left-- > 0) await register(node, cluster, n);
  };
  await Promise.all(Array.from({ length: SUBMITTERS }, submitter));
  await node.stop();
  say({ filled: count });
}

/** Follows the chain; says of each block how long its record took from the synced rows on, and what was written. */
async function head(comet: string): Promise<void> {
  const batches = { chain: 0, sealed: 0 };
  let rowsAt = 0;
  const delays = monitorEventLoopDelay({ resolution: 1 });
  const watched = (kv: KeyValueStore, onBatch: () => void): KeyValueStore => ({
    get: (key) => kv.get(key),
    range: (from, to) => kv.range(from, to),
    async batch(ops, options) {
      await kv.batch(ops, options);
      onBatch();
    },
    close: () => kv.close(),
  });
  const node = await startedNode(comet, {
    ...disk,
    openChain: async (how) =>
      watched(await disk.openChain(how), () => {
        batches.chain++;
        rowsAt = performance.now();
      }),
    openSealed: async () => watched(await disk.openSealed(), () => void batches.sealed++),
  });
  const tell = (detected: number) =>
    say({ ...batches, detected, headMs: performance.now() - rowsAt, loopMaxMs: Math.max(0, delays.max / 1e6 - 1) });
  tell(node.service.node().heights.detected);
  const { signal } = new AbortController();
  delays.enable();
  for await (const { height } of node.running!.indexer.blocks(node.service.node().heights.detected + 1, { signal })) {
    while (node.service.node().heights.detected < height) await new Promise((resolve) => setImmediate(resolve));
    tell(height);
    delays.reset();
  }
}

async function register({ running }: KithNode, { id: clusterId }: Cluster, n: number): Promise<void> {
  const wallet = createWallet({ random }, { n });
  const version = running!.tip();
  const inner = innerHash(walletKeys(wallet));
  const expiryHeight = version + cluster.configuration.limits.lifetimeBlocksMax;
  const request = { type: 'register', clusterId, inner, version, birthday: version, expiryHeight } as const;
  const operation = signOperation(wallet.authSecret, request);
  const outcome = await running!.registrations.submit({ operation, payload: walletPayload(wallet) });
  if (outcome.kind !== 'taken') throw new Error(`${outcome.kind}: ${outcome.detail}`);
}

/** Wraps a function so that its time is added up. */
function timer() {
  let ms = 0;
  return {
    get ms() {
      return ms;
    },
    timed:
      <A extends unknown[], R>(work: (...args: A) => R) =>
      (...args: A): R => {
        const began = performance.now();
        const result = work(...args);
        ms += performance.now() - began;
        return result;
      },
  };
}

const setAside = {
  offer: () => ({ key: new Promise<never>(() => undefined), end: () => undefined }),
  scan: async () => undefined,
};

async function open(): Promise<void> {
  const began = performance.now();
  const { store } = await launch(
    { disk, clock, random, log, sealingKeys, recoveryKeys: undefined, setAside },
    cluster.id,
    {
      signal: new AbortController().signal,
      waitsFor: () => undefined,
    },
  );
  const scanned = performance.now();
  const progress = await readProgress({ store, checkpoint: () => undefined as never });
  const engine = createDetectionEngine({ executor: createDefaultExecutor({ clock }) });
  const indexSets = createIndexSets();
  const [keyTable, sets] = [timer(), timer()];
  const registrations = createRegistrations(
    {
      store,
      writer: createBatchWriter({ clock, store }),
      engine: { ...engine, add: keyTable.timed(engine.add) },
      indexSets: { ...indexSets, add: sets.timed(indexSets.add), nextSerial: 0 },
      deriveKeys: registrationKeys,
      heights: () => ({ own: 0, cluster: 0 }),
      settled: () => ({ own: 0, cluster: 0 }),
    },
    { clusterId: cluster.id, ...cluster.configuration.limits, versionFloor: progress.versionFloor },
  );
  await registrations.load();
  const loaded = performance.now();
  say({
    registrations: registrations.counts.held,
    startMs: began,
    scanMs: scanned - began,
    loadMs: loaded - scanned,
    keyTableMs: keyTable.ms,
    indexSetsMs: sets.ms,
    rssMax: process.resourceUsage().maxRSS * 1024,
  });
  await store.close();
}

if (what === 'fill') await fill(rest[0] ?? '', Number(rest[1]), Number(rest[2]));
else if (what === 'head') await head(rest[0] ?? '');
else await open();
