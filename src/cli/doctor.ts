// `kith doctor`: looks at a configuration and its surroundings before a node is started with it. It changes nothing.

import process from 'node:process';
import type { Command } from 'commander';
import type { Cluster } from '../attestation/index.ts';
import type { NodeConfiguration } from '../node/index.ts';
import { readCluster } from './cluster-file.ts';
import { addCommand, EXIT, type Outcome } from './command.ts';
import { type Check, type Finding, failed, fine, runCheck, warning, worst } from './doctor-check.ts';
import { checkDataDir, checkMemory, checkNodeVersion, checkStoreHeader, checkTls } from './doctor-machine.ts';
import { askUpstream, checkAddresses, checkClock, tcpOfMultiaddr, upstreamsOf } from './doctor-network.ts';
import { checkQuotes, describeCluster } from './doctor-trust.ts';
import { declareNodeOptions, resolveNodeOptions } from './node-options.ts';

export function addDoctorCommand(program: Command): void {
  addCommand<Record<string, unknown>>(
    program,
    'doctor',
    'check a configuration and its surroundings before a node is started; exits 1 if a check failed',
    declareNodeOptions,
    async (options, { terminal }) => outcome(await examine(options, terminal.signal)),
  );
}

/** All checks, in an order that does not change. */
async function examine(options: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Check[]> {
  const node = await runCheck('node-version', signal, () => checkNodeVersion());
  let values: NodeConfiguration | undefined;
  const parsed = await runCheck('options', signal, async () => {
    const resolved = await resolveNodeOptions(options, process.env);
    values = resolved.values;
    const given = Object.values(resolved.origins).filter((origin) => origin !== 'default' && origin !== 'unset');
    return fine(`${given.length} given, the others as they are by default`);
  });
  return values ? [node, parsed, ...(await examineWith(values, signal))] : [node, parsed];
}

async function examineWith(values: NodeConfiguration, signal: AbortSignal): Promise<Check[]> {
  let cluster: Cluster | undefined;
  const read = await runCheck('cluster', signal, async () => {
    if (values.cluster === undefined) return failed('--cluster is not given');
    cluster = await readCluster(values.cluster);
    return describeCluster(cluster);
  });
  const known = cluster;
  const withCluster = (check: (cluster: Cluster) => Promise<Finding> | Finding) => () =>
    known ? check(known) : warning('not checked: there is no cluster configuration');
  const folder = values['data-dir'] ?? '.';
  const [surroundings, chain] = await Promise.all([
    Promise.all([
      runCheck(
        'quotes',
        signal,
        withCluster((cluster) => checkQuotes(values.quotes, cluster)),
      ),
      runCheck('data-dir', signal, () => checkDataDir(folder)),
      runCheck('store', signal, () => checkStoreHeader(folder, known)),
      runCheck('addresses', signal, () => examineAddresses(values)),
      runCheck('tls', signal, () => checkTls(values['tls-cert'], values['tls-key'])),
      runCheck(
        'memory',
        signal,
        withCluster(({ configuration }) => checkMemory(configuration.limits.registrationsMax)),
      ),
    ]),
    examineChain(values, known, signal),
  ]);
  return [read, ...surroundings, ...chain];
}

async function examineAddresses(values: NodeConfiguration): Promise<Finding> {
  const { http, admin, listen } = values;
  const peers = listen === undefined ? undefined : tcpOfMultiaddr(listen);
  const addresses = Object.entries({ http, admin, listen: peers }).flatMap(([option, address]) =>
    address ? [{ option, ...address }] : [],
  );
  const findings = await checkAddresses(addresses);
  if (listen !== undefined && !peers) findings.push(failed(`--listen ${listen}: expected /ip4/ADDRESS/tcp/PORT`));
  return worst(findings);
}

async function examineChain(
  values: NodeConfiguration,
  cluster: Cluster | undefined,
  signal: AbortSignal,
): Promise<Check[]> {
  const upstreams = upstreamsOf(values);
  if (upstreams.length === 0) {
    return [{ check: 'chain', ...failed('no upstream: give --comet-rpc or --masp-indexer') }];
  }
  const times: number[] = [];
  const expected = { cluster, startHeight: values['start-height'] };
  const checks = await Promise.all(
    upstreams.map(({ option, open }) =>
      runCheck(option, signal, async (call) => {
        const { finding, blockTimeMs } = await askUpstream(open(), expected, call);
        if (blockTimeMs !== undefined) times.push(blockTimeMs);
        return finding;
      }),
    ),
  );
  return [...checks, await runCheck('clock', signal, () => checkClock(times))];
}

function outcome(checks: readonly Check[]): Outcome {
  const ok = checks.every(({ status }) => status !== 'failed');
  const lines = checks.map(({ check, status, detail }) => `${status.padEnd(8)} ${check.padEnd(13)} ${detail}\n`);
  return {
    json: { ok, checks },
    text: `${lines.join('')}${ok ? 'nothing stands in the way' : 'a node would not start like this'}\n`,
    exitCode: ok ? EXIT.done : EXIT.failed,
  };
}
