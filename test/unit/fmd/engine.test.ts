import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/core/ports.ts';
import { createFlag } from '../../../src/fmd/create-flag.ts';
import type { FlaggedTransaction, Lane } from '../../../src/fmd/detection-job.ts';
import { createDetectionEngine } from '../../../src/fmd/engine.ts';
import type { DetectionExecutor, DetectionUnit } from '../../../src/fmd/executor.ts';
import { encodeFlagBorsh } from '../../../src/fmd/flag.ts';
import { createInlineExecutor } from '../../../src/fmd/inline-executor.ts';
import { createKeyTable, type KeySlot, NO_KEY } from '../../../src/fmd/key-table.ts';
import { deriveDetectionKey, firstIndices, generateSecretKey, publicKeyOf } from '../../../src/fmd/keys.ts';
import { LANE_JOBS_MAX, TILE_ROWS } from '../../../src/fmd/limits.ts';
import { naiveDetect, randomDetectionKey, randomFlag } from '../../support/fmd.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('engine tests');

/** Calls back as soon as the promise jobs at hand are done: the engine only uses its clock to yield. */
const promptClock: Clock = {
  now: () => 0,
  monotonic: () => 0,
  schedule(_delayMs, callback) {
    let cancelled = false;
    setImmediate(() => {
      if (!cancelled) callback();
    });
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  },
};

const inlineEngine = () => createDetectionEngine({ executor: createInlineExecutor({ clock: promptClock }) });

const secret = generateSecretKey({ random });
const own = (): Uint8Array => encodeFlagBorsh(createFlag({ random }, publicKeyOf(secret)));
const foreign = (): Uint8Array => encodeFlagBorsh(randomFlag(random));
const ownKey = deriveDetectionKey(secret, firstIndices(20));

describe('the engine with the inline executor', () => {
  it('answers as the textbook does for every transaction and key', async () => {
    const engine = inlineEngine();
    await engine.start();
    const flags = Array.from({ length: 9 }, () => randomFlag(random));
    const transactions: FlaggedTransaction[] = [flags.slice(0, 1), flags.slice(1, 4), flags.slice(4)].map((some) => ({
      flags: some.map(encodeFlagBorsh),
    }));
    const keys = Array.from({ length: 11 }, (_, i) => randomDetectionKey(random, firstIndices(1 + (i % 3))));
    const slots = keys.map((key) => engine.add(key));
    const result = await engine.detect({ lane: 'head', transactions });
    expect([...result.slots].sort((a, b) => a - b)).toEqual(slots);
    const positions = slots.map((slot) => result.slots.indexOf(slot));
    expect(result.undecodable).toEqual([]);
    const expected = [flags.slice(0, 1), flags.slice(1, 4), flags.slice(4)].map((some) =>
      keys.map((key) => some.some((flag) => naiveDetect(flag, key))),
    );
    expect(transactions.map((_, i) => positions.map((position) => result.matches(i, position)))).toEqual(expected);
    await engine.stop();
  });

  it('matches a transaction without flags for everybody, and one with a broken flag too, and counts the latter', async () => {
    const engine = inlineEngine();
    const notOurs = randomDetectionKey(random, firstIndices(20));
    engine.add(notOurs);
    const noPoint = own();
    noPoint.fill(0xff, 36, 68);
    const transactions = [
      { flags: undefined },
      { flags: [] },
      { flags: [foreign(), noPoint] },
      { flags: [new Uint8Array(5)] },
      { flags: [foreign()] },
    ];
    const result = await engine.detect({ lane: 'head', transactions });
    expect(transactions.map((_, i) => result.matches(i, 0))).toEqual([true, true, true, true, false]);
    expect(result.undecodable).toEqual([2, 3]);
    await engine.stop();
  });

  it('tests only the keys that were asked for', async () => {
    const engine = inlineEngine();
    const first = engine.add(randomDetectionKey(random, [0]));
    const second = engine.add(ownKey);
    const result = await engine.detect({ lane: 'backfill', transactions: [{ flags: [own()] }], slots: [second] });
    expect(result.slots).toEqual([second]);
    expect(result.matches(0, 0)).toBe(true);
    expect(engine.stats.pairs).toBe(1);
    expect(engine.has(first)).toBe(true);
    await engine.stop();
  });

  it('answers a job without keys or without transactions', async () => {
    const engine = inlineEngine();
    expect((await engine.detect({ lane: 'head', transactions: [{ flags: [own()] }] })).slots).toEqual([]);
    engine.add(ownKey);
    expect((await engine.detect({ lane: 'head', transactions: [] })).slots.length).toBe(1);
    await engine.stop();
  });

  it('is not harmed by a key that is removed while its job runs', async () => {
    const engine = inlineEngine();
    const goes = engine.add(ownKey);
    const stays = engine.add(ownKey);
    const job = engine.detect({ lane: 'head', transactions: Array.from({ length: 40 }, () => ({ flags: [own()] })) });
    expect(engine.remove(goes)).toBe(true);
    expect(engine.remove(goes)).toBe(false);
    const result = await job;
    const position = result.slots.indexOf(stays);
    for (let i = 0; i < 40; i++) expect(result.matches(i, position)).toBe(true);
    await engine.stop();
  });
});

/** An executor whose units finish when the test says so. */
function controlledExecutor(options: { parallelism: number; pairsPerUnit: number; pairsPerFlag?: number }) {
  const waiting: { unit: DetectionUnit; finish: () => void; fail: (error: Error) => void }[] = [];
  const executor: DetectionExecutor = {
    kernel: 'controlled',
    packing: { classify: () => ({ name: 'one', rowBytes: 1 }), pack: (_key, row) => row.fill(1) },
    pairsPerFlag: 0,
    ...options,
    start: async () => undefined,
    run: (unit) =>
      new Promise((resolve, reject) => {
        const flags = unit.flags.length / 111;
        const keys = unit.selections.reduce((sum, { rows }) => sum + rows.length, 0);
        const rowBytes = Math.ceil(keys / 8);
        const result = { undecodable: new Uint8Array(flags), matches: new Uint8Array(flags * rowBytes) };
        waiting.push({ unit, finish: () => resolve(result), fail: reject });
      }),
    forget: () => undefined,
    stop: async () => undefined,
  };
  return { executor, waiting };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('lanes', () => {
  const transactions = (count: number) => Array.from({ length: count }, () => ({ flags: [new Uint8Array(111)] }));

  it('answers a job without pairs at once, however busy it is with others', async () => {
    const { executor, waiting } = controlledExecutor({ parallelism: 1, pairsPerUnit: 1 });
    const engine = createDetectionEngine({ executor });
    engine.add(ownKey);
    const busy = engine.detect({ lane: 'backfill', transactions: transactions(3) });
    await settled();
    expect(waiting).toHaveLength(1);
    const empty = await Promise.race([
      engine.detect({ lane: 'head', transactions: [{ flags: undefined }] }),
      settled().then(() => undefined),
    ]);
    expect(empty?.matches(0, 0)).toBe(true);
    busy.catch(() => undefined);
    await engine.stop();
  });

  it('answers a job whose last unit came back while others kept it from being looked at', async () => {
    const { executor, waiting } = controlledExecutor({ parallelism: 1, pairsPerUnit: 1 });
    const engine = createDetectionEngine({ executor });
    engine.add(ownKey);
    const backfill = engine.detect({ lane: 'backfill', transactions: transactions(1) });
    await settled();
    const head = engine.detect({ lane: 'head', transactions: transactions(2) });
    for (let unit = 0; unit < 3; unit++) {
      waiting.splice(0).forEach(({ finish }) => {
        finish();
      });
      await settled();
    }
    await head;
    const answered = await Promise.race([backfill, settled().then(() => undefined)]);
    expect(answered?.matches(0, 0)).toBe(false);
    await engine.stop();
  });

  it('let the head go first: at most the units in flight of the backfill come before it', async () => {
    const { executor, waiting } = controlledExecutor({ parallelism: 2, pairsPerUnit: 1 });
    const engine = createDetectionEngine({ executor });
    engine.add(ownKey);
    const finished: Lane[] = [];
    const backfill = engine
      .detect({ lane: 'backfill', transactions: transactions(10) })
      .then(() => finished.push('backfill'));
    const head = engine.detect({ lane: 'head', transactions: transactions(3) }).then(() => finished.push('head'));
    expect(engine.stats.pendingPairs).toEqual({ head: 3, backfill: 10 });
    let done = 0;
    while (finished.length === 0) {
      waiting.shift()!.finish();
      done++;
      await settled();
    }
    expect(finished).toEqual(['head']);
    expect(done).toBe(5);
    while (waiting.length > 0) {
      waiting.shift()!.finish();
      await settled();
    }
    await Promise.all([head, backfill]);
    expect(engine.stats.pairs).toBe(13);
    expect(engine.stats.pendingPairs).toEqual({ head: 0, backfill: 0 });
  });

  it('are bounded', async () => {
    const { executor } = controlledExecutor({ parallelism: 1, pairsPerUnit: 1 });
    const engine = createDetectionEngine({ executor });
    engine.add(ownKey);
    const jobs = Array.from({ length: LANE_JOBS_MAX }, () =>
      engine.detect({ lane: 'head', transactions: transactions(1) }),
    );
    for (const job of jobs) job.catch(() => undefined);
    await expect(engine.detect({ lane: 'head', transactions: transactions(1) })).rejects.toMatchObject({
      code: 'engine-busy',
    });
    const other = engine.detect({ lane: 'backfill', transactions: transactions(1) });
    other.catch(() => undefined);
    await engine.stop();
    await expect(other).rejects.toMatchObject({ code: 'engine-stopped' });
    await expect(jobs[0]).rejects.toMatchObject({ code: 'engine-stopped' });
    await expect(engine.detect({ lane: 'head', transactions: [] })).rejects.toMatchObject({ code: 'engine-stopped' });
  });

  it('drop an aborted job at once, and go on with the next', async () => {
    const { executor, waiting } = controlledExecutor({ parallelism: 1, pairsPerUnit: 1 });
    const engine = createDetectionEngine({ executor });
    engine.add(ownKey);
    const controller = new AbortController();
    const aborted = engine.detect({ lane: 'head', transactions: transactions(5) }, { signal: controller.signal });
    const next = engine.detect({ lane: 'head', transactions: transactions(1) });
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
    expect(engine.stats.pendingPairs.head).toBe(1);
    waiting.shift()!.finish();
    await settled();
    expect(waiting.length).toBe(1);
    waiting.shift()!.finish();
    expect((await next).slots.length).toBe(1);
    const already = engine.detect({ lane: 'head', transactions: transactions(1) }, { signal: AbortSignal.abort() });
    await expect(already).rejects.toMatchObject({ code: 'aborted' });
  });

  it('fail the job whose unit failed, and no other', async () => {
    const { executor, waiting } = controlledExecutor({ parallelism: 1, pairsPerUnit: 1 });
    const engine = createDetectionEngine({ executor });
    engine.add(ownKey);
    const failing = engine.detect({ lane: 'head', transactions: transactions(2) });
    const fine = engine.detect({ lane: 'head', transactions: transactions(1) });
    waiting.shift()!.fail(new Error('no memory'));
    await expect(failing).rejects.toThrow('no memory');
    await settled();
    waiting.shift()!.finish();
    expect((await fine).slots.length).toBe(1);
  });

  it('report progress in pairs', async () => {
    const { executor, waiting } = controlledExecutor({ parallelism: 1, pairsPerUnit: 4 });
    const engine = createDetectionEngine({ executor });
    for (let i = 0; i < 3; i++) engine.add(ownKey);
    const seen: [number, number][] = [];
    const job = engine.detect({
      lane: 'head',
      transactions: transactions(2),
      onProgress: (done, total) => seen.push([done, total]),
    });
    while (waiting.length > 0) {
      waiting.shift()!.finish();
      await settled();
    }
    await job;
    expect(seen).toEqual([
      [3, 6],
      [6, 6],
    ]);
  });

  it('hand a removed key to the executor as no key', async () => {
    const { executor, waiting } = controlledExecutor({ parallelism: 1, pairsPerUnit: 2 });
    const engine = createDetectionEngine({ executor });
    const goes = engine.add(ownKey);
    const stays = engine.add(ownKey);
    const job = engine.detect({ lane: 'head', transactions: transactions(2) });
    engine.remove(goes);
    waiting.shift()!.finish();
    await settled();
    expect(waiting[0]!.unit.selections[0]!.slots).toEqual([NO_KEY, stays]);
    waiting.shift()!.finish();
    expect((await job).slots).toEqual([goes, stays]);
  });
});

describe('the key table', () => {
  const packing = { classify: (key: typeof ownKey) => ({ name: `n${key.indices.length}`, rowBytes: 32 }), pack };
  function pack(key: typeof ownKey, row: Uint8Array): void {
    row.set(key.subkeys[0]!);
  }

  it('overwrites a removed row at once, reuses it, and never reuses its name', () => {
    const table = createKeyTable(packing);
    const first = table.add(ownKey);
    const kept = table.add(ownKey);
    const row = table.row(first)!;
    expect(row.some((byte) => byte !== 0)).toBe(true);
    expect(table.remove(first)).toBe(true);
    expect(row.every((byte) => byte === 0)).toBe(true);
    expect(table.row(first)).toBeUndefined();
    const second = table.add(ownKey);
    expect(second).not.toBe(first);
    expect(table.select().map(({ rows, slots }) => [...rows].map((at, i) => [at, slots[i]]))).toEqual([
      [
        [0, second],
        [1, kept],
      ],
    ]);
  });

  it('fills tile after tile, gives empty ones back, and selects by class', () => {
    const table = createKeyTable(packing);
    const small = deriveDetectionKey(secret, [0]);
    const slots: KeySlot[] = [];
    for (let i = 0; i < TILE_ROWS + 1; i++) slots.push(table.add(small));
    const other = table.add(ownKey);
    expect(table.size).toBe(TILE_ROWS + 2);
    expect(table.memoryBytes).toBe(3 * TILE_ROWS * 32);
    expect(table.select().map(({ rows }) => rows.length)).toEqual([TILE_ROWS, 1, 1]);
    expect(table.select([other, slots[5]!, slots[3]!, slots[5]!]).map(({ rows }) => [...rows])).toEqual([[0], [3, 5]]);
    table.remove(slots.pop()!);
    expect(table.memoryBytes).toBe(2 * TILE_ROWS * 32);
    table.clear();
    expect([table.size, table.memoryBytes, table.select().length]).toEqual([0, 0, 0]);
  });
});
