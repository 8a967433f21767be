// A node that is killed again and again, while it starts, catches up, scans and takes operations: what it acknowledged
// is in force in every later life, what it did not is there whole or not at all, and no index set lacks or doubles
// anything. Needs `npm run build`.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { afterAll, expect, it } from 'vitest';
import { createFetchTransport, createWalletClient, type Wallet, type WalletClient } from '../../src/client/index.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { isKithError, KithError } from '../../src/core/errors.ts';
import { systemClock as clock, systemRandom } from '../../src/core/system.ts';
import { createDevnet, serveDevnet } from '../../src/devnet/index.ts';
import { buildChild } from '../support/built-child.ts';
import { temporaryFolder } from '../support/folder.ts';
import { longForm } from '../support/fuzz.ts';
import { recordedChain, recordedLines } from '../support/replay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { testCluster } from '../support/test-cluster.ts';

const LIVES = longForm ? 50 : 6;
/** A life that serves lasts at most so long from its first operations on: time alone is no measure of work. */
const SERVING_MS_MAX = 2_500;
const FIRST_OPERATIONS = 3;
/** Operations under way at once. */
const WORKERS = 4;
const BLOCK_MS = 100;
/** A node asks for the tip once a second, and on a busy machine later. */
const BEHIND_BLOCKS_MAX = 100;
const SEED = process.env['KITH_SEED'] ?? '1';

interface Receiver {
  readonly id: number;
  readonly detection_key: { readonly indices: number[]; readonly subkeys: string[] };
  readonly index_set: [number, number][];
}
const receiversFile = new URL('../vectors/chain/receivers.json', import.meta.url);
const { receivers } = JSON.parse(readFileSync(receiversFile, 'utf8')) as { receivers: Receiver[] };
const LAST = recordedLines().at(-1)!.height;

/** What is in force as far as anybody was told; undefined: nothing was ever registered. */
type State =
  | { readonly status: 'confirmed'; readonly expiryHeight: number }
  | { readonly status: 'revoked' }
  | undefined;

interface User {
  readonly id: number;
  readonly wallet: Wallet;
  readonly indexSet: readonly (readonly [number, number])[];
  state: State;
  /** An operation of which nobody knows whether it was taken. */
  doubt: { readonly status: 'confirmed' | 'revoked'; readonly blocks: number; readonly from: number } | undefined;
  busy: boolean;
}

const users = receivers.map(({ id, detection_key, index_set }): User => {
  const random = seededRandom(`killed ${id}`);
  const detectionKey = { indices: detection_key.indices, subkeys: detection_key.subkeys.map(fromHex) };
  const wallet = { dataKey: random.bytes(32), authSecret: random.bytes(32), detectionKey, birthday: 0 };
  return { id, wallet, indexSet: index_set, state: undefined, doubt: undefined, busy: false };
});

const random = seededRandom(`kills ${SEED}`);
const chance = (below: number): number => {
  const [a, b] = random.bytes(2);
  return (a! * 256 + b!) % below;
};

const folder = temporaryFolder();
const cluster = testCluster();
const clusterFile = join(folder, 'cluster.json');
writeFileSync(clusterFile, JSON.stringify(cluster.configuration));
const devnet = createDevnet({ replay: recordedChain(), startAfter: 2_950 });
const counts = { served: 0, acknowledged: 0, doubtful: 0, answersChecked: 0, kept: 0, lost: 0 };

interface Line {
  readonly event: string;
  readonly url?: string;
  readonly adminUrl?: string;
  readonly phase?: string;
}

const alive = new Set<ChildProcess>();
afterAll(() => {
  for (const child of alive) child.kill('SIGKILL');
});

function startLife(file: string, comet: string) {
  const options = { folder, cluster: clusterFile, comet };
  const child = spawn(process.execPath, [file, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  alive.add(child);
  const heard: Line[] = [];
  const listeners = new Set<() => void>();
  const closed = once(child, 'close').then(([code]) => {
    alive.delete(child);
    for (const listener of listeners) listener();
    return code as number | null;
  });
  createInterface({ input: child.stdout }).on('line', (text) => {
    heard.push(JSON.parse(text) as Line);
    for (const listener of listeners) listener();
  });
  return {
    /** The first line that is wanted, past or to come. */
    said(wanted: (line: Line) => boolean): Promise<Line> {
      return new Promise((resolve, reject) => {
        const look = () => {
          const found = heard.find(wanted);
          if (found) resolve(found);
          else if (alive.has(child)) return;
          else reject(new Error(`the node ended: ${JSON.stringify(heard.slice(-3))}`));
          listeners.delete(look);
        };
        listeners.add(look);
        look();
      });
    },
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      expect(await closed).toBe(null);
    },
    async stop(): Promise<void> {
      child.stdin.end();
      expect(await closed).toBe(0);
    },
  };
}

type Life = ReturnType<typeof startLife>;

async function readyClient(life: Life): Promise<{ client: WalletClient; adminUrl: string }> {
  const { url, adminUrl } = await life.said(({ event }) => event === 'listening');
  await life.said(({ event, phase }) => event === 'phase' && phase === 'ready');
  const transport = createFetchTransport();
  return {
    client: createWalletClient({ transport, clock, random: systemRandom }, { cluster, nodes: [url!] }),
    adminUrl: adminUrl!,
  };
}

const signal = new AbortController().signal;
/** What a node answers when it has understood an operation and did not take it. */
const NOT_TAKEN = ['superseded', 'revoked', 'expired', 'unknown-registration', 'expiry-in-past'];

async function operate(client: WalletClient, user: User): Promise<void> {
  const blocks = 1_000 + chance(50_000);
  const what = user.state?.status === 'confirmed' ? (['renew', 'renew', 'revoke'] as const)[chance(3)]! : 'register';
  const status = what === 'revoke' ? 'revoked' : 'confirmed';
  const doubt = { status, blocks, from: devnet.tip } as const;
  user.doubt = doubt;
  try {
    const options = { signal, expiresInBlocks: blocks };
    const done = await (what === 'revoke'
      ? client.revoke(user.wallet, { signal })
      : client[what](user.wallet, options));
    expect(done.status).toBe('confirmed');
    user.state = status === 'revoked' ? { status } : { status, expiryHeight: done.expiryHeight };
    user.doubt = undefined;
    counts.acknowledged++;
  } catch (error) {
    if (error instanceof KithError && NOT_TAKEN.includes(error.code)) user.doubt = undefined;
    else if (!isKithError(error, 'node-unreachable')) throw error;
  }
}

async function statusOf(client: WalletClient, user: User): Promise<State> {
  try {
    const { status, expiryHeight } = await client.status(user.wallet, { signal });
    return status === 'revoked' ? { status } : { status: status as 'confirmed', expiryHeight };
  } catch (error) {
    if (error instanceof KithError && error.code === 'unknown-registration') return undefined;
    throw error;
  }
}

/** Everything that was acknowledged is in force; what is in doubt is whole or absent. */
async function checkAll(client: WalletClient, adminUrl: string): Promise<void> {
  for (const user of users) {
    const found = await statusOf(client, user);
    const { state, doubt } = user;
    const same = JSON.stringify(found) === JSON.stringify(state);
    if (doubt && !same) {
      counts.kept++;
      expect(found?.status, `user ${user.id}`).toBe(doubt.status);
      if (found?.status === 'confirmed') {
        expect(found.expiryHeight - doubt.blocks, `user ${user.id}`).toBeGreaterThanOrEqual(
          doubt.from - BEHIND_BLOCKS_MAX,
        );
        expect(found.expiryHeight - doubt.blocks, `user ${user.id}`).toBeLessThanOrEqual(devnet.tip);
      }
    } else {
      if (doubt) counts.lost++;
      expect(found, `user ${user.id}`).toEqual(state);
    }
    user.state = found;
    user.doubt = undefined;
    if (found?.status === 'confirmed') await checkSet(client, user);
  }
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
  const held = Number(/^kith_registrations_held(?:\{[^}]*\})? (\d+)$/m.exec(metrics)?.[1]);
  expect(held).toBe(users.filter(({ state }) => state?.status === 'confirmed').length);
}

/**
 * The sealed answer holds all that the heights it covers hold, nothing twice, and nothing that is not the user's:
 * transactions that match everybody may stand in it before the rest of their height is covered.
 */
async function checkSet(client: WalletClient, user: User): Promise<void> {
  const { view } = await client.read(user.wallet, undefined, { signal });
  const covers = (height: number) => view.covered.some(([from, to]) => from <= height && height <= to);
  const names = view.entries.map(String);
  const own = user.indexSet.map(String);
  expect(new Set(names).size, `user ${user.id}`).toBe(names.length);
  expect(
    own.filter((name) => names.includes(name)),
    `user ${user.id}`,
  ).toEqual(names);
  const due = user.indexSet.filter(([height]) => covers(height)).map(String);
  expect(
    due.filter((name) => !names.includes(name)),
    `user ${user.id}`,
  ).toEqual([]);
  counts.answersChecked++;
}

async function serve(client: WalletClient, untilKilled: () => boolean): Promise<void> {
  const worker = async () => {
    while (!untilKilled()) {
      const free = users.filter(({ busy, doubt }) => !busy && !doubt);
      const user = free[chance(free.length)]!;
      user.busy = true;
      await operate(client, user);
      user.busy = false;
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** One life, by what it is killed in. */
async function live(life: Life, number: number): Promise<void> {
  if (number === 0) {
    await wait(chance(1_500));
    return life.kill();
  }
  if (number === 1 || (number > 2 && chance(6) === 0)) {
    await life.said(({ event, phase }) => event === 'phase' && phase === 'catching-up');
    await wait(chance(400));
    return life.kill();
  }
  const { client, adminUrl } = await readyClient(life);
  await checkAll(client, adminUrl);
  let killed = false;
  const before = counts.acknowledged;
  const serving = serve(client, () => killed);
  // The first that serves, and some others, die in the backfill of the first registrations.
  const early = number === 2 || chance(4) === 0;
  const wanted = before + (early ? 1 : FIRST_OPERATIONS);
  const begun = async () => {
    while (counts.acknowledged < wanted) await wait(5);
  };
  await Promise.race([begun(), serving]);
  await wait(chance(early ? 100 : SERVING_MS_MAX));
  counts.served++;
  killed = true;
  await life.kill();
  await serving;
  counts.doubtful += users.filter(({ doubt }) => doubt).length;
}

it(`loses nothing acknowledged and doubles nothing in ${LIVES} lives`, { timeout: LIVES * 30_000 }, async () => {
  const file = await buildChild(new URL('../support/node-child.ts', import.meta.url), folder);
  const server = await serveDevnet(devnet, { host: '127.0.0.1', port: 0, blockMs: BLOCK_MS });
  try {
    for (let number = 0; number < LIVES; number++) {
      await live(startLife(file, server.url), number).catch((error: unknown) => {
        throw new Error(`KITH_SEED=${SEED}, life ${number}: ${String(error)}`, { cause: error });
      });
    }
    const last = startLife(file, server.url);
    const { client, adminUrl } = await readyClient(last);
    await checkAll(client, adminUrl);
    for (const user of users.filter(({ state }) => state?.status === 'confirmed')) {
      const view = await client.waitForHeight(user.wallet, undefined, { signal, height: LAST, timeoutMs: 60_000 });
      expect(view.entries).toEqual(user.indexSet);
    }
    await last.stop();
  } finally {
    await server.stop();
  }
  console.log(`kills: ${JSON.stringify(counts)}`);
  expect(counts.served).toBeGreaterThan(0);
  expect(counts.acknowledged).toBeGreaterThanOrEqual(counts.served);
  expect(counts.answersChecked).toBeGreaterThan(0);
});
