// The indexer over the simulated chain on a clock that tests move: it loses nothing, doubles nothing, and stops where
// going on would mean to believe a contradiction.

import { afterEach, describe, expect, it } from 'vitest';
import { KithError } from '../../../src/core/errors.ts';
import { createDevnet, type Devnet, FAULT_KINDS, type FaultKind } from '../../../src/devnet/index.ts';
import {
  type ChainSource,
  createCometSource,
  createIndexer,
  createMaspSource,
  createMemoryStore,
  type Indexer,
  type IndexerEvent,
  type IndexerOptions,
  type NoteStore,
  openNoteStore,
  type Store,
} from '../../../src/indexer/index.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { collect, linesOf, madeUpLines, type ReplayLine, replayOf } from '../../support/replay.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const FIRST = 1_000;
const POLL_MS = 1_000;
const LINES = madeUpLines(FIRST, 201);
const TIP = FIRST + 200;

interface Run {
  readonly clock: ManualClock;
  readonly indexer: Indexer;
  readonly notes: NoteStore;
  readonly events: IndexerEvent[];
}

const running: Indexer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((indexer) => indexer.stop()));
});

type MakeSource = (clock: ManualClock) => ChainSource;
const comet =
  (devnet: Devnet, name = 'comet'): MakeSource =>
  (clock) =>
    createCometSource({ transport: devnet.transport(name), clock }, { textPrefix: 'kith/' });
const masp =
  (devnet: Devnet): MakeSource =>
  (clock) =>
    createMaspSource({ transport: devnet.transport('masp'), clock });

async function begin(
  sources: readonly MakeSource[],
  options: Partial<IndexerOptions> & { store?: Store; clock?: ManualClock } = {},
): Promise<Run> {
  const clock = options.clock ?? createManualClock();
  const notes = await openNoteStore(options.store ?? createMemoryStore());
  const events: IndexerEvent[] = [];
  const indexer = createIndexer(
    {
      clock,
      random: seededRandom('indexer'),
      notes,
      sources: sources.map((make) => make(clock)),
      report: (event) => events.push(event),
    },
    { chainId: 'kith-devnet', pollMs: POLL_MS, ...options },
  );
  running.push(indexer);
  await indexer.start();
  return { clock, indexer, notes, events };
}

const reach = ({ clock, notes }: Run, height: number) => clock.settle(notes.reached(height, new AbortController()));

const stored = async ({ notes }: Run): Promise<ReplayLine[]> => {
  const { start, cursor } = notes.checkpoint!;
  return linesOf(await collect(notes.read(start, cursor)));
};

/** Lets time pass until the indexer has stopped; what for. */
async function stopCode({ clock, indexer }: Run): Promise<string | undefined> {
  for (let i = 0; i < 200 && indexer.status().phase !== 'stopped'; i++) await clock.advance(POLL_MS);
  return indexer.status().error?.code;
}

const linesTo = (tip: number): ReplayLine[] => LINES.filter(({ height }) => height <= tip);

describe('an indexer', () => {
  it('indexes a chain from its earliest block to its tip, and counts what it found', async () => {
    const run = await begin([comet(createDevnet({ replay: replayOf(LINES) }))]);
    await reach(run, TIP);
    await run.clock.advance(0);
    expect(await stored(run)).toEqual(LINES);
    const unflagged = LINES.filter(({ flags }) => !flags).length;
    expect(run.indexer.status()).toMatchObject({
      phase: 'following',
      cursor: TIP,
      tip: TIP,
      counts: {
        blocks: 201,
        transactions: LINES.length,
        unflagged,
        undecodable: 0,
        flags: 2 * (LINES.length - unflagged),
      },
    });
    expect(run.events).toEqual([]);
  });

  it('begins where it is told to', async () => {
    const run = await begin([comet(createDevnet({ replay: replayOf(LINES) }))], { startHeight: FIRST + 100 });
    await reach(run, TIP);
    expect(await stored(run)).toEqual(LINES.filter(({ height }) => height >= FIRST + 100));
    expect(run.notes.gaps(FIRST, TIP)).toEqual([{ from: FIRST, to: FIRST + 99 }]);
  });

  it('hands each new block to its consumer within one poll interval', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 10 });
    const run = await begin([comet(devnet)]);
    const controller = new AbortController();
    const received: number[] = [];
    const consumer = (async () => {
      for await (const block of run.indexer.blocks(FIRST, controller)) received.push(block.height);
    })();
    await reach(run, FIRST + 9);
    for (let made = 10; made < 40; made++) {
      devnet.advance();
      await run.clock.advance(POLL_MS);
      expect(received.at(-1)).toBe(FIRST + made);
    }
    expect(received).toEqual(Array.from({ length: 40 }, (_, i) => FIRST + i));
    controller.abort();
    await expect(consumer).rejects.toMatchObject({ code: 'aborted' });
  });

  it('hands over a new block in time even while another upstream is silent', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 10 });
    const silent = createDevnet({ replay: replayOf(LINES) });
    silent.fault({ rates: { stalls: 1 } });
    const run = await begin([comet(silent, 'silent'), comet(devnet)], { startHeight: FIRST });
    await run.clock.advance(30_000);
    expect(run.notes.checkpoint?.cursor).toBe(FIRST + 9);
    devnet.advance();
    await run.clock.advance(POLL_MS);
    expect(run.notes.checkpoint?.cursor).toBe(FIRST + 10);
  });

  it('fetches no faster than its window and writes in order', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES) });
    let inFlight = 0;
    let most = 0;
    const counting: MakeSource = (clock) => {
      const source = comet(devnet)(clock);
      return {
        ...source,
        async blocks(from, to, options) {
          most = Math.max(most, ++inFlight);
          // The first ranges come last.
          if (from < FIRST + 15)
            await new Promise<void>((resolve) => clock.schedule(5_000 - (from - FIRST) * 100, resolve));
          inFlight -= 1;
          return source.blocks(from, to, options);
        },
      };
    };
    const run = await begin([counting]);
    await reach(run, TIP);
    expect(most).toBe(4);
    expect(await stored(run)).toEqual(LINES);
  });

  it('halves a range whose answer is too large', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES) });
    const narrow: MakeSource = (clock) => {
      const source = comet(devnet)(clock);
      return {
        ...source,
        blocks: (from, to, options) =>
          to - from > 1
            ? Promise.reject(new KithError('answer-too-large', 'too large'))
            : source.blocks(from, to, options),
      };
    };
    const run = await begin([narrow]);
    await reach(run, TIP);
    expect(await stored(run)).toEqual(LINES);
    expect(run.events).toEqual([]);
  });

  it('takes silence for silence, not for a chain without new blocks', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 10 });
    const run = await begin([comet(devnet)]);
    await reach(run, FIRST + 9);
    devnet.fault({ rates: { stalls: 1 } });
    await run.clock.advance(30_000);
    expect(run.indexer.status()).toMatchObject({ phase: 'unreachable', cursor: FIRST + 9 });
    expect(run.events.map(({ kind }) => kind)).toEqual(['upstream-failed']);
    devnet.fault({ rates: {} });
    devnet.advance(5);
    await reach(run, FIRST + 14);
    expect(run.indexer.status().phase).toBe('following');
    expect(run.events.map(({ kind }) => kind)).toEqual(['upstream-failed', 'upstream-recovered']);
    expect(await stored(run)).toEqual(linesTo(FIRST + 14));
  });

  it('says when upstreams answer but the chain stands still', async () => {
    const run = await begin([comet(createDevnet({ replay: replayOf(LINES), startAfter: 10 }))]);
    await reach(run, FIRST + 9);
    expect(run.indexer.status().stale).toBe(false);
    await run.clock.advance(121_000);
    expect(run.indexer.status()).toMatchObject({ stale: true, phase: 'following' });
  });

  it('stops when told, leaves no timer behind, and goes on from its store', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 50 });
    const store = createMemoryStore();
    const first = await begin([comet(devnet)], { store });
    await reach(first, FIRST + 49);
    await first.indexer.stop();
    await first.indexer.stop();
    expect(first.clock.pending).toBe(0);
    devnet.advance(151);
    const second = await begin([comet(devnet)], { store });
    await reach(second, TIP);
    expect(await stored(second)).toEqual(LINES);
    expect(second.indexer.status().counts.blocks).toBe(151);
  });

  it("reports a transaction with undecodable flags once and hands it on as everybody's", async () => {
    const devnet = createDevnet({ replay: replayOf(LINES) });
    const broken = LINES.filter(({ flags }) => flags)[4]!;
    const source: MakeSource = (clock) =>
      createCometSource({
        transport: devnet.transport(),
        clock,
        decodable: (flag) => Buffer.from(flag).toString('hex') !== broken.flags![1],
      });
    const run = await begin([source]);
    await reach(run, TIP);
    await run.clock.advance(10 * POLL_MS);
    expect(await stored(run)).toEqual(LINES.map((line) => (line === broken ? { ...line, flags: null } : line)));
    expect(run.events).toEqual([{ kind: 'undecodable-flags', height: broken.height, blockIndex: broken.block_index }]);
    expect(run.indexer.status().counts.undecodable).toBe(1);
  });

  it('asks a failing upstream ever more rarely, at moments that differ', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES) });
    const asked: number[] = [];
    const failing: MakeSource = (clock) => ({
      ...comet(devnet)(clock),
      rangeMax: 1_000,
      blocks() {
        asked.push(clock.monotonic());
        return Promise.reject(new KithError('upstream-refused', 'no'));
      },
    });
    const run = await begin([failing]);
    await run.clock.advance(120_000);
    const pauses = asked.slice(1).map((at, i) => at - asked[i]!);
    for (const [i, pause] of pauses.entries()) {
      const full = Math.min(10_000, 250 * 2 ** (i + 1));
      expect(pause).toBeGreaterThanOrEqual(full / 2);
      expect(pause).toBeLessThanOrEqual(full);
    }
    expect(pauses.length).toBeGreaterThan(10);
    expect(new Set(pauses.slice(-5)).size).toBe(5);
    expect(run.events.filter(({ kind }) => kind === 'upstream-failed').length).toBeLessThan(130);
  });

  it('says which heights no upstream has any more, and goes on once one has', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES) });
    let earliest = FIRST + 50;
    const pruned: MakeSource = (clock) => {
      const source = comet(devnet)(clock);
      return { ...source, status: async (options) => ({ ...(await source.status(options)), earliest }) };
    };
    const run = await begin([pruned], { startHeight: FIRST });
    await run.clock.advance(5 * POLL_MS);
    expect(run.notes.checkpoint?.cursor).toBe(FIRST - 1);
    expect(run.indexer.status().missing).toEqual({ from: FIRST, to: FIRST + 49 });
    expect(run.events).toEqual([{ kind: 'heights-missing', from: FIRST, to: FIRST + 49 }]);
    earliest = FIRST;
    await reach(run, TIP);
    expect(run.indexer.status().missing).toBeUndefined();
    expect(await stored(run)).toEqual(LINES);
  });

  it('keeps text transactions for those who look for anchors', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 10 });
    const { signal } = new AbortController();
    const tx = Buffer.from('kith/c/3.0=xyz').toString('base64');
    const body = Buffer.from(JSON.stringify({ id: 1, method: 'broadcast_tx_sync', params: { tx } }));
    await devnet.answer({ method: 'POST', target: '/', body }, { signal });
    devnet.advance(3);
    const run = await begin([comet(devnet)]);
    await reach(run, FIRST + 12);
    const blocks = await collect(run.notes.read(FIRST, FIRST + 12));
    expect(blocks.flatMap(({ height, texts }) => texts.map(({ text }) => [height, text]))).toEqual([
      [FIRST + 10, 'kith/c/3.0=xyz'],
    ]);
  });
});

describe('each fault of an upstream', () => {
  const cases: [string, Partial<Record<FaultKind, number>>][] = [
    ...FAULT_KINDS.map((kind): [string, Partial<Record<FaultKind, number>>] => [kind, { [kind]: 0.3 }]),
    ['all mixed', Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0.08]))],
  ];

  it.each(cases)('loses and doubles nothing from CometBFT: %s', async (_, rates) => {
    for (const seed of [1, 2, 3]) {
      const devnet = createDevnet({ replay: replayOf(LINES), seed, startAfter: 150 });
      devnet.fault({ rates });
      const run = await begin([comet(devnet)], { startHeight: FIRST });
      for (let height = FIRST + 150; height <= TIP; height++) {
        devnet.advance();
        await run.clock.advance(300);
      }
      await reach(run, TIP);
      expect(await stored(run)).toEqual(LINES);
      expect(run.indexer.status().error).toBeUndefined();
      expect(run.events.map(({ kind }) => kind)).toContain('upstream-failed');
      await run.indexer.stop();
    }
  });

  it.each(cases)('loses and doubles nothing from the masp-indexer: %s', async (_, rates) => {
    for (const seed of [1, 2, 3]) {
      const devnet = createDevnet({ replay: replayOf(LINES), seed });
      devnet.fault({ rates });
      const run = await begin([masp(devnet)], { startHeight: FIRST });
      await reach(run, TIP);
      expect(await stored(run)).toEqual(LINES.map((line) => ({ ...line, flags: null })));
      expect(run.events.map(({ kind }) => kind)).toContain('upstream-failed');
      await run.indexer.stop();
    }
  });
});

describe('several upstreams', () => {
  it('stand in for one another at once', async () => {
    const good = createDevnet({ replay: replayOf(LINES) });
    const bad = createDevnet({ replay: replayOf(LINES) });
    const run = await begin([comet(bad, 'bad'), comet(good, 'good')], { startHeight: FIRST });
    bad.fault({ rates: { errors: 1 } });
    await reach(run, TIP);
    expect(run.clock.monotonic()).toBeLessThan(POLL_MS);
    expect(await stored(run)).toEqual(LINES);
  });

  it('are judged one by one: who serves another chain is dropped, the others go on', async () => {
    const good = createDevnet({ replay: replayOf(LINES) });
    const foreign = createDevnet({ replay: replayOf(LINES), chainId: 'other' });
    const run = await begin([comet(foreign, 'foreign'), comet(good, 'good')], { startHeight: FIRST });
    await reach(run, TIP);
    expect(
      run.events.map((event) => [event.kind, 'error' in event && (event.error as { code?: string }).code]),
    ).toEqual([['upstream-dropped', 'wrong-chain']]);
    expect(run.indexer.status().phase).toBe('following');
  });

  it('do not follow one that boasts of heights it has not', async () => {
    const good = createDevnet({ replay: replayOf(LINES), startAfter: 100 });
    const boast: MakeSource = (clock) => {
      const source = comet(good, 'boaster')(clock);
      return {
        ...source,
        status: async (options) => ({ ...(await source.status(options)), latest: 9_000_000, latestHash: undefined }),
      };
    };
    const run = await begin([boast, comet(good, 'good')]);
    await reach(run, FIRST + 99);
    good.advance();
    await run.clock.advance(2 * POLL_MS);
    expect(run.notes.checkpoint?.cursor).toBe(FIRST + 100);
    expect(await stored(run)).toEqual(linesTo(FIRST + 100));
  });

  it('stop the indexer when they disagree about a block, and it keeps what it has', async () => {
    const one = createDevnet({ replay: replayOf(LINES), startAfter: 100 });
    const two = createDevnet({ replay: replayOf(LINES), startAfter: 90 });
    two.fault({ reset: true });
    const run = await begin([comet(one, 'one')], { startHeight: FIRST });
    await reach(run, FIRST + 99);
    await run.indexer.stop();
    two.advance(95);
    const again = await begin([comet(one, 'one'), comet(two, 'two')], { store: await copyOf(run) });
    expect(await stopCode(again)).toBe('chain-disagreement');
    expect(await stored(again)).toEqual(linesTo(FIRST + 99));
  });

  it('give rows without flags only where none with flags has the range', async () => {
    const full = createDevnet({ replay: replayOf(LINES) });
    const pruned: MakeSource = (clock) => {
      const source = comet(full, 'pruned')(clock);
      return { ...source, status: async (options) => ({ ...(await source.status(options)), earliest: FIRST + 100 }) };
    };
    const run = await begin([pruned, masp(full)], { startHeight: FIRST });
    await reach(run, TIP);
    const rows = await stored(run);
    expect(rows.filter(({ height }) => height >= FIRST + 100)).toEqual(
      LINES.filter(({ height }) => height >= FIRST + 100),
    );
    expect(rows.map(({ height, block_index }) => [height, block_index])).toEqual(
      LINES.map(({ height, block_index }) => [height, block_index]),
    );
  });
});

/** The store of a run, for another one. */
async function copyOf({ notes }: Run): Promise<Store> {
  const store = createMemoryStore();
  const copy = await openNoteStore(store);
  const { chainId, start, cursor } = notes.checkpoint!;
  await copy.pin(chainId, start);
  for await (const block of notes.read(start, cursor)) {
    await copy.append([{ ...block, parentHash: undefined, chainId, undecodable: [] }]);
  }
  return store;
}

describe('an upstream that contradicts itself', () => {
  it.each([
    ['goes backwards', 'went-backwards', (devnet: Devnet) => devnet.fault({ backwards: 30 })],
    [
      'was reset',
      'went-backwards',
      (devnet: Devnet) => {
        devnet.fault({ reset: true });
        devnet.advance(20);
      },
    ],
    [
      'was reset and has caught up',
      'chain-disagreement',
      (devnet: Devnet) => {
        devnet.fault({ reset: true });
        devnet.advance(100);
      },
    ],
    [
      'was reset and has gone on',
      'chain-disagreement',
      (devnet: Devnet) => {
        devnet.fault({ reset: true });
        devnet.advance(120);
      },
    ],
    ['changes its chain id', 'wrong-chain', (devnet: Devnet) => devnet.fault({ chainId: 'other' })],
  ] as const)('stops the indexer when it %s, with %s, and what is stored stays', async (_, code, misbehave) => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 100 });
    const run = await begin([comet(devnet)]);
    await reach(run, FIRST + 99);
    misbehave(devnet);
    expect(await stopCode(run)).toBe(code);
    expect(await stored(run)).toEqual(linesTo(FIRST + 99));
    expect(run.events.filter(({ kind }) => kind === 'stopped').length).toBe(1);
    expect(run.clock.pending).toBe(0);
    const received: number[] = [];
    const consume = async () => {
      for await (const { height } of run.indexer.blocks(FIRST + 90, new AbortController())) received.push(height);
    };
    await expect(consume()).rejects.toMatchObject({ code });
    expect(received.length).toBe(10);
  });

  it('is found out after a restart as well', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 100 });
    const store = createMemoryStore();
    const before = await begin([comet(devnet)], { store });
    await reach(before, FIRST + 99);
    await before.indexer.stop();
    devnet.fault({ reset: true });
    devnet.advance(50);
    expect(await stopCode(await begin([comet(devnet)], { store }))).toBe('chain-disagreement');
    expect(() =>
      createIndexer(
        {
          clock: createManualClock(),
          random: seededRandom('x'),
          notes: before.notes,
          sources: [comet(devnet)(createManualClock())],
        },
        { chainId: 'other' },
      ),
    ).toThrow('the store holds the chain kith-devnet, not other');
  });

  it('is found out although a masp-indexer has no hashes', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 100 });
    const store = createMemoryStore();
    const run = await begin([masp(devnet)], { store, startHeight: FIRST });
    await reach(run, FIRST + 98);
    await run.indexer.stop();
    devnet.fault({ reset: true });
    devnet.advance(50);
    expect(await stopCode(await begin([masp(devnet)], { store }))).toBe('went-backwards');
  });

  it('may lag a little: nodes behind a balancer differ', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 100 });
    const run = await begin([comet(devnet)]);
    await reach(run, FIRST + 99);
    devnet.fault({ backwards: 5 });
    await run.clock.advance(10 * POLL_MS);
    expect(run.indexer.status().phase).toBe('following');
    devnet.advance();
    await reach(run, FIRST + 100);
    expect(await stored(run)).toEqual(linesTo(FIRST + 100));
  });
});
