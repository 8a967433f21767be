// Blocks from a namada-masp-indexer. It knows which transactions are shielded but neither flags nor hashes, so each
// of its transactions is everybody's. Heights it does not list are blocks without MASP transactions.

import { messageOf } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { Shape } from '../core/schema.ts';
import { ask, jsonBody, parseAnswer } from './ask.ts';
import { indexerError } from './errors.ts';
import { MASP_RANGE_BLOCKS } from './limits.ts';
import { decodeMaspTransaction } from './namada/masp.ts';
import type { ChainSource, ChainTransaction, SourceBlock } from './ports.ts';
import { MASP_HEIGHT, MASP_TXS, maspErrorReason } from './wire/masp-indexer.ts';
import type { Transport } from './wire/transport.ts';

export interface MaspSourceDeps {
  readonly transport: Transport;
  readonly clock: Clock;
}

/** Its first block: the API refuses height 0. */
const FIRST_HEIGHT = 1;

export function createMaspSource(deps: MaspSourceDeps): ChainSource {
  const { name } = deps.transport;
  /** Whether the last answer was an error: newer versions let caches keep those for good. */
  let failed = false;
  let known = 0;
  /** No transaction is below: a search that was cut off goes on here. */
  let searched = FIRST_HEIGHT;

  async function get<T>(target: string, form: Shape<T>, signal: AbortSignal): Promise<T> {
    try {
      const headers = failed ? { 'cache-control': 'no-cache' } : {};
      const response = await ask(deps, { method: 'GET', target, headers }, signal);
      if (response.status !== 200) {
        throw indexerError('upstream-refused', `${name}: status ${response.status}, ${reasonOf(response)}`);
      }
      const value = parseAnswer(form, jsonBody(response, `${name} ${target}`), `${name} ${target}`);
      failed = false;
      return value;
    } catch (error) {
      failed = true;
      throw error;
    }
  }

  const latestHeight = async (signal: AbortSignal) => {
    const { block_height: latest } = await get('/api/v1/height', MASP_HEIGHT, signal);
    known = latest;
    return latest;
  };

  return {
    name,
    flags: false,
    rangeMax: MASP_RANGE_BLOCKS,
    async status({ signal }) {
      const latest = await latestHeight(signal);
      return { chainId: undefined, earliest: FIRST_HEIGHT, latest, latestHash: undefined };
    },
    async firstTransaction({ signal }) {
      const range = async (from: number, to: number) => {
        const target = `/api/v1/tx?height=${from}&height_offset=${to - from}`;
        const { txs } = await get(target, MASP_TXS, signal);
        return txs.map(({ block_height }) => block_height);
      };
      const latest = await latestHeight(signal);
      for (; searched <= latest; searched += SEARCH_RANGES * MASP_RANGE_BLOCKS) {
        const heights = await heightsFrom(range, searched, latest);
        if (heights.length > 0) return Math.min(...heights);
      }
      return Math.max(FIRST_HEIGHT, latest);
    },
    async blocks(from, to, { signal }) {
      // Beyond its last block the API answers 500, and an empty answer would mean blocks without transactions.
      if (to > known && to > (await latestHeight(signal))) {
        throw indexerError('height-unavailable', `${name}: height ${to} is above its latest, ${known}`);
      }
      const target = `/api/v1/tx?height=${from}&height_offset=${to - from}`;
      const { txs } = await get(target, MASP_TXS, signal);
      return readBlocks(txs, from, to, name);
    },
  };
}

/** Ranges asked for at once in search of the first transaction: the API has no other way to find it. */
const SEARCH_RANGES = 8;

/** The heights with transactions in the next ranges. */
async function heightsFrom(
  heightsIn: (from: number, to: number) => Promise<readonly number[]>,
  from: number,
  latest: number,
): Promise<number[]> {
  const starts = Array.from({ length: SEARCH_RANGES }, (_, i) => from + i * MASP_RANGE_BLOCKS);
  const answers = starts
    .filter((start) => start <= latest)
    .map((start) => heightsIn(start, Math.min(latest, start + MASP_RANGE_BLOCKS - 1)));
  return (await Promise.all(answers)).flat();
}

type MaspTxs = ReturnType<typeof MASP_TXS.parse>['txs'];

function readBlocks(txs: MaspTxs, from: number, to: number, name: string): SourceBlock[] {
  const rows = new Map<number, ChainTransaction[]>();
  let last: { height: number; index: number } = { height: from, index: -1 };
  for (const { block_height: height, block_index: blockIndex, batch } of txs) {
    const ordered = height > last.height || (height === last.height && blockIndex > last.index);
    if (!ordered || height > to) {
      throw indexerError('bad-answer', `${name}: transaction ${height}/${blockIndex} out of order or of the range`);
    }
    last = { height, index: blockIndex };
    for (const { bytes } of batch) checkMasp(bytes, `${name}: transaction ${height}/${blockIndex}`);
    const row: ChainTransaction = { blockIndex, flags: undefined };
    const block = rows.get(height);
    if (block) block.push(row);
    else rows.set(height, [row]);
  }
  const blocks: SourceBlock[] = [];
  for (let height = from; height <= to; height++) {
    blocks.push({
      height,
      hash: undefined,
      parentHash: undefined,
      chainId: undefined,
      time: undefined,
      transactions: rows.get(height) ?? [],
      undecodable: [],
      texts: [],
    });
  }
  return blocks;
}

/** A transaction that is cut short or garbled gives the whole answer away. */
function checkMasp(bytes: readonly number[], where: string): void {
  try {
    decodeMaspTransaction(Uint8Array.from(bytes));
  } catch (cause) {
    throw indexerError('bad-answer', `${where}: ${messageOf(cause)}`, cause);
  }
}

function reasonOf(response: { status: number; body: Uint8Array }): string {
  const text = new TextDecoder().decode(response.body.subarray(0, 4_096));
  try {
    return maspErrorReason(JSON.parse(text));
  } catch {
    return maspErrorReason(text);
  }
}
