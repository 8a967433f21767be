// The shapes of the HTTP API: what is checked on the way in, written on the way out, and described in /openapi.json.

import { closed, Type, text, uint } from '../../core/schema.ts';
import { codesOf } from './problems.ts';

/** Bodies have at most 64 KiB; a sealed registration of 20 subkeys is below 2 KiB. */
export const BODY_BYTES_MAX = 65_536;
/** Long polls end after this; proxies commonly cut idle connections at 60 s. */
export const WAIT_SECONDS_MAX = 55;

const base64url = (max: number, min = 1) =>
  Type.String({ minLength: min, maxLength: max, pattern: '^[A-Za-z0-9_-]*$', description: 'base64url, no padding' });
const id = Type.String({ minLength: 43, maxLength: 43, pattern: '^[A-Za-z0-9_-]{43}$', description: '32 bytes' });
const height = uint(Number.MAX_SAFE_INTEGER);
const strings = Type.Array(Type.String());
const phase = Type.Union(
  ['starting', 'attesting', 'recovering', 'catching-up', 'ready', 'draining', 'fenced'].map((name) =>
    Type.Literal(name),
  ),
);

export const idParams = closed({ id });
export const nonceQuery = closed({
  nonce: Type.String({ pattern: '^[0-9a-fA-F]{64}$', minLength: 64, maxLength: 64, description: '32 bytes as hex' }),
});
export const indexSetQuery = closed({
  since: Type.Optional(
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'only what is above this height' }),
  ),
  wait: Type.Optional(
    Type.Integer({ minimum: 0, maximum: WAIT_SECONDS_MAX, description: 'seconds to wait for a new synced height' }),
  ),
});
export const sealedBody = closed({
  suite: text(64, 1),
  enc: base64url(43, 43),
  ciphertext: base64url(BODY_BYTES_MAX),
});

/** A certificate of 32 receipts, in base64url. */
const CERTIFICATE_CHARS_MAX = 49_152;
export const certificateBody = closed({ certificate: base64url(CERTIFICATE_CHARS_MAX) });

export const healthAnswer = Type.Object({ status: Type.Literal('alive') });
export const readinessAnswer = Type.Object({ ready: Type.Boolean(), phase, reasons: strings });
export const nodeAnswer = Type.Object({
  nodeId: Type.String(),
  clusterId: Type.String(),
  configVersion: uint(),
  version: Type.String(),
  phase,
  simulated: Type.Boolean(),
  heights: Type.Object({
    chain: height,
    indexed: height,
    detected: height,
    anchored: height,
    cluster: height,
    first: height,
  }),
  members: uint(),
  quorum: Type.Object({ needed: uint(), reachable: uint() }),
  incarnation: uint(),
  roster: Type.Array(
    Type.Object({
      nodeId: Type.String(),
      operator: Type.String(),
      standing: Type.Union(['self', 'connected', 'away'].map((name) => Type.Literal(name))),
    }),
  ),
  custody: Type.Optional(
    Type.Object({
      phase: Type.Union(['waiting', 'dealing', 'backed'].map((name) => Type.Literal(name))),
      keyEpoch: uint(),
      threshold: uint(),
      shares: uint(),
      holders: strings,
    }),
  ),
});
/** An operator's leave is one body and one signature: about 300 bytes. */
const LEAVE_CHARS_MAX = 1_024;
export const leaveBody = closed({ statement: base64url(LEAVE_CHARS_MAX) });
export const leftAnswer = Type.Object({ nodeId: Type.String(), left: Type.Literal(true) });
export const rosterAnswer = Type.Object({
  genesisId: id,
  members: Type.Array(
    Type.Object({
      nodeId: Type.String(),
      operator: Type.String(),
      standing: Type.Union(['self', 'connected', 'away'].map((name) => Type.Literal(name))),
      joinId: id,
    }),
  ),
});
export const membersAnswer = Type.Array(
  Type.Object({
    nodeId: Type.String(),
    operator: Type.String(),
    tcbStatus: Type.String(),
    phase,
    lag: uint(),
    lastSeenSeconds: Type.Number(),
  }),
);
export const attestationAnswer = Type.Object({
  quote: Type.String(),
  collateral: Type.Optional(Type.String()),
  nodeId: Type.String(),
  hpke: Type.Array(Type.Object({ suite: Type.String(), publicKey: Type.String() })),
  roster: Type.Array(Type.Object({ nodeId: Type.String(), platform: Type.String(), operator: Type.String() })),
  configurationHash: Type.String(),
  noncePath: Type.Object({ root: Type.String(), index: uint(), count: uint(), path: strings }),
});
export const operationAnswer = Type.Object({
  id,
  status: Type.Union([Type.Literal('confirmed'), Type.Literal('pending')]),
  expiryHeight: height,
  receipts: strings,
  certificate: Type.Optional(Type.String()),
  sealed: Type.Object({ nonce: Type.String(), ciphertext: Type.String() }),
});
export const certificateAnswer = Type.Object({
  id,
  status: Type.Union([Type.Literal('known'), Type.Literal('wanted')]),
});
export const registrationAnswer = Type.Object({
  id,
  status: Type.Union(['pending', 'confirmed', 'expired', 'revoked'].map((name) => Type.Literal(name))),
  expiryHeight: height,
  confirmations: uint(),
});
export const indexSetAnswer = Type.Object({ id, since: height, nonce: Type.String(), ciphertext: Type.String() });
const waitingStore = {
  nodeId: id,
  storeIdHash: id,
  blob: Type.String(),
  threshold: uint(),
  entered: uint(),
  needed: uint(),
};
export const recoveryAnswer = Type.Object({
  state: Type.Union([Type.Literal('none'), Type.Literal('total-restart')]),
  nodeId: Type.Optional(id),
  storeIdHash: Type.Optional(id),
  blob: Type.Optional(Type.String()),
  threshold: Type.Optional(uint()),
  entered: Type.Optional(uint()),
  needed: Type.Optional(uint()),
  /** Further stores that wait. */
  others: Type.Optional(Type.Array(Type.Object(waitingStore))),
});
export const shareAnswer = Type.Object({
  entered: uint(),
  needed: uint(),
  status: Type.Union([Type.Literal('waiting'), Type.Literal('opened')]),
  sealed: Type.Object({ nonce: Type.String(), ciphertext: Type.String() }),
});

/** Codes are described beside it, not enumerated: an answer must never fail because of what describes it. */
const problemAnswer = Type.Object({
  type: Type.String({ description: 'urn:kith:problem: and the code' }),
  title: Type.String(),
  status: uint(599, 400),
  code: Type.String(),
  detail: Type.String({ description: 'one line: what is wrong and what is expected' }),
});

const RETRY_AFTER = { 'Retry-After': { type: 'string', description: 'seconds' } };

/** Problems of these statuses, with all codes that have one of them; a fault of the node is always among them. */
export const problemsOf = (...statuses: readonly number[]) =>
  Object.fromEntries(
    [...statuses, 500].map((status) => {
      const headers = status === 429 || status === 503 ? { headers: RETRY_AFTER } : {};
      const content = { 'application/problem+json': { schema: problemAnswer } };
      return [status, { description: `problem: ${codesOf(status).join(', ')}`, ...headers, content }];
    }),
  );
