// Five nodes of three operators with their chain, over a driver; everything that was ever acknowledged to users; and
// the check that follows each scenario.

import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, parseCluster } from '../../../src/attestation/index.ts';
import {
  createFetchTransport,
  createWalletClient,
  type WalletClient,
  walletRegistrationId,
} from '../../../src/client/index.ts';
import { fromBase64Url } from '../../../src/core/bytes.ts';
import type { RegId } from '../../../src/core/ids.ts';
import { systemClock as clock, systemRandom as random } from '../../../src/core/system.ts';
import { type NodeFacts, until } from '../../support/cluster-processes.ts';
import { type MadeOperation, makeOperation, makeWallet, openTarget, type Target } from '../../support/load.ts';
import { type RecordedUser, recordedUsers } from '../../support/recorded-users.ts';
import { recordedLines } from '../../support/replay.ts';
import { createSecretScan, type SecretScan } from '../../support/secret-scan.ts';
import { checkSet as compareSet, type Expected, type Findings } from '../../support/set-checker.ts';
import { type Build, createDriver, type Driver } from './index.ts';

/** Of the recorded chain: long enough for every receiver, short enough for five nodes on two cores. */
const HEIGHTS = 250;
/** Heights that are left to come while the nodes run. */
const HEIGHTS_LATER = 20;
const BLOCK_MS = 1_000;
/** Wallets of the recording: their index sets are known. */
const USERS = 4;
/** Subkeys of the wallets of the load; in a chain that has no flag for them. */
const N = 10;
/** Wallets of the load whose keys are looked for: looking takes time for each. */
const SCANNED_WALLETS = 8;
/** Everything that a scenario waits for, on a machine with more to do. */
export const WAIT_MS = 240_000;
/** A scenario: a few such waits, of which most take seconds. */
export const SCENARIO_MS = 900_000;
/** The first run on a machine also builds the image. */
export const START_MS = 1_500_000;
const POST_EVERY_MS = 50;

const OPERATORS = ['a', 'b', 'c'];

/** Of GET /v1/node. */
export type Facts = NodeFacts & { readonly configVersion: number };

export interface Load {
  /** Ends it. @returns how many operations were acknowledged meanwhile. @throws if one never was. */
  stop(): Promise<number>;
}

export interface Fleet {
  readonly driver: Driver;
  /** Of the configuration as it is now on the disk of every machine. */
  cluster(): Cluster;
  /** Machines that are members and should answer. */
  readonly members: Set<string>;
  info(name: string): Promise<Facts | undefined>;
  /** The same, asked until it answers. */
  facts(name: string): Promise<Facts>;
  reasons(name: string): Promise<readonly string[]>;
  /** A further machine, which joins by the others. */
  add(name: string, options?: { platform?: string; build?: Build }): Promise<void>;
  waitReady(...names: string[]): Promise<void>;
  /** All members are ready, see a roster of so many, and a quorum of it; and keys of all are kept. */
  waitWhole(): Promise<void>;
  clientOf(...names: string[]): WalletClient;
  /** So many wallets registered, each acknowledged by a quorum; at these nodes in turn. */
  register(count: number, ...names: string[]): Promise<void>;
  /** An operation that a test had acknowledged itself. */
  acknowledged(operation: MadeOperation): void;
  /** Registers at members in turn until it is stopped. */
  startLoad(): Load;
  /** The `kith` of the holders' machine; `kith cluster update` and what it writes. */
  keys(build: Build, ...words: string[]): Promise<void>;
  /** Puts the configuration as it is now on every machine, for its next start. */
  publish(): void;
  /** What must be true after everything. @param options.following unless no node can follow the chain any more. */
  check(options?: { readonly following?: boolean }): Promise<void>;
  close(): Promise<void>;
}

async function get<T>(url: string): Promise<T | undefined> {
  try {
    return (await (await fetch(url, { signal: AbortSignal.timeout(10_000) })).json()) as T;
  } catch {
    return undefined;
  }
}

const wrongIn = ({ lost, resurrected, duplicates }: Findings) => lost.length + resurrected.length + duplicates;

/** The beginning of the recorded chain. @returns the last height in it. */
function writeReplay(path: string): number {
  const lines = recordedLines();
  const last = lines[0]!.height + HEIGHTS;
  const kept = lines.filter(({ height }) => height <= last);
  writeFileSync(path, kept.map((line) => JSON.stringify(line)).join('\n'), { mode: 0o644 });
  chmodSync(path, 0o644);
  return kept.at(-1)!.height;
}

/** What must be nowhere: keys of wallets, and of those who hold keys of the cluster. */
function secretsOf(keysFolder: string, users: readonly RecordedUser[]): Map<string, Uint8Array> {
  const secrets = new Map<string, Uint8Array>();
  for (const { id, wallet } of users) {
    secrets.set(`data key of user ${id}`, wallet.dataKey);
    secrets.set(`signing key of user ${id}`, wallet.authSecret);
    for (const [i, subkey] of wallet.detectionKey.subkeys.entries()) secrets.set(`subkey ${i} of user ${id}`, subkey);
  }
  for (const name of readdirSync(keysFolder).filter((file) => file.endsWith('.key'))) {
    const { secretKey } = JSON.parse(readFileSync(join(keysFolder, name), 'utf8')) as { secretKey: string };
    secrets.set(name, fromBase64Url(secretKey));
  }
  return secrets;
}

export interface FleetOptions {
  /** Folders for the disks of some machines. */
  readonly disks?: Readonly<Record<string, string>>;
}

/** Starts chain and nodes, waits until the cluster is whole, and registers the first wallets. */
export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const driver = await createDriver();
  const folder = mkdtempSync(join(tmpdir(), 'kith-fleet-'));
  chmodSync(folder, 0o755);
  const replayPath = join(folder, 'chain.jsonl');
  const last = writeReplay(replayPath);
  const first = recordedLines()[0]!.height;
  const { signal } = new AbortController();
  const users = recordedUsers('fleet').slice(0, USERS);
  const expected = new Map<RegId, Expected>();
  const targets = new Map<string, Promise<Target>>();
  const members = new Set<string>();
  const scanned = { traffic: 0 };
  let made = 0;
  let scan: SecretScan | undefined;
  const wallets: RecordedUser[] = [];

  const keys: Fleet['keys'] = async (build, ...words) => {
    const { exitCode, out, err } = await driver.kith(build, ...words);
    if (exitCode !== 0) throw new Error(`kith ${words.join(' ')}: ${err}${out}`);
  };
  const publish = () => {
    copyFileSync(join(driver.keysFolder, 'cluster.json'), driver.clusterPath);
    chmodSync(driver.clusterPath, 0o644);
  };
  const cluster = () => parseCluster(readFileSync(driver.clusterPath, 'utf8'));
  const info: Fleet['info'] = (name) => get(`${driver.url(name)}/v1/node`);
  const reasons = async (name: string) =>
    (await get<{ reasons: string[] }>(`${driver.url(name)}/readyz`))?.reasons ?? ['does not answer'];

  async function explained(what: string, names: Iterable<string>, condition: () => Promise<boolean>): Promise<void> {
    await until(what, condition, WAIT_MS).catch(async (error: Error) => {
      const states = await Promise.all([...names].map(async (name) => `${name}: ${(await reasons(name)).join('; ')}`));
      throw new Error(`${error.message}\n${states.join('\n')}`, { cause: error });
    });
  }

  /** Each boot has a key of its own to seal to. */
  function targetOf(name: string): Promise<Target> {
    const known = targets.get(name) ?? openTarget({ random }, cluster().id, driver.url(name));
    targets.set(name, known);
    known.catch(() => targets.delete(name));
    return known;
  }

  /** One wallet, sent to one machine after another until one acknowledges it. */
  async function registerOne(names: () => string[]): Promise<void> {
    const wallet = makeWallet(random, N);
    const { id } = cluster();
    const heights = await Promise.all(names().map(async (name) => (await info(name))?.heights.chain ?? 0));
    const version = Math.min(...heights.filter((height) => height > 0));
    const operation = makeOperation(id, wallet, 'register', { version, birthday: version });
    if (wallets.length < SCANNED_WALLETS) {
      wallets.push({ id: 1_000 + wallets.length, wallet, indexSet: [] });
      scan = undefined;
    }
    const began = performance.now();
    for (let i = made++; ; i++) {
      const here = names();
      const name = here[i % here.length]!;
      try {
        const target = await targetOf(name);
        const { status } = await target.post(operation, target.seal(operation));
        if (status === 200 || status === 201) break;
        // Sealed to an earlier boot.
        if (status === 400) targets.delete(name);
      } catch {
        targets.delete(name);
      }
      if (performance.now() - began > WAIT_MS)
        throw new Error(`a registration was never acknowledged, last by ${name}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    fleet.acknowledged(operation);
  }

  function clientOf(...names: string[]): WalletClient {
    const nodes = (names.length > 0 ? names : [...members]).map(driver.url);
    return createWalletClient({ transport: createFetchTransport(), clock, random }, { cluster: cluster(), nodes });
  }

  async function waitWhole(): Promise<void> {
    await explained('all members ready', members, async () => {
      const all = await Promise.all([...members].map(info));
      return all.every((node) => node?.phase === 'ready' && node.members === members.size);
    });
    await explained('everybody connected, keys kept', members, async () => {
      const all = await Promise.all([...members].map(info));
      if (!all.every((node) => node && node.quorum.reachable >= members.size)) return false;
      const said = await Promise.all([...members].map(reasons));
      // Of five shares on three operators, two are always at one.
      return said.flat().every((reason) => !/^(unbacked|custody(?!: fewer operators)|does not)/.test(reason));
    });
  }

  async function checkSet(name: string): Promise<void> {
    let findings: Findings | undefined;
    const same = async () => {
      findings = await compareSet({ url: driver.url(name), admin: driver.adminUrl(name) }, expected);
      return wrongIn(findings) === 0;
    };
    await until(`${name} has what was acknowledged`, same, WAIT_MS).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(findings)}`, { cause: error });
    });
  }

  async function checkIndexSets(name: string): Promise<void> {
    const client = clientOf(name);
    for (const { id, wallet, indexSet } of users) {
      const view = await client.waitForHeight(wallet, undefined, { signal, height: last, timeoutMs: WAIT_MS });
      const wanted = indexSet.filter(([height]) => height <= last);
      if (JSON.stringify(view.entries) === JSON.stringify(wanted)) continue;
      throw new Error(`${name} has ${view.entries.length} entries for user ${id}, recorded are ${wanted.length}`);
    }
  }

  async function checkSecrets(): Promise<void> {
    scan ??= createSecretScan(secretsOf(driver.keysFolder, [...users, ...wallets]));
    const found: string[] = [];
    for (const name of machines) {
      found.push(...scan.findInFolder(driver.disk(name)).map((where) => `${where} (disk of ${name})`));
      found.push(...scan.find(Buffer.from(await driver.log(name))).map((what) => `${what} in the log of ${name}`));
    }
    const traffic = await driver.traffic();
    if (traffic) {
      // What was looked at is not looked at again, but for what may have been cut.
      const from = Math.max(0, scanned.traffic - 4_096);
      found.push(...scan.find(traffic.subarray(from)).map((what) => `${what} between machines`));
      if (traffic.length <= scanned.traffic) throw new Error('nothing was captured since the last look');
      scanned.traffic = traffic.length;
    }
    if (found.length > 0) throw new Error(`keys in what a host sees: ${found.join(', ')}`);
  }

  const machines: string[] = [];
  const fleet: Fleet = {
    driver,
    cluster,
    members,
    info,
    async facts(name) {
      let told: Facts | undefined;
      await explained(`${name} answers`, [name], async () => {
        told = await info(name);
        return told !== undefined;
      });
      return told!;
    },
    reasons,
    async add(name, { platform, build = 'now' } = {}) {
      const operator = OPERATORS[machines.length % OPERATORS.length]!;
      await driver.add(name, {
        platform: platform ?? `${operator}/${name}`,
        found: machines.length === 0,
        bootstrap: ['node-1', 'node-2', 'node-3'].filter((other) => other !== name),
        ...(options.disks?.[name] === undefined ? {} : { disk: options.disks[name] }),
      });
      driver.setBuild(name, build);
      machines.push(name);
    },
    waitReady: (...names) =>
      explained(`${names.join(', ')} ready`, names, async () => {
        const all = await Promise.all(names.map(info));
        return all.every((node) => node?.phase === 'ready');
      }),
    waitWhole,
    clientOf,
    async register(count, ...names) {
      const at = () => (names.length > 0 ? names : [...members]);
      await Promise.all(Array.from({ length: count }, () => registerOne(at)));
    },
    acknowledged({ id, type, expiryHeight }) {
      expected.set(id, { type, expiryHeight });
    },
    startLoad() {
      let ending = false;
      const before = expected.size;
      const worker = async () => {
        while (!ending) {
          await registerOne(() => [...members]);
          await new Promise((resolve) => setTimeout(resolve, POST_EVERY_MS));
        }
      };
      const running = Promise.all([worker(), worker()]);
      running.catch(() => undefined);
      return {
        async stop() {
          ending = true;
          await running;
          return expected.size - before;
        },
      };
    },
    keys,
    publish,
    async check({ following = true } = {}) {
      if (following) await waitWhole();
      await Promise.all([...members].map(checkSet));
      await Promise.all([...members].map(checkIndexSets));
      await checkSecrets();
    },
    async close() {
      for (const target of targets.values()) (await target.catch(() => undefined))?.close();
      await driver.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };

  try {
    const init = ['cluster', 'init', '--out', join(driver.keysHere, 'cluster.json'), '--chain-id', 'kith-devnet'];
    await keys('now', ...init, '--simulated', '--operators', OPERATORS.join(), '--recovery', '2-of-3');
    publish();
    const start = ['--start-after', String(last - first - HEIGHTS_LATER), '--block-ms', String(BLOCK_MS)];
    await driver.startChain(replayPath, ...start);
    for (const name of ['node-1', 'node-2', 'node-3', 'node-4', 'node-5']) {
      await fleet.add(name);
      members.add(name);
    }
    await Promise.all([...members].map(driver.start));
    await waitWhole();
    for (const { wallet } of users) {
      const { expiryHeight, status } = await clientOf().register(wallet, { signal, waitMs: WAIT_MS });
      if (status !== 'confirmed') throw new Error('the first wallets were not confirmed');
      expected.set(walletRegistrationId(wallet), { type: 'register', expiryHeight });
    }
  } catch (error) {
    const logs = await Promise.all(machines.map((name) => driver.log(name).catch(() => '')));
    console.error(machines.map((name, i) => `${name}:\n${logs[i]!.split('\n').slice(-8).join('\n')}`).join('\n'));
    await fleet.close();
    throw error;
  }
  return fleet;
}
