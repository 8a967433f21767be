import { describe, expect, it } from 'vitest';
import type { RegId } from '../../../src/core/ids.ts';
import type { Clock } from '../../../src/core/ports.ts';
import { type Batch, createBatchWriter, type Work } from '../../../src/node/registrations/batch-writer.ts';
import {
  BATCH_INTERVAL_MS,
  BATCH_OPERATIONS_MAX,
  CROWD_WORKS,
  GATHER_MS_MAX,
  WAITING_OPERATIONS_MAX,
} from '../../../src/node/registrations/limits.ts';
import { type BatchFate, createMemoryDisk, type SealedStore } from '../../../src/node/store/index.ts';
import { createImmediateClock } from '../../support/immediate-clock.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { codeOf, itemShape, makeStore } from '../../support/sealed-store.ts';

async function world(clock: Clock = createImmediateClock()) {
  let fate: BatchFate = 'written';
  let gate: Promise<void> | undefined;
  const disk = createMemoryDisk({
    onBatch: async () => {
      await gate;
      return fate;
    },
  });
  const { store } = await makeStore(disk.open());
  const writer = createBatchWriter({ clock, store });
  const items = store.namespace('items', itemShape);
  const memory: number[] = [];
  /** Remembers a number, in memory and on the disk. */
  const remember = (number: number, more: Partial<Work<number>> = {}): Work<number> => ({
    regIds: [],
    operations: 1,
    apply(batch: Batch) {
      memory.push(number);
      batch.onUndo(() => void memory.splice(memory.indexOf(number), 1));
      batch.write(items.put(Uint8Array.of(number), { count: number, data: new Uint8Array(0) }));
      return number;
    },
    ...more,
  });
  return {
    writer,
    memory,
    remember,
    stored: () => items.size,
    batches: (of: SealedStore = store) => of.head.batchSeq,
    setFate: (next: BatchFate) => {
      fate = next;
    },
    /** The disk stands still until the answer is called. */
    hold() {
      let open = (): void => undefined;
      gate = new Promise((resolve) => {
        open = resolve;
      });
      return () => {
        gate = undefined;
        open();
      };
    },
  };
}

describe('the batch writer', () => {
  it('writes what comes together, or while the disk is busy, with one commit', async () => {
    const { writer, remember, batches, hold } = await world();
    const release = hold();
    const first = writer.run(remember(1));
    const begun = new Promise<void>((resolve) => void setImmediate(() => setImmediate(resolve)));
    await begun;
    const later = [2, 3, 4].map((number) => writer.run(remember(number)));
    release();
    expect(await Promise.all([first, ...later])).toEqual([1, 2, 3, 4]);
    expect(batches()).toBe(2);
  });

  it('lets a crowd come together, and nobody wait who comes alone', async () => {
    const clock = createManualClock();
    const { writer, remember, batches } = await world(clock);
    const crowd = Array.from({ length: CROWD_WORKS }, (_, i) => writer.run(remember(i)));
    await clock.advance(GATHER_MS_MAX);
    await Promise.all(crowd);
    expect(batches()).toBe(1);
    // Of these the first would not have waited for the last.
    const later: Promise<number>[] = [];
    for (const number of [50, 51, 52]) {
      later.push(writer.run(remember(number)));
      await clock.advance(GATHER_MS_MAX);
    }
    expect(batches()).toBe(1);
    await clock.advance(BATCH_INTERVAL_MS);
    expect(await Promise.all(later)).toEqual([50, 51, 52]);
    expect(batches()).toBe(2);
    for (const number of [60, 61]) {
      const alone = writer.run(remember(number));
      await clock.advance(GATHER_MS_MAX);
      expect(await alone).toBe(number);
    }
    expect(batches()).toBe(4);
  });

  it('goes on after work that had to be alone came between a crowd and its next batch', async () => {
    const clock = createManualClock();
    const { writer, remember, batches } = await world(clock);
    const crowd = Array.from({ length: CROWD_WORKS }, (_, i) => writer.run(remember(i)));
    // Begins at once, while the batch was to begin in two milliseconds.
    const alone = writer.alone(async () => batches());
    await clock.advance(0);
    await Promise.all(crowd);
    expect(await alone).toBe(1);
    const later = writer.run(remember(50));
    await clock.advance(GATHER_MS_MAX);
    expect(batches()).toBe(1);
    await clock.advance(BATCH_INTERVAL_MS);
    expect(await later).toBe(50);
  });

  it('does not keep a full batch waiting, nor who wants to be alone', async () => {
    const clock = createManualClock();
    const { writer, remember, batches } = await world(clock);
    const full = remember(1, { operations: BATCH_OPERATIONS_MAX });
    const first = writer.run(full);
    const second = writer.run(full);
    await clock.advance(0);
    expect(await Promise.all([first, second])).toEqual([1, 1]);
    expect(batches()).toBe(2);
    const waiting = writer.run(remember(2));
    const alone = writer.alone(async () => batches());
    await clock.advance(0);
    expect(await Promise.all([waiting, alone])).toEqual([2, 3]);
  });

  it('takes no more into a batch than its limit, and no more into its queue than that', async () => {
    const { writer, remember, batches } = await world();
    const large = { operations: BATCH_OPERATIONS_MAX };
    await Promise.all([1, 2, 3].map((number) => writer.run(remember(number, large))));
    expect(batches()).toBe(3);
    const full = { operations: WAITING_OPERATIONS_MAX };
    const held = [writer.run(remember(4, full)), writer.run(remember(5, full))];
    expect(await codeOf(writer.run(remember(6)))).toBe('store-busy');
    await Promise.all(held);
    expect(await writer.run(remember(7))).toBe(7);
  });

  it('undoes a batch that could not be written, the latest first, and tells each caller', async () => {
    const { writer, memory, remember, stored, setFate } = await world();
    await writer.run(remember(1));
    setFate('full');
    const undone: number[] = [];
    const failing = [2, 3].map((number) =>
      writer.run(
        remember(number, {
          apply: (batch) => {
            batch.onUndo(() => void undone.push(number));
            batch.onSynced(() => void undone.push(-1));
            return remember(number).apply(batch);
          },
        }),
      ),
    );
    expect(await Promise.all(failing.map(codeOf))).toEqual(['store-full', 'store-full']);
    expect(undone).toEqual([3, 2]);
    expect(memory).toEqual([1]);
    setFate('written');
    await writer.run(remember(4));
    expect([memory, stored()]).toEqual([[1, 4], 2]);
  });

  it('lets a work that throws fail alone, with nothing left of it', async () => {
    const { writer, memory, remember, stored, batches } = await world();
    const throwing = remember(2, {
      apply: (batch) => {
        remember(2).apply(batch);
        throw new RangeError('no');
      },
    });
    const [one, two, three] = [writer.run(remember(1)), codeOf(writer.run(throwing)), writer.run(remember(3))];
    expect([await one, await two, await three]).toEqual([1, 'RangeError: no', 3]);
    expect([memory, stored(), batches()]).toEqual([[1, 3], 2, 1]);
  });

  it('writes nothing where nothing changes', async () => {
    const { writer, batches } = await world();
    expect(await writer.run({ regIds: [], operations: 1, apply: () => 'looked' })).toBe('looked');
    expect(batches()).toBe(0);
  });

  it('lets parts read before and add after the works of a batch', async () => {
    const { writer, remember } = await world();
    const seen: string[] = [];
    writer.join({
      prepare: async (regIds) => void seen.push(`prepare ${regIds.join()}`),
      complete: async (batch) => void seen.push(`complete ${batch.isEmpty}`),
    });
    const regIds = ['a', 'b'] as unknown as RegId[];
    await writer.run(remember(1, { regIds, apply: (batch) => seen.push('apply') && remember(1).apply(batch) }));
    expect(seen).toEqual(['prepare a,b', 'apply', 'complete false']);
  });

  it('runs what wants to be alone between batches, in its turn', async () => {
    const { writer, remember, memory, stored } = await world();
    const seen: [number, number][] = [];
    const alone = () =>
      writer.alone(async () => {
        await Promise.resolve();
        seen.push([memory.length, stored()]);
      });
    const works = [writer.run(remember(1)), alone(), writer.run(remember(2)), writer.run(remember(3)), alone()];
    await Promise.all(works);
    expect(seen).toEqual([
      [1, 1],
      [3, 3],
    ]);
    expect(await codeOf(writer.alone(() => Promise.reject(new RangeError('no'))))).toBe('RangeError: no');
    expect(await writer.run(remember(4))).toBe(4);
  });
});
