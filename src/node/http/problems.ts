// The one table of what can go wrong for a client of the HTTP API: code, status, title (RFC 9457).

import { isKithError } from '../../core/errors.ts';

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Seconds to wait before the same request may succeed. */
  readonly retryAfter?: number;
}

const bad = (title: string): ProblemKind => ({ status: 400, title });
const unprocessable = (title: string): ProblemKind => ({ status: 422, title });
const unavailable = (title: string, retryAfter: number): ProblemKind => ({ status: 503, title, retryAfter });

const NO_QUOTE = 'No quote could be made';

/** By code. A code that is not here is a fault of ours: 500, without detail. */
export const PROBLEMS: Readonly<Record<string, ProblemKind>> = {
  'bad-request': bad('The request does not have the form the API describes'),
  'bad-shape': bad('A field is missing, unknown or of the wrong form'),
  'bad-json': bad('The body is not JSON'),
  'bad-id': bad('Not a registration id'),
  'bad-base64url': bad('A value is not canonical base64url'),
  'bad-encoding': bad('A value is not in its canonical encoding'),
  malformed: bad('The sealed bytes are not an operation'),
  'non-canonical': bad('The sealed bytes are not in their canonical encoding'),
  'too-large': { status: 413, title: 'The request is larger than the API accepts' },
  'unknown-suite': bad('Not a cipher suite of this node'),
  'hpke-key': bad('The encapsulated key is not usable'),
  'hpke-open': bad('The sealed bytes cannot be opened by this node; fetch a new attestation and seal again'),
  'bad-length': bad('The sealed bytes have another length than a submission'),
  'bad-padding': bad('The sealed bytes are not padded as a submission is'),
  'wrong-registration': bad('What was sent is for another registration than the path names'),
  'wrong-operation': bad('The operation is of another kind than the path asks for'),
  // Refusals of operations (core/registration/refusal.ts).
  'wrong-signature': bad('The operation is not signed by the key it names'),
  'other-cluster': bad('What was sent is for another cluster'),
  'wrong-registration-id': bad('The id is not that of the content'),
  'wrong-payload': bad('The payload is not the one that was signed'),
  'payload-missing': bad('A register needs its payload'),
  'payload-unexpected': bad('Only a register has a payload'),
  'bad-certificate': bad('Not a certificate'),
  'bad-statement': bad("Not an operator's leave"),
  'not-local': { status: 403, title: 'Answered to the machine of the node only' },
  'wrong-host': { status: 421, title: 'The Host header names somebody else' },
  'not-found': { status: 404, title: 'There is nothing here' },
  'unknown-registration': { status: 404, title: 'No registration with this id' },
  superseded: { status: 409, title: 'A newer operation with other content is held' },
  revoked: { status: 409, title: 'The registration is revoked' },
  expired: { status: 409, title: 'The registration has expired' },
  'leave-refused': { status: 409, title: 'The member is not taken off the roster' },
  // Leaving, at the admin listener.
  'wrong-node': { status: 409, title: 'This is another node than the one that is to leave' },
  'not-left': { status: 409, title: 'The node could not leave its cluster' },
  // Recovery shares (docs/RECOVERY.md).
  'not-recovering': { status: 409, title: 'No store waits for recovery shares here' },
  'wrong-store': { status: 409, title: 'The recovery share is of another store than the one on this disk' },
  'other-wrap': { status: 409, title: 'The recovery share is of another wrapping of the key; fetch it again' },
  'bad-share': unprocessable('The recovery share is not the one its node committed to'),
  'bad-wrap': unprocessable('The data key of this store was wrapped wrongly and cannot be recovered'),
  'bad-media-type': { status: 415, title: 'Bodies are JSON' },
  'no-holder': unprocessable('The certificate names no member of the cluster'),
  'n-out-of-range': unprocessable('n is outside 1 to 20'),
  'bad-keys': unprocessable('The keys of the payload are not usable'),
  'birthday-beyond-tip': unprocessable('The birthday is beyond the tip of the chain'),
  'version-in-future': unprocessable('The version is ahead of the chain'),
  'version-too-old': unprocessable('The version is older than one lifetime'),
  'expiry-in-past': unprocessable('The expiry is in the past'),
  'expiry-too-far': unprocessable('The expiry is further away than the longest lifetime'),
  'expiry-beyond-register': unprocessable('The expiry is beyond one lifetime after the register: register again'),
  'revoke-expiry': unprocessable('A revoke is remembered for exactly one lifetime'),
  'since-beyond-tip': unprocessable('since is beyond the tip of the chain'),
  'rate-limited': { status: 429, title: 'Too many requests of this kind' },
  'not-ready': unavailable('The node is not ready', 5),
  'registrations-full': unavailable('The cluster holds as many registrations as it can', 600),
  'wants-full': unavailable('Too many registrations are being fetched', 10),
  'quotes-busy': unavailable('Too many wait for a quote', 1),
  'lookups-busy': unavailable('Too many wait for new heights', 1),
  'quote-source': unavailable(NO_QUOTE, 10),
  'quote-empty': unavailable(NO_QUOTE, 10),
  'quote-conflict': unavailable(NO_QUOTE, 10),
  'quote-provider': unavailable(NO_QUOTE, 10),
  'quote-mismatch': unavailable(NO_QUOTE, 10),
  'collateral-unavailable': unavailable('No collateral for the quote can be had', 60),
  'store-busy': unavailable('More writes are waiting than the disk of the node takes', 1),
  'store-unavailable': unavailable('The disk of the node fails', 60),
  'store-closed': unavailable('The node stops', 5),
  'store-full': unavailable('The disk of the node is full', 60),
  timeout: unavailable('Not done in time', 1),
  stopped: unavailable('The node stops', 5),
  aborted: unavailable('The request was given up', 1),
  internal: { status: 500, title: 'A fault of the node' },
};

/** Of the admin listener only. */
const ADMIN_CODES: ReadonlySet<string> = new Set(['wrong-host', 'not-local', 'wrong-node', 'not-left']);

/** The codes of the public API that are answered with a status. */
export const codesOf = (status: number): string[] =>
  Object.keys(PROBLEMS).filter((code) => PROBLEMS[code]!.status === status && !ADMIN_CODES.has(code));

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

export interface ProblemAnswer {
  readonly problem: Problem;
  readonly retryAfter: number | undefined;
  /** Whether somebody should look at it. */
  readonly fault: boolean;
}

/** The problem of a code. */
export function problemOf(code: string, detail: string): ProblemAnswer {
  const known = PROBLEMS[code];
  const { status, title, retryAfter } = known ?? PROBLEMS['internal']!;
  return {
    problem: {
      type: `urn:kith:problem:${known ? code : 'internal'}`,
      title,
      status,
      code: known ? code : 'internal',
      detail: known ? detail : 'See the log of the node.',
    },
    retryAfter,
    fault: status === 500,
  };
}

/** What fastify calls a path it cannot route; its own text quotes all of it. */
const BAD_PATH: ReadonlySet<string> = new Set(['FST_ERR_BAD_URL', 'FST_ERR_MAX_PARAM_LENGTH']);
/** What fastify calls a body that is no JSON. */
const BAD_JSON: ReadonlySet<string> = new Set(['FST_ERR_CTP_EMPTY_JSON_BODY', 'FST_ERR_CTP_INVALID_JSON_BODY']);

/** The answer to whatever was thrown while a request was served. */
export function problemOfError(error: unknown): ProblemAnswer {
  if (isKithError(error)) return problemOf(error.code, error.message);
  const { code, statusCode } = (error ?? {}) as { code?: string; statusCode?: number };
  // What fastify itself refuses before a handler runs.
  if (statusCode === 413) return problemOf('too-large', 'A body has at most 64 KiB.');
  if (statusCode === 415) return problemOf('bad-media-type', 'Send application/json.');
  if (statusCode === 429) return problemOf('rate-limited', 'See the RateLimit and Retry-After headers.');
  if (code !== undefined && BAD_PATH.has(code)) {
    return problemOf('bad-request', 'A part of the path is too long or does not decode.');
  }
  if (code !== undefined && BAD_JSON.has(code)) {
    return problemOf('bad-json', 'The body must be a JSON document.');
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return problemOf('bad-request', error instanceof Error ? error.message : 'bad request');
  }
  return problemOf('internal', '');
}
