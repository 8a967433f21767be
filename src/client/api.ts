// The HTTP API from the client's side: requests with an end, answers checked by shape, problems as errors.

import { abortError, deadline } from '../core/deadline.ts';
import { isKithError, KithError, printable } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import { HEIGHT_MAX } from '../core/registration/limits.ts';
import { list, type Shape, shape, Type, text, uint } from '../core/schema.ts';
import { clientError, type NodeRefusal } from './errors.ts';
import type { ClientRequest, ClientResponse, ClientTransport } from './transport.ts';

/** The longest answer to a look-up is a quarter of it; a node splits what is longer. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** Above the longest queue for a quote. */
export const REQUEST_TIMEOUT_MS = 30_000;

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

export const certificateShape = shape(
  Type.Object({ id: text(43, 43), status: Type.Union([Type.Literal('known'), Type.Literal('wanted')]) }),
);

export const registrationShape = shape(
  Type.Object({
    id: text(43, 43),
    status: Type.Union([
      Type.Literal('pending'),
      Type.Literal('confirmed'),
      Type.Literal('expired'),
      Type.Literal('revoked'),
    ]),
    expiryHeight: uint(HEIGHT_MAX),
    confirmations: uint(),
  }),
);
export const indexSetShape = shape(
  Type.Object({ id: text(43, 43), since: uint(HEIGHT_MAX), nonce: text(32, 32), ciphertext: text(ANSWER_BYTES_MAX) }),
);
/** A data key under 64 recovery keys. */
const WRAPPED_CHARS_MAX = 12_288;
const waitingStore = {
  nodeId: text(43, 43),
  storeIdHash: text(43, 43),
  blob: text(WRAPPED_CHARS_MAX, 1),
  entered: uint(),
  needed: uint(),
};
/** A node lists 16 that were set aside, and the one it is about to open. */
const OTHER_STORES_MAX = 16;
export const recoveryShape = shape(
  Type.Union([
    Type.Object({ state: Type.Literal('none') }),
    Type.Object({
      state: Type.Literal('total-restart'),
      ...waitingStore,
      others: Type.Optional(list(Type.Object(waitingStore), OTHER_STORES_MAX)),
    }),
  ]),
);
export const shareShape = shape(
  Type.Object({ sealed: Type.Object({ nonce: text(32, 32), ciphertext: text(65_536) }) }),
);

/** Far above what full replication carries. */
const ROSTER_MEMBERS_MAX = 1_024;
/** A sealing key is never shared among more. */
const SHARES_MAX = 5;
/** Nothing a node calls by name is longer. */
const word = text(128);
const height = uint(HEIGHT_MAX);
export const nodeShape = shape(
  Type.Object({
    nodeId: text(43, 43),
    clusterId: text(43, 43),
    configVersion: uint(),
    version: word,
    phase: word,
    simulated: Type.Boolean(),
    heights: Type.Object({
      chain: height,
      indexed: height,
      detected: height,
      anchored: height,
      /** Absent at nodes of earlier versions. */
      cluster: Type.Optional(height),
    }),
    members: uint(),
    quorum: Type.Object({ needed: uint(), reachable: uint() }),
    incarnation: uint(),
    /** Nodes of earlier versions do not have these. */
    roster: Type.Optional(
      list(Type.Object({ nodeId: text(43, 43), operator: word, standing: word }), ROSTER_MEMBERS_MAX),
    ),
    custody: Type.Optional(
      Type.Object({
        phase: word,
        keyEpoch: uint(),
        threshold: uint(),
        shares: uint(),
        holders: list(text(43, 43), SHARES_MAX),
      }),
    ),
  }),
);
export const membersShape = shape(
  list(
    Type.Object({
      nodeId: text(43, 43),
      operator: word,
      tcbStatus: word,
      phase: word,
      lag: uint(),
      lastSeenSeconds: Type.Number({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    }),
    ROSTER_MEMBERS_MAX,
  ),
);
export const readinessShape = shape(
  Type.Object({ ready: Type.Optional(Type.Boolean()), phase: word, reasons: list(text(1_024), 64) }),
);

const problemShape = shape(
  Type.Object({ code: Type.String({ maxLength: 64, pattern: '^[a-z][a-z0-9-]*$' }), detail: text(4_096) }),
);
/** What a terminal or a log is handed of a detail that may be anybody's. */
const DETAIL_CHARS_MAX = 1_000;
/** What stands before a node answers with these, and not in a problem's form, when it cannot reach the node. */
const GATEWAY_STATUSES = [502, 503, 504];

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
  /** A status of 400 or more whose answer has the form asked for all the same. */
  readonly acceptStatus?: number;
}

/** @throws KithError `bad-url`. */
export function createNodeApi(deps: { transport: ClientTransport; clock: Clock }, nodeUrl: string): NodeApi {
  const url = parseNodeUrl(nodeUrl);

  async function call<T>(request: ClientRequest, form: Shape<T>, options: CallOptions): Promise<T> {
    using limit = deadline(deps.clock, options.timeoutMs ?? REQUEST_TIMEOUT_MS, options.signal);
    const { status, body, retryAfterSeconds } = await deps.transport
      .request(request, { signal: limit.signal, bytesMax: ANSWER_BYTES_MAX })
      .catch((error: unknown) => {
        if (options.signal.aborted) throw abortError(options.signal);
        if (isKithError(error, 'timeout'))
          throw clientError('node-unreachable', `${url} does not answer in time`, error);
        throw error;
      });
    if (status >= 400 && status !== options.acceptStatus) throw refusalOf({ status, body, retryAfterSeconds }, url);
    const value = read(body, `answer of ${url}`);
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
function refusalOf({ status, body, retryAfterSeconds }: ClientResponse, url: string): KithError {
  const problem = problemIn(body, url);
  if (problem) {
    const message = `${url} refuses: ${printable(problem.detail, DETAIL_CHARS_MAX)}`;
    return Object.assign(new KithError(problem.code, message), { status, retryAfterSeconds }) satisfies NodeRefusal;
  }
  const code = GATEWAY_STATUSES.includes(status) ? 'node-unreachable' : 'bad-answer';
  return clientError(code, `${url} answers with status ${status} and no reason`);
}

function problemIn(body: string, url: string) {
  try {
    return problemShape.parse(parseJson(body, url), url);
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}
