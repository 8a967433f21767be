// The replica of a node on LevelDB: operations per second as users bring them (already opened), as another member's log
// brings them, and by themselves; reading them for others; and what opening them again takes. Goals (replication): 1,000
// operations a second at the origin, 100,000 by pull in 30 s.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { decodeOperation, encodeOperation } from '../src/core/registration/operation.ts';
import { systemClock as clock } from '../src/core/system.ts';
import { openLevelStore } from '../src/node/store/index.ts';
import type { EntryWithBodies } from '../src/replication/index.ts';
import { bootReplica, type ReplicaNode, replicaUser } from '../test/support/replica-node.ts';

const N = 10;
/** Requests under way at once: as many as a busy listener has. */
const SIDE_BY_SIDE = [8, 64, 256];
/** What a message of replication carries. */
const PAGE_BYTES = 256 * 1024;

export async function benchReplica({ quick }: { quick: boolean }): Promise<void> {
  const count = quick ? 6_000 : 100_000;
  const folder = mkdtempSync(join(tmpdir(), 'kith-replica-bench-'));
  const rows: Record<string, string | number>[] = [];
  const boot = async (name: string, options: Parameters<typeof bootReplica>[2] = {}) =>
    bootReplica(name, await openLevelStore(join(folder, name)), { clock, ...options });
  const timed = async <T>(task: string, operations: number, work: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const cpu = process.cpuUsage();
    const result = await work();
    const ms = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    rows.push({
      task,
      operations,
      ms: Math.round(ms),
      'per second': Math.round((1000 * operations) / ms),
      'cpu us each': Math.round((user + system) / operations),
    });
    return result;
  };
  try {
    const users = Array.from({ length: count }, (_, i) => replicaUser(`bench ${i}`, N));
    // Decoded as they come from outside.
    const registers = users.map((user) => user.submission(decodeOperation(encodeOperation(user.register()))));
    const bodies = registers.map(({ operation }, i) => users[i]!.body(operation));
    const origin = await boot('origin');
    let next = 0;
    for (const [i, sideBySide] of SIDE_BY_SIDE.entries()) {
      const until = i === SIDE_BY_SIDE.length - 1 ? count : next + count / 20;
      const submitter = async () => {
        while (next < until) await origin.registrations.submit(registers[next++]!);
      };
      await timed(`submit, ${sideBySide} side by side`, until - next, () =>
        Promise.all(Array.from({ length: sideBySide }, submitter)),
      );
    }
    const pages: EntryWithBodies[][] = [];
    await timed(`read pages of ${PAGE_BYTES / 1024} KiB`, count, () => readAll(origin, pages));
    const puller = await boot('puller');
    await timed('take those pages', count, async () => {
      for (const page of pages) await puller.replica.take(page);
    });
    const cold = await boot('cold');
    await timed('take bodies, 256 at a time', count, async () => {
      for (let from = 0; from < count; from += 256) await cold.replica.takeBodies(bodies.slice(from, from + 256));
    });
    await timed('look at all states', count, async () => {
      for (const _ of puller.replica.states());
    });
    for (const [name, { store, header }] of Object.entries({ origin, puller })) {
      const records = store.records;
      await store.close();
      const again = await timed(`open ${name}: ${records} records`, count, () =>
        boot(name, { header, incarnation: 2 }),
      );
      await again.store.close();
    }
    await cold.store.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`\nThe replica of one node, registers of n = ${N} (goals: 1,000 a second at the origin, 3,400 by pull)`);
  console.table(rows);
}

async function readAll({ replica }: ReplicaNode, pages: EntryWithBodies[][]): Promise<void> {
  for (let from = 1; ; ) {
    const page = await replica.read(replica.ownLog, from, PAGE_BYTES);
    if (page.length === 0) return;
    pages.push(page);
    from = page.at(-1)!.entry.seq + 1;
  }
}
