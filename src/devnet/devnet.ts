// The simulated chain without a socket: requests in, answers out, blocks made when told. The HTTP server around it and
// a simulated cluster use the same.

import { fromUtf8, utf8 } from '../core/bytes.ts';
import { abortError } from '../core/deadline.ts';
import { isKithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { RPC_INTERNAL_ERROR, type Transport, type WireRequest, type WireResponse } from '../indexer/codec.ts';
import { DevnetChain } from './chain.ts';
import { answerRpc, type CometVersion, type RpcItem } from './comet.ts';
import { FAULT_REQUEST, type FaultRequest, Faults } from './faults.ts';
import { answerMasp, isMaspPath } from './masp.ts';
import type { Replay } from './replay.ts';
import { seededChance } from './seeded.ts';

export interface DevnetOptions {
  readonly replay: Replay;
  readonly chainId?: string | undefined;
  /** Heights of the replay that exist from the beginning; left out: all. */
  readonly startAfter?: number | undefined;
  readonly version?: CometVersion | undefined;
  /** Decides the faults. */
  readonly seed?: number | undefined;
}

export const CHAIN_ID_DEFAULT = 'kith-devnet';

export interface Devnet {
  readonly chainId: string;
  readonly first: number;
  readonly tip: number;
  /** Makes the next blocks: of the replay as long as it lasts, then empty ones. */
  advance(count?: number): void;
  fault(request: FaultRequest): void;
  /** Never resolves for a stalled answer, until the signal aborts. */
  answer(request: WireRequest, options: { signal: AbortSignal }): Promise<WireResponse>;
  /** What an indexer or anchor sender talks to. */
  transport(name?: string): Transport;
}

const FAULTS_PATH = '/devnet/faults';

export function createDevnet(options: DevnetOptions): Devnet {
  const { replay } = options;
  const chain = new DevnetChain(replay, options.chainId ?? CHAIN_ID_DEFAULT);
  const faults = new Faults(seededChance(options.seed ?? 0));
  const version = options.version ?? '0.37';
  const heights = replay.last - replay.first + 1;
  chain.advance(Math.min(heights, options.startAfter ?? heights));

  function fault(request: FaultRequest): void {
    if (request.rates) faults.rates = definedRates(request.rates);
    if (request.backwards !== undefined) chain.goBack(request.backwards);
    if (request.reset) chain.reset();
    if (request.chainId !== undefined) chain.rename(request.chainId);
  }

  async function answer(request: WireRequest, { signal }: { signal: AbortSignal }): Promise<WireResponse> {
    if (!URL.canParse(request.target, 'http://devnet')) return { status: 400, body: utf8('400 bad request\n') };
    if (request.target === FAULTS_PATH) return answerFaults(request);
    if (faults.happens('stalls')) return never(signal);
    const response = isMaspPath(request.target) ? masp(request) : rpc(request);
    return { status: response.status, body: faults.spoil(response.body) };
  }

  function answerFaults(request: WireRequest): WireResponse {
    if (request.method === 'GET') return jsonResponse(200, { rates: faults.rates });
    try {
      fault(FAULT_REQUEST.parse(parseJson(fromUtf8(request.body ?? new Uint8Array(0)), 'faults'), 'faults'));
      return jsonResponse(200, { rates: faults.rates });
    } catch (error) {
      if (!isKithError(error)) throw error;
      return jsonResponse(400, { error: { code: error.code, message: error.message } });
    }
  }

  function rpc(request: WireRequest): WireResponse {
    if (faults.happens('errors')) {
      const error = { code: RPC_INTERNAL_ERROR, message: 'Internal error', data: 'a fault that was asked for' };
      return jsonResponse(500, { jsonrpc: '2.0', id: -1, error });
    }
    const reply = answerRpc(chain, version, request);
    if (!reply) return { status: 404, body: utf8('404 page not found\n') };
    const { status, items, batch } = faults.mixRpc(reply);
    const answers = items.map((item: RpcItem) => ({ jsonrpc: '2.0', ...item }));
    return jsonResponse(status, batch ? answers : answers[0]);
  }

  function masp(request: WireRequest): WireResponse {
    if (faults.happens('errors')) return jsonResponse(500, { message: 'a fault that was asked for', code: 500 });
    const reply = faults.mixMasp(answerMasp(chain, request));
    if (reply.plainText) return { status: reply.status, body: utf8(String(reply.body)) };
    return jsonResponse(reply.status, reply.body);
  }

  return {
    get chainId() {
      return chain.chainId;
    },
    first: chain.first,
    get tip() {
      return chain.tip;
    },
    advance: (count) => chain.advance(count),
    fault,
    answer,
    transport: (name = 'devnet') => ({ name, request: answer }),
  };
}

function jsonResponse(status: number, json: unknown): WireResponse {
  return { status, body: utf8(JSON.stringify(json)) };
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const onAbort = () => reject(abortError(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

function definedRates(rates: NonNullable<FaultRequest['rates']>): Record<string, number> {
  const defined: Record<string, number> = {};
  for (const [kind, rate] of Object.entries(rates)) if (rate !== undefined) defined[kind] = rate;
  return defined;
}
