// The transport of browsers and Node: fetch. It sends no credentials and follows no redirect.

import { concatBytes, fromUtf8 } from '../core/bytes.ts';
import { abortError } from '../core/deadline.ts';
import { KithError, messageOf } from '../core/errors.ts';
import { clientError } from './errors.ts';
import type { ClientTransport } from './transport.ts';

export function createFetchTransport(): ClientTransport {
  return {
    async request({ method, url, body }, { signal, bytesMax }) {
      try {
        const response = await fetch(url, {
          method,
          signal,
          redirect: 'error',
          credentials: 'omit',
          cache: 'no-store',
          referrerPolicy: 'no-referrer',
          ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
        });
        const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
        return {
          status: response.status,
          body: fromUtf8(await readBody(response, bytesMax, url)),
          retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
        };
      } catch (error) {
        if (signal.aborted) throw abortError(signal);
        if (error instanceof KithError) throw error;
        const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
        throw clientError('node-unreachable', `${new URL(url).origin} does not answer: ${messageOf(cause)}`, error);
      }
    },
  };
}

async function readBody(response: Response, bytesMax: number, url: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > bytesMax) {
      await reader.cancel();
      throw clientError('bad-answer', `${new URL(url).origin} answers with more than ${bytesMax} bytes`);
    }
    parts.push(value);
  }
  return concatBytes(...parts);
}
