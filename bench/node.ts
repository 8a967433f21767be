// One node: look-ups and registrations over HTTP, and what a full store costs to open, to hold and to follow the chain
// with. Measured processes run the built modules (`npm run build` first); the load comes from another process.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createWallet, walletKeys, walletPayload, walletRegistrationId } from '../src/client/index.ts';
import { fromBase64Url, toHex } from '../src/core/bytes.ts';
import { parseNodeId } from '../src/core/ids.ts';
import { signOperation } from '../src/core/registration/operation.ts';
import { innerHash } from '../src/core/registration/payload.ts';
import { encodeSubmission } from '../src/core/registration/submission.ts';
import { sealRequest, toSealedBox } from '../src/core/sealed-request.ts';
import { systemRandom as random } from '../src/core/system.ts';
import { createDevnet, type Devnet, serveDevnet } from '../src/devnet/index.ts';
import { buildChild } from '../test/support/built-child.ts';
import { type ReplayLine, replayOf } from '../test/support/replay.ts';
import { testCluster } from '../test/support/test-cluster.ts';
import { medianOf as median } from './report.ts';

const FIRST = 1_000;
/** Three transactions without flags in each of so many blocks: an answer of about ten kilobytes. */
const ANSWER_BLOCKS = 1_180;
const N = 10;
const OPENINGS = 3;
const BLOCKS = 20;

interface Sizes {
  readonly registrations: number;
  readonly seconds: number;
  readonly alone: number;
  readonly together: number;
}
const SIZES: Sizes = { registrations: 100_000, seconds: 15, alone: 300, together: 5_000 };
const QUICK: Sizes = { registrations: 5_000, seconds: 5, alone: 100, together: 1_000 };

const cluster = testCluster();

interface Place {
  readonly folder: string;
  readonly clusterFile: string;
  readonly comet: string;
  readonly devnet: Devnet;
  readonly nodeFile: string;
  readonly stepsFile: string;
}

export async function benchNode(options: { quick: boolean }): Promise<void> {
  const sizes = options.quick ? QUICK : SIZES;
  const folder = mkdtempSync(join(tmpdir(), 'kith-bench-'));
  const clusterFile = join(folder, 'cluster.json');
  writeFileSync(clusterFile, JSON.stringify(cluster.configuration));
  const lines = Array.from({ length: ANSWER_BLOCKS * 3 }, (_, i): ReplayLine => {
    return { height: FIRST + Math.floor(i / 3), block_index: i % 3, flags: null };
  });
  const devnet = createDevnet({ replay: replayOf(lines) });
  const server = await serveDevnet(devnet, { host: '127.0.0.1', port: 0 });
  const nodeFile = await buildChild(new URL('../test/support/node-child.ts', import.meta.url), join(folder, 'node'));
  const stepsFile = await buildChild(new URL('./node-process.ts', import.meta.url), join(folder, 'steps'));
  const place = { folder, clusterFile, comet: server.url, devnet, nodeFile, stepsFile };
  try {
    await benchHttp(place, sizes);
    await benchWrites(place);
    await benchFull(place, sizes);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A process and the JSON lines it says, one by one. */
function startChild(file: string, args: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    child,
    closed,
    async said<T>(wanted: (line: T) => boolean = () => true): Promise<T> {
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error('the measured process ended');
        const line = JSON.parse(value as string) as T;
        if (wanted(line)) return line;
      }
    },
    async end(): Promise<void> {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

async function startNode({ folder, clusterFile, comet, nodeFile }: Place, name: string) {
  const at = join(folder, name);
  mkdirSync(at, { recursive: true });
  const node = startChild(nodeFile, [JSON.stringify({ folder: at, cluster: clusterFile, comet })]);
  type Said = { event: string; url?: string; phase?: string };
  const { url } = await node.said<Said>(({ event }) => event === 'listening');
  await node.said<Said>(({ event, phase }) => event === 'phase' && phase === 'ready');
  return { ...node, url: url! };
}

async function benchHttp(place: Place, { seconds, alone, together }: Sizes): Promise<void> {
  const node = await startNode(place, 'http');
  const send = await submitter(node.url);
  const own = await send.prepare(FIRST);
  await send.post(own.body);
  const lookUp = `${node.url}/v1/index-sets/${own.id}`;
  let size = 0;
  for (let before = -1; size !== before; await new Promise((resolve) => setTimeout(resolve, 2_000))) {
    before = size;
    size = (await (await fetch(lookUp)).arrayBuffer()).byteLength;
  }
  const cannon = fileURLToPath(import.meta.resolve('autocannon'));
  const rows = [1, 32].map((connections) => {
    const args = [cannon, '--json', '--connections', String(connections), '--duration', String(seconds), lookUp];
    const out = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const { requests, latency, non2xx } = JSON.parse(out) as {
      requests: { average: number };
      latency: { p50: number; p99: number };
      non2xx: number;
    };
    const { average } = requests;
    return {
      connections,
      'answer, bytes': size,
      'per second': average,
      'p50 ms': latency.p50,
      'p99 ms': latency.p99,
      non2xx,
    };
  });
  console.log('\nLook-ups over HTTP (goal: 4,000 per second)');
  console.table(rows);

  const registrations: Record<string, number>[] = [];
  for (const [concurrency, count] of [
    [1, alone],
    [64, together],
  ] as const) {
    const bodies: string[] = [];
    for (let i = 0; i < count; i++) bodies.push((await send.prepare(FIRST + ANSWER_BLOCKS - 1)).body);
    const times: number[] = [];
    const began = performance.now();
    const worker = async () => {
      for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
        const at = performance.now();
        await send.post(body);
        times.push(performance.now() - at);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    const perSecond = Math.round((1000 * count) / (performance.now() - began));
    registrations.push({ concurrency, count, 'per second': perSecond, 'median ms': Number(median(times).toFixed(1)) });
  }
  await node.end();
  console.log(`\nRegistrations over HTTP (n = ${N}, each synced to disk)`);
  console.table(registrations);
}

/** Makes sealed requests for a node and posts them over connections that are kept. */
async function submitter(url: string) {
  const agent = new Agent({ keepAlive: true });
  const nonce = toHex(random.bytes(32));
  const document = (await (await fetch(`${url}/v1/attestation?nonce=${nonce}`)).json()) as {
    nodeId: string;
    hpke: { publicKey: string }[];
  };
  const context = { clusterId: cluster.id, nodeId: parseNodeId(document.nodeId), kind: 'register' } as const;
  const hpkeKey = fromBase64Url(document.hpke[0]!.publicKey);
  return {
    async prepare(birthday: number): Promise<{ id: string; body: string }> {
      const wallet = createWallet({ random }, { n: N });
      const version = FIRST + ANSWER_BLOCKS - 1;
      const operation = signOperation(wallet.authSecret, {
        type: 'register',
        clusterId: cluster.id,
        inner: innerHash(walletKeys(wallet)),
        version,
        birthday,
        expiryHeight: version + 10_000,
      });
      const submission = encodeSubmission({ operation, payload: walletPayload(wallet) });
      const { request: sealed } = sealRequest({ random }, hpkeKey, context, submission);
      return { id: walletRegistrationId(wallet), body: JSON.stringify(toSealedBox(sealed)) };
    },
    async post(body: string): Promise<void> {
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const sent = request(`${url}/v1/registrations`, { method: 'POST', agent, headers });
      sent.end(body);
      const [answer] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
      answer.resume();
      await once(answer, 'end');
      if (answer.statusCode !== 201) throw new Error(`a registration was answered with ${answer.statusCode}`);
    },
  };
}

interface Block {
  readonly chain: number;
  readonly sealed: number;
  readonly detected: number;
  readonly headMs: number;
  readonly loopMaxMs: number;
}

/** Follows empty blocks, one at a time. */
async function follow(place: Place, name: string, blocks: number): Promise<{ before: Block; seen: Block[] }> {
  const { folder, clusterFile, comet, devnet, stepsFile } = place;
  const node = startChild(stepsFile, ['head', join(folder, name), clusterFile, comet]);
  const before = await node.said<Block>();
  const seen: Block[] = [];
  for (let i = 0; i < blocks; i++) {
    devnet.advance(1);
    seen.push(await node.said<Block>(({ detected }) => detected === devnet.tip));
  }
  await node.end();
  return { before, seen };
}

async function fill({ folder, clusterFile, comet, stepsFile }: Place, name: string, count: number): Promise<void> {
  mkdirSync(join(folder, name), { recursive: true });
  const child = startChild(stepsFile, ['fill', join(folder, name), clusterFile, comet, String(count), String(N)]);
  await child.said();
  await child.closed;
}

async function benchWrites(place: Place): Promise<void> {
  const rows: Record<string, number>[] = [];
  for (const keys of [0, 1, 1_000]) {
    await fill(place, `writes ${keys}`, keys);
    const { before, seen } = await follow(place, `writes ${keys}`, BLOCKS);
    const last = seen.at(-1)!;
    rows.push({
      keys,
      blocks: BLOCKS,
      'batches of chain rows': last.chain - before.chain,
      'batches of sealed records': last.sealed - before.sealed,
      'median ms from rows to record': Number(median(seen.map(({ headMs }) => headMs)).toFixed(1)),
    });
  }
  console.log('\nWrites for empty blocks (goal: two batches a block)');
  console.table(rows);
}

async function benchFull(place: Place, { registrations }: Sizes): Promise<void> {
  const { folder, clusterFile, stepsFile, devnet } = place;
  await fill(place, 'full', registrations);
  const openings: Record<string, number>[] = [];
  for (let i = 0; i < OPENINGS; i++) {
    const child = startChild(stepsFile, ['open', join(folder, 'full'), clusterFile]);
    openings.push(await child.said());
    await child.closed;
  }
  const seconds = (field: string) => Number((median(openings.map((row) => row[field]!)) / 1e3).toFixed(2));
  const [start, scan, load, keyTable, sets] = ['startMs', 'scanMs', 'loadMs', 'keyTableMs', 'indexSetsMs'].map(seconds);
  console.log(`\nOpening ${registrations} registrations of n = ${N} (seconds; goal: 10)`);
  console.table({
    'process and modules': start,
    'scan of the store': scan,
    'records read, opened, decoded': Number((load! - keyTable! - sets!).toFixed(2)),
    'key table': keyTable,
    'index sets': sets,
    all: Number((start! + scan! + load!).toFixed(2)),
  });

  const node = await startNode(place, 'full');
  const memory = (field: string): number =>
    Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${node.child.pid}/status`, 'utf8'))![1]) / 1e3;
  const afterStart = Math.round(memory('VmRSS'));
  const peakOfStart = Math.round(memory('VmHWM'));
  devnet.advance(BLOCKS);
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  const rows = [
    { moment: 'peak of the start', MB: peakOfStart },
    { moment: 'ready', MB: afterStart },
    { moment: `after ${BLOCKS} blocks`, MB: Math.round(memory('VmRSS')) },
  ];
  await node.end();
  console.log(`\nResident memory with ${registrations} registrations (goal: 700 MB)`);
  console.table(rows);

  const { seen } = await follow(place, 'full', BLOCKS);
  console.log(`\nEmpty blocks with ${registrations} registrations`);
  console.table({
    'median ms from rows to synced record': Number(median(seen.map(({ headMs }) => headMs)).toFixed(1)),
    'longest block of the event loop, ms (median)': Number(median(seen.map(({ loopMaxMs }) => loopMaxMs)).toFixed(1)),
  });
}
