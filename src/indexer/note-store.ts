// The indexed chain: one record for each height from `start` to `cursor`, no hole in between. Records, cursor and what
// the caller seals go to the disk in one batch, and only then is the cursor's new value told to anybody.
//
// What is read back is checked: opening hashes everything once and keeps the head of the chain at each 256th height;
// a read hashes the stretches it touches again. So a host that alters the disk later is seen as well. What was appended
// last is answered from memory: it is what each new registration asks for.

import { concatBytes, equalBytes, u64be, utf8 } from '../core/bytes.ts';
import { abortError } from '../core/deadline.ts';
import { indexerError } from './errors.ts';
import { RECENT_BYTES_MAX, RECENT_HEIGHTS_MAX, STRETCH_HEIGHTS } from './limits.ts';
import type { ChainBlock, HeightRange, SourceBlock, Store, StoreOp } from './ports.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  decodeRecord,
  encodeCheckpoint,
  encodeRecord,
  firstDigest,
  nextDigest,
} from './record.ts';

const ROW_PREFIX = utf8('chain/row/');
const CHECKPOINT_KEY = utf8('chain/checkpoint');

const rowKey = (height: number): Uint8Array => concatBytes(ROW_PREFIX, u64be(height));

export interface NoteStoreOptions {
  /**
   * What the caller sealed last. With it nothing on the disk is believed that it does not vouch for; rows beyond it
   * are fetched again. Without it the store's own checkpoint counts: only for disks that nobody else can write.
   */
  readonly sealed?: Uint8Array | undefined;
  /** Further writes for the same batch, as a rule one: the sealed checkpoint. */
  readonly seal?: ((checkpoint: Uint8Array) => readonly StoreOp[]) | undefined;
}

export interface NoteStore {
  /** Undefined until `pin`. */
  readonly checkpoint: Checkpoint | undefined;
  /** Fixes chain and first height, once and for all. */
  pin(chainId: string, start: number): Promise<void>;
  /**
   * Appends the blocks that follow the cursor and resolves once they are on the disk.
   * @throws KithError `chain-disagreement` when a block does not link to the one before it; nothing is then written.
   */
  append(blocks: readonly SourceBlock[]): Promise<void>;
  /**
   * The blocks of a range, which must be covered.
   * @throws KithError `store-corrupt` when the disk is not what was written.
   */
  read(from: number, to: number): AsyncGenerator<ChainBlock, void, undefined>;
  /** The parts of [from, to] that are not indexed: before the start, after the cursor. */
  gaps(from: number, to: number): HeightRange[];
  /** Resolves once the cursor has reached `height`. */
  reached(height: number, options: { signal: AbortSignal }): Promise<void>;
}

/** @throws KithError `store-rolled-back` or `store-corrupt`. */
export async function openNoteStore(store: Store, options: NoteStoreOptions = {}): Promise<NoteStore> {
  const own = await store.get(CHECKPOINT_KEY);
  const trusted = options.sealed ?? own;
  if (!trusted) return new Notes(store, options, undefined);
  const checkpoint = readCheckpoint(trusted);
  if (options.sealed && (!own || readCheckpoint(own).cursor < checkpoint.cursor)) {
    throw indexerError('store-rolled-back', `the disk holds less of the chain than was sealed (${checkpoint.cursor})`);
  }
  const notes = new Notes(store, options, checkpoint);
  await notes.scan();
  return notes;
}

function readCheckpoint(encoded: Uint8Array): Checkpoint {
  try {
    return decodeCheckpoint(encoded);
  } catch (cause) {
    throw indexerError('store-corrupt', 'the checkpoint of the chain cannot be read', cause);
  }
}

/** A row that was appended, and what it decodes to once somebody has asked. */
interface RecentRow {
  readonly record: Uint8Array;
  block?: ChainBlock;
}

interface Waiter {
  readonly height: number;
  resolve(): void;
}

class Notes implements NoteStore {
  readonly #store: Store;
  readonly #seal: NonNullable<NoteStoreOptions['seal']>;
  #checkpoint: Checkpoint | undefined;
  /** Head of the chain before height start + i * STRETCH_HEIGHTS. */
  #marks: Uint8Array[] = [];
  #tipHash: Uint8Array | undefined;
  /** The last rows, by height. */
  readonly #recent = new Map<number, RecentRow>();
  #recentBytes = 0;
  readonly #waiters = new Set<Waiter>();

  constructor(store: Store, options: NoteStoreOptions, checkpoint: Checkpoint | undefined) {
    this.#store = store;
    this.#seal = options.seal ?? (() => []);
    this.#checkpoint = checkpoint;
    if (checkpoint) this.#marks = [firstDigest(checkpoint.chainId, checkpoint.start)];
  }

  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint;
  }

  #pinned(): Checkpoint {
    if (!this.#checkpoint) throw indexerError('bad-options', 'the chain and its first height are not known yet');
    return this.#checkpoint;
  }

  /** Hashes every record once. */
  async scan(): Promise<void> {
    const { start, cursor, digest } = this.#pinned();
    let head = this.#marks[0]!;
    let last: Uint8Array | undefined;
    for await (const [height, record] of this.#records(start, cursor)) {
      this.#mark(height, head);
      head = nextDigest(head, height, record);
      last = record;
    }
    if (!equalBytes(head, digest)) throw corrupt(start, cursor);
    if (last) this.#tipHash = decodeRecord(cursor, last).hash;
  }

  #mark(height: number, headBefore: Uint8Array): void {
    const offset = height - this.#pinned().start;
    if (offset > 0 && offset % STRETCH_HEIGHTS === 0) this.#marks.push(headBefore);
  }

  async *#records(from: number, to: number): AsyncGenerator<readonly [number, Uint8Array], void, undefined> {
    if (from > to) return;
    let expected = from;
    for await (const [key, record] of this.#store.range(rowKey(from), rowKey(to + 1))) {
      if (!equalBytes(key, rowKey(expected))) throw corrupt(from, to);
      yield [expected++, record];
    }
    if (expected !== to + 1) throw corrupt(from, to);
  }

  async pin(chainId: string, start: number): Promise<void> {
    if (this.#checkpoint) throw indexerError('bad-options', 'chain and first height are pinned already');
    const digest = firstDigest(chainId, start);
    const checkpoint = { chainId, start, cursor: start - 1, digest };
    await this.#commit(checkpoint, []);
    this.#marks = [digest];
    this.#checkpoint = checkpoint;
  }

  async #commit(checkpoint: Checkpoint, rows: readonly StoreOp[]): Promise<void> {
    const encoded = encodeCheckpoint(checkpoint);
    await this.#store.batch([...rows, { kind: 'put', key: CHECKPOINT_KEY, value: encoded }, ...this.#seal(encoded)]);
  }

  async append(blocks: readonly SourceBlock[]): Promise<void> {
    const before = this.#pinned();
    const rows: StoreOp[] = [];
    const records: Uint8Array[] = [];
    const heads: Uint8Array[] = [];
    let { cursor, digest } = before;
    let tipHash = this.#tipHash;
    for (const block of blocks) {
      if (block.height !== cursor + 1) {
        throw indexerError('bad-answer', `expected height ${cursor + 1}, got ${block.height}`);
      }
      if (tipHash && block.parentHash && !equalBytes(tipHash, block.parentHash)) {
        throw indexerError('chain-disagreement', `block ${block.height} does not follow the block stored at ${cursor}`);
      }
      const record = encodeRecord(block);
      rows.push({ kind: 'put', key: rowKey(block.height), value: record });
      records.push(record);
      heads.push(digest);
      digest = nextDigest(digest, block.height, record);
      cursor = block.height;
      tipHash = block.hash;
    }
    const after = { ...before, cursor, digest };
    await this.#commit(after, rows);
    for (const [i, { height }] of blocks.entries()) {
      this.#mark(height, heads[i]!);
      this.#remember(height, records[i]!);
    }
    this.#tipHash = tipHash;
    this.#checkpoint = after;
    for (const waiter of this.#waiters) if (waiter.height <= cursor) waiter.resolve();
  }

  #remember(height: number, record: Uint8Array): void {
    this.#recent.set(height, { record });
    this.#recentBytes += record.length;
    for (const [oldest, row] of this.#recent) {
      if (this.#recent.size <= RECENT_HEIGHTS_MAX && this.#recentBytes <= RECENT_BYTES_MAX) break;
      this.#recent.delete(oldest);
      this.#recentBytes -= row.record.length;
    }
  }

  async *read(from: number, to: number): AsyncGenerator<ChainBlock, void, undefined> {
    const { start, cursor } = this.#pinned();
    if (from < start || to > cursor) {
      throw indexerError('bad-options', `heights ${from} to ${to} asked for, ${start} to ${cursor} are indexed`);
    }
    // The last rows have no hole: what begins among them ends among them.
    if (this.#recent.has(from)) yield* this.#readRecent(from, to);
    else yield* this.#readStored(from, to);
  }

  async *#readRecent(from: number, to: number): AsyncGenerator<ChainBlock, void, undefined> {
    for (let height = from; height <= to; height++) {
      const row = this.#recent.get(height);
      if (!row) {
        // Forgotten while the reader took its time.
        yield* this.#readStored(height, to);
        return;
      }
      row.block ??= decodeRecord(height, row.record);
      yield row.block;
    }
  }

  async *#readStored(from: number, to: number): AsyncGenerator<ChainBlock, void, undefined> {
    const { start, cursor, digest } = this.#pinned();
    for (let stretch = Math.floor((from - start) / STRETCH_HEIGHTS); ; stretch++) {
      const first = start + stretch * STRETCH_HEIGHTS;
      if (first > to) return;
      const last = Math.min(first + STRETCH_HEIGHTS - 1, cursor);
      const wanted: (readonly [number, Uint8Array])[] = [];
      let head = this.#marks[stretch]!;
      for await (const [height, record] of this.#records(first, last)) {
        head = nextDigest(head, height, record);
        if (height >= from && height <= to) wanted.push([height, record]);
      }
      const expected = last === cursor ? digest : this.#marks[stretch + 1]!;
      if (!equalBytes(head, expected)) throw corrupt(first, last);
      for (const [height, record] of wanted) yield decodeRecord(height, record);
    }
  }

  gaps(from: number, to: number): HeightRange[] {
    if (!this.#checkpoint) return from <= to ? [{ from, to }] : [];
    const { start, cursor } = this.#checkpoint;
    const parts = [
      { from, to: Math.min(to, start - 1) },
      { from: Math.max(from, cursor + 1, start), to },
    ];
    return parts.filter((part) => part.from <= part.to);
  }

  reached(height: number, { signal }: { signal: AbortSignal }): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortError(signal));
        return;
      }
      if (this.#checkpoint && this.#checkpoint.cursor >= height) {
        resolve();
        return;
      }
      const done = () => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        done();
        reject(abortError(signal));
      };
      const waiter = {
        height,
        resolve: () => {
          done();
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function corrupt(from: number, to: number) {
  return indexerError(
    'store-corrupt',
    `the rows of heights ${from} to ${to} are not those that were written; restore the disk or index anew`,
  );
}
