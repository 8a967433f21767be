// The whole way as processes: `kith devnet`, `kith node`, `kith client`, over recorded connections. KITH_LONG=1 takes
// all receivers of the recording.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { longForm } from '../support/fuzz.ts';
import { kill, runKith, type Started, startKith } from '../support/processes.ts';
import { type RecordingProxy, startRecordingProxy } from '../support/recording-proxy.ts';
import { recordedLines } from '../support/replay.ts';
import { createSecretScan } from '../support/secret-scan.ts';
import { seededRandom } from '../support/seeded-random.ts';

const vectors = new URL('../vectors/chain/', import.meta.url);
const replay = new URL('chain.jsonl', vectors).pathname;

interface Receiver {
  readonly id: number;
  readonly detection_key: { readonly indices: number[]; readonly subkeys: string[] };
  readonly index_set: [number, number][];
}
const recorded = JSON.parse(readFileSync(new URL('receivers.json', vectors), 'utf8')) as { receivers: Receiver[] };
/** Each costs some processes; `kith dev` and unit tests read the sets of all. */
const receivers = recorded.receivers.filter(({ id }) => longForm || id % 3 === 0);

const LAST = recordedLines().at(-1)!.height;
const MIDDLE = Math.floor((recordedLines()[0]!.height + LAST) / 2);

const folder = temporaryFolder();
const cluster = join(folder, 'cluster.json');
const secrets = new Map<string, Uint8Array>();

/** A wallet file with the keys of a receiver; every second has its birthday in the middle of the chain. */
function walletOf({ id, detection_key }: Receiver): { path: string; birthday: number } {
  const random = seededRandom(`wallet ${id}`);
  const [dataKey, authKey] = [random.bytes(32), random.bytes(32)];
  const birthday = id % 2 === 0 ? 0 : MIDDLE;
  const path = join(folder, `wallet-${id}.json`);
  const wallet = {
    version: 1,
    dataKey: toHex(dataKey),
    authKey: toHex(authKey),
    detectionKey: detection_key,
    birthday,
  };
  writeFileSync(path, JSON.stringify(wallet), { mode: 0o600 });
  secrets.set(`data key ${id}`, dataKey).set(`auth key ${id}`, authKey);
  detection_key.subkeys.forEach((subkey, i) => {
    secrets.set(`subkey ${i} of ${id}`, fromHex(subkey));
  });
  return { path, birthday };
}

async function json(...words: string[]): Promise<Record<string, unknown>> {
  const { exitCode, out, err } = await runKith(...words, '--json');
  if (exitCode !== 0) throw new Error(`kith ${words.join(' ')}: ${exitCode} ${out} ${err}`);
  return JSON.parse(out) as Record<string, unknown>;
}

/** Work on all items, two at a time. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all([worker(), worker()]);
}

async function startNode(
  name: string,
  ...flags: string[]
): Promise<{ started: Started; url: string; dataDir: string }> {
  const dataDir = join(folder, name);
  const started = await startKith(
    ...['node', '--cluster', cluster, '--data-dir', dataDir, '--http', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
    ...['--listen', '/ip4/127.0.0.1/tcp/0'],
    ...['--quotes', 'simulated', '--json', ...flags],
  );
  const { url } = JSON.parse(started.first) as { url: string };
  return { started, url, dataDir };
}

let chain: RecordingProxy;

beforeAll(async () => {
  const init = ['cluster', 'init', '--out', cluster, '--chain-id', 'kith-devnet', '--simulated', '--allow-unbacked'];
  await json(...init);
  const devnet = await startKith(
    ...['devnet', '--replay', replay, '--http', '127.0.0.1:0', '--start-after', '2900', '--block-ms', '100', '--json'],
  );
  chain = await startRecordingProxy((JSON.parse(devnet.first) as { url: string }).url);
});

describe('one node', () => {
  it(`gives each of ${receivers.length} wallets its index set, and shows the host no byte of any key`, async () => {
    const node = await startNode('node', '--comet-rpc', chain.url);
    const api = await startRecordingProxy(node.url);
    const to = ['--node', api.url, '--cluster', cluster];
    const wallets = receivers.map((receiver) => ({ receiver, ...walletOf(receiver) }));
    await eachOf(wallets, async ({ path }) => {
      expect(await json('client', 'register', ...to, '--wallet', path)).toMatchObject({ status: 'confirmed' });
    });
    await eachOf(wallets, async ({ receiver, path, birthday }) => {
      const set = await json('client', 'index-set', ...to, '--wallet', path, '--wait-for', String(LAST));
      expect(set['syncedTo'], `receiver ${receiver.id}`).toBeGreaterThanOrEqual(LAST);
      expect(set['entries']).toEqual(receiver.index_set.filter(([height]) => height >= birthday));
    });
    const [first] = wallets;
    const wallet = ['--wallet', first!.path];
    expect(await json('client', 'status', ...to, ...wallet)).toMatchObject({ status: 'confirmed' });
    expect(await json('client', 'renew', ...to, ...wallet, '--expires-in', '5000')).toMatchObject({
      status: 'confirmed',
    });
    await json('client', 'revoke', ...to, ...wallet);
    expect(await json('client', 'status', ...to, ...wallet)).toMatchObject({ status: 'revoked' });
    const gone = await runKith('client', 'index-set', ...to, ...wallet, '--json');
    expect(gone.exitCode).toBe(1);
    expect(await json('status', '--node', api.url)).toMatchObject({ ready: true, node: { simulated: true } });
    await kill(node.started, 'SIGTERM');
    expect(await node.started.ended).toBe(0);

    const scan = createSecretScan(secrets);
    expect(scan.findInFolder(node.dataDir)).toEqual([]);
    const traffic = [...api.recorded(), ...chain.recorded()];
    expect(traffic.reduce((sum, bytes) => sum + bytes.length, 0)).toBeGreaterThan(1_000_000);
    expect(traffic.flatMap((bytes) => scan.find(bytes))).toEqual([]);
    expect(scan.find(Buffer.from(node.started.err()))).toEqual([]);
    // The scan would have found them.
    expect(scan.find(readFileSync(first!.path))).toContain('data key 0');
  });

  it('that knows the chain from a masp-indexer only puts every transaction into each set', async () => {
    const node = await startNode(
      'masp',
      '--masp-indexer',
      chain.url,
      '--start-height',
      String(recordedLines()[0]!.height),
    );
    const to = ['--node', node.url, '--cluster', cluster, '--wallet', join(folder, 'wallet-3.json')];
    await json('client', 'register', ...to);
    const set = await json('client', 'index-set', ...to, '--wait-for', String(LAST));
    const every = recordedLines().filter(({ height }) => height >= MIDDLE);
    expect(set['entries']).toEqual(every.map(({ height, block_index }) => [height, block_index]));
    await kill(node.started, 'SIGTERM');
  });
});
