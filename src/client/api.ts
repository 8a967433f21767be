// The HTTP API from the client's side: requests with an end, answers checked by shape, problems as errors.

import { deadline } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import { list, type Shape, shape, Type, text, uint } from '../core/schema.ts';
import { clientError } from './errors.ts';
import type { ClientRequest, ClientTransport } from './transport.ts';

/** An index set of a hundred thousand entries is below it. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** Above the longest queue for a quote. */
const REQUEST_TIMEOUT_MS = 30_000;

const base64url = text(ANSWER_BYTES_MAX);

export const attestationShape = shape(
  Type.Object({
    quote: base64url,
    collateral: Type.Optional(base64url),
    nodeId: text(43, 43),
    hpke: list(Type.Object({ suite: text(64), publicKey: text(43, 43) }), 8, 1),
    roster: list(Type.Object({ nodeId: text(43, 43), platform: text(64), operator: text(128) }), 1_024),
    configurationHash: text(43, 43),
    noncePath: Type.Object({ root: text(43, 43), index: uint(), count: uint(), path: list(text(43, 43), 32) }),
  }),
);
export const operationShape = shape(
  Type.Object({
    id: text(43, 43),
    status: Type.Union([Type.Literal('confirmed'), Type.Literal('pending')]),
    sealed: Type.Object({ nonce: text(32, 32), ciphertext: text(65_536) }),
  }),
);

const problemShape = shape(Type.Object({ code: text(64), detail: text(4_096) }));

export interface NodeApi {
  /** Of the node, without a slash at its end. */
  readonly url: string;
  get<T>(path: string, form: Shape<T>, options: CallOptions): Promise<T>;
  post<T>(path: string, body: object, form: Shape<T>, options: CallOptions): Promise<T>;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  /** How long the node may take; the default is for everything but long polls. */
  readonly timeoutMs?: number;
}

/** @throws KithError `bad-url`. */
export function createNodeApi(deps: { transport: ClientTransport; clock: Clock }, nodeUrl: string): NodeApi {
  const url = parseNodeUrl(nodeUrl);

  async function call<T>(request: ClientRequest, form: Shape<T>, options: CallOptions): Promise<T> {
    using limit = deadline(deps.clock, options.timeoutMs ?? REQUEST_TIMEOUT_MS, options.signal);
    const { status, body } = await deps.transport
      .request(request, { signal: limit.signal, bytesMax: ANSWER_BYTES_MAX })
      .catch((error: unknown) => {
        if (isKithError(error, 'timeout'))
          throw clientError('node-unreachable', `${url} does not answer in time`, error);
        throw error;
      });
    const value = read(body, `answer of ${url}`);
    if (status >= 400) throw problemOf(value, status, url);
    try {
      return form.parse(value, `answer of ${url}`);
    } catch (cause) {
      if (!isKithError(cause)) throw cause;
      throw clientError('bad-answer', cause.message, cause);
    }
  }

  return {
    url,
    get: (path, form, options) => call({ method: 'GET', url: url + path }, form, options),
    post: (path, body, form, options) =>
      call({ method: 'POST', url: url + path, body: JSON.stringify(body) }, form, options),
  };
}

function parseNodeUrl(text_: string): string {
  const parsed = URL.canParse(text_) ? new URL(text_) : undefined;
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
    throw new KithError('bad-url', `the URL of a node is http or https, got ${JSON.stringify(text_.slice(0, 120))}`);
  }
  return parsed.origin + parsed.pathname.replace(/\/+$/, '');
}

function read(body: string, where: string): unknown {
  try {
    return parseJson(body, where);
  } catch (cause) {
    throw clientError('bad-answer', `${where}: not JSON`, cause);
  }
}

/** A refusal of the node under its own code, so that callers can tell "unknown-registration" from "not-ready". */
function problemOf(value: unknown, status: number, url: string): KithError {
  if (!problemShape.matches(value)) return clientError('bad-answer', `${url} answers with status ${status}`);
  return new KithError(value.code, `${url} refuses: ${value.detail}`);
}
