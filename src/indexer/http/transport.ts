// The one real transport: HTTP by fetch. It follows no redirect, sends no cookie, and reads no more than it was told.

import { concatBytes } from '../../core/bytes.ts';
import { KithError, messageOf } from '../../core/errors.ts';
import { indexerError } from '../errors.ts';
import type { Transport, WireResponse } from '../wire/transport.ts';

/**
 * @param url of the upstream's root; a path in it is kept, credentials become an Authorization header.
 * @throws KithError `bad-options` unless it is http or https.
 */
export function createHttpTransport(url: string): Transport {
  const root = parseRoot(url);
  const authorization = credentials(root);
  const base = `${root.origin}${root.pathname.replace(/\/$/, '')}`;
  return {
    name: base,
    async request(request, { signal, bytesMax }): Promise<WireResponse> {
      try {
        const response = await fetch(`${base}${request.target}`, {
          method: request.method,
          headers: { ...request.headers, ...authorization },
          body: request.body ? Buffer.from(request.body) : null,
          redirect: 'error',
          signal,
        });
        return { status: response.status, body: await readBody(response, bytesMax, base) };
      } catch (error) {
        if (signal.aborted || error instanceof KithError) throw error;
        throw indexerError('upstream-unreachable', `${base}: ${reasonOf(error)}`, error);
      }
    },
  };
}

function parseRoot(url: string): URL {
  const root = URL.canParse(url) ? new URL(url) : undefined;
  if (root?.protocol !== 'http:' && root?.protocol !== 'https:') {
    throw indexerError('bad-options', `expected the http or https URL of an upstream, got ${JSON.stringify(url)}`);
  }
  return root;
}

function credentials({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

async function readBody(response: Response, bytesMax: number, name: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early cancels the stream, and with it the connection.
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > bytesMax) throw indexerError('answer-too-large', `${name}: more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return concatBytes(...parts);
}

/** fetch says only "fetch failed"; the reason stands in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.message !== '' ? cause.message : messageOf(error);
}
