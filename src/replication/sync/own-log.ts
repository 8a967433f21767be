// This boot's own log as pushes need it: read once, encoded once, for all peers. What all of them have got is wiped
// from memory; a peer that is slow costs no memory either, since it reads the store again.

import type { OperationRef, WriterId } from '../log-entry.ts';
import type { Replica } from '../replica.ts';
import { ENTRIES_PER_MESSAGE, OPERATIONS_PER_PUSH, OWN_LOG_CACHE_BYTES_MAX, PAGE_BYTES_MAX } from './limits.ts';
import { encodeEntry, refsOf } from './wire.ts';

export interface EncodedEntry {
  readonly seq: number;
  readonly encoded: Uint8Array;
  readonly refs: readonly OperationRef[];
}

export interface OwnLog {
  /** Entries from `from` on that fit into one push; none if there are none. */
  page(from: number): Promise<EncodedEntry[]>;
  /** Every peer has been sent everything up to `seq`: nobody asks for it soon. */
  release(seq: number): void;
  /** Bytes held, for tests and metrics. */
  readonly bytesHeld: number;
}

export function createOwnLog(deps: { readonly replica: Replica; readonly writer: WriterId }): OwnLog {
  const { replica, writer } = deps;
  const cached = new Map<number, EncodedEntry>();
  let bytesHeld = 0;
  let tail: Promise<unknown> = Promise.resolve();

  function drop(entry: EncodedEntry): void {
    cached.delete(entry.seq);
    bytesHeld -= entry.encoded.length;
    // It holds users' keys.
    entry.encoded.fill(0);
  }

  function fromCache(from: number): EncodedEntry[] {
    const page: EncodedEntry[] = [];
    let bytes = 0;
    let operations = 0;
    for (let entry = cached.get(from); entry; entry = cached.get(entry.seq + 1)) {
      bytes += entry.encoded.length + 8;
      operations += entry.refs.length;
      const full = bytes > PAGE_BYTES_MAX || operations > OPERATIONS_PER_PUSH || page.length === ENTRIES_PER_MESSAGE;
      if (page.length > 0 && full) break;
      // A copy: the cached one is wiped when it has served.
      page.push({ ...entry, encoded: entry.encoded.slice() });
    }
    return page;
  }

  async function read(from: number): Promise<EncodedEntry[]> {
    const held = fromCache(from);
    if (held.length > 0) return held;
    for (const item of await replica.read(writer, from, PAGE_BYTES_MAX)) {
      const entry: EncodedEntry = { seq: item.entry.seq, encoded: encodeEntry(item), refs: refsOf(item.entry) };
      const older = cached.get(entry.seq);
      if (older) drop(older);
      cached.set(entry.seq, entry);
      bytesHeld += entry.encoded.length;
    }
    const page = fromCache(from);
    for (const entry of cached.values()) {
      if (bytesHeld <= OWN_LOG_CACHE_BYTES_MAX) break;
      drop(entry);
    }
    return page;
  }

  return {
    page(from) {
      // One after another: what the first reads serves the others.
      const turn = tail.then(() => read(from));
      tail = turn.catch(() => undefined);
      return turn;
    },
    release(seq) {
      for (const entry of cached.values()) if (entry.seq <= seq) drop(entry);
    },
    get bytesHeld() {
      return bytesHeld;
    },
  };
}
