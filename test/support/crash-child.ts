// A process that indexes until it is killed: arguments are the store's folder, the node's URL, the first height and the
// last. It says what it found on opening, and each cursor as soon as it is announced.

import process from 'node:process';
import { systemClock, systemRandom } from '../../src/core/system.ts';
import { createCometSource, createHttpTransport, createIndexer, openNoteStore } from '../../src/indexer/index.ts';
import { openLevelStore } from '../../src/node/store/level.ts';

async function main(): Promise<void> {
  const [folder = '', url = '', first = '', last = ''] = process.argv.slice(2);
  const clock = systemClock;
  const store = await openLevelStore(folder);
  const notes = await openNoteStore(store);
  console.log(`opened ${notes.checkpoint?.cursor ?? 0}`);
  const source = createCometSource({ transport: createHttpTransport(url), clock });
  const indexer = createIndexer(
    { clock, random: systemRandom, notes, sources: [source] },
    { chainId: 'kith-devnet', startHeight: Number(first), pollMs: 100 },
  );
  await indexer.start();
  const { signal } = new AbortController();
  for await (const { height } of indexer.blocks((notes.checkpoint?.cursor ?? Number(first) - 1) + 1, { signal })) {
    console.log(`announced ${height}`);
    if (height === Number(last)) break;
  }
  await indexer.stop();
  await store.close();
}

await main();
