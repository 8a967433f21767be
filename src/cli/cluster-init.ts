// `kith cluster init`: a new cluster configuration and the keys of its holders.

import type { Command } from 'commander';
import {
  attestationPolicyShape,
  type Cluster,
  type ClusterConfiguration,
  createCluster,
  createDevelopmentPki,
  DEFAULT_LIMITS,
  defaultPolicy,
  formatCluster,
} from '../attestation/index.ts';
import { toBase64Url } from '../core/bytes.ts';
import { parseJson } from '../core/json.ts';
import { systemRandom } from '../core/system.ts';
import { described, measureBuild } from './cluster-file.ts';
import { type ClusterKey, keyPath, makeKey, writeKey } from './cluster-keys.ts';
import { addCommand, integerOption, type Outcome, usageError } from './command.ts';
import { readTextFile, refuseExisting, writePublicFile } from './files.ts';

export interface InitOptions {
  out: string;
  chainId: string;
  simulated?: boolean;
  operators?: string;
  recovery: string;
  governance: string;
  policy?: string;
  confirmations: number;
  allowUnbacked?: boolean;
}

const POLICY_BYTES_MAX = 1_048_576;

export function addClusterInit(group: Command): void {
  addCommand<InitOptions>(
    group,
    'init',
    'make a cluster configuration and the keys of its holders beside it (mode 0600); prints the cluster id',
    (command) =>
      command
        .requiredOption('--out <file>', 'configuration to write; must not exist')
        .requiredOption('--chain-id <id>', 'the chain this cluster serves')
        .option('--simulated', 'simulated TDX: a development root, and the measurement of this build')
        .option('--operators <a,b,c>', 'operators, each with a key of its own')
        .option('--recovery <K-of-M>', 'keys that reopen the stores after a total restart', '2-of-3')
        .option('--governance <K-of-M>', 'keys that sign the next version', '1-of-1')
        .option('--policy <file>', 'attestation policy, JSON; without it, measurements are added by `update`')
        .option('--confirmations <n>', 'receipts that certify an operation, at least', integerOption(1, 7), 1)
        .option('--allow-unbacked', 'let a first node serve alone, with its sealing key in memory only'),
    init,
  );
}

/** `2-of-3`; `0-of-0` for none. */
function thresholdOption(option: string, value: string): { threshold: number; count: number } {
  const match = /^(\d{1,2})-of-(\d{1,2})$/.exec(value);
  const [threshold, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || threshold > count || (threshold === 0 && count > 0)) {
    throw usageError(`${option} must be K-of-M with K from 1 to M, like 2-of-3`);
  }
  return { threshold, count };
}

function operatorNames(list: string): string[] {
  if (list === '') return [];
  const names = list.split(',').map((name) => name.trim());
  if (names.some((name) => !/^[A-Za-z0-9._-]{1,64}$/.test(name)) || new Set(names).size !== names.length) {
    throw usageError('--operators must be different names of letters, digits, dots, dashes, underscores: a,b,c');
  }
  return names;
}

async function init(options: InitOptions): Promise<Outcome> {
  const { cluster, keys } = await makeCluster(options);
  const files = await writeCluster(options.out, cluster, keys);
  return described(cluster, { file: options.out, keys: files });
}

/** A new cluster and the keys of its holders; nothing is written. @throws KithError as wrong usage, or of the policy. */
export async function makeCluster(
  options: Omit<InitOptions, 'out'>,
): Promise<{ cluster: Cluster; keys: ClusterKey[] }> {
  const recovery = thresholdOption('--recovery', options.recovery);
  const governance = thresholdOption('--governance', options.governance);
  if (governance.count === 0) throw usageError('--governance needs at least one key');
  if (options.simulated && options.policy) throw usageError('--simulated brings its own policy; leave --policy out');
  const numbered = (kind: 'governance' | 'recovery', count: number) =>
    Array.from({ length: count }, (_, i) => makeKey(systemRandom, kind, String(i + 1)));
  const operatorKeys = operatorNames(options.operators ?? '').map((name) => makeKey(systemRandom, 'operator', name));
  const governanceKeys = numbered('governance', governance.count);
  const recoveryKeys = numbered('recovery', recovery.count);
  const simulated = options.simulated === true;
  const cluster = createCluster({
    version: 1,
    chainId: options.chainId,
    trustAnchor: simulated ? { development: toBase64Url(createDevelopmentPki().root) } : 'intel',
    policy: simulated ? defaultPolicy([measureBuild()]) : await readPolicy(options.policy),
    allowSimulated: simulated,
    allowUnbacked: options.allowUnbacked === true,
    confirmations: options.confirmations,
    operators: operatorKeys.map(({ name, publicKey }) => ({ name, publicKey, platforms: [] })),
    governance: { threshold: governance.threshold, publicKeys: governanceKeys.map(({ publicKey }) => publicKey) },
    recovery: { threshold: recovery.threshold, publicKeys: recoveryKeys.map(({ publicKey }) => publicKey) },
    limits: DEFAULT_LIMITS,
  });
  return { cluster, keys: [...operatorKeys, ...governanceKeys, ...recoveryKeys] };
}

async function readPolicy(path: string | undefined): Promise<ClusterConfiguration['policy']> {
  if (path === undefined) return defaultPolicy([]);
  return attestationPolicyShape.parse(parseJson(await readTextFile(path, POLICY_BYTES_MAX), path), path);
}

/** Keys first, so that a configuration never names keys that were not written; they are wiped. @throws KithError `file`. */
export async function writeCluster(out: string, cluster: Cluster, keys: readonly ClusterKey[]): Promise<string[]> {
  await refuseExisting(out);
  const files: string[] = [];
  for (const key of keys) {
    const path = keyPath(out, key);
    await writeKey(path, key, cluster.id);
    key.secretKey.fill(0);
    files.push(path);
  }
  await writePublicFile(out, formatCluster(cluster), { overwrite: false });
  return files;
}
