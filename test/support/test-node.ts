// A whole node without a socket or a file: the real node.ts over a disk in memory, the simulated chain, simulated
// quotes, the detector inline, on a clock that stands still until the test moves it.

import { onTestFinished } from 'vitest';
import { type Cluster, createSimulatedCollateral, createSimulatedSource } from '../../src/attestation/index.ts';
import { toBase64Url } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Devnet } from '../../src/devnet/index.ts';
import { createInlineExecutor, isDecodableFlag } from '../../src/fmd/index.ts';
import { type ChainSource, createCometClient, createCometSource } from '../../src/indexer/index.ts';
import type { Disk } from '../../src/node/disk.ts';
import type { Log, LogFields } from '../../src/node/log.ts';
import { createNode, type KithNode, type NodeDeps } from '../../src/node/node.ts';
import { memoryOnlyHeader } from '../../src/node/own-header.ts';
import type { SealingKeys } from '../../src/node/sealing-keys.ts';
import { measurements, NOW, pki, platform } from './attestation.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { seededRandom } from './seeded-random.ts';
import { testCluster } from './test-cluster.ts';
import { createTestDisk, type TestDisk } from './test-disk.ts';

/** Keeps the sealing keys that a test injects, as peers would. */
export function createKeptKeys(
  disk: Disk,
  random = seededRandom('kept keys'),
): SealingKeys & { readonly kept: ReadonlyMap<string, Secret> } {
  const kept = new Map<string, Secret>();
  return {
    kept,
    warning: () => undefined,
    async recover({ bytes, read }) {
      const key = kept.get(toBase64Url(read.storeId));
      return key && { key: Secret.copy(key.expose()), header: bytes, incarnation: 1 };
    },
    mayMake: async () => undefined,
    async keep(launched) {
      if (!launched.fresh) return;
      const { header, sealingKey } = memoryOnlyHeader({ random, disk }, launched);
      kept.set(toBase64Url(launched.store.identity.storeId), sealingKey);
      await disk.header.write(header);
    },
    stop: async () => undefined,
  };
}

export interface LogLine {
  readonly level: keyof Log;
  readonly event: string;
  readonly fields: LogFields;
}

export interface TestNode {
  readonly node: KithNode;
  readonly clock: ManualClock;
  readonly cluster: Cluster;
  readonly disk: TestDisk;
  readonly keys: SealingKeys;
  readonly lines: LogLine[];
  /** Starts it and lets time pass until it is ready. */
  ready(): Promise<void>;
  /** Lets time pass until the condition holds. */
  until(condition: () => boolean): Promise<void>;
}

export interface TestNodeOptions {
  readonly devnet: Devnet;
  readonly cluster?: Cluster;
  readonly disk?: TestDisk;
  readonly keys?: SealingKeys;
  readonly sources?: (clock: ManualClock) => readonly ChainSource[];
  readonly deps?: Partial<NodeDeps>;
  readonly startHeight?: number;
  readonly seed?: string;
}

/** Virtual seconds after which a condition is taken never to hold. */
const PATIENCE_S = 600;

/** In a test, with which it ends. */
export function createTestNode(options: TestNodeOptions): TestNode {
  const { devnet } = options;
  const clock = createManualClock(NOW * 1000);
  const cluster = options.cluster ?? testCluster();
  const disk = options.disk ?? createTestDisk();
  const keys = options.keys ?? createKeptKeys(disk);
  const lines: LogLine[] = [];
  const logAt =
    (level: keyof Log) =>
    (event: string, fields: LogFields = {}) =>
      void lines.push({ level, event, fields });
  const log: Log = { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') };
  const comet = () => [
    createCometSource(
      { transport: devnet.transport('comet'), clock, decodable: isDecodableFlag },
      { textPrefix: 'kith/' },
    ),
  ];
  const node = createNode(
    {
      clock,
      random: seededRandom(options.seed ?? 'node'),
      log,
      cluster,
      disk,
      sources: options.sources?.(clock) ?? comet(),
      chainClients: [createCometClient({ transport: devnet.transport('comet'), clock }, { textPrefix: 'kith/' })],
      executor: createInlineExecutor({ clock }),
      custody: { kind: 'injected', keys },
      quoteSource: createSimulatedSource({ clock }, platform, measurements),
      collateralSources: [createSimulatedCollateral(pki)],
      ...options.deps,
    },
    { version: '0.0.0', startHeight: options.startHeight },
  );
  const self: TestNode = {
    node,
    clock,
    cluster,
    disk,
    keys,
    lines,
    async ready() {
      await clock.settle(node.start());
      await self.until(() => node.service.readiness().ready);
    },
    async until(condition) {
      for (let second = 0; !condition(); second++) {
        if (second === PATIENCE_S)
          throw new Error(`not after ${PATIENCE_S} s: ${JSON.stringify(node.service.readiness())}`);
        await clock.advance(1_000);
      }
    },
  };
  onTestFinished(() => clock.settle(node.stop()));
  return self;
}
