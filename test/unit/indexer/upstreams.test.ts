// Upstreams that fail, lie or contradict one another: nothing is lost or doubled, and the indexer stops where going on
// would mean to believe a contradiction.

import { describe, expect, it } from 'vitest';
import { createDevnet, type Devnet, FAULT_KINDS, type FaultKind } from '../../../src/devnet/index.ts';
import { createIndexer, createMemoryStore, openNoteStore, type Store } from '../../../src/indexer/index.ts';
import {
  begin,
  comet,
  FIRST,
  LINES,
  linesTo,
  type MakeSource,
  masp,
  POLL_MS,
  type Run,
  reach,
  stopCode,
  stored,
  TIP,
} from '../../support/indexer-run.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { replayOf } from '../../support/replay.ts';
import { seededRandom } from '../../support/seeded-random.ts';

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

  it.each([1, 3, 8, 50, 9_000_000])(
    'are followed in time, also a lone one that boasts of %i heights too many',
    async (more) => {
      const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 100 });
      const boaster: MakeSource = (clock) => {
        const source = comet(devnet)(clock);
        const status: typeof source.status = async (options) => {
          const known = await source.status(options);
          return { ...known, latest: known.latest + more, latestHash: undefined };
        };
        return { ...source, status };
      };
      const run = await begin([boaster]);
      await run.clock.advance(POLL_MS);
      expect(run.notes.checkpoint?.cursor).toBe(FIRST + 99);
      for (let made = 100; made < 110; made++) {
        devnet.advance();
        await run.clock.advance(POLL_MS);
        expect(run.notes.checkpoint?.cursor).toBe(FIRST + made);
      }
      expect(await stored(run)).toEqual(linesTo(FIRST + 109));
    },
  );

  it('have what came in time written, although what comes after it fails at once', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 103 });
    const slow: MakeSource = (clock) => {
      const source = comet(devnet)(clock);
      return {
        ...source,
        status: async (options) => ({ ...(await source.status(options)), latest: FIRST + 150, latestHash: undefined }),
        async blocks(from, to, options) {
          const blocks = await source.blocks(from, to, options);
          await new Promise<void>((resolve) => clock.schedule(3 * POLL_MS, resolve));
          return blocks;
        },
      };
    };
    const run = await begin([slow]);
    await reach(run, FIRST + 102);
    expect(await stored(run)).toEqual(linesTo(FIRST + 102));
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
