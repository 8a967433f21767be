// `npm run bench [-- NAME ...]`: every benchmark, or those named. Figures are medians; compare only figures of one run.

import process from 'node:process';
import { benchAttestation } from './attestation.ts';
import { benchFmdReference } from './fmd-reference.ts';
import { benchIndexer } from './indexer.ts';
import { benchStore } from './store.ts';

const BENCHMARKS: Readonly<Record<string, () => Promise<void>>> = {
  attestation: benchAttestation,
  'fmd-reference': benchFmdReference,
  indexer: benchIndexer,
  store: benchStore,
};

const asked = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const unknown = asked.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(BENCHMARKS).join(', ')}`);
  process.exit(2);
}
for (const [name, run] of Object.entries(BENCHMARKS)) {
  if (asked.length === 0 || asked.includes(name)) await run();
}
