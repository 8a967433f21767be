// One request to an upstream and the first look at its answer. Whatever goes wrong becomes an error of the indexer.

import { fromUtf8 } from '../core/bytes.ts';
import { abortable, deadline, throwIfAborted } from '../core/deadline.ts';
import { isKithError, messageOf } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import type { Shape } from '../core/schema.ts';
import { indexerError } from './errors.ts';
import { ANSWER_BYTES_MAX, REQUEST_TIMEOUT_MS } from './limits.ts';
import type { Transport, WireRequest, WireResponse } from './wire/transport.ts';

/**
 * Asks with a deadline on `clock`, also of a transport that does not heed its signal.
 * @throws KithError `upstream-unreachable` or `answer-too-large`, or the signal's reason.
 */
export async function ask(
  deps: { transport: Transport; clock: Clock },
  request: WireRequest,
  signal: AbortSignal,
): Promise<WireResponse> {
  const { transport } = deps;
  using limit = deadline(deps.clock, REQUEST_TIMEOUT_MS, signal);
  try {
    const answer = transport.request(request, { signal: limit.signal, bytesMax: ANSWER_BYTES_MAX });
    const response = await abortable(answer, limit.signal);
    if (response.body.length <= ANSWER_BYTES_MAX) return response;
  } catch (error) {
    throwIfAborted(signal);
    if (!isKithError(error, 'answer-too-large')) {
      const why = isKithError(error, 'timeout') ? `no answer within ${REQUEST_TIMEOUT_MS} ms` : messageOf(error);
      throw indexerError('upstream-unreachable', `${transport.name}: ${why}`, error);
    }
  }
  throw indexerError('answer-too-large', `${transport.name}: an answer of more than ${ANSWER_BYTES_MAX} bytes`);
}

/** JSON of a body. @throws KithError `bad-answer`. */
export function jsonBody(response: WireResponse, where: string): unknown {
  try {
    return parseJson(fromUtf8(response.body), where);
  } catch (cause) {
    throw indexerError('bad-answer', `${where}: status ${response.status} and a body that is not JSON`, cause);
  }
}

/** @throws KithError `bad-answer` unless `value` has the form. */
export function parseAnswer<T>(form: Shape<T>, value: unknown, where: string): T {
  try {
    return form.parse(value, where);
  } catch (cause) {
    throw indexerError('bad-answer', messageOf(cause), cause);
  }
}
