// `kith status`: a cluster at a glance, as one of its nodes tells it; nothing of it is authenticated.

import type { Command } from 'commander';
import { createFetchTransport, createNodeApi, type NodeStatus, nodeStatus } from '../client/index.ts';
import { isKithError, printable } from '../core/errors.ts';
import { systemClock } from '../core/system.ts';
import { saySimulated } from './client-session.ts';
import { addCommand, type CommandContext, type Outcome, usageError } from './command.ts';
import { formatTable } from './table.ts';

/** A cell of the table, or a line of a reason: what a node may put on the terminal. */
const WORD_CHARS_MAX = 64;
const REASON_CHARS_MAX = 300;

export function addStatusCommand(program: Command): void {
  addCommand<{ node: string }>(
    program,
    'status',
    'a cluster at a glance: the node, its members, whether it is ready and why not',
    (command) => command.requiredOption('--node <url>', 'URL of a node'),
    status,
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

async function status({ node: url }: { node: string }, { terminal }: CommandContext): Promise<Outcome> {
  const { node, members, ready, reasons } = await nodeStatus({ api: apiOf(url) }, { signal: terminal.signal });
  if (node.simulated) saySimulated(terminal);
  const word = (text: string): string => printable(text, WORD_CHARS_MAX);
  const { heights, quorum } = node;
  const rows = rowsOf({ node, members }).map((row) => row.map(word));
  const lines = [
    `node ${word(node.nodeId)}, kith ${word(node.version)}, ${word(node.phase)}${ready ? '' : ' (not ready)'}`,
    `incarnation ${node.incarnation}`,
    `cluster ${word(node.clusterId)}, configuration ${node.configVersion}${node.simulated ? ', simulated' : ''}`,
    `chain ${heights.chain}, indexed ${heights.indexed}, detected ${heights.detected}, anchored ${heights.anchored}` +
      (heights.cluster === undefined ? '' : `, cluster ${heights.cluster}`),
    `quorum ${quorum.reachable} of ${quorum.needed} needed, members ${node.members}`,
    ...(node.custody ? [custodyLine(node.custody)] : []),
    ...reasons.map((reason) => `- ${printable(reason, REASON_CHARS_MAX)}`),
  ];
  const table = formatTable(['member', 'operator', 'roster', 'tcb', 'phase', 'lag', 'last seen', 'our key'], rows);
  return { json: { node, members, ready, reasons }, text: `${lines.join('\n')}\n\n${table}` };
}

/** Everybody on the roster or connected, once: the members of the roster first. */
function rowsOf({ node, members }: Pick<NodeStatus, 'node' | 'members'>): string[][] {
  const holders = new Set(node.custody?.holders);
  const standings = new Map(node.roster?.map((member) => [member.nodeId, member]));
  const seen = new Map(members.map((member) => [member.nodeId, member]));
  return [...new Set([...standings.keys(), ...seen.keys()])].map((nodeId) => {
    const [onRoster, met] = [standings.get(nodeId), seen.get(nodeId)];
    const lastSeen = met ? `${met.lastSeenSeconds.toFixed(1)} s` : '-';
    return [
      nodeId,
      onRoster?.operator ?? met?.operator ?? '-',
      onRoster?.standing ?? (node.roster ? 'no' : '-'),
      met?.tcbStatus ?? '-',
      met?.phase ?? '-',
      String(met?.lag ?? '-'),
      lastSeen,
      holders.has(nodeId) ? 'holds a share' : '-',
    ];
  });
}

function custodyLine({
  phase,
  keyEpoch,
  threshold,
  shares,
  holders,
}: NonNullable<NodeStatus['node']['custody']>): string {
  const dealt = shares > 0 ? `${threshold} of ${shares} shares open the store, ${holders.length} known to be held` : '';
  return [`custody ${printable(phase, WORD_CHARS_MAX)}, key epoch ${keyEpoch}`, dealt].filter(Boolean).join(', ');
}
