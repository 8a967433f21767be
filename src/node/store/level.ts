// The key-value port on LevelDB, the only importer of classic-level.
//
// After a failed write LevelDB must not be written to again: its log may end in half a record, and readers drop what
// follows one, synced or not. So the next batch first closes and reopens the database, which replays the log up to the
// damage into a new file.

import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { messageOf } from '../../core/errors.ts';
import { storeError } from './errors.ts';
import type { KeyValueOp, KeyValueStore } from './key-value.ts';

/** Reopening writes what the log holds to a table: as much as LevelDB's write buffer of 4 MiB, and its own books. */
const REOPEN_BYTES = 5 * 1024 * 1024;

/**
 * LevelDB maps each table it has open into memory, 2 MB each, and keeps a thousand open unless told otherwise: with a
 * long chain that alone would be gigabytes. Thirty-two, less ten it reserves, hold the working set of a scan.
 */
const OPEN_FILES_MAX = 32;

/** What an iterator reads ahead at a time: a start that looks at each record spends a third less time waiting. */
const READ_AHEAD_BYTES = 256 * 1024;

type Level = ClassicLevel<Uint8Array, Uint8Array>;

export interface LevelStoreOptions {
  /** Worth it for public rows; ciphertexts do not shrink. */
  readonly compression?: boolean;
}

/**
 * Opens the database in `folder`, made if it is not there.
 * @throws KithError `store-locked`, `store-corrupt`, `store-unavailable`.
 */
export async function openLevelStore(folder: string, options: LevelStoreOptions = {}): Promise<KeyValueStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw openError(folder, error);
  });
  const first = await openLevel(folder, options);
  return new LevelStore(folder, options, first);
}

async function openLevel(folder: string, { compression = false }: LevelStoreOptions): Promise<Level> {
  const level: Level = new ClassicLevel(folder, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression,
    maxOpenFiles: OPEN_FILES_MAX,
  });
  try {
    await level.open();
  } catch (error) {
    throw openError(folder, error);
  }
  return level;
}

function openError(folder: string, error: unknown): Error {
  const cause = error instanceof Error && error.cause ? error.cause : error;
  const code = codeOf(cause);
  if (code === 'LEVEL_LOCKED') return storeError('store-locked', `another process has ${folder} open`, error);
  if (code === 'LEVEL_CORRUPTION') return storeError('store-corrupt', `the database in ${folder} is damaged`, error);
  return storeError('store-unavailable', `cannot open the store in ${folder}: ${messageOf(cause)}`, error);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function readError(error: unknown): Error {
  if (codeOf(error) === 'LEVEL_CORRUPTION') return storeError('store-corrupt', 'the database is damaged', error);
  return storeError('store-unavailable', `the disk cannot be read: ${messageOf(error)}`, error);
}

/** classic-level hands out Buffers, whose `slice` shares memory and which compare and print differently. */
const plain = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);

class LevelStore implements KeyValueStore {
  readonly #folder: string;
  readonly #options: LevelStoreOptions;
  #level: Promise<Level>;
  #failed = false;
  /** Batches one after another: a reopening must not cross another's write. */
  #writes: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(folder: string, options: LevelStoreOptions, level: Level) {
    this.#folder = folder;
    this.#options = options;
    this.#level = Promise.resolve(level);
  }

  #throwIfClosed(): void {
    if (this.#closing) throw storeError('store-closed', 'the store is closed');
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#throwIfClosed();
    const level = await this.#level;
    try {
      const value = await level.get(key);
      return value && plain(value);
    } catch (error) {
      throw readError(error);
    }
  }

  async *range(from: Uint8Array, to?: Uint8Array): AsyncGenerator<readonly [Uint8Array, Uint8Array], void, undefined> {
    this.#throwIfClosed();
    const level = await this.#level;
    try {
      const range = { gte: from, ...(to ? { lt: to } : {}), highWaterMarkBytes: READ_AHEAD_BYTES };
      for await (const [key, value] of level.iterator(range)) {
        yield [plain(key), plain(value)];
      }
    } catch (error) {
      throw readError(error);
    }
  }

  batch(ops: readonly KeyValueOp[], options: { readonly sync?: boolean } = {}): Promise<void> {
    const written = this.#writes.then(() => this.#batch(ops, options.sync ?? true));
    this.#writes = written.catch(() => undefined);
    return written;
  }

  async #batch(ops: readonly KeyValueOp[], sync: boolean): Promise<void> {
    this.#throwIfClosed();
    if (this.#failed) await this.#reopen();
    const level = await this.#level;
    const writes = ops.map((op) =>
      op.kind === 'put'
        ? { type: 'put' as const, key: op.key, value: op.value }
        : { type: 'del' as const, key: op.key },
    );
    try {
      await level.batch(writes, { sync });
    } catch (error) {
      this.#failed = true;
      throw storeError('store-full', `the disk took no more: ${messageOf(error)}`, error);
    }
  }

  /** Not before there is room for it: until then the open database still answers reads. */
  async #reopen(): Promise<void> {
    await this.#probe();
    const old = await this.#level;
    const reopened = (async () => {
      await old.close();
      return openLevel(this.#folder, this.#options);
    })();
    this.#level = reopened;
    try {
      await reopened;
      this.#failed = false;
    } catch (error) {
      // The next batch, and every read until then, meets a closed database and says so.
      this.#level = Promise.resolve(old);
      throw storeError('store-full', `the store could not be reopened: ${messageOf(error)}`, error);
    }
  }

  async #probe(): Promise<void> {
    const path = join(this.#folder, 'probe.tmp');
    try {
      const file = await open(path, 'w', 0o600);
      try {
        await file.writeFile(new Uint8Array(REOPEN_BYTES));
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      throw storeError('store-full', `the disk takes no more: ${messageOf(error)}`, error);
    } finally {
      await rm(path, { force: true });
    }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#writes;
      const level = await this.#level;
      await level.close();
    })();
    return this.#closing;
  }
}
