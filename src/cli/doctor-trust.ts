// What `kith doctor` looks at of trust: the cluster configuration, and whether this node's quotes could be believed.

import { stat } from 'node:fs/promises';
import type { Cluster, MeasurementSet } from '../attestation/index.ts';
import type { NodeConfiguration } from '../node/index.ts';
import { measureBuild } from './cluster-file.ts';
import { type Finding, failed, fine, warning } from './doctor-check.ts';

/** Where the kernel offers quotes (Documentation/ABI/testing/configfs-tsm-report). */
const TSM_FOLDER = '/sys/kernel/config/tsm/report';

export function describeCluster({ id, simulated, configuration }: Cluster): Finding {
  const { version, chainId, allowUnbacked, policy } = configuration;
  const detail =
    `cluster ${id}, version ${version}, chain ${chainId}` +
    `${simulated ? ', SIMULATED: protects nobody' : ''}${allowUnbacked ? ', a first node may serve alone' : ''}`;
  return policy.measurements.length === 0 ? failed(`${detail}; its policy believes no build`) : fine(detail);
}

/** Whether quotes can be made here and the policy would believe them. */
export async function checkQuotes(
  quotes: NodeConfiguration['quotes'],
  { simulated, configuration }: Cluster,
  tsmFolder: string = TSM_FOLDER,
): Promise<Finding> {
  if (quotes !== 'simulated') {
    if (simulated) return failed('the cluster is simulated: --quotes simulated');
    const found = await stat(tsmFolder).catch(() => undefined);
    return found?.isDirectory()
      ? fine(`${tsmFolder} is there`)
      : failed(`${tsmFolder} is not there: this is no TDX guest, or configfs is not mounted`);
  }
  if (!simulated) return failed('simulated quotes are not believed by this cluster: --quotes configfs');
  const build = measureBuild();
  const believed = configuration.policy.measurements.find((set) => measuresAlike(set, build));
  if (!believed) return failed('the policy does not believe this build: add its measurement with kith cluster update');
  const { name, fromHeight, untilHeight } = believed;
  return fromHeight === undefined && untilHeight === undefined
    ? fine(`simulated; the policy believes this build as ${JSON.stringify(name)}`)
    : warning(`simulated; this build is believed from height ${fromHeight ?? 0} until ${untilHeight ?? 'ever'} only`);
}

/** A set binds the registers it names. */
function measuresAlike(set: MeasurementSet, build: MeasurementSet): boolean {
  const registers = ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3', 'mrseam', 'mrconfigid'] as const;
  return registers.every((name) => set[name] === undefined || build[name] === undefined || set[name] === build[name]);
}
