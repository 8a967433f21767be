// `kith cluster update`: the next version of a cluster configuration. With a threshold of one it is in force at once;
// otherwise a proposal goes from one holder of a governance key to the next until enough have signed.

import { type Command, Option } from 'commander';
import {
  type Cluster,
  type ClusterConfiguration,
  type ConfigurationChanges,
  type ConfigurationSignature,
  configurationChangesShape,
  configurationProposalShape,
  formatCluster,
  proposeSuccessor,
  signSuccessor,
  succeed,
} from '../attestation/index.ts';
import { parseJson } from '../core/json.ts';
import { described, measureBuild, readCluster } from './cluster-file.ts';
import { readKey } from './cluster-keys.ts';
import { addCommand, type Outcome, usageError } from './command.ts';
import { readTextFile, writePublicFile } from './files.ts';

interface UpdateOptions {
  key: string[];
  changes?: string;
  measureBuild?: boolean;
  proposal?: string;
}

const CHANGES_BYTES_MAX = 1_048_576;
const collect = (value: string, earlier: string[]): string[] => [...earlier, value];

export function addClusterUpdate(group: Command): void {
  addCommand<UpdateOptions>(
    group,
    'update <file>',
    'sign the next version of a configuration and, once enough have signed, put it in force in the file',
    (command) =>
      command
        .addOption(new Option('--key <file>', 'governance key; repeatable').argParser(collect).default([], 'none'))
        .option('--changes <file>', 'JSON with the fields to change: policy, operators, governance, ...')
        .option('--measure-build', 'simulated clusters: also believe the build that runs this command')
        .option('--proposal <file>', 'where a version that lacks signatures is kept, or was by the signer before'),
    update,
  );
}

async function update(options: UpdateOptions, _context: unknown, file = ''): Promise<Outcome> {
  const cluster = await readCluster(file);
  const { configuration, signatures } = await draft(cluster, options);
  const signed = [...signatures];
  for (const path of options.key) {
    const key = await readKey(path, 'governance');
    if (!signed.some(({ publicKey }) => publicKey === key.publicKey)) {
      signed.push(signSuccessor(configuration, key.secretKey));
    }
    key.secretKey.fill(0);
  }
  const needed = cluster.configuration.governance.threshold;
  if (signed.length < needed) {
    if (options.proposal === undefined) {
      throw usageError(`${signed.length} of ${needed} signatures: give more --key, or a --proposal to pass on`);
    }
    const proposal = `${JSON.stringify({ configuration, signatures: signed }, undefined, 2)}\n`;
    await writePublicFile(options.proposal, proposal, { overwrite: true });
    return {
      json: { proposal: options.proposal, version: configuration.version, signatures: signed.length, needed },
      text: `version ${configuration.version} has ${signed.length} of ${needed} signatures: pass on ${options.proposal}\n`,
    };
  }
  const successor = succeed(cluster, configuration, signed);
  await writePublicFile(file, formatCluster(successor), { overwrite: true });
  return described(successor, { file });
}

async function draft(
  cluster: Cluster,
  options: UpdateOptions,
): Promise<{ configuration: ClusterConfiguration; signatures: readonly ConfigurationSignature[] }> {
  const changes = await readChanges(cluster, options);
  if (Object.keys(changes).length > 0) return { configuration: proposeSuccessor(cluster, changes), signatures: [] };
  if (options.proposal === undefined)
    throw usageError('nothing to change: give --changes, --measure-build or --proposal');
  const text = await readTextFile(options.proposal, CHANGES_BYTES_MAX);
  return configurationProposalShape.parse(parseJson(text, options.proposal), options.proposal);
}

async function readChanges(cluster: Cluster, options: UpdateOptions): Promise<ConfigurationChanges> {
  const changes: ConfigurationChanges =
    options.changes === undefined
      ? {}
      : configurationChangesShape.parse(
          parseJson(await readTextFile(options.changes, CHANGES_BYTES_MAX), options.changes),
          options.changes,
        );
  if (!options.measureBuild) return changes;
  if (!cluster.simulated)
    throw usageError('--measure-build is for simulated clusters: real measurements come from the image');
  const policy = changes.policy ?? cluster.configuration.policy;
  const build = measureBuild();
  const others = policy.measurements.filter(({ rtmr2 }) => rtmr2 !== build.rtmr2);
  if (policy.measurements.some((set) => JSON.stringify(set) === JSON.stringify(build))) {
    throw usageError('the configuration believes this build already');
  }
  return { ...changes, policy: { ...policy, measurements: [...others, build] } };
}
