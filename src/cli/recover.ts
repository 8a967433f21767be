// `kith recover`: the holder of a recovery key lets an attested node reopen its store after a total restart. The key
// opens one share on this machine; only that share leaves, sealed to the node.

import type { Command } from 'commander';
import { createFetchTransport, createNodeApi, readRecovery, sendRecoveryShare, verifyNode } from '../client/index.ts';
import { isKithError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { systemClock, systemRandom } from '../core/system.ts';
import { encodeRecoveryShare, openRecoveryShare } from '../keyserver/index.ts';
import { saySimulated } from './client-session.ts';
import { readCluster } from './cluster-file.ts';
import { readKey } from './cluster-keys.ts';
import { addCommand, type CommandContext, type Outcome, usageError } from './command.ts';

interface RecoverOptions {
  node: string;
  share: string;
  cluster?: string;
  store?: string;
}

export function addRecoverCommand(program: Command): void {
  addCommand<RecoverOptions>(
    program,
    'recover',
    'after a total restart: let an attested node have the share that one recovery key opens',
    (command) =>
      command
        .requiredOption('--node <url>', 'URL of a node whose store waits for its key')
        .requiredOption('--share <file>', 'recovery key file of `kith cluster init`; the key stays on this machine')
        .option('--cluster <file>', 'the cluster configuration you trust; by default the one beside the share')
        .option('--store <node id>', 'whose store, where several wait; without it the one set aside first'),
    recover,
  );
}

function apiOf(url: string) {
  try {
    return createNodeApi({ transport: createFetchTransport(), clock: systemClock }, url);
  } catch (error) {
    if (isKithError(error, 'bad-url')) throw usageError(`--node: ${error.message}`, error.code);
    throw error;
  }
}

/** Where `kith cluster init` has written the configuration of this key. The key names its cluster, so no other is taken. */
function besideShare(share: string): string {
  const configuration = share.replace(/\.recovery-\d+\.key$/, '.json');
  if (configuration !== share) return configuration;
  throw usageError(
    '--cluster: needed, as the file of the share has no longer the name that `kith cluster init` gave it',
  );
}

async function recover(options: RecoverOptions, { terminal }: CommandContext): Promise<Outcome> {
  const { signal, stderr } = terminal;
  const api = apiOf(options.node);
  const deps = { api, clock: systemClock, random: systemRandom };
  const cluster = await readCluster(options.cluster ?? besideShare(options.share));
  using key = Secret.own((await readKey(options.share, 'recovery', cluster.id)).secretKey);
  if (cluster.simulated) saySimulated(terminal);
  if (stderr.isTTY) stderr.write('verifying the node\n');
  const node = await verifyNode(deps, cluster, { signal });
  const { nodeId, storeIdHash, wrapped } = await readRecovery(deps, { signal, of: options.store });
  const share = openRecoveryShare(key, wrapped, { clusterId: cluster.id, nodeId, storeIdHash });
  using value = share.value;
  using encoded = Secret.own(encodeRecoveryShare({ ...share, value }));
  const to = { node, clusterId: cluster.id };
  const { entered, needed, status } = await sendRecoveryShare(deps, to, encoded.expose(), { signal });
  const next =
    status === 'opened'
      ? 'the key is complete and the node reads its store'
      : `${needed - entered} more must be entered`;
  return {
    json: { entered, needed, status, ...(cluster.simulated ? { simulated: true } : {}) },
    text: [
      `${status}: ${entered} of ${needed} shares entered, ${next}`,
      `store of node ${nodeId}`,
      `sealed to node ${node.nodeId} of ${node.operator}, TCB ${node.tcbStatus}`,
      '',
    ].join('\n'),
  };
}
