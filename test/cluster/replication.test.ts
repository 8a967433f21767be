// The cluster as wallets see it while nodes die and come back: every wallet registers at one node and gets its exact
// index set from each, and what was revoked or has expired never shows again, on any node. KITH_SEED repeats a run;
// KITH_LONG=1 is the whole acceptance, with five nodes and all receivers of the recording. Needs `npm run build`.

import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFetchTransport, createWalletClient, isNodeRefusal, type WalletClient } from '../../src/client/index.ts';
import { systemClock as clock, systemRandom } from '../../src/core/system.ts';
import { type ClusterProcesses, startCluster, until } from '../support/cluster-processes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { longForm } from '../support/fuzz.ts';
import '../support/processes.ts';
import { recordedUsers } from '../support/recorded-users.ts';
import { recordedLines } from '../support/replay.ts';
import { seededRandom } from '../support/seeded-random.ts';

const SEED = process.env['KITH_SEED'] ?? '1';
const NODES = longForm ? 5 : 3;
const KILLS_MIN = longForm ? 12 : 2;
const USERS = longForm ? 24 : 9;
/** So many may be away at once that a quorum remains. */
const AWAY_MAX = Math.ceil(NODES / 2) - 1;
/** Registering at a node that has just died, and again at the next. */
const CONFIRM_MS = 90_000;
const SYNC_MS = 150_000;
/** From the confirmed end of a registration to its end at every node. */
const SPREAD_MS = 30_000;
const SHORT_LIFE_BLOCKS = 40;
/** Blocks through which what ended must stay so. */
const WATCHED_BLOCKS = 50;
const LAST = recordedLines().at(-1)!.height;

const random = seededRandom(`replication ${SEED}`);
const chance = (below: number): number => random.bytes(2).reduce((sum, byte) => sum * 256 + byte, 0) % below;
const { signal } = new AbortController();
const users = recordedUsers('replication').slice(0, USERS);
const all = Array.from({ length: NODES }, (_, i) => i);

let cluster: ClusterProcesses;

/** @param order nodes in the order in which operations are tried. */
const clientOf = (order: readonly number[]): WalletClient =>
  createWalletClient(
    { transport: createFetchTransport(), clock, random: systemRandom },
    { cluster: cluster.cluster, nodes: order.map((i) => cluster.urls[i]!) },
  );
const from = (first: number) => all.map((_, k) => (first + k) % NODES);

/** Kills and boots at random until told to end; all run then. */
function startKiller() {
  let ending = false;
  let kills = 0;
  const away = new Set<number>();
  const live = async (i: number) => {
    away.add(i);
    await cluster.kill(i);
    kills++;
    await new Promise((resolve) => setTimeout(resolve, chance(2_000)));
    await cluster.boot(i);
    await cluster.waitReady(i);
    await cluster.waitBacked(i);
    away.delete(i);
  };
  const killer = async () => {
    while (!ending || kills < KILLS_MIN) {
      const here = all.filter((i) => !away.has(i));
      await live(here[chance(here.length)]!);
    }
  };
  const running = Promise.all(Array.from({ length: AWAY_MAX }, killer));
  // Seen by whoever ends it.
  running.catch(() => undefined);
  return {
    async end(): Promise<number> {
      ending = true;
      await running;
      return kills;
    },
  };
}

async function stateAt(i: number, user: (typeof users)[number]): Promise<'visible' | 'gone'> {
  try {
    await clientOf([i]).read(user.wallet, undefined, { signal });
    return 'visible';
  } catch (error) {
    if (isNodeRefusal(error, 'unknown-registration', 'revoked', 'expired')) return 'gone';
    throw error;
  }
}

beforeAll(async () => {
  console.log(`KITH_SEED=${SEED}, ${NODES} nodes`);
  cluster = await startCluster({
    nodes: NODES,
    folder: temporaryFolder(),
    replayPath: fileURLToPath(new URL('../vectors/chain/chain.jsonl', import.meta.url)),
    devnet: ['--start-after', '2950', '--block-ms', '100'],
  });
  for (const i of all) await cluster.waitReady(i);
  await cluster.waitMembers(NODES);
  for (const i of all) await cluster.waitBacked(i);
});
afterAll(() => cluster.stop());

describe(`${NODES} nodes, killed and started at random`, () => {
  it('give every wallet its exact index set, whichever is asked', { timeout: 1_200_000 }, async () => {
    const killer = startKiller();
    for (const [k, { id, wallet }] of users.entries()) {
      const made = await clientOf(from(k % NODES)).register(wallet, { signal, waitMs: CONFIRM_MS });
      expect(made.status, `KITH_SEED=${SEED}, user ${id}`).toBe('confirmed');
    }
    console.log(`${await killer.end()} kills while ${users.length} wallets registered`);
    for (const i of all) {
      const client = clientOf([i]);
      for (const { id, wallet, indexSet } of users) {
        await until(`user ${id} known at node ${i + 1}`, async () => {
          const known = await client.status(wallet, { signal }).catch((error: unknown) => {
            if (isNodeRefusal(error, 'unknown-registration')) return undefined;
            throw error;
          });
          return known?.status === 'confirmed';
        });
        const view = await client.waitForHeight(wallet, undefined, { signal, height: LAST, timeoutMs: SYNC_MS });
        expect(view.entries, `KITH_SEED=${SEED}, user ${id} at node ${i + 1}`).toEqual(indexSet);
      }
    }
  });

  it('never show again what was revoked or has expired', { timeout: 600_000 }, async () => {
    const [revoked, expiring, kept] = users as [(typeof users)[0], (typeof users)[0], (typeof users)[0]];
    const how = { signal, waitMs: CONFIRM_MS };
    expect((await clientOf(from(1)).revoke(revoked.wallet, how)).status).toBe('confirmed');
    const short = { ...how, expiresInBlocks: SHORT_LIFE_BLOCKS };
    const { status, expiryHeight } = await clientOf(from(2)).renew(expiring.wallet, short);
    expect(status).toBe('confirmed');
    for (const i of all) {
      const told = (user: typeof kept) => clientOf([i]).status(user.wallet, { signal });
      await until('revoked', async () => (await told(revoked)).status === 'revoked', SPREAD_MS);
      const heard = async () => (await told(expiring)).expiryHeight === expiryHeight;
      await until('the short life', heard, SPREAD_MS);
      await until('its end', async () => (await told(expiring)).status === 'expired', SPREAD_MS);
    }
    const seen: string[] = [];
    const look = async (i: number) => {
      for (const [name, user] of Object.entries({ revoked, expiring })) {
        if ((await stateAt(i, user)) === 'visible') seen.push(`${name} at node ${i + 1}`);
      }
    };
    for (const victim of all.slice(0, KILLS_MIN)) {
      await cluster.kill(victim);
      await cluster.boot(victim);
      await cluster.waitReady(victim);
      const until_ = (await cluster.info(victim))!.heights.detected + WATCHED_BLOCKS;
      await until(
        'blocks go by',
        async () => {
          for (const i of all) await look(i);
          return (await cluster.info(victim))!.heights.detected >= until_;
        },
        SPREAD_MS + WATCHED_BLOCKS * 1_000,
      );
    }
    expect(seen, `KITH_SEED=${SEED}`).toEqual([]);
    for (const i of all) expect(await stateAt(i, kept)).toBe('visible');
  });
});
