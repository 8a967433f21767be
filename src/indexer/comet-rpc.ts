// Calls to CometBFT's RPC over a transport: JSON-RPC in batches, answers matched by id, errors told apart.

import { utf8 } from '../core/bytes.ts';
import type { Clock } from '../core/ports.ts';
import { ask, jsonBody, parseAnswer } from './ask.ts';
import { indexerError } from './errors.ts';
import { RPC_ANSWER, type RpcAnswer } from './wire/cometbft.ts';
import type { Transport } from './wire/transport.ts';

export interface Call {
  readonly method: string;
  readonly params: Readonly<Record<string, string>>;
}

/** What an upstream says of an error may go into ours up to here. */
const REASON_CHARS_MAX = 200;

/**
 * The results of `calls` in their order, in one request.
 * @throws KithError `height-unavailable` for heights the node has not, `upstream-refused` for other errors.
 */
export async function callRpc(
  deps: { transport: Transport; clock: Clock },
  calls: readonly Call[],
  signal: AbortSignal,
): Promise<unknown[]> {
  const { name } = deps.transport;
  const messages = calls.map(({ method, params }, id) => ({ jsonrpc: '2.0', id, method, params }));
  const body = utf8(JSON.stringify(messages.length === 1 ? messages[0] : messages));
  const headers = { 'content-type': 'application/json' };
  const response = await ask(deps, { method: 'POST', target: '/', headers, body }, signal);
  const json = jsonBody(response, name);
  const items: unknown[] = Array.isArray(json) ? json : [json];
  const results = new Map<unknown, unknown>();
  for (const item of items.slice(0, calls.length + 1)) {
    const answer = parseAnswer(RPC_ANSWER, item, `${name}: JSON-RPC`);
    if (answer.error) throw refusal(answer.error, name);
    if (results.has(answer.id)) throw indexerError('bad-answer', `${name}: two answers to one call`);
    results.set(answer.id, answer.result);
  }
  if (results.size !== calls.length) {
    throw indexerError('bad-answer', `${name}: ${results.size} answers to ${calls.length} calls`);
  }
  return calls.map((call, id) => {
    const result = results.get(id);
    if (result === undefined) throw indexerError('bad-answer', `${name}: no result of ${call.method}`);
    return result;
  });
}

function refusal(error: NonNullable<RpcAnswer['error']>, name: string) {
  const data = typeof error.data === 'string' ? `: ${error.data}` : '';
  const reason = `${error.message}${data}`.slice(0, REASON_CHARS_MAX);
  // "height 9 must be less than or equal to the current blockchain height 6", "height 1 is not available, lowest ...".
  // Results that come a moment after their block ("could not find results") are worth a pause, not a doubt.
  const missing = /height \d+ (must be less than or equal to|is not available)/.test(reason);
  return indexerError(missing ? 'height-unavailable' : 'upstream-refused', `${name}: ${JSON.stringify(reason)}`);
}
