// Calls to CometBFT's RPC over a transport: JSON-RPC in batches, answers matched by id, errors told apart.

import { fromUtf8, utf8 } from '../core/bytes.ts';
import { type Deadline, deadline } from '../core/deadline.ts';
import { isKithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import { indexerError } from './errors.ts';
import { ANSWER_BYTES_MAX, REQUEST_TIMEOUT_MS } from './limits.ts';
import { RPC_ANSWER, type RpcAnswer } from './wire/cometbft.ts';
import type { Transport, WireRequest, WireResponse } from './wire/transport.ts';

export interface Call {
  readonly method: string;
  readonly params: Readonly<Record<string, string>>;
}

/** What an upstream says of an error may go into ours up to here. */
const REASON_CHARS_MAX = 200;

/** One request with a deadline on `clock`. Whatever the transport throws becomes an error of the indexer. */
export async function ask(
  deps: { transport: Transport; clock: Clock },
  request: WireRequest,
  signal: AbortSignal,
): Promise<WireResponse> {
  using limit: Deadline = deadline(deps.clock, REQUEST_TIMEOUT_MS, signal);
  try {
    const response = await deps.transport.request(request, { signal: limit.signal, bytesMax: ANSWER_BYTES_MAX });
    if (response.body.length > ANSWER_BYTES_MAX) {
      throw indexerError('answer-too-large', `${deps.transport.name}: ${response.body.length} bytes`);
    }
    return response;
  } catch (error) {
    if (signal.aborted || isKithError(error, 'answer-too-large')) throw error;
    const why = isKithError(error, 'timeout') ? `no answer within ${REQUEST_TIMEOUT_MS} ms` : 'no answer';
    throw indexerError('upstream-unreachable', `${deps.transport.name}: ${why}`, error);
  }
}

/** JSON of a body. @throws KithError `bad-answer`. */
export function jsonBody(response: WireResponse, where: string): unknown {
  try {
    return parseJson(fromUtf8(response.body), where);
  } catch (cause) {
    throw indexerError('bad-answer', `${where}: status ${response.status} and a body that is not JSON`, cause);
  }
}

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
    const answer = parseAnswer(item, name);
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

function parseAnswer(item: unknown, name: string): RpcAnswer {
  try {
    return RPC_ANSWER.parse(item, name);
  } catch (cause) {
    throw indexerError('bad-answer', `${name}: not an answer of JSON-RPC`, cause);
  }
}

function refusal(error: NonNullable<RpcAnswer['error']>, name: string) {
  const data = typeof error.data === 'string' ? `: ${error.data}` : '';
  const reason = `${error.message}${data}`.slice(0, REASON_CHARS_MAX);
  // "height 9 must be less than or equal to the current blockchain height 6", "height 1 is not available, lowest ...".
  // Results that come a moment after their block ("could not find results") are worth a pause, not a doubt.
  const missing = /height \d+ (must be less than or equal to|is not available)/.test(reason);
  return indexerError(missing ? 'height-unavailable' : 'upstream-refused', `${name}: ${JSON.stringify(reason)}`);
}
