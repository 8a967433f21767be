// Whole nodes in one thread on one clock that stands still until the test moves it: the real node.ts and mesh over
// in-process streams, disks in memory, one simulated chain. KITH_SEED replays what a run does by chance.

import { setMaxListeners } from 'node:events';
import process from 'node:process';
import {
  type Cluster,
  createSimulatedCollateral,
  createSimulatedSource,
  type MeasurementSet,
  type QuoteSource,
} from '../../src/attestation/index.ts';
import type { SimulatedPlatform } from '../../src/attestation/simulated/pki.ts';
import type { NodeId } from '../../src/core/ids.ts';
import type { Clock, Random } from '../../src/core/ports.ts';
import type { Devnet } from '../../src/devnet/index.ts';
import { createInlineExecutor, type DetectionExecutor, isDecodableFlag } from '../../src/fmd/index.ts';
import type { Transport as WireTransport } from '../../src/indexer/codec.ts';
import { createCometClient, createCometSource } from '../../src/indexer/index.ts';
import type { LogFields } from '../../src/node/log.ts';
import { createNode, type KithNode, type NodeOptions } from '../../src/node/node.ts';
import { createMetrics } from '../../src/node/telemetry/index.ts';
import { createMemoryNetwork, type MemoryNetwork, type Transport } from '../../src/p2p/index.ts';
import { measurements as build, NOW, pki } from './attestation.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { createTestMesh, type TestNode, type TestNodeOptions } from './mesh.ts';
import { createLife, type Life, mortalClock, mortalDisk, mortalTransport, type PortCall } from './mortal.ts';
import { fakeProcess } from './node-service.ts';
import { seededRandom } from './seeded-random.ts';
import { testCluster } from './test-cluster.ts';
import { createTestDisk, type TestDisk } from './test-disk.ts';
import type { LogLine } from './test-node.ts';

/** What chance in simulations begins with. */
export const SIM_SEED = process.env['KITH_SEED'] ?? '1';

/** On the end of one link: five protocols, each with its streams and requests under way, for both ends. */
const LISTENERS_MAX = 512;

export interface MachineOptions {
  readonly operator?: string;
  /** Name of the platform; that of the machine if absent. */
  readonly platform?: string;
  readonly disk?: TestDisk;
  readonly address?: string;
  /** The cluster file its operator has. */
  readonly cluster?: Cluster;
  readonly measurements?: MeasurementSet;
  /** In place of the platform's own quotes. */
  readonly quotes?: (genuine: QuoteSource) => QuoteSource;
  /** The chain that its endpoint shows it; that of the others if absent. */
  readonly devnet?: Devnet;
  /** Looks at what the machine draws by chance. */
  readonly random?: (genuine: Random) => Random;
  /** The clock that its host shows it, in place of the one of all. */
  readonly hostClock?: (genuine: Clock) => Clock;
  /** Stands between it and the network. */
  readonly transport?: (genuine: Transport) => Transport;
  /** Stands between it and its endpoint of the chain. */
  readonly endpoint?: (genuine: WireTransport) => WireTransport;
}

export interface SimClusterOptions {
  /** What chance begins with; KITH_SEED if absent. */
  readonly seed?: string;
  /** What detects in each machine; inline if absent. */
  readonly executor?: (deps: { readonly clock: Clock }) => DetectionExecutor;
  /** Told of each line that a machine logs. */
  readonly onLine?: (machine: string, line: LogLine) => void;
}

export interface BootOptions {
  readonly bootstrap?: readonly string[];
  readonly cluster?: Cluster;
  readonly measurements?: MeasurementSet;
  readonly replication?: NodeOptions['replication'];
  /** Whether it founds the cluster with the first it meets; the first machine does, if absent. */
  readonly found?: boolean;
  /** Told of each port call before it has its effect; may crash the machine. */
  readonly onCall?: (kind: PortCall) => void;
}

/** A machine: its disk and place survive the boots on it. */
export interface SimMachine {
  readonly name: string;
  readonly address: string;
  readonly disk: TestDisk;
  readonly lines: LogLine[];
  /** The boot that runs, or ran last. */
  readonly node: KithNode;
  /** Whether a boot runs that was neither crashed nor stopped. */
  readonly alive: boolean;
  readonly nodeId: NodeId;
  readonly ready: boolean;
  /** A new boot; resolves at once. */
  boot(options?: BootOptions): KithNode;
  /**
   * The boot ends between two instructions: its timers and calls never come back.
   * @param keep batches under way that the disk has all the same, of those that were not synced; none if absent.
   */
  crash(keep?: number): void;
  /** Ends the running boot, if one is running. */
  stop(): Promise<void>;
  /** Codes of the log lines of an event, or all its values of another field. */
  logged(event: string, field?: string): unknown[];
  /** The value of a sample of the metrics, as `name{label="value"}`; 0 if there is none. */
  metric(sample: string): Promise<number>;
}

export interface SimCluster {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  readonly cluster: Cluster;
  readonly devnet: Devnet;
  readonly machines: readonly SimMachine[];
  machine(name: string, options?: MachineOptions): SimMachine;
  /** A mesh that an attacker has in hand, on the same network: its parts can be replaced one by one. */
  intruder(name: string, options?: TestNodeOptions): Promise<TestNode>;
  /** Lets time pass until the condition holds; how long it took in milliseconds. */
  until(condition: () => boolean, seconds?: number): Promise<number>;
  stopAll(): Promise<void>;
}

interface Boot {
  readonly node: KithNode;
  readonly life: Life;
  readonly transport: Transport;
  stopped: boolean;
}

const platforms = new Map<string, SimulatedPlatform>();

/** A platform of the development PKI. Made once: its certificate is the same each time, and costs more than a boot. */
function platformOf(operator: string, name: string): SimulatedPlatform {
  const key = `${operator}/${name}`;
  const platform = platforms.get(key) ?? pki.platform({ operator, name });
  platforms.set(key, platform);
  return platform;
}

export function createSimCluster(
  devnet: Devnet,
  cluster = testCluster({ allowUnbacked: false }),
  { seed = SIM_SEED, executor = createInlineExecutor, onLine }: SimClusterOptions = {},
): SimCluster {
  const clock = createManualClock(NOW * 1000);
  const network = createMemoryNetwork({ clock, onLink: (ended) => setMaxListeners(LISTENERS_MAX, ended) });
  const addresses: string[] = [];
  const machines: SimMachine[] = [];
  const intruders: TestNode[] = [];

  function machine(name: string, given: MachineOptions = {}): SimMachine {
    const disk = given.disk ?? createTestDisk();
    const lines: LogLine[] = [];
    const platform = platformOf(given.operator ?? `op-${name}`, given.platform ?? name);
    const address = given.address ?? `/memory/${name}`;
    if (!addresses.includes(address)) addresses.push(address);
    let boots = 0;
    let running: Boot | undefined;
    const toChain = (given.devnet ?? devnet).transport(name);
    const endpoint = given.endpoint?.(toChain) ?? toChain;

    function boot(options: BootOptions = {}): KithNode {
      const seeded = seededRandom(`${seed} ${name} ${address} boot ${++boots}`);
      const random = given.random?.(seeded) ?? seeded;
      const life = createLife(options.onCall);
      const own = mortalClock(given.hostClock?.(clock) ?? clock, life);
      const log =
        (level: LogLine['level']) =>
        (event: string, fields: LogFields = {}): void => {
          if (!life.alive) return;
          const line = { level, event, fields };
          lines.push(line);
          onLine?.(name, line);
        };
      const reached = network.transport({ bootKey: random.bytes(32), address });
      const transport = given.transport?.(reached) ?? reached;
      const genuine = createSimulatedSource(
        { clock: own },
        platform,
        options.measurements ?? given.measurements ?? build,
      );
      const node = createNode(
        {
          clock: own,
          random,
          log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
          cluster: options.cluster ?? given.cluster ?? cluster,
          disk: mortalDisk(disk, life),
          sources: [
            createCometSource({ transport: endpoint, clock: own, decodable: isDecodableFlag }, { textPrefix: 'kith/' }),
          ],
          executor: executor({ clock: own }),
          chainClients: [createCometClient({ transport: endpoint, clock: own }, { textPrefix: 'kith/' })],
          custody: { kind: 'members', transport: mortalTransport(transport, life) },
          quoteSource: given.quotes?.(genuine) ?? genuine,
          collateralSources: [createSimulatedCollateral(pki)],
        },
        {
          version: '0.0.0',
          bootstrap: options.bootstrap ?? addresses.filter((other) => other !== address),
          found: options.found ?? address === addresses[0],
          replication: options.replication,
        },
      );
      running = { node, life, transport, stopped: false };
      node.start().catch((error: unknown) => log('error')('start-failed', { reason: String(error) }));
      return node;
    }

    const self: SimMachine = {
      name,
      address,
      disk,
      lines,
      boot,
      get node() {
        return running!.node;
      },
      get alive() {
        return running?.life.alive === true && !running.stopped;
      },
      get nodeId() {
        return running!.node.service.node().nodeId as NodeId;
      },
      get ready() {
        return running!.node.service.readiness().ready;
      },
      crash(keep = 0) {
        running!.life.end();
        void running!.transport.stop();
        disk.sealed.crash(keep);
        disk.chain().crash(keep);
      },
      async stop() {
        if (!running?.life.alive) return;
        running.stopped = true;
        await clock.settle(running.node.stop());
      },
      logged: (event, field = 'code') =>
        lines.filter((line) => line.event === event).map(({ fields }) => fields[field]),
      async metric(sample) {
        const { node } = running!;
        const text = await createMetrics({ stats: () => node.stats(), runtime: () => fakeProcess }).text();
        const line = text.split('\n').find((candidate) => candidate.startsWith(`${sample} `));
        return Number(line?.slice(sample.length + 1) ?? 0);
      },
    };
    machines.push(self);
    return self;
  }

  return {
    clock,
    network,
    cluster,
    devnet,
    machines,
    machine,
    async intruder(name, options = {}) {
      const node = createTestMesh(clock, network).node(name, { cluster, ...options });
      await node.mesh.start({});
      intruders.push(node);
      return node;
    },
    async until(condition, seconds = 120) {
      const began = clock.monotonic();
      while (!condition()) {
        if (clock.monotonic() - began > seconds * 1_000) {
          const states = machines.map(({ name, node, lines }) =>
            [
              name,
              JSON.stringify(node.service.readiness()),
              ...lines.slice(-8).map((line) => JSON.stringify(line)),
            ].join('\n  '),
          );
          throw new Error(`KITH_SEED=${SIM_SEED}: not within ${seconds} s\n${states.join('\n')}`);
        }
        await clock.advance(100);
      }
      return clock.monotonic() - began;
    },
    async stopAll() {
      for (const { mesh } of intruders) await mesh.stop();
      for (const one of machines) await one.stop();
    },
  };
}
