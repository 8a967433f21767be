// Blocks from a CometBFT node: /block and /block_results of up to five heights in one batch of calls. A block counts
// only if its height is the one asked for, its transactions hash to the header's data hash, and it links to the one
// before it in the same range.

import { sha256 } from '#crypto';
import { equalBytes, fromBase64Url, fromHex, fromUtf8, utf8 } from '../core/bytes.ts';
import { isKithError } from '../core/errors.ts';
import { merkleRoot } from '../core/merkle.ts';
import type { Clock } from '../core/ports.ts';
import { parseAnswer } from './ask.ts';
import { type Call, callRpc } from './comet-rpc.ts';
import { indexerError } from './errors.ts';
import { COMET_RANGE_BLOCKS, TEXT_BYTES_MAX, TEXTS_PER_BLOCK_MAX } from './limits.ts';
import { locateTransactions } from './namada/events.ts';
import type { ChainSource, ChainText, SourceBlock } from './ports.ts';
import { blockEvents, COMET_BLOCK, COMET_BLOCK_RESULTS, COMET_STATUS } from './wire/cometbft.ts';
import type { Transport } from './wire/transport.ts';

export interface CometSourceDeps {
  readonly transport: Transport;
  readonly clock: Clock;
  /** The detector's check that a flag's points and scalar are canonical. Left out: the frame alone is checked. */
  readonly decodable?: ((flag: Uint8Array) => boolean) | undefined;
}

export interface CometSourceOptions {
  /** Plain text transactions that start with this are handed on; left out: none. */
  readonly textPrefix?: string | undefined;
}

export function createCometSource(deps: CometSourceDeps, options: CometSourceOptions = {}): ChainSource {
  const { transport } = deps;
  const decodable = deps.decodable ?? (() => true);
  const prefix = options.textPrefix === undefined ? undefined : utf8(options.textPrefix);
  return {
    name: transport.name,
    flags: true,
    rangeMax: COMET_RANGE_BLOCKS,
    async status({ signal }) {
      const [result] = await callRpc(deps, [{ method: 'status', params: {} }], signal);
      const { node_info: node, sync_info: sync } = parseAnswer(COMET_STATUS, result, `${transport.name} status`);
      return {
        chainId: node.network,
        earliest: Number(sync.earliest_block_height),
        latest: Number(sync.latest_block_height),
        latestHash: sync.latest_block_hash === '' ? undefined : fromHex(sync.latest_block_hash),
      };
    },
    async blocks(from, to, { signal }) {
      const calls: Call[] = [];
      for (let height = from; height <= to; height++) {
        const params = { height: String(height) };
        calls.push({ method: 'block', params }, { method: 'block_results', params });
      }
      const results = await callRpc(deps, calls, signal);
      const blocks: SourceBlock[] = [];
      for (let height = from; height <= to; height++) {
        const at = 2 * (height - from);
        const block = readBlock(results[at], results[at + 1], { height, name: transport.name, prefix, decodable });
        const parent = blocks.at(-1)?.hash;
        if (parent && block.parentHash && !equalBytes(parent, block.parentHash)) {
          throw indexerError(
            'bad-answer',
            `${transport.name}: block ${height} does not follow its block ${height - 1}`,
          );
        }
        blocks.push(block);
      }
      return blocks;
    },
  };
}

interface Expected {
  readonly height: number;
  readonly name: string;
  readonly prefix: Uint8Array | undefined;
  readonly decodable: (flag: Uint8Array) => boolean;
}

function readBlock(blockJson: unknown, resultsJson: unknown, expected: Expected): SourceBlock {
  const { height, name } = expected;
  const where = `${name} height ${height}`;
  const { block, block_id: id } = parseAnswer(COMET_BLOCK, blockJson, where);
  const results = parseAnswer(COMET_BLOCK_RESULTS, resultsJson, where);
  const { header } = block;
  for (const answered of [header.height, results.height]) {
    if (Number(answered) !== height) throw indexerError('bad-answer', `${where}: answered with height ${answered}`);
  }
  const transactions = (block.data.txs ?? []).map((base64) => fromBase64(base64, where));
  const { data_hash: dataHash } = header;
  const proven = dataHash === '' ? transactions.length === 0 : equalBytes(dataHashOf(transactions), fromHex(dataHash));
  if (!proven) {
    throw indexerError('bad-answer', `${where}: its transactions are not those its header names`);
  }
  const located = locateTransactions(height, transactions, blockEvents(results), expected.decodable);
  const parent = header.last_block_id.hash;
  return {
    height,
    hash: fromHex(id.hash),
    parentHash: parent === '' ? undefined : fromHex(parent),
    chainId: header.chain_id,
    time: header.time,
    transactions: located.map(({ blockIndex, flags }) => ({ blockIndex, flags })),
    undecodable: located.filter(({ undecodable }) => undecodable).map(({ blockIndex }) => blockIndex),
    texts: expected.prefix ? findTexts(transactions, expected.prefix) : [],
  };
}

/** CometBFT hashes each transaction before it becomes a leaf (types.Txs.Hash). */
function dataHashOf(transactions: readonly Uint8Array[]): Uint8Array {
  return merkleRoot(transactions.map(sha256));
}

/** The text transactions of a block under `prefix`, the first 256. */
function findTexts(transactions: readonly Uint8Array[], prefix: Uint8Array): ChainText[] {
  const texts: ChainText[] = [];
  for (const [blockIndex, bytes] of transactions.entries()) {
    if (bytes.length > TEXT_BYTES_MAX || !equalBytes(bytes.subarray(0, prefix.length), prefix)) continue;
    const text = textOf(bytes);
    if (text !== undefined) texts.push({ blockIndex, text });
    if (texts.length === TEXTS_PER_BLOCK_MAX) break;
  }
  return texts;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return fromUtf8(bytes);
  } catch (error) {
    if (isKithError(error, 'bad-text')) return undefined;
    throw error;
  }
}

function fromBase64(text: string, where: string): Uint8Array {
  const padding = text.endsWith('==') ? 2 : Number(text.endsWith('='));
  const digits = text.slice(0, text.length - padding);
  try {
    return fromBase64Url(digits.replaceAll('+', '-').replaceAll('/', '_'));
  } catch (cause) {
    throw indexerError('bad-answer', `${where}: a transaction that is not base64`, cause);
  }
}
