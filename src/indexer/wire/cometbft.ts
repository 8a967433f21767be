// CometBFT's RPC as JSON: what is read of each answer, and the full forms a simulated chain gives.
// Shapes of v0.37 and v0.38 (rpc/core/types); numbers of 64 bits are strings, bytes are base64 or upper-case hex.

import { list, type Static, shape, Type, text } from '../../core/schema.ts';
import {
  BLOCK_EVENTS_MAX,
  BLOCK_TRANSACTIONS_MAX,
  CHAIN_ID_CHARS_MAX,
  EVENT_ATTRIBUTES_MAX,
  TRANSACTION_BYTES_MAX,
} from '../limits.ts';

const HEIGHT = Type.String({ pattern: '^(0|[1-9][0-9]{0,14})$' });
const HASH = Type.String({ pattern: '^[0-9A-Fa-f]{64}$' });
const HASH_OR_NONE = Type.String({ pattern: '^([0-9A-Fa-f]{64})?$' });

/** RFC 3339 with nanoseconds is 35 characters long at most. */
const TIME_CHARS_MAX = 40;

const EVENT = Type.Object({
  type: text(256),
  attributes: Type.Union([
    list(Type.Object({ key: text(1_024), value: Type.Union([text(65_536), Type.Null()]) }), EVENT_ATTRIBUTES_MAX),
    Type.Null(),
  ]),
});
const EVENTS = Type.Optional(Type.Union([list(EVENT, BLOCK_EVENTS_MAX), Type.Null()]));

export const COMET_STATUS = shape(
  Type.Object({
    node_info: Type.Object({ network: text(CHAIN_ID_CHARS_MAX, 1) }),
    sync_info: Type.Object({
      latest_block_hash: HASH_OR_NONE,
      latest_block_height: HEIGHT,
      earliest_block_height: HEIGHT,
    }),
  }),
);

export const COMET_BLOCK = shape(
  Type.Object({
    block_id: Type.Object({ hash: HASH }),
    block: Type.Object({
      header: Type.Object({
        chain_id: text(CHAIN_ID_CHARS_MAX, 1),
        height: HEIGHT,
        time: text(TIME_CHARS_MAX, 1),
        last_block_id: Type.Object({ hash: HASH_OR_NONE }),
        data_hash: HASH_OR_NONE,
      }),
      data: Type.Object({
        txs: Type.Union([list(text(2 * TRANSACTION_BYTES_MAX), BLOCK_TRANSACTIONS_MAX), Type.Null()]),
      }),
    }),
  }),
);

const BLOCK_RESULTS = Type.Object({
  height: HEIGHT,
  /** Up to 0.37. */
  end_block_events: EVENTS,
  /** From 0.38 on. */
  finalize_block_events: EVENTS,
});
export const COMET_BLOCK_RESULTS = shape(BLOCK_RESULTS);
export type CometBlockResults = Static<typeof BLOCK_RESULTS>;

export const COMET_BROADCAST = shape(
  Type.Object({ code: Type.Integer({ minimum: 0 }), hash: HASH, log: Type.Optional(text(65_536)) }),
);

export const RPC_ANSWER = shape(
  Type.Object({
    id: Type.Union([Type.Integer(), text(64), Type.Null()]),
    result: Type.Optional(Type.Unknown()),
    error: Type.Optional(
      Type.Object({ code: Type.Integer(), message: text(65_536), data: Type.Optional(Type.Unknown()) }),
    ),
  }),
);
export type RpcAnswer = ReturnType<typeof RPC_ANSWER.parse>;

/** What went with an answer of JSON-RPC that is an error. */
export const RPC_INTERNAL_ERROR = -32603;
export const RPC_METHOD_NOT_FOUND = -32601;
export const RPC_INVALID_REQUEST = -32600;
export const RPC_INVALID_PARAMS = -32602;

export interface CometEvent {
  readonly type: string;
  readonly attributes: readonly { readonly key: string; readonly value: string }[];
}

/** The events of a block's end, of either version, in order. Events of single transactions are not among them. */
export function blockEvents(results: CometBlockResults): CometEvent[] {
  const events = [...(results.end_block_events ?? []), ...(results.finalize_block_events ?? [])];
  return events.map(({ type, attributes }) => ({
    type,
    attributes: (attributes ?? []).map(({ key, value }) => ({ key, value: value ?? '' })),
  }));
}
