// `kith node`: one node, until it is interrupted.

import process from 'node:process';
import type { Command } from 'commander';
import { KithError } from '../core/errors.ts';
import { openLog, startNode } from '../node/index.ts';
import { measureBuild, readCluster } from './cluster-file.ts';
import { addCommand, type CommandContext, usageError } from './command.ts';
import { declareNodeOptions, resolveNodeOptions } from './node-options.ts';
import { VERSION } from './version.ts';

const HELP = `
Every option can also stand in the file of --config and in the environment. The log goes to stderr, one JSON object a
line. Interrupt once for a graceful stop (twenty seconds at most).`;

export function addNodeCommand(program: Command): void {
  addCommand<Record<string, unknown>>(
    program,
    'node',
    'run one node of a cluster',
    (command) => {
      declareNodeOptions(command);
      command.addHelpText('after', HELP);
    },
    run,
  );
}

async function run(options: Record<string, unknown>, { terminal, json }: CommandContext): Promise<undefined> {
  const { values } = await resolveNodeOptions(options, process.env);
  if (values.cluster === undefined) throw usageError('--cluster <file> is missing: the cluster this node belongs to');
  const cluster = await readCluster(values.cluster);
  const log = await openLog({ level: values['log-level']!, simulated: cluster.simulated });
  const node = await startNode({ log, cluster, version: VERSION, measurement: measureBuild }, values);
  const facts = { url: node.url, admin: node.adminUrl, clusterId: cluster.id, simulated: cluster.simulated };
  terminal.stdout.write(
    json
      ? `${JSON.stringify(facts)}\n`
      : `API at ${facts.url}\nmetrics and console at ${facts.admin}\n` +
          (cluster.simulated ? 'simulated: this node protects nobody\n' : ''),
  );
  const onAbort = () => void node.stop().catch(() => undefined);
  if (terminal.signal.aborted) onAbort();
  else terminal.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await node.ended;
  } catch (error) {
    // The parts that did not stop would keep the process.
    if (error instanceof KithError && ['timeout', 'stop-failed'].includes(error.code)) setTimeout(exitNow, 500).unref();
    throw error;
  }
  return undefined;
}

const exitNow = () => process.exit(1);
