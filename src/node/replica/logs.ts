// The logs of all members, that of this boot and the heads of the others: what takes part in every batch.

import { writerIdOf } from '../../replication/index.ts';
import type { BatchWriter } from '../registrations/batch-writer.ts';
import type { SealedStore } from '../store/index.ts';
import { type Heads, openHeads } from './heads.ts';
import { type LogBook, openLogBook } from './log-book.ts';
import { createOwnLog, type OwnLog, type OwnLogOptions } from './own-log.ts';

export interface Logs {
  readonly book: LogBook;
  readonly own: OwnLog;
  readonly heads: Heads;
}

/** Reads what the store holds. */
export async function openLogs(
  deps: { readonly store: SealedStore; readonly writer: BatchWriter },
  options: OwnLogOptions,
): Promise<Logs> {
  const book = await openLogBook(deps, writerIdOf(options));
  const own = createOwnLog(book, options);
  const heads = await openHeads(deps);
  deps.writer.join(own);
  return { book, own, heads };
}
