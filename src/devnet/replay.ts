// The replay file: one transaction a line, {"height", "block_index", "flags": [hex of 111 bytes, ...] or null},
// ascending. Heights that are absent become blocks without MASP transactions.

import { isKithError, KithError } from '../core/errors.ts';
import { createRecordedChainReader, type RecordedChainReader, type RecordedTransaction } from '../fmd/codec.ts';
import { BLOCK_TRANSACTIONS_MAX } from '../indexer/codec.ts';
import { REPLAY_HEIGHTS_MAX } from './limits.ts';

export type ReplayTransaction = RecordedTransaction;

export interface Replay {
  readonly first: number;
  readonly last: number;
  /** By height; heights without MASP transactions are absent. */
  readonly transactions: ReadonlyMap<number, readonly ReplayTransaction[]>;
}

/** @throws KithError `bad-replay`, naming the line. */
export function parseReplay(text: string): Replay {
  const reader = createRecordedChainReader('replay');
  const transactions = new Map<number, ReplayTransaction[]>();
  let first: number | undefined;
  let last = 0;
  const lines = text.endsWith('\n') ? text.slice(0, -1) : text;
  for (const line of lines === '' ? [] : lines.split('\n')) {
    const transaction = read(reader, line.endsWith('\r') ? line.slice(0, -1) : line);
    first ??= transaction.height;
    last = transaction.height;
    const block = transactions.get(transaction.height);
    if (block) block.push(transaction);
    else transactions.set(transaction.height, [transaction]);
  }
  if (first === undefined) throw new KithError('bad-replay', 'the replay file has no transaction');
  if (last - first > REPLAY_HEIGHTS_MAX) {
    throw new KithError('bad-replay', `the replay spans more than ${REPLAY_HEIGHTS_MAX} heights`);
  }
  return { first, last, transactions };
}

function read(reader: RecordedChainReader, line: string): ReplayTransaction {
  try {
    const transaction = reader.line(line);
    const { height, blockIndex } = transaction;
    // A block is built up to its highest index.
    if (blockIndex >= BLOCK_TRANSACTIONS_MAX) {
      const most = BLOCK_TRANSACTIONS_MAX - 1;
      const message = `replay height ${height}: block_index ${blockIndex} is above ${most}, the largest of a simulated block`;
      throw new KithError('bad-replay', message);
    }
    // On the chain there is no list of no flags.
    return transaction.flags?.length === 0 ? { ...transaction, flags: undefined } : transaction;
  } catch (cause) {
    if (!isKithError(cause)) throw cause;
    throw new KithError('bad-replay', cause.message, { cause });
  }
}
