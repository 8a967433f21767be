// Everything acknowledged with 201 is at every member, whatever happened to members meanwhile: kills every few seconds,
// a disk that is put back to an old state, a disk that is lost. KITH_SEED repeats a run; KITH_LONG=1 takes 20,000
// operations over five nodes. Needs `npm run build`.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Wallet } from '../../src/client/index.ts';
import type { RegId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/system.ts';
import { type ClusterProcesses, startCluster, until } from '../support/cluster-processes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { longForm } from '../support/fuzz.ts';
import { type MadeOperation, makeOperation, makeWallet, openTarget, type Target } from '../support/load.ts';
import '../support/processes.ts';
import { madeUpLines } from '../support/replay.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { checkSet, type Expected, type Findings } from '../support/set-checker.ts';

const SEED = process.env['KITH_SEED'] ?? '1';
const NODES = longForm ? 5 : 3;
const OPERATIONS = longForm ? 20_000 : 400;
/** From one kill to the next. */
const KILL_EVERY = longForm ? 1_000 : 150;
/** Operations under way at once. */
const WORKERS = 16;
/** Between two operations of one worker: the load is to last through the kills, not to measure anything. */
const PAUSE_MS = longForm ? 60 : 500;
/** Matches nobody in a chain without flags; large, so that a crowd of them costs no look-up anything. */
const N = 10;
/** Of a hundred operations. */
const RENEWS = 10;
const REVOKES = 15;
/** How long one operation may take, over all tries: as long as a quorum may be away. */
const ACKNOWLEDGED_MS = 120_000;
/** From the last acknowledgement until every member tells the same. */
const SPREAD_MS = longForm ? 300_000 : 60_000;

const random = seededRandom(`set checker ${SEED}`);
const chance = (below: number): number => random.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0) % below;
const all = Array.from({ length: NODES }, (_, i) => i);

let cluster: ClusterProcesses;
const targets = new Map<number, Promise<Target>>();
/** What must be in force; an operation stands here once it is acknowledged. */
const expected = new Map<RegId, Expected>();
const wallets = new Map<RegId, Wallet>();
/** Registrations that no operation is under way for. */
const idle: RegId[] = [];
const counts = { acknowledged: 0, pending: 0, refused: 0, failed: 0, kills: 0 };

beforeAll(async () => {
  console.log(`KITH_SEED=${SEED}, ${NODES} nodes, ${OPERATIONS} operations`);
  const folder = temporaryFolder();
  const replayPath = join(folder, 'chain.jsonl');
  const lines = madeUpLines(1_000, 60).filter(({ flags }) => flags === null);
  writeFileSync(replayPath, lines.map((line) => JSON.stringify(line)).join('\n'));
  cluster = await startCluster({ nodes: NODES, folder, replayPath });
  for (const i of all) await cluster.waitReady(i);
  await cluster.waitMembers(NODES);
  for (const i of all) await cluster.waitBacked(i);
});
afterAll(() => cluster.stop());

/** Each boot has a key of its own to seal to. */
function targetOf(i: number): Promise<Target> {
  const known = targets.get(i) ?? openTarget({ random: systemRandom }, cluster.cluster.id, cluster.urls[i]!);
  targets.set(i, known);
  known.catch(() => targets.get(i) === known && targets.delete(i));
  return known;
}

async function boot(i: number): Promise<void> {
  targets.delete(i);
  await cluster.boot(i);
  await cluster.waitReady(i);
  await cluster.waitBacked(i);
}

/** Sends one operation to one node after another until one says 201; repeating it is harmless. */
async function acknowledge(operation: MadeOperation): Promise<void> {
  const began = performance.now();
  for (let i = chance(NODES); ; i = (i + 1) % NODES) {
    try {
      const target = await targetOf(i);
      const { status } = await target.post(operation, target.seal(operation));
      if (status === 200 || status === 201) break;
      if (status === 202) counts.pending++;
      else counts.refused++;
      // Sealed to an earlier boot.
      if (status === 400) targets.delete(i);
    } catch {
      counts.failed++;
      targets.delete(i);
    }
    if (performance.now() - began > ACKNOWLEDGED_MS) throw new Error(`a ${operation.type} was never acknowledged`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  counts.acknowledged++;
  expected.set(operation.id, { type: operation.type, expiryHeight: operation.expiryHeight });
}

/** A new registration, or a renew or revoke of one that nothing else is under way for. */
function nextOperation(version: number): MadeOperation {
  const draw = chance(100);
  const { id } = cluster.cluster;
  const known = draw < RENEWS + REVOKES && idle.length > 0 ? idle.splice(chance(idle.length), 1)[0] : undefined;
  if (known !== undefined) {
    const type = draw < RENEWS ? 'renew' : 'revoke';
    return makeOperation(id, wallets.get(known)!, type, { version, lifetime: 1_000_100 });
  }
  const wallet = makeWallet(systemRandom, N);
  const made = makeOperation(id, wallet, 'register', { version, birthday: version });
  wallets.set(made.id, wallet);
  return made;
}

/** The lowest height of any node: what all of them take. */
async function lowestHeight(): Promise<number> {
  const heights = await Promise.all(all.map(async (i) => (await cluster.info(i))?.heights.chain));
  return Math.min(...heights.filter((height) => height !== undefined && height > 0).map((height) => height!));
}

async function load(onEach: () => void): Promise<void> {
  let left = OPERATIONS;
  let version = await lowestHeight();
  const worker = async () => {
    while (left-- > 0) {
      // Never lower than before: an operation has to outrank the one before it.
      if (left % 100 === 0) version = Math.max(version, await lowestHeight());
      const operation = nextOperation(version);
      await acknowledge(operation);
      if (operation.type !== 'revoke') idle.push(operation.id);
      onEach();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
}

const wrongIn = ({ lost, resurrected, duplicates }: Findings) => lost.length + resurrected.length + duplicates;

/** What every node tells, once it tells the same as was acknowledged, or when there is no hope for it any more. */
async function checkAll(): Promise<Findings[]> {
  const findings: Findings[] = [];
  for (const i of all) {
    const admin = cluster.adminUrl(i);
    const look = async () => {
      findings[i] = await checkSet({ url: cluster.urls[i]!, admin }, expected);
      return wrongIn(findings[i]!) === 0;
    };
    await until(`node ${i + 1} tells all`, look, SPREAD_MS).catch(() => undefined);
  }
  return findings;
}

it('loses nothing, doubles nothing and brings nothing back', { timeout: longForm ? 3_600_000 : 400_000 }, async () => {
  // A disk for later: what it holds now is old by then.
  const [rolledBack, wiped] = [1, 2];
  await cluster.kill(rolledBack);
  cluster.copyDisk(rolledBack);
  await boot(rolledBack);

  let done = 0;
  let killing: Promise<void> = Promise.resolve();
  let killFailed: unknown;
  await load(() => {
    done++;
    if (done % KILL_EVERY !== 0) return;
    killing = killing
      .then(async () => {
        const victim = chance(NODES);
        await cluster.kill(victim);
        counts.kills++;
        await boot(victim);
      })
      .catch((error: unknown) => {
        killFailed ??= error;
      });
  });
  await killing;
  if (killFailed) throw killFailed;
  console.log(`KITH_SEED=${SEED}: ${JSON.stringify(counts)}`);

  await cluster.kill(rolledBack);
  cluster.putBack(rolledBack);
  await boot(rolledBack);
  await cluster.kill(wiped);
  cluster.wipe(wiped);
  await boot(wiped);

  const findings = await checkAll();
  const clean = { lost: [], resurrected: [], duplicates: 0, checked: expected.size };
  expect(findings, `KITH_SEED=${SEED}`).toEqual(all.map(() => clean));
  expect(counts.acknowledged).toBe(OPERATIONS);
  expect(counts.kills).toBeGreaterThanOrEqual(2);
});
