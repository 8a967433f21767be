// `kith leave`: takes a node off the roster of its cluster, asked at its admin listener. The others deal their keys
// anew without it; then it stops.

import type { Command } from 'commander';
import { createFetchTransport } from '../client/index.ts';
import { deadline } from '../core/deadline.ts';
import { KithError, printable } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { type Shape, shape, Type, text } from '../core/schema.ts';
import { systemClock } from '../core/system.ts';
import { addCommand, type CommandContext, type Outcome, usageError } from './command.ts';

/** The state has a line for each member and reason. */
const ANSWER_BYTES_MAX = 1_048_576;
/** The node tells every member before it answers, fifteen seconds at most. */
const ASK_MS = 20_000;

const DEFAULT_ADMIN = 'http://127.0.0.1:9090';
const nodeShape = shape(Type.Object({ nodeId: text(64) }));
const leftShape = shape(Type.Object({ nodeId: text(64), left: Type.Literal(true) }));
const problemShape = shape(Type.Object({ code: text(64), detail: text(1_024) }));

export function addLeaveCommand(program: Command): void {
  addCommand<{ admin: string }>(
    program,
    'leave',
    'take a node off the roster of its cluster and stop it, asked at its admin listener',
    (command) =>
      command
        .option('--admin <url>', 'admin listener of the node, as it says at its start', DEFAULT_ADMIN)
        .addHelpText(
          'after',
          '\nA node that is only stopped stays a member. One that left joins again when it is started again.',
        ),
    leave,
  );
}

async function leave({ admin }: { admin: string }, { terminal }: CommandContext): Promise<Outcome> {
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
