// A simulated cluster of real processes with its simulated chain: boots, kills, lost disks, disks put back, partitions.
// Every wait has an end. Whoever makes one stops it.

import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, createCluster, formatCluster, parseCluster } from '../../src/attestation/index.ts';
import { readTextFile } from '../../src/cli/files.ts';
import { freePorts } from './free-port.ts';
import { kill, runKith, type Started, startKith } from './kith-process.ts';
import { socketOwner } from './socket-owner.ts';
import { type CutKind, startTcpGate, type TcpGate } from './tcp-gate.ts';

export interface ClusterProcessesOptions {
  readonly nodes: number;
  /** For everything that is written. */
  readonly folder: string;
  readonly replayPath: string;
  /** More words for `kith devnet`, `kith cluster init` and each `kith node`. */
  readonly devnet?: readonly string[];
  readonly init?: readonly string[];
  readonly node?: readonly string[];
  /** Other limits than those of a new cluster. */
  readonly limits?: Partial<Cluster['configuration']['limits']>;
  /** Every way from one node to another goes through a gate, for `cut` and `delay`. */
  readonly gated?: boolean;
}

/** Of GET /v1/node, what tests look at. */
export interface NodeFacts {
  readonly nodeId: string;
  readonly phase: string;
  readonly incarnation: number;
  readonly members: number;
  readonly heights: { readonly chain: number; readonly detected: number };
  readonly quorum: { readonly needed: number; readonly reachable: number };
}

export interface ClusterProcesses {
  readonly cluster: Cluster;
  readonly clusterPath: string;
  readonly chainUrl: string;
  /** Of the nodes' APIs, the same over all boots. */
  readonly urls: readonly string[];
  readonly running: readonly boolean[];
  /** Starts node `i` (from 0) and waits until its API listens. */
  boot(i: number): Promise<void>;
  kill(i: number, signal?: NodeJS.Signals): Promise<void>;
  /** Of the admin listener of the boot that runs. */
  adminUrl(i: number): string;
  /** The log of the boot that runs, or ran last. */
  log(i: number): string;
  process(i: number): Started;
  /** Loses the disk of a node that does not run. */
  wipe(i: number): void;
  /** Copies the disk of a node that does not run, for `putBack`. */
  copyDisk(i: number): void;
  putBack(i: number): void;
  info(i: number): Promise<NodeFacts | undefined>;
  reasons(i: number): Promise<readonly string[] | undefined>;
  /** @returns milliseconds it took. */
  waitReady(i: number, timeoutMs?: number): Promise<number>;
  /** All nodes have so many members on their roster and reach a quorum of them. */
  waitMembers(count: number, timeoutMs?: number): Promise<number>;
  /** The sealing key of node `i` is kept by others. */
  waitBacked(i: number, timeoutMs?: number): Promise<number>;
  /** Cuts or restores all ways from and to node `i`, if the cluster is gated. */
  cut(i: number, how?: CutKind): void;
  heal(i: number): void;
  /** For connections that others opened to node `i`. */
  delay(i: number, ms: number): void;
  stop(): Promise<void>;
}

/** Founding, with recorded chain and full detection, on a busy machine. */
const WAIT_MS = 90_000;
const LOOK_MS = 50;
const CLUSTER_BYTES_MAX = 1_048_576;

const multiaddrOf = (port: number): string => `/ip4/127.0.0.1/tcp/${port}`;

/** Asks until the condition holds; how long that took in milliseconds. @throws after `timeoutMs`. */
export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = WAIT_MS): Promise<number> {
  const began = performance.now();
  while (!(await condition())) {
    if (performance.now() - began > timeoutMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return performance.now() - began;
}

async function get<T>(url: string): Promise<T | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
    return (await response.json()) as T;
  } catch {
    return undefined;
  }
}

/**
 * What stands before the mesh ports if `gated`: a gate for each node, which tells by the process who dials, because
 * nodes tell one another the addresses they know.
 */
async function createGates(listening: readonly number[], pidOf: (i: number) => number | undefined) {
  const whoIs = (port: number) => {
    const pids = listening.map((_, i) => pidOf(i) ?? 0);
    const owner = socketOwner(port, pids);
    return owner === undefined ? undefined : String(pids.indexOf(owner));
  };
  const gates: TcpGate[] = [];
  for (const port of listening) gates.push(await startTcpGate(port, { whoIs }));
  return {
    ports: gates.map(({ port }) => port),
    cut(i: number, how?: CutKind) {
      for (const [to, gate] of gates.entries()) gate.cut(how, to === i ? undefined : String(i));
    },
    heal(i: number) {
      for (const [to, gate] of gates.entries()) gate.heal(to === i ? undefined : String(i));
    },
    delay: (i: number, ms: number) => gates[i]?.delay(ms),
    stop: () => Promise.all(gates.map((gate) => gate.stop())),
  };
}

const limited = ({ configuration }: Cluster, limits: ClusterProcessesOptions['limits']): Cluster =>
  createCluster({ ...configuration, limits: { ...configuration.limits, ...limits } });

/** Makes the cluster, starts its chain and all nodes at once; the first founds. Nobody waits for them yet. */
export async function startCluster(options: ClusterProcessesOptions): Promise<ClusterProcesses> {
  const { nodes, folder, replayPath, gated = false } = options;
  const clusterPath = join(folder, 'cluster.json');
  const init = await runKith(
    ...['cluster', 'init', '--out', clusterPath, '--chain-id', 'kith-devnet', '--simulated', ...(options.init ?? [])],
  );
  if (init.exitCode !== 0) throw new Error(init.err);
  const cluster = limited(parseCluster(await readTextFile(clusterPath, CLUSTER_BYTES_MAX)), options.limits);
  writeFileSync(clusterPath, formatCluster(cluster));
  const devnet = await startKith(
    ...['devnet', '--replay', replayPath, '--http', '127.0.0.1:0', '--json', ...(options.devnet ?? [])],
  );
  const { url: chainUrl } = JSON.parse(devnet.first) as { url: string };
  const ports = await freePorts(2 * nodes);
  const [http, listening] = [ports.slice(0, nodes), ports.slice(nodes)];
  const urls = http.map((port) => `http://127.0.0.1:${port}`);
  const machines: (Started | undefined)[] = Array.from({ length: nodes });
  const gates = await createGates(gated ? listening : [], (i) => machines[i]?.child.pid);
  const dialled = gated ? gates.ports : listening;
  const running: boolean[] = Array.from({ length: nodes }, () => false);
  const diskOf = (i: number) => join(folder, `node-${i + 1}`);
  const savedOf = (i: number) => `${diskOf(i)}-saved`;

  const wordsOf = (i: number): string[] => [
    ...['node', '--cluster', clusterPath, '--data-dir', diskOf(i), '--comet-rpc', chainUrl, '--quotes', 'simulated'],
    ...['--http', `127.0.0.1:${http[i]}`, '--listen', multiaddrOf(listening[i]!)],
    // Nobody may learn of a way around the gates.
    ...['--announce', multiaddrOf(dialled[i]!)],
    ...['--simulated-platform', `op-${i + 1}/m`, '--json', ...(i === 0 && nodes > 1 ? ['--found'] : [])],
    ...dialled.flatMap((port, to) => (to === i ? [] : ['--bootstrap', multiaddrOf(port)])),
    ...(options.node ?? []),
  ];
  const stopped = (i: number) => {
    if (running[i]) throw new Error(`node ${i + 1} runs: its disk is its own`);
  };
  const info = (i: number) => get<NodeFacts>(`${urls[i]}/v1/node`);
  const reasons = async (i: number) => (await get<{ reasons: string[] }>(`${urls[i]}/readyz`))?.reasons;
  const started = (i: number): Started => {
    const machine = machines[i];
    if (!machine) throw new Error(`node ${i + 1} was never started`);
    return machine;
  };

  const made: ClusterProcesses = {
    cluster,
    clusterPath,
    chainUrl,
    urls,
    running,
    async boot(i) {
      stopped(i);
      running[i] = true;
      machines[i] = await startKith(...wordsOf(i));
    },
    async kill(i, signal) {
      await kill(started(i), signal);
      running[i] = false;
    },
    adminUrl: (i) => (JSON.parse(started(i).first) as { admin: string }).admin,
    log: (i) => started(i).err(),
    process: started,
    wipe(i) {
      stopped(i);
      rmSync(diskOf(i), { recursive: true, force: true });
    },
    copyDisk(i) {
      stopped(i);
      rmSync(savedOf(i), { recursive: true, force: true });
      cpSync(diskOf(i), savedOf(i), { recursive: true });
    },
    putBack(i) {
      stopped(i);
      rmSync(diskOf(i), { recursive: true, force: true });
      cpSync(savedOf(i), diskOf(i), { recursive: true });
    },
    info,
    reasons,
    waitReady: (i, timeoutMs) =>
      until(`node ${i + 1} ready`, async () => (await info(i))?.phase === 'ready', timeoutMs).catch(
        async (error: Error) => {
          throw new Error(`${error.message}: ${(await reasons(i))?.join('; ')}`);
        },
      ),
    waitMembers: (count, timeoutMs) =>
      until(
        `rosters of ${count}`,
        async () => {
          const all = await Promise.all(urls.map((_, i) => info(i)));
          return all.every((node) => node?.members === count && node.quorum.reachable >= node.quorum.needed);
        },
        timeoutMs,
      ),
    waitBacked: (i, timeoutMs) =>
      until(
        `node ${i + 1} backed`,
        async () => (await reasons(i))?.every((reason) => !/^(unbacked|custody)/.test(reason)) ?? false,
        timeoutMs,
      ),
    cut: gates.cut,
    heal: gates.heal,
    delay: gates.delay,
    async stop() {
      for (const i of running.keys()) if (running[i]) await made.kill(i);
      await kill(devnet);
      await gates.stop();
    },
  };
  await Promise.all(urls.map((_, i) => made.boot(i)));
  return made;
}
