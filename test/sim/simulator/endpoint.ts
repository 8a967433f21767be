// A machine's endpoint of the chain, which may stand still, lie, censor, belong to a fork, or say nothing.

import { sha256 } from '#crypto';
import { fromUtf8, toHex, utf8 } from '../../../src/core/bytes.ts';
import type { Transport, WireRequest, WireResponse } from '../../../src/indexer/codec.ts';

export type ChainMode =
  | { readonly kind: 'well' }
  /** No answers at all. */
  | { readonly kind: 'silent' }
  /** Knows no block above `tip`. */
  | { readonly kind: 'lags'; readonly tip: number }
  /** Tells of `ahead` blocks more than it has. */
  | { readonly kind: 'lies'; readonly ahead: number }
  /** Takes transactions and drops them. */
  | { readonly kind: 'censors' }
  /** Shows another chain. */
  | { readonly kind: 'forks'; readonly other: Transport };

export interface Endpoint {
  mode: ChainMode;
  readonly around: (genuine: Transport) => Transport;
}

interface Call {
  readonly id: unknown;
  readonly method: string;
  readonly params?: { readonly height?: string; readonly tx?: string };
}

interface Sync {
  latest_block_height: string;
  latest_block_hash: string;
  latest_block_time: string;
}

interface Answer {
  readonly id: unknown;
  result?: { sync_info?: Sync };
  error?: unknown;
}

interface BlockAnswer {
  readonly result: {
    readonly block_id: { readonly hash: string };
    readonly block: { readonly header: { time: string } };
  };
}

type RequestOptions = Parameters<Transport['request']>[1];

const callsOf = ({ body }: WireRequest): Call[] => {
  const json: unknown = JSON.parse(fromUtf8(body ?? new Uint8Array(0)));
  return (Array.isArray(json) ? json : [json]) as Call[];
};

const beyond = (height: number, tip: number) => ({
  code: -32_603,
  message: 'Internal error',
  data: `height ${height} must be less than or equal to the current blockchain height ${tip}`,
});

/** The same answers with another newest block, and errors for blocks above it. */
function withTip(request: WireRequest, response: WireResponse, tip: number, shown?: Partial<Sync>): WireResponse {
  const json = JSON.parse(fromUtf8(response.body)) as Answer | Answer[];
  const calls = callsOf(request);
  for (const answer of Array.isArray(json) ? json : [json]) {
    if (answer.result?.sync_info) Object.assign(answer.result.sync_info, shown, { latest_block_height: String(tip) });
    const asked = Number(calls.find(({ id }) => id === answer.id)?.params?.height ?? 0);
    if (asked > tip) {
      delete answer.result;
      answer.error = beyond(asked, tip);
    }
  }
  return { status: response.status, body: utf8(JSON.stringify(json)) };
}

/** The endpoint as it was when `tip` was its newest block. */
async function lagging(genuine: Transport, tip: number, request: WireRequest, options: RequestOptions) {
  const response = await genuine.request(request, options);
  if (!callsOf(request).some(({ method }) => method === 'status')) return withTip(request, response, tip);
  const body = utf8(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'block', params: { height: String(tip) } }));
  const block = await genuine.request({ ...request, body }, options);
  const { result } = JSON.parse(fromUtf8(block.body)) as BlockAnswer;
  return withTip(request, response, tip, {
    latest_block_hash: result.block_id.hash,
    latest_block_time: result.block.header.time,
  });
}

/** The endpoint as if it had `ahead` blocks more, which it never shows. */
async function lying(genuine: Transport, ahead: number, request: WireRequest, options: RequestOptions) {
  const response = await genuine.request(request, options);
  const json = JSON.parse(fromUtf8(response.body)) as Answer | Answer[];
  for (const answer of Array.isArray(json) ? json : [json]) {
    const sync = answer.result?.sync_info;
    if (!sync) continue;
    sync.latest_block_height = String(Number(sync.latest_block_height) + ahead);
    sync.latest_block_hash = toHex(sha256(utf8(sync.latest_block_height))).toUpperCase();
  }
  return { status: response.status, body: utf8(JSON.stringify(json)) };
}

/** What a node answers that took the transactions. */
function taken(calls: readonly Call[]): WireResponse {
  const answers = calls.map(({ id, params }) => ({
    jsonrpc: '2.0',
    id,
    result: {
      code: 0,
      data: '',
      log: '',
      codespace: '',
      hash: toHex(sha256(Buffer.from(params?.tx ?? '', 'base64'))).toUpperCase(),
    },
  }));
  return { status: 200, body: utf8(JSON.stringify(answers.length === 1 ? answers[0] : answers)) };
}

export function createEndpoint(): Endpoint {
  const endpoint: Endpoint = {
    mode: { kind: 'well' },
    around: (genuine) => ({
      name: genuine.name,
      async request(request, options) {
        const { mode } = endpoint;
        switch (mode.kind) {
          case 'well':
            return genuine.request(request, options);
          case 'silent':
            return new Promise((_, reject) => {
              options.signal.addEventListener('abort', () => reject(options.signal.reason as Error), { once: true });
            });
          case 'lags':
            return lagging(genuine, mode.tip, request, options);
          case 'lies':
            return lying(genuine, mode.ahead, request, options);
          case 'censors': {
            const calls = callsOf(request);
            const sends = calls.every(({ method }) => method === 'broadcast_tx_sync');
            return sends ? taken(calls) : genuine.request(request, options);
          }
          case 'forks':
            return mode.other.request(request, options);
        }
      },
    }),
  };
  return endpoint;
}
