// The one loop through which everything that changes registrations goes to the sealed store. While a batch is being
// synced the next one gathers, and while a crowd keeps coming for some milliseconds more; each batch is one commit, and
// each caller hears after it. If the commit fails, or a work throws, what was changed in memory is undone, the latest
// first: it has not happened.

import { KithError } from '../../core/errors.ts';
import type { RegId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import type { SealedStore, StoreWrite } from '../store/index.ts';
import {
  BATCH_INTERVAL_MS,
  BATCH_OPERATIONS_MAX,
  CROWD_WORKS,
  GATHER_MS_MAX,
  WAITING_OPERATIONS_MAX,
} from './limits.ts';

/** What is being gathered for one commit. */
export interface Batch {
  /** Nothing is to be written so far. */
  readonly isEmpty: boolean;
  write(...writes: readonly StoreWrite[]): void;
  /** To be called if the batch, or the work that called this, comes to nothing. */
  onUndo(undo: () => void): void;
  /** To be called once the batch is synced, before anybody hears of it. */
  onSynced(done: () => void): void;
}

export interface Work<T> {
  /** Registrations whose records it needs. */
  readonly regIds: readonly RegId[];
  /** What it adds to the size of a batch; at most BATCH_OPERATIONS_MAX. */
  readonly operations: number;
  /** Changes memory and names the writes. What it throws rejects its own caller only. */
  apply(batch: Batch): T;
}

/** Somebody who takes part in every batch. */
export interface BatchPart {
  /** Before anything is applied: reads what the works need. */
  prepare?(regIds: readonly RegId[]): Promise<void>;
  /** After all works were applied: adds what stands for the batch as a whole. */
  complete?(batch: Batch): void | Promise<void>;
}

export interface BatchWriter {
  /** Parts prepare together and complete in the order in which they joined. */
  join(part: BatchPart): void;
  /**
   * Resolves with what `apply` returned once its batch is synced; works are applied in the order of these calls.
   * @throws KithError `store-busy` and others of the store: then it has not happened.
   */
  run<T>(work: Work<T>): Promise<T>;
  /** Runs after everything that was asked before, while no batch is under way. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}

interface Gathering extends Batch {
  readonly writes: readonly StoreWrite[];
  /** Undoes what came after `mark()` returned this. */
  undoTo(mark: Mark): void;
  mark(): Mark;
  synced(): void;
}

interface Mark {
  readonly writes: number;
  readonly undos: number;
  readonly dones: number;
}

const NOTHING: Mark = { writes: 0, undos: 0, dones: 0 };

function gather(): Gathering {
  const writes: StoreWrite[] = [];
  const undos: (() => void)[] = [];
  const dones: (() => void)[] = [];
  return {
    get isEmpty() {
      return writes.length === 0;
    },
    writes,
    write: (...more) => void writes.push(...more),
    onUndo: (undo) => void undos.push(undo),
    onSynced: (done) => void dones.push(done),
    mark: () => ({ writes: writes.length, undos: undos.length, dones: dones.length }),
    undoTo(mark) {
      for (const undo of undos.splice(mark.undos).reverse()) undo();
      writes.length = mark.writes;
      dones.length = mark.dones;
    },
    synced() {
      for (const done of dones) done();
    },
  };
}

type Waiting =
  | {
      readonly kind: 'work';
      readonly work: Work<unknown>;
      resolve(value: unknown): void;
      reject(error: unknown): void;
    }
  | { readonly kind: 'alone'; readonly run: () => Promise<void> };

type WaitingWork = Extract<Waiting, { kind: 'work' }>;

export function createBatchWriter({ clock, store }: { clock: Clock; store: SealedStore }): BatchWriter {
  const parts: BatchPart[] = [];
  let queue: Waiting[] = [];
  let waiting = 0;
  let armed = false;
  let running: Promise<void> | undefined;
  /** When the next batch may begin, on the monotonic clock. */
  let earliestMs = 0;

  /** The works up to the next that wants to be alone, as many as one batch takes. */
  function nextWorks(): WaitingWork[] {
    const works: WaitingWork[] = [];
    let operations = 0;
    for (const item of queue) {
      if (item.kind === 'alone') break;
      operations += item.work.operations;
      if (works.length > 0 && operations > BATCH_OPERATIONS_MAX) break;
      works.push(item);
    }
    queue = queue.slice(works.length);
    for (const { work } of works) waiting -= work.operations;
    return works;
  }

  async function writeBatch(works: readonly WaitingWork[]): Promise<void> {
    const batch = gather();
    const applied: { readonly item: WaitingWork; readonly value: unknown }[] = [];
    try {
      const regIds = works.flatMap(({ work }) => work.regIds);
      for (const part of parts) await part.prepare?.(regIds);
      for (const item of works) {
        const mark = batch.mark();
        try {
          applied.push({ item, value: item.work.apply(batch) });
        } catch (error) {
          batch.undoTo(mark);
          item.reject(error);
        }
      }
      for (const part of parts) await part.complete?.(batch);
      if (!batch.isEmpty) await store.commit(batch.writes, { urgent: true });
    } catch (error) {
      batch.undoTo(NOTHING);
      for (const { reject } of works) reject(error);
      return;
    }
    batch.synced();
    for (const { item, value } of applied) item.resolve(value);
  }

  async function drain(): Promise<void> {
    for (let next = queue[0]; next && !isResting(); next = queue[0]) {
      if (next.kind === 'alone') {
        queue = queue.slice(1);
        await next.run();
      } else {
        const works = nextWorks();
        earliestMs = works.length >= CROWD_WORKS ? clock.monotonic() + BATCH_INTERVAL_MS : 0;
        await writeBatch(works);
      }
    }
    running = undefined;
    startSoon();
  }

  const restMs = (): number => earliestMs - clock.monotonic();

  /** Whether the next batch waits, so that the operations of a crowd come together. */
  const isResting = (): boolean =>
    restMs() > 0 && waiting < BATCH_OPERATIONS_MAX && !queue.some(({ kind }) => kind === 'alone');

  function start(): void {
    armed = false;
    // What begins to drain has something to do: it is under way when `running` is set, and not over.
    if (running || queue.length === 0) return;
    if (isResting()) startSoon();
    else running = drain();
  }

  function startSoon(): void {
    if (running || queue.length === 0) return;
    if (waiting >= BATCH_OPERATIONS_MAX) start();
    else if (!armed) {
      armed = true;
      clock.schedule(Math.max(GATHER_MS_MAX, restMs()), start);
    }
  }

  return {
    join: (part) => void parts.push(part),
    run<T>(work: Work<T>) {
      if (waiting + work.operations > WAITING_OPERATIONS_MAX) {
        return Promise.reject(new KithError('store-busy', `${waiting} operations are waiting for the disk already`));
      }
      waiting += work.operations;
      return new Promise<T>((resolve, reject) => {
        queue.push({ kind: 'work', work, resolve: resolve as (value: unknown) => void, reject });
        startSoon();
      });
    },
    alone<T>(work: () => Promise<T>) {
      return new Promise<T>((resolve, reject) => {
        queue.push({ kind: 'alone', run: () => work().then(resolve, reject) });
        start();
      });
    },
  };
}
