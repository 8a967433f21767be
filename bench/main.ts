// `npm run bench [-- NAME ... --quick --json=FILE]`: every benchmark, or those named. Figures are medians; compare only
// figures of one run.

import process from 'node:process';
import { benchAttestation } from './attestation.ts';
import { benchAudit } from './audit.ts';
import { benchFmdEngine } from './fmd-engine.ts';
import { benchFmdKernel } from './fmd-kernel.ts';
import { benchFmdReference } from './fmd-reference.ts';
import { benchIndexer } from './indexer.ts';
import { benchMesh } from './mesh.ts';
import { benchNode } from './node.ts';
import { benchReplica } from './replica.ts';
import { benchReplication } from './replication.ts';
import { benchStore } from './store.ts';

const BENCHMARKS: Readonly<Record<string, () => Promise<void>>> = {
  attestation: benchAttestation,
  audit: benchAudit,
  'fmd-reference': benchFmdReference,
  'fmd-kernel': () => benchFmdKernel({ quick: process.argv.includes('--quick'), json: option('json') }),
  'fmd-engine': () => benchFmdEngine({ quick: process.argv.includes('--quick') }),
  indexer: benchIndexer,
  mesh: () => benchMesh({ quick: process.argv.includes('--quick') }),
  node: () => benchNode({ quick: process.argv.includes('--quick') }),
  replica: () => benchReplica({ quick: process.argv.includes('--quick') }),
  replication: () => benchReplication({ quick: process.argv.includes('--quick') }),
  store: benchStore,
};

const option = (name: string): string | undefined =>
  process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);

const asked = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const unknown = asked.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(BENCHMARKS).join(', ')}`);
  process.exit(2);
}
for (const [name, run] of Object.entries(BENCHMARKS)) {
  if (asked.length === 0 || asked.includes(name)) await run();
}
