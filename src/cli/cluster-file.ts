// Reading a cluster configuration, saying what it says, and measuring the running build.

import {
  CLUSTER_FILE_CHARS_MAX,
  type Cluster,
  digestOfBuild,
  type MeasurementSet,
  parseCluster,
  simulatedMeasurements,
} from '../attestation/index.ts';
import { toHex } from '../core/bytes.ts';
import type { Outcome } from './command.ts';
import { readTextFile } from './files.ts';
import { VERSION } from './version.ts';

/** What a simulated domain that runs this build measures. */
export function measureBuild(): MeasurementSet {
  return simulatedMeasurements(`kith ${VERSION}`, digestOfBuild());
}

/** @throws KithError of reading or of `parseCluster`. */
export async function readCluster(path: string): Promise<Cluster> {
  return parseCluster(await readTextFile(path, CLUSTER_FILE_CHARS_MAX));
}

/** The outcome every command of the group ends with. */
export function described(cluster: Cluster, files: { file: string; keys?: readonly string[] }): Outcome {
  const { configuration } = cluster;
  const { chainId, version, policy, operators, governance, recovery, confirmations, allowUnbacked } = configuration;
  const json = {
    clusterId: cluster.id,
    version,
    hash: toHex(cluster.hash),
    chainId,
    simulated: cluster.simulated,
    allowUnbacked,
    confirmations,
    measurements: policy.measurements.map(({ name }) => name),
    operators: operators.map(({ name, publicKey, platforms }) => ({ name, publicKey, platforms: platforms.length })),
    governance: { threshold: governance.threshold, keys: governance.publicKeys.length },
    recovery: { threshold: recovery.threshold, keys: recovery.publicKeys.length },
    ...files,
  };
  const lines = [
    `cluster ${cluster.id}${cluster.simulated ? ' (simulated: protects nobody)' : ''}`,
    `version ${version}, chain ${chainId}, ${files.file}`,
    `believed: ${json.measurements.join(', ') || 'nothing yet: add measurements with `kith cluster update`'}`,
    `operators: ${operators.map(({ name }) => name).join(', ') || 'none listed'}`,
    `governance ${governance.threshold} of ${governance.publicKeys.length}, recovery ${recovery.threshold} of ${recovery.publicKeys.length}`,
    ...(files.keys ?? []).map((path) => `secret key in ${path}`),
  ];
  return { json, text: `${lines.join('\n')}\n` };
}
