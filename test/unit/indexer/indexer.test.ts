// The indexer as its consumers meet it: complete, in order, in time, and plain about what it does not know.

import { describe, expect, it } from 'vitest';
import { KithError } from '../../../src/core/errors.ts';
import { createDevnet } from '../../../src/devnet/index.ts';
import { createCometSource, createMemoryStore } from '../../../src/indexer/index.ts';
import {
  begin,
  comet,
  FIRST,
  LINES,
  linesTo,
  type MakeSource,
  masp,
  POLL_MS,
  reach,
  stored,
  TIP,
} from '../../support/indexer-run.ts';
import { collect, replayOf } from '../../support/replay.ts';

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

  it('keeps what a full disk does not take, says so once, and goes on when there is room', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES), startAfter: 10 });
    const inner = createMemoryStore();
    let full = false;
    let refused = 0;
    const store: typeof inner = {
      ...inner,
      async batch(ops) {
        if (!full) return inner.batch(ops);
        refused += 1;
        throw new KithError('store-full', 'no space left on the disk');
      },
    };
    const run = await begin([comet(devnet)], { store });
    await reach(run, FIRST + 9);
    full = true;
    devnet.advance(5);
    await run.clock.advance(60_000);
    expect(run.notes.checkpoint?.cursor).toBe(FIRST + 9);
    expect(run.indexer.status()).toMatchObject({ phase: 'syncing', error: undefined, delay: { code: 'store-full' } });
    // After 0.5, 1, 2, 4, 8, 16 and 30 seconds.
    expect(refused).toBeGreaterThanOrEqual(6);
    expect(refused).toBeLessThanOrEqual(8);
    full = false;
    await run.clock.advance(31_000);
    expect(run.notes.checkpoint?.cursor).toBe(FIRST + 14);
    expect(run.indexer.status().delay).toBeUndefined();
    expect(await stored(run)).toEqual(linesTo(FIRST + 14));
    expect(run.events.map(({ kind }) => kind)).toEqual(['write-failed', 'write-recovered']);
  });

  it('begins on a disk that is full at first', async () => {
    const inner = createMemoryStore();
    let full = true;
    const store: typeof inner = {
      ...inner,
      async batch(ops) {
        if (full) throw new KithError('store-full', 'no space left on the disk');
        return inner.batch(ops);
      },
    };
    const run = await begin([comet(createDevnet({ replay: replayOf(LINES) }))], { store });
    await run.clock.advance(5_000);
    expect(run.notes.checkpoint).toBeUndefined();
    full = false;
    await reach(run, TIP);
    expect(await stored(run)).toEqual(LINES);
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

  it('begins at the first transaction where only a masp-indexer is known, even if asking fails in between', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES) });
    devnet.fault({ rates: { errors: 0.2 } });
    const run = await begin([masp(devnet)]);
    for (let i = 0; i < 600 && !run.notes.checkpoint; i++) await run.clock.advance(POLL_MS);
    expect(run.notes.checkpoint).toMatchObject({ start: FIRST });
  });

  it('begins where a source with flags begins, whoever answers first', async () => {
    const devnet = createDevnet({ replay: replayOf(LINES.slice(20)) });
    const all = createDevnet({ replay: replayOf(LINES) });
    const late: MakeSource = (clock) => {
      const source = comet(devnet)(clock);
      let asked = 0;
      return {
        ...source,
        async status(options) {
          if (asked++ < 3) throw new KithError('upstream-unreachable', 'not yet');
          return source.status(options);
        },
      };
    };
    const run = await begin([late, masp(all)]);
    await reach(run, FIRST + 100);
    expect(run.notes.checkpoint).toMatchObject({ start: LINES[20]!.height });
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
