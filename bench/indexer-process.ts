// The measured process of the indexer's benchmark: arguments are the store's folder, the node's URL, first and last
// height. Prints its figures as JSON.

import process from 'node:process';
import { systemClock as clock, systemRandom } from '../src/core/system.ts';
import { createCometSource, createHttpTransport, createIndexer, openNoteStore } from '../src/indexer/index.ts';
import { openLevelStore } from '../src/node/store/level.ts';

async function main(): Promise<void> {
  const [folder = '', url = '', first = '', last = ''] = process.argv.slice(2);
  const store = await openLevelStore(folder);
  const notes = await openNoteStore(store);
  const source = createCometSource({ transport: createHttpTransport(url), clock });
  const indexer = createIndexer(
    { clock, random: systemRandom, notes, sources: [source] },
    { chainId: 'kith-devnet', startHeight: Number(first) },
  );
  let rssMax = 0;
  const sample = setInterval(() => {
    rssMax = Math.max(rssMax, process.memoryUsage.rss());
  }, 100);
  const cpu = process.cpuUsage();
  const began = performance.now();
  await indexer.start();
  await notes.reached(Number(last), new AbortController());
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(sample);
  await indexer.stop();
  await store.close();
  console.log(JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6, rssMax }));
}

await main();
