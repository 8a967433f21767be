// What the commands of `kith client` share: the options that name node, wallet and cluster, and a client made of them.

import type { Command } from 'commander';
import type { Cluster } from '../attestation/index.ts';
import {
  createFetchTransport,
  createWalletClient,
  parseWallet,
  WALLET_FILE_BYTES_MAX,
  type Wallet,
  type WalletClient,
} from '../client/index.ts';
import { isKithError } from '../core/errors.ts';
import { systemClock, systemRandom } from '../core/system.ts';
import { readCluster } from './cluster-file.ts';
import { type CommandContext, type Terminal, usageError } from './command.ts';
import { readTextFile } from './files.ts';

export interface SessionOptions {
  node: string[];
  wallet: string;
  cluster: string;
}

export interface Session {
  readonly cluster: Cluster;
  readonly wallet: Wallet;
  readonly client: WalletClient;
  /** In every JSON result: `simulated` if the cluster is. */
  readonly marks: { readonly simulated?: true };
}

const collect = (value: string, previous: string[] | undefined): string[] => [...(previous ?? []), value];

/** @param nodes how `--node` may be given. */
export function declareSession(command: Command, nodes: 'one' | 'several'): Command {
  const help = nodes === 'one' ? 'URL of a node' : 'URL of a node; repeat for the union of what several answer';
  return command
    .requiredOption('--node <url>', help, collect)
    .requiredOption('--wallet <file>', 'wallet file of `kith client keygen`')
    .requiredOption('--cluster <file>', 'the cluster configuration you trust');
}

/** Reads the files, and says on stderr if the cluster is simulated. @throws KithError of the files or the URLs. */
export async function openSession(
  { node, wallet: walletPath, cluster: clusterPath }: SessionOptions,
  { terminal }: CommandContext,
  nodes: 'one' | 'several' = 'one',
): Promise<Session> {
  if (nodes === 'one' && node.length !== 1) throw usageError('--node is given once here');
  const cluster = await readCluster(clusterPath);
  const wallet = parseWallet(await readTextFile(walletPath, WALLET_FILE_BYTES_MAX), walletPath);
  const deps = { transport: createFetchTransport(), clock: systemClock, random: systemRandom };
  const client = createClient(deps, cluster, node);
  if (cluster.simulated) saySimulated(terminal);
  return { cluster, wallet, client, marks: cluster.simulated ? { simulated: true } : {} };
}

function createClient(deps: Parameters<typeof createWalletClient>[0], cluster: Cluster, nodes: readonly string[]) {
  try {
    return createWalletClient(deps, { cluster, nodes });
  } catch (error) {
    if (isKithError(error, 'bad-url', 'bad-parameter')) throw usageError(`--node: ${error.message}`, error.code);
    throw error;
  }
}

export const saySimulated = (terminal: Terminal): unknown =>
  terminal.stderr.write('kith: THIS CLUSTER IS SIMULATED: no hardware protects what is sent to it\n');
