// Three node processes over libp2p on loopback and a process that loads them: registrations acknowledged in a second
// once two or all three members have synced them, and how long a member needs for what it missed, by its log and, with
// an empty disk, from the beginning. `npm run build` first. What did not work stands in the tables, and ends with code 1.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { buildChild } from '../test/support/built-child.ts';
import { type ClusterProcesses, startCluster, until } from '../test/support/cluster-processes.ts';
import { endAllProcesses } from '../test/support/kith-process.ts';
import { madeUpLines } from '../test/support/replay.ts';
import type { LoadCommand, Sent } from './replication-load.ts';

const NODES = 3;
const ALL = [0, 1, 2];
/** The member that is away. */
const AWAY = 2;
/** Prepared at a time: 3 KB each. */
const CHUNK = 5_000;
const IN_FLIGHT = 64;
/** All that is registered in one run. */
const REGISTRATIONS_MAX = 200_000;

interface Sizes {
  readonly acknowledged: number;
  readonly missed: number;
  /** The longest wait for a member to have everything. */
  readonly waitMs: number;
}
const SIZES: Sizes = { acknowledged: 10_000, missed: 100_000, waitMs: 600_000 };
const QUICK: Sizes = { acknowledged: 1_000, missed: 2_000, waitMs: 60_000 };

type Row = Record<string, string | number>;

/** On stderr: a run takes minutes. */
const sayStep = (text: string) => void process.stderr.write(`${text}\n`);

export async function benchReplication(options: { quick: boolean }): Promise<void> {
  const sizes = options.quick ? QUICK : SIZES;
  const folder = mkdtempSync(join(tmpdir(), 'kith-bench-'));
  const acknowledged: Row[] = [];
  const away: Row[] = [];
  // The nodes would outlive an interrupted run.
  process.once('exit', () => {
    endAllProcesses();
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  try {
    const loadFile = await buildChild(new URL('./replication-load.ts', import.meta.url), join(folder, 'load'));
    await withCluster(join(folder, 'two'), loadFile, [], async (run) => {
      acknowledged.push(await acknowledge(run, '2 of 3, all at one node', sizes.acknowledged, ALL.slice(0, 1)));
      acknowledged.push(await acknowledge(run, '2 of 3, at all three', sizes.acknowledged, ALL));
      away.push(...(await missed(run, sizes)));
      away.push(await snapshot(run, sizes));
    });
    await withCluster(join(folder, 'three'), loadFile, ['--confirmations', '3'], async (run) => {
      acknowledged.push(await acknowledge(run, '3 of 3, all at one node', sizes.acknowledged, ALL.slice(0, 1)));
      acknowledged.push(await acknowledge(run, '3 of 3, at all three', sizes.acknowledged, ALL));
    });
  } finally {
    endAllProcesses();
    rmSync(folder, { recursive: true, force: true });
    // Also of a run that ended before its end.
    console.log(`\nRegistrations acknowledged with 201 (${IN_FLIGHT} in flight; goal: 600 to 1,000 per second)`);
    console.table(acknowledged);
    console.log(`\nA member that comes back (seconds from its start; goal: 30 for 100,000)`);
    console.table(away);
  }
}

interface Run {
  readonly cluster: ClusterProcesses;
  /** Registered so far, as far as nodes said 201. */
  total: number;
  readonly loaderPid: number;
  load(command: LoadCommand): Promise<Sent>;
}

async function withCluster(
  folder: string,
  loadFile: string,
  init: readonly string[],
  work: (run: Run) => Promise<void>,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const replayPath = join(folder, 'chain.jsonl');
  const lines = madeUpLines(1_000, 60).filter(({ flags }) => flags === null);
  writeFileSync(replayPath, lines.map((line) => JSON.stringify(line)).join('\n'));
  sayStep(`founding a cluster of ${NODES} ${init.join(' ')}`);
  const limits = { registrationsMax: REGISTRATIONS_MAX };
  const cluster = await startCluster({ nodes: NODES, folder, replayPath, init, limits });
  let loader: ChildProcess | undefined;
  try {
    for (const i of ALL) await cluster.waitReady(i);
    await cluster.waitMembers(NODES);
    for (const i of ALL) await cluster.waitBacked(i);
    const child = spawn(process.execPath, [loadFile, cluster.cluster.id], { stdio: ['pipe', 'pipe', 'inherit'] });
    loader = child;
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const load = async (command: LoadCommand): Promise<Sent> => {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error('the load ended');
      return JSON.parse(value as string) as Sent;
    };
    await work({ cluster, total: 0, load, loaderPid: child.pid! });
  } finally {
    if (loader) {
      const closed = once(loader, 'close');
      loader.kill('SIGKILL');
      await closed;
    }
    await cluster.stop();
  }
}

interface Registered extends Sent {
  /** Of each node and of the load, while they were sent. */
  readonly cpuMs: readonly number[];
}

/** Registers so many at these nodes; what was prepared is not part of the time. */
async function register(run: Run, count: number, at: readonly number[]): Promise<Registered> {
  const { cluster } = run;
  const urls = at.map((i) => cluster.urls[i]!);
  const all = { seconds: 0, statuses: {} as Record<string, number>, p50: 0, p99: 0, cpuMs: [] as number[] };
  for (let left = count; left > 0; left -= CHUNK) {
    const heights = await Promise.all(at.map(async (i) => (await cluster.info(i))!.heights.chain));
    sayStep(`registering ${left} at ${at.length} of ${NODES} nodes`);
    await run.load({ do: 'prepare', urls, count: Math.min(left, CHUNK), version: Math.min(...heights) });
    const before = cpuOf(run);
    const { seconds, statuses, p50, p99 } = await run.load({ do: 'send', inFlight: IN_FLIGHT });
    for (const [i, ms] of cpuOf(run).entries()) all.cpuMs[i] = (all.cpuMs[i] ?? 0) + ms - before[i]!;
    all.seconds += seconds;
    all.p50 = Math.max(all.p50, p50);
    all.p99 = Math.max(all.p99, p99);
    for (const [status, n] of Object.entries(statuses)) all.statuses[status] = (all.statuses[status] ?? 0) + n;
  }
  run.total += all.statuses['201'] ?? 0;
  if (all.statuses['201'] !== count) process.exitCode = 1;
  return all;
}

/** CPU milliseconds of a process so far, of all its threads (proc(5), stat); 0 where there is no such file. */
function cpuMs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS;
  } catch {
    return 0;
  }
}
const CLOCK_TICK_MS = 10;

/** Batches that the stores of the nodes have synced so far. */
const batchesOf = ({ cluster }: Run): Promise<number[]> =>
  Promise.all(
    ALL.map(async (i) => {
      const text = await (await fetch(`${cluster.adminUrl(i)}/metrics`)).text();
      return Number(/^kith_store_batches_total (\d+)/m.exec(text)?.[1] ?? 0);
    }),
  );

/** Of each node, then of the load. */
const cpuOf = ({ cluster, loaderPid }: Run): number[] =>
  [...ALL.map((i) => cluster.process(i).child.pid!), loaderPid].map(cpuMs);

async function acknowledge(run: Run, what: string, count: number, at: readonly number[]): Promise<Row> {
  const batches = await batchesOf(run);
  const { seconds, statuses, p50, p99, cpuMs: spent } = await register(run, count, at);
  const perBatch = (await batchesOf(run)).map((n, i) => (count / (n - batches[i]!)).toFixed(1));
  const each = spent.map((ms) => (ms / count).toFixed(2));
  const row = {
    'synced by': what,
    count,
    'per second': Math.round((statuses['201'] ?? 0) / seconds),
    'p50 ms, worst chunk': Number(p50.toFixed(1)),
    'p99 ms, worst chunk': Number(p99.toFixed(1)),
    'cpu ms each, nodes': each.slice(0, NODES).join(' '),
    'operations a batch': perBatch.join(' '),
    'and load': each.at(-1)!,
    answers: answersOf(statuses),
    'told by every node': await everywhere(run),
  };
  sayStep(JSON.stringify(row));
  return row;
}

const answersOf = (statuses: Sent['statuses']): string =>
  Object.entries(statuses)
    .map(([status, n]) => `${n} x ${status}`)
    .join(', ');

async function heldBy(cluster: ClusterProcesses, i: number): Promise<number> {
  try {
    const response = await fetch(`${cluster.adminUrl(i)}/console/state`);
    return ((await response.json()) as { registrations: { held: number } }).registrations.held;
  } catch {
    return 0;
  }
}

/** A 201 says that a quorum has it; that all come to have it is looked at as well. */
const EVERYWHERE_MS = 30_000;

async function everywhere({ cluster, total }: Run): Promise<string> {
  const held = () => Promise.all(ALL.map((i) => heldBy(cluster, i)));
  const same = async () => (await held()).every((n) => n >= total);
  try {
    return `after ${((await until('all', same, EVERYWHERE_MS)) / 1_000).toFixed(1)} s`;
  } catch {
    process.exitCode = 1;
    return `NO: ${(await held()).join(', ')} of ${total}`;
  }
}

/** Seconds until the member that was away has its key, everything, and is ready; or what it lacks. */
async function comeBack({ cluster, total }: Run, what: string, missedCount: number, waitMs: number): Promise<Row> {
  const began = performance.now();
  const seconds = () => Number(((performance.now() - began) / 1_000).toFixed(1));
  const left = () => Math.max(1, waitMs - (performance.now() - began));
  const row: Row = { what, missed: missedCount, key: '', everything: '', ready: '' };
  const step = async (name: string, condition: () => Promise<boolean>) => {
    try {
      await until(name, condition, left());
      row[name] = seconds();
    } catch {
      process.exitCode = 1;
      row[name] = `NOT after ${seconds()} s: ${await heldBy(cluster, AWAY)} of ${total}`;
    }
  };
  const phase = async () => (await cluster.info(AWAY))?.phase ?? 'away';
  sayStep(`a member comes back ${what}`);
  await cluster.boot(AWAY);
  await Promise.all([
    step('key', async () => ['catching-up', 'ready'].includes(await phase())),
    step('everything', async () => (await heldBy(cluster, AWAY)) >= total),
    step('ready', async () => (await phase()) === 'ready'),
  ]);
  sayStep(JSON.stringify(row));
  return row;
}

async function missed(run: Run, { missed: count, waitMs }: Sizes): Promise<Row[]> {
  await run.cluster.kill(AWAY);
  const { seconds, statuses } = await register(run, count, ALL.slice(0, 1));
  const rate = Math.round((statuses['201'] ?? 0) / seconds);
  const back = await comeBack(run, 'with its disk', count, waitMs);
  return [{ ...back, 'answers meanwhile': `${answersOf(statuses)}, ${rate} per second` }];
}

async function snapshot(run: Run, { waitMs }: Sizes): Promise<Row> {
  await run.cluster.kill(AWAY);
  run.cluster.wipe(AWAY);
  return comeBack(run, 'with an empty disk', run.total, waitMs);
}
