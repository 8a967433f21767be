// The key-value port and the header file in memory, for tests and the simulator: a disk that can crash, fail and be
// tampered with. A crash leaves what was synced and a prefix of the rest.

import { storeError } from './errors.ts';
import type { HeaderFile } from './header.ts';
import type { KeyValueOp, KeyValueStore } from './key-value.ts';
import { bytesOf, nameOf } from './record-index.ts';

/** Entries by key; a key's bytes are its characters. */
export type DiskImage = ReadonlyMap<string, Uint8Array>;

/** `full`: nothing is written. `torn`: an error although it is written, as a crash or the next batch will show. */
export type BatchFate = 'written' | 'full' | 'torn';

export interface MemoryDisk {
  /** @throws KithError `store-locked` while it is open. */
  open(): KeyValueStore;
  /** Batches a crash now may or may not keep. */
  readonly unsynced: number;
  /** What a reader sees now. */
  image(): DiskImage;
  /** Puts other contents in place, whether or not it is open: the host may. */
  replace(image: DiskImage): void;
  /**
   * Stops the machine: calls under way and later ones on the open store never settle. The disk then holds what was
   * synced and the first `keep` of the unsynced batches, and can be opened again.
   */
  crash(keep: number): void;
}

export interface MemoryDiskOptions {
  readonly image?: DiskImage;
  /** Decides what becomes of a batch; while it waits, the batch is under way and unsynced. */
  readonly onBatch?: (ops: readonly KeyValueOp[]) => BatchFate | Promise<BatchFate>;
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

export function createMemoryDisk(options: MemoryDiskOptions = {}): MemoryDisk {
  let synced = copyOf(options.image ?? new Map());
  let visible = copyOf(synced);
  /** Written, not synced. */
  let pending: (readonly KeyValueOp[])[] = [];
  /** Written although an error was given; not visible before the next batch. */
  let torn: (readonly KeyValueOp[])[] = [];
  /** Which of the stores handed out is alive. */
  let generation = 0;
  let locked = false;

  function syncAll(): void {
    for (const ops of pending) apply(synced, ops);
    pending = [];
  }

  function showTorn(): void {
    for (const ops of torn) apply(visible, ops);
    torn = [];
  }

  function openStore(): KeyValueStore {
    const own = ++generation;
    let closed = false;
    /** Stands between every call and the disk. */
    async function guard(): Promise<void> {
      if (own !== generation) return never();
      if (closed) throw storeError('store-closed', 'the store is closed');
    }
    return {
      async get(key) {
        await guard();
        return visible.get(nameOf(key))?.slice();
      },
      async *range(from, to) {
        await guard();
        // One character is one byte: names are in the order of their keys.
        const [low, high] = [nameOf(from), to && nameOf(to)];
        const names = [...visible.keys()].filter((name) => name >= low && (high === undefined || name < high)).sort();
        yield* names.map((name) => [bytesOf(name), visible.get(name)!.slice()] as const);
      },
      async batch(ops, { sync = true } = {}) {
        await guard();
        const copied = ops.map(copyOp);
        showTorn();
        pending.push(copied);
        const fate = (await options.onBatch?.(copied)) ?? 'written';
        await guard();
        if (fate === 'full') pending = pending.filter((other) => other !== copied);
        if (fate === 'torn') torn.push(copied);
        if (fate !== 'written') throw storeError('store-full', 'no space left on the disk');
        apply(visible, copied);
        if (sync) syncAll();
      },
      async close() {
        if (own !== generation) return never();
        if (closed) return;
        closed = true;
        locked = false;
        syncAll();
        showTorn();
      },
    };
  }

  return {
    open() {
      if (locked) throw storeError('store-locked', 'the store is open already');
      locked = true;
      return openStore();
    },
    get unsynced() {
      return pending.length;
    },
    image: () => copyOf(visible),
    replace(image) {
      synced = copyOf(image);
      visible = copyOf(image);
      pending = [];
      torn = [];
    },
    crash(keep) {
      generation++;
      for (const ops of pending.slice(0, keep)) apply(synced, ops);
      pending = [];
      torn = [];
      visible = copyOf(synced);
      locked = false;
    },
  };
}

/** A header file that forgets nothing and loses nothing. */
export function createMemoryHeaderFile(content?: Uint8Array): HeaderFile {
  let stored = content?.slice();
  return {
    read: async () => stored?.slice(),
    async write(header) {
      stored = header.slice();
    },
  };
}

function copyOf(image: DiskImage): Map<string, Uint8Array> {
  return new Map([...image].map(([name, value]) => [name, value.slice()]));
}

function copyOp(op: KeyValueOp): KeyValueOp {
  const key = op.key.slice();
  return op.kind === 'put' ? { kind: 'put', key, value: op.value.slice() } : { kind: 'delete', key };
}

function apply(image: Map<string, Uint8Array>, ops: readonly KeyValueOp[]): void {
  for (const op of ops) {
    if (op.kind === 'put') image.set(nameOf(op.key), op.value);
    else image.delete(nameOf(op.key));
  }
}
