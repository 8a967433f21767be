// `kith leave`: takes a node off the roster of its cluster, asked at its admin listener. The others deal their keys
// anew without it; then it stops. With --lost: a member that cannot be asked any more.

import type { Command } from 'commander';
import { createFetchTransport } from '../client/index.ts';
import { deadline } from '../core/deadline.ts';
import { KithError, printable } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { type Shape, shape, Type, text } from '../core/schema.ts';
import { systemClock } from '../core/system.ts';
import { addCommand, type CommandContext, type Outcome, usageError } from './command.ts';
import { type LostOptions, leaveLost } from './leave-lost.ts';

/** The state has a line for each member and reason. */
const ANSWER_BYTES_MAX = 1_048_576;
/** The node tells every member before it answers, fifteen seconds at most. */
const ASK_MS = 20_000;

const DEFAULT_ADMIN = 'http://127.0.0.1:9090';
const nodeShape = shape(Type.Object({ nodeId: text(64) }));
const leftShape = shape(Type.Object({ nodeId: text(64), left: Type.Literal(true) }));
const problemShape = shape(Type.Object({ code: text(64), detail: text(1_024) }));

type LeaveOptions = { readonly admin: string } & Partial<LostOptions>;

export function addLeaveCommand(program: Command): void {
  addCommand<LeaveOptions>(
    program,
    'leave',
    'take a node off the roster of its cluster: one that runs, asked at its admin listener, or one that is lost',
    (command) =>
      command
        .option('--admin <url>', 'admin listener of the node, as it says at its start', DEFAULT_ADMIN)
        .option('--lost <node id>', 'a member that never comes back; with --node, --key and --cluster')
        .option('--node <url>', 'URL of any other member, which tells the rest')
        .option('--key <file>', "key file of the lost member's operator; the key stays on this machine")
        .option('--cluster <file>', 'the cluster configuration')
        .addHelpText(
          'after',
          '\nA node that is only stopped stays a member. One that left joins again when it is started again; one that was' +
            '\nlost comes back under another id.',
        ),
    leave,
  );
}

async function leave(options: LeaveOptions, context: CommandContext): Promise<Outcome> {
  const { lost, node, key, cluster } = options;
  if (lost !== undefined && node !== undefined && key !== undefined && cluster !== undefined) {
    return leaveLost({ lost, node, key, cluster }, context);
  }
  if ([lost, node, key, cluster].some((option) => option !== undefined)) {
    throw usageError('--lost, --node, --key and --cluster belong together');
  }
  return leaveAlive(options, context);
}

async function leaveAlive({ admin }: { readonly admin: string }, { terminal }: CommandContext): Promise<Outcome> {
  if (!URL.canParse(admin)) throw usageError('--admin must be a URL like http://127.0.0.1:9090');
  const base = admin.replace(/\/+$/, '');
  // Its own name, so that nobody but the node that is looked at now can be meant.
  const { nodeId } = await ask(nodeShape, { method: 'GET', url: `${base}/console/state` }, terminal.signal);
  const body = JSON.stringify({ node: nodeId });
  await ask(leftShape, { method: 'POST', url: `${base}/leave`, body }, terminal.signal);
  return { json: { nodeId, left: true }, text: `node ${printable(nodeId, 64)} has left its cluster and stops\n` };
}

async function ask<T>(
  expected: Shape<T>,
  request: { method: 'GET' | 'POST'; url: string; body?: string },
  signal: AbortSignal,
): Promise<T> {
  using limit = deadline(systemClock, ASK_MS, signal);
  const { status, body } = await createFetchTransport().request(request, {
    signal: limit.signal,
    bytesMax: ANSWER_BYTES_MAX,
  });
  const parsed = parseJson(body, request.url);
  if (status === 200) return expected.parse(parsed, request.url);
  const { code, detail } = problemShape.parse(parsed, request.url);
  throw new KithError(code, printable(detail, 1_024));
}
