// A node as a process whose sealing key outlives it. The one argument is JSON: `NodeChildOptions`. Says each line of
// its log on stdout as JSON, the first with its URLs; ends gracefully with its stdin.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createCluster, simulatedMeasurements } from '../../src/attestation/index.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { resolveConfiguration } from '../../src/node/configuration.ts';
import type { LogFields } from '../../src/node/log.ts';
import { startNode } from '../../src/node/main.ts';
import { createLevelDisk } from '../../src/node/store/level-disk.ts';
import { createFileKeys } from './file-keys.ts';

export interface NodeChildOptions {
  /** Of the node; its keys lie beside it. */
  readonly folder: string;
  /** JSON of a cluster configuration. */
  readonly cluster: string;
  readonly comet: string;
  readonly startHeight?: number;
}

/** What a node of these processes measures: as `measurements` of attestation.ts. */
const measurement = () => simulatedMeasurements('this build', utf8('build'));

const { folder, cluster, comet, startHeight } = JSON.parse(process.argv[2] ?? '') as NodeChildOptions;
const say = (event: string, fields: LogFields = {}) =>
  void process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const { values } = resolveConfiguration({
  flags: {
    'data-dir': [join(folder, 'data')],
    http: ['127.0.0.1:0'],
    admin: ['127.0.0.1:0'],
    quotes: ['simulated'],
    'rate-limit': ['off'],
    'comet-rpc': [comet],
    ...(startHeight === undefined ? {} : { 'start-height': [String(startHeight)] }),
  },
  environment: {},
  file: {},
});
const node = await startNode(
  {
    log: { debug: () => undefined, info: say, warn: say, error: say },
    cluster: createCluster(JSON.parse(readFileSync(cluster, 'utf8'))),
    version: '0.0.0',
    measurement,
    sealingKeys: createFileKeys(join(folder, 'keys'), createLevelDisk(join(folder, 'data'))),
  },
  values,
);
process.stdin.on('end', () => void node.stop()).resume();
await node.ended;
