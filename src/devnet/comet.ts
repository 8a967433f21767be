// CometBFT's RPC over the simulated chain: the calls an indexer and an anchor sender make, by URI and by JSON-RPC,
// with the answers, errors and limits of a real node (observed on 0.38.17).

import { sha256 } from '#crypto';
import { fromHex, fromUtf8, toHex, utf8 } from '../core/bytes.ts';
import { parseJson } from '../core/json.ts';
import { shape, Type, text } from '../core/schema.ts';
import {
  RPC_INTERNAL_ERROR,
  RPC_INVALID_PARAMS,
  RPC_INVALID_REQUEST,
  RPC_METHOD_NOT_FOUND,
  type WireRequest,
} from '../indexer/codec.ts';
import type { DevnetBlock } from './block.ts';
import type { DevnetChain } from './chain.ts';
import { BATCH_CALLS_MAX } from './limits.ts';

/** 0.37 calls the events of a block's end `end_block_events`, 0.38 `finalize_block_events`. */
export type CometVersion = '0.37' | '0.38';

export interface RpcItem {
  readonly id: number | string | null;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: string };
}

/** Answers to the calls of one request, before they become bytes. */
export interface RpcReply {
  readonly status: number;
  readonly items: RpcItem[];
  readonly batch: boolean;
}

type Params = Readonly<Record<string, unknown>>;

const CALL = shape(
  Type.Object({
    method: text(64),
    params: Type.Optional(Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()])),
    id: Type.Optional(Type.Union([Type.Integer(), text(64), Type.Null()])),
  }),
);

/** The id CometBFT gives to answers of URI calls. */
const URI_ID = -1;

class RpcError extends Error {
  readonly code: number;
  readonly data: string;
  constructor(code: number, message: string, data: string) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

const internalError = (data: string) => new RpcError(RPC_INTERNAL_ERROR, 'Internal error', data);
const invalidParams = (data: string) => new RpcError(RPC_INVALID_PARAMS, 'Invalid params', data);

/** The reply, or undefined for a path that a node does not know (404 in plain text). */
export function answerRpc(chain: DevnetChain, version: CometVersion, request: WireRequest): RpcReply | undefined {
  const url = new URL(request.target, 'http://devnet');
  if (url.pathname === '/' && request.method === 'POST') return answerCalls(chain, version, request.body);
  const method = url.pathname.slice(1);
  if (!METHODS.has(method)) return undefined;
  const item = call(chain, version, URI_ID, method, Object.fromEntries(url.searchParams));
  return { status: item.error ? 500 : 200, items: [item], batch: false };
}

function answerCalls(chain: DevnetChain, version: CometVersion, body: Uint8Array | undefined): RpcReply {
  const invalid = (data: string): RpcReply => {
    const error = { code: RPC_INVALID_REQUEST, message: 'Invalid request', data };
    return { status: 500, items: [{ id: null, error }], batch: false };
  };
  let json: unknown;
  try {
    json = parseJson(fromUtf8(body ?? new Uint8Array(0)), 'request');
  } catch {
    return invalid('the body is not JSON');
  }
  const calls: unknown[] = Array.isArray(json) ? json : [json];
  if (calls.length > BATCH_CALLS_MAX) {
    return invalid(`batch request exceeds maximum (${calls.length}/${BATCH_CALLS_MAX})`);
  }
  if (calls.length === 0) return invalid('an empty batch');
  const items = calls.map((one): RpcItem => {
    if (!CALL.matches(one))
      return { id: null, error: { code: RPC_INVALID_REQUEST, message: 'Invalid request', data: '' } };
    return call(chain, version, one.id ?? null, one.method, one.params ?? {});
  });
  // A batch of one is answered as if it were none.
  return { status: 200, items, batch: items.length > 1 };
}

function call(chain: DevnetChain, version: CometVersion, id: RpcItem['id'], method: string, params: Params): RpcItem {
  const run = METHODS.get(method);
  if (!run) return { id, error: { code: RPC_METHOD_NOT_FOUND, message: 'Method not found', data: '' } };
  try {
    return { id, result: run(chain, params, version) };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return { id, error: { code: error.code, message: error.message, data: error.data } };
  }
}

type Method = (chain: DevnetChain, params: Params, version: CometVersion) => unknown;

const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['health', () => ({})],
  ['status', (chain) => status(chain)],
  ['block', (chain, params) => blockJson(blockAt(chain, params))],
  ['block_results', (chain, params, version) => resultsJson(blockAt(chain, params), version)],
  ['broadcast_tx_sync', (chain, params) => broadcast(chain, params)],
  ['tx', (chain, params) => transaction(chain, params)],
]);

function blockAt(chain: DevnetChain, params: Params): DevnetBlock {
  const asked = params['height'] ?? chain.tip;
  const height = Number(typeof asked === 'string' ? asked.replaceAll('"', '') : asked);
  if (!Number.isSafeInteger(height)) throw invalidParams('height must be a whole number');
  if (height <= 0) throw internalError(`height must be greater than 0, but got ${height}`);
  if (height > chain.tip) {
    throw internalError(`height ${height} must be less than or equal to the current blockchain height ${chain.tip}`);
  }
  const block = chain.block(height);
  if (!block) throw internalError(`height ${height} is not available, lowest height is ${chain.first}`);
  return block;
}

function status(chain: DevnetChain): unknown {
  const latest = chain.block(chain.tip);
  const earliest = chain.block(chain.first);
  return {
    node_info: {
      protocol_version: { p2p: '8', block: '11', app: '0' },
      id: toHex(sha256(utf8(chain.chainId))).slice(0, 40),
      listen_addr: 'tcp://0.0.0.0:26656',
      network: chain.chainId,
      version: 'devnet',
      channels: '40202122233038606100',
      moniker: 'kith-devnet',
      other: { tx_index: 'on', rpc_address: 'tcp://0.0.0.0:26657' },
    },
    sync_info: {
      latest_block_hash: latest ? upperHex(latest.hash) : '',
      latest_app_hash: '',
      latest_block_height: String(latest?.height ?? 0),
      latest_block_time: latest?.time ?? '1970-01-01T00:00:00Z',
      earliest_block_hash: earliest ? upperHex(earliest.hash) : '',
      earliest_app_hash: '',
      earliest_block_height: String(earliest?.height ?? 0),
      earliest_block_time: earliest?.time ?? '1970-01-01T00:00:00Z',
      catching_up: false,
    },
  };
}

function blockJson(block: DevnetBlock): unknown {
  const first = block.parentHash.every((byte) => byte === 0);
  const parentId = { hash: first ? '' : upperHex(block.parentHash), parts: { total: first ? 0 : 1, hash: '' } };
  return {
    block_id: { hash: upperHex(block.hash), parts: { total: 1, hash: upperHex(sha256(block.hash)) } },
    block: {
      header: {
        version: { block: '11', app: '0' },
        chain_id: block.chainId,
        height: String(block.height),
        time: block.time,
        last_block_id: parentId,
        last_commit_hash: upperHex(sha256(block.parentHash)),
        data_hash: upperHex(block.dataHash),
        app_hash: '',
        proposer_address: '',
      },
      data: { txs: block.transactions.map(base64) },
      evidence: { evidence: [] },
      last_commit: { height: String(block.height - 1), round: 0, block_id: parentId, signatures: [] },
    },
  };
}

function resultsJson(block: DevnetBlock, version: CometVersion): unknown {
  const results = block.transactions.map(() => ({
    code: 0,
    data: null,
    log: '',
    info: '',
    gas_wanted: '0',
    gas_used: '0',
    events: [],
    codespace: '',
  }));
  const events = block.events.map(({ type, attributes }) => ({
    type,
    attributes: attributes.map(({ key, value }) => ({ key, value, index: true })),
  }));
  const common = {
    height: String(block.height),
    txs_results: results.length > 0 ? results : null,
    validator_updates: null,
    consensus_param_updates: null,
  };
  const some = events.length > 0 ? events : null;
  return version === '0.37'
    ? { ...common, begin_block_events: null, end_block_events: some }
    : { ...common, finalize_block_events: some, app_hash: '' };
}

function broadcast(chain: DevnetChain, params: Params): unknown {
  const { tx } = params;
  if (typeof tx !== 'string') throw invalidParams('tx must be a string');
  const submission = chain.submit(submittedBytes(tx));
  if (submission.kind === 'known') throw internalError('tx already exists in cache');
  const { code, log } = submission.kind === 'refused' ? submission : { code: 0, log: '' };
  return { code, data: '', log, codespace: '', hash: submission.hash };
}

/** A URI gives text in quotes or hex after 0x; JSON-RPC gives base64. */
function submittedBytes(tx: string): Uint8Array {
  if (tx.startsWith('"') && tx.endsWith('"') && tx.length >= 2) return utf8(tx.slice(1, -1));
  if (/^0x([0-9a-fA-F]{2})*$/.test(tx)) return fromHex(tx.slice(2));
  if (/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(tx)) {
    return Uint8Array.from(Buffer.from(tx, 'base64'));
  }
  throw invalidParams('tx must be base64, 0x and hex, or text in quotes');
}

function transaction(chain: DevnetChain, params: Params): unknown {
  const asked = String(params['hash'] ?? '');
  const hash = (
    /^(0x)?[0-9a-fA-F]{64}$/.test(asked) ? asked.replace(/^0x/, '') : toHex(Buffer.from(asked, 'base64'))
  ).toUpperCase();
  const place = chain.find(hash);
  const bytes = place && chain.block(place.height)?.transactions[place.index];
  if (!place || !bytes) throw internalError(`tx (${hash}) not found`);
  const result = { code: 0, data: null, log: '', info: '', gas_wanted: '0', gas_used: '0', events: [], codespace: '' };
  return { hash, height: String(place.height), index: place.index, tx_result: result, tx: base64(bytes) };
}

const upperHex = (bytes: Uint8Array): string => toHex(bytes).toUpperCase();
const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
