// The masp-indexer's HTTP API over the simulated chain, with its quirks: the height moves only with MASP blocks, a
// range beyond it is an internal error, and each kind of failure has a body of another shape.

import type { WireRequest } from '../indexer/codec.ts';
import type { DevnetChain } from './chain.ts';
import { MASP_OFFSET_MAX } from './limits.ts';

export interface MaspReply {
  readonly status: number;
  readonly body: unknown;
  readonly plainText?: boolean;
}

export interface MaspTxJson {
  readonly block_height: number;
  readonly block_index: number;
  readonly batch: readonly {
    readonly masp_tx_index: number;
    readonly is_masp_fee_payment: boolean;
    readonly bytes: readonly number[];
  }[];
}

/** Whether a path is the masp-indexer's. */
export function isMaspPath(target: string): boolean {
  return target === '/health' || target.startsWith('/api/');
}

export function answerMasp(chain: DevnetChain, request: WireRequest): MaspReply {
  const url = new URL(request.target, 'http://devnet');
  if (request.method !== 'GET') return { status: 405, body: '', plainText: true };
  switch (url.pathname) {
    case '/health':
      return { status: 200, body: { commit: 'devnet', version: 'devnet' } };
    case '/api/v1/height':
      return { status: 200, body: { block_height: chain.shieldedTip } };
    case '/api/v1/tx':
      return transactions(chain, url.searchParams);
    case '/api/v1/block-index':
      return apiError(404, 'the block index has not been built');
    default:
      return { status: 404, body: { error: { message: 'The requested resource does not exist on this server!' } } };
  }
}

function apiError(code: number, message: string): MaspReply {
  return { status: code, body: { message, code } };
}

function transactions(chain: DevnetChain, query: URLSearchParams): MaspReply {
  const height = wholeNumber(query.get('height'));
  const offset = wholeNumber(query.get('height_offset'));
  if (height === undefined || height < 1 || offset === undefined) {
    return {
      status: 400,
      body: 'Failed to deserialize query string: invalid height or height_offset',
      plainText: true,
    };
  }
  if (offset > MASP_OFFSET_MAX) {
    return { status: 408, body: { error: 'request took longer than the configured 60 second timeout' } };
  }
  const to = height + offset;
  if (to > chain.shieldedTip) {
    return apiError(500, `Requested range ${height}..=${to} exceeds the latest block ${chain.shieldedTip}`);
  }
  const txs: MaspTxJson[] = [];
  for (let at = Math.max(height, chain.first); at <= to; at++) {
    for (const { blockIndex, bytes } of chain.block(at)?.shielded ?? []) {
      const batch = [{ masp_tx_index: 0, is_masp_fee_payment: false, bytes: [...bytes] }];
      txs.push({ block_height: at, block_index: blockIndex, batch });
    }
  }
  return { status: 200, body: { txs } };
}

function wholeNumber(text: string | null): number | undefined {
  const value = text !== null && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
