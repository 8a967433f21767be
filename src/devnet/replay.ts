// The replay file: one transaction a line, {"height", "block_index", "flags": [hex of 111 bytes, ...] or null},
// ascending. Heights that are absent become blocks without MASP transactions.

import { fromHex } from '../core/bytes.ts';
import { KithError, messageOf } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { list, shape, Type, uint } from '../core/schema.ts';
import { BLOCK_TRANSACTIONS_MAX, FLAG_BYTES, FLAGS_PER_TRANSACTION_MAX } from '../indexer/codec.ts';
import { REPLAY_HEIGHTS_MAX, REPLAY_LINE_CHARS_MAX } from './limits.ts';

export interface ReplayTransaction {
  readonly height: number;
  readonly blockIndex: number;
  readonly flags: readonly Uint8Array[] | undefined;
}

export interface Replay {
  readonly first: number;
  readonly last: number;
  /** By height; heights without MASP transactions are absent. */
  readonly transactions: ReadonlyMap<number, readonly ReplayTransaction[]>;
}

const LINE = shape(
  Type.Object({
    height: uint(Number.MAX_SAFE_INTEGER, 1),
    block_index: uint(BLOCK_TRANSACTIONS_MAX - 1),
    flags: Type.Union([list(Type.String(), FLAGS_PER_TRANSACTION_MAX, 1), Type.Null()]),
  }),
);

/** @throws KithError `bad-replay`, naming the line. */
export function parseReplay(text: string): Replay {
  const transactions = new Map<number, ReplayTransaction[]>();
  let first: number | undefined;
  let last: ReplayTransaction | undefined;
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const transaction = parseLine(line, `replay line ${i + 1}`);
    const ascends =
      !last ||
      transaction.height > last.height ||
      (transaction.height === last.height && transaction.blockIndex > last.blockIndex);
    if (!ascends)
      throw new KithError('bad-replay', `replay line ${i + 1}: expected ascending heights and block indexes`);
    first ??= transaction.height;
    last = transaction;
    const block = transactions.get(transaction.height);
    if (block) block.push(transaction);
    else transactions.set(transaction.height, [transaction]);
  }
  if (first === undefined || !last) throw new KithError('bad-replay', 'the replay file has no transaction');
  if (last.height - first > REPLAY_HEIGHTS_MAX) {
    throw new KithError('bad-replay', `the replay spans more than ${REPLAY_HEIGHTS_MAX} heights`);
  }
  return { first, last: last.height, transactions };
}

function parseLine(line: string, where: string): ReplayTransaction {
  if (line.length > REPLAY_LINE_CHARS_MAX) {
    throw new KithError('bad-replay', `${where}: ${line.length} characters, at most ${REPLAY_LINE_CHARS_MAX}`);
  }
  try {
    const { height, block_index: blockIndex, flags } = LINE.parse(parseJson(line, where), where);
    return { height, blockIndex, flags: flags?.map(parseFlag) };
  } catch (cause) {
    const message = messageOf(cause);
    throw new KithError('bad-replay', message.startsWith(where) ? message : `${where}: ${message}`, { cause });
  }
}

function parseFlag(text: string, index: number): Uint8Array {
  if (text.length !== 2 * FLAG_BYTES || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new KithError('bad-replay', `flag ${index}: expected ${2 * FLAG_BYTES} hex digits (${FLAG_BYTES} bytes)`);
  }
  return fromHex(text);
}
