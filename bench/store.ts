// The sealed store on LevelDB in a temporary folder: filling, opening, synced commits. Opening 100,000 records of 700
// bytes is to take 10 s at most (issue: the service on one node).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '../src/core/system.ts';
import { createSealedStore, openLevelStore, openSealedStore, type SealedStore } from '../src/node/store/index.ts';
import { headerFor, itemShape, testNode } from '../test/support/sealed-store.ts';

const RECORDS = 100_000;
const VALUE_BYTES = 700;
const PAGE = 1000;
const COMMITS = 200;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export async function benchStore(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kith-store-bench-'));
  const node = testNode('bench');
  const deps = async () => ({ kv: await openLevelStore(folder), clock: systemClock, random: systemRandom });
  const rows: Record<string, string | number>[] = [];
  const row = (task: string, ms: number, count: number) =>
    rows.push({ task, ms: Math.round(ms), 'per second': Math.round((1000 * count) / ms) });
  const value = (count: number) => ({ count, data: systemRandom.bytes(VALUE_BYTES) });
  try {
    let store: SealedStore = await createSealedStore(await deps(), node.identity);
    const header = headerFor(store, node);
    const fill = async () => {
      const space = store.namespace('bench', itemShape);
      for (let start = 0; start < RECORDS; start += PAGE) {
        await store.commit(Array.from({ length: PAGE }, (_, i) => space.put(systemRandom.bytes(32), value(start + i))));
      }
    };
    row(`write ${RECORDS} records, ${PAGE} a commit`, await timed(fill), RECORDS);
    await store.close();

    const reopen = async () => {
      store = await openSealedStore(await deps(), { header, sealingKey: node.sealingKey });
    };
    row(`open ${RECORDS} records (every one checked)`, await timed(reopen), RECORDS);
    const space = store.namespace('bench', itemShape);
    let read = 0;
    const readAll = async () => {
      for await (const _ of space.entries()) read++;
    };
    row('read and decode them all', await timed(readAll), RECORDS);
    if (read !== RECORDS) throw new Error(`read ${read} records`);

    for (const writers of [1, 16, 256]) {
      const write = async () => {
        for (let i = 0; i < COMMITS; i++) await store.commit([space.put(systemRandom.bytes(32), value(i))]);
      };
      const ms = await timed(() => Promise.all(Array.from({ length: writers }, write)));
      row(`synced commits, ${writers} side by side`, ms, COMMITS * writers);
    }
    await store.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`\nSealed store (records of ${VALUE_BYTES} bytes)`);
  console.table(rows);
}
