import { describe, expect, it } from 'vitest';
import { sleep } from '../../../src/core/deadline.ts';
import { KithError } from '../../../src/core/errors.ts';
import { createLifeCycle, type Part } from '../../../src/core/life-cycle.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { rejectionOf } from '../../support/outcome.ts';

const STOP_TIMEOUT_MS = 1000;
const never = (): Promise<void> => new Promise(() => undefined);

/** Parts that write down what happens to them; `special` replaces what one of them does. */
function setup(names: readonly string[], special: Record<string, Partial<Pick<Part, 'start' | 'stop'>>> = {}) {
  const clock = createManualClock();
  const log: string[] = [];
  const parts = names.map(
    (name): Part => ({
      name,
      async start(options) {
        log.push(`start ${name}`);
        await special[name]?.start?.(options);
        log.push(`started ${name}`);
      },
      async stop() {
        log.push(`stop ${name}`);
        await special[name]?.stop?.();
        log.push(`stopped ${name}`);
      },
    }),
  );
  return { clock, log, cycle: createLifeCycle({ clock }, parts, { stopTimeoutMs: STOP_TIMEOUT_MS }) };
}

const fail = (code: string) => () => Promise.reject(new KithError(code, `${code} happened`));

describe('a life cycle', () => {
  it('starts its parts in order, one after the other, and stops them in reverse', async () => {
    const { log, cycle } = setup(['a', 'b']);
    await cycle.start();
    await cycle.stop();
    expect(log).toEqual(['start a', 'started a', 'start b', 'started b', 'stop b', 'stopped b', 'stop a', 'stopped a']);
  });

  it('starts and stops once however often it is asked', async () => {
    const { log, cycle } = setup(['a']);
    await Promise.all([cycle.start(), cycle.start()]);
    await cycle.start();
    await Promise.all([cycle.stop(), cycle.stop()]);
    await cycle.stop();
    expect(log).toEqual(['start a', 'started a', 'stop a', 'stopped a']);
  });

  it('that was never started stops without touching a part', async () => {
    const { log, cycle } = setup(['a']);
    await cycle.stop();
    expect(log).toEqual([]);
  });

  it('is not started again after it was stopped', async () => {
    const { log, cycle } = setup(['a']);
    await cycle.stop();
    expect((await rejectionOf(cycle.start()))?.code).toBe('stopped');
    expect(log).toEqual([]);
  });

  it('stops what it had begun when a part fails to start, and throws that failure', async () => {
    const { log, cycle } = setup(['a', 'b', 'c'], { b: { start: fail('no-port') } });
    expect((await rejectionOf(cycle.start()))?.code).toBe('no-port');
    expect(log).toEqual(['start a', 'started a', 'start b', 'stop b', 'stopped b', 'stop a', 'stopped a']);
    await cycle.stop();
    expect(log.filter((line) => line.startsWith('stop '))).toEqual(['stop b', 'stop a']);
  });

  it("throws the failure of the start, not that of a part's stop after it", async () => {
    const { cycle } = setup(['a', 'b'], { a: { stop: fail('stuck') }, b: { start: fail('no-port') } });
    expect((await rejectionOf(cycle.start()))?.code).toBe('no-port');
  });

  it('stops all other parts when some fail to, and names those', async () => {
    const { log, cycle } = setup(['a', 'b', 'c'], { a: { stop: fail('one') }, c: { stop: fail('two') } });
    await cycle.start();
    const failure = await rejectionOf(cycle.stop());
    expect(failure?.code).toBe('stop-failed');
    expect(failure?.message).toBe('did not stop cleanly: c: two happened; a: one happened');
    expect(log).toContain('stopped b');
  });

  it('leaves a part behind that hangs in its stop, after its time', async () => {
    const { clock, log, cycle } = setup(['a', 'b'], { b: { stop: never } });
    await cycle.start();
    const stopping = rejectionOf(cycle.stop());
    await clock.advance(STOP_TIMEOUT_MS - 1);
    expect(log).not.toContain('stop a');
    await clock.advance(1);
    expect((await stopping)?.message).toBe(`did not stop cleanly: b: not done within ${STOP_TIMEOUT_MS} ms`);
    expect(log).toContain('stopped a');
    expect(clock.pending).toBe(0);
  });

  it('reports a part whose stop throws before it returns a promise', async () => {
    const clock = createManualClock();
    const part: Part = {
      name: 'a',
      start: () => Promise.resolve(),
      stop() {
        throw new Error('at once');
      },
    };
    const cycle = createLifeCycle({ clock }, [part], { stopTimeoutMs: STOP_TIMEOUT_MS });
    await cycle.start();
    expect((await rejectionOf(cycle.stop()))?.message).toBe('did not stop cleanly: a: at once');
  });

  it("hands the caller's signal on to the parts", async () => {
    const { cycle } = setup(['a'], {
      a: {
        start: ({ signal }) =>
          new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
      },
    });
    const controller = new AbortController();
    const starting = rejectionOf(cycle.start({ signal: controller.signal }));
    controller.abort(new KithError('changed-mind', 'x'));
    expect((await starting)?.code).toBe('changed-mind');
  });

  describe('stopped while it starts', () => {
    it('lets the part in work finish, starts no other, and stops what was started', async () => {
      const slow = setup(['x', 'y', 'z'], { y: { start: () => sleep(slow.clock, 100) } });
      const starting = rejectionOf(slow.cycle.start());
      await slow.clock.advance(50);
      const stopping = slow.cycle.stop();
      await slow.clock.advance(50);
      await stopping;
      expect((await starting)?.code).toBe('stopped');
      expect(slow.log).toEqual([
        'start x',
        'started x',
        'start y',
        'started y',
        'stop y',
        'stopped y',
        'stop x',
        'stopped x',
      ]);
    });

    it('aborts a start that waits for something which may never come', async () => {
      const waiting = setup(['a', 'b'], {
        b: { start: ({ signal }) => sleep(waiting.clock, 1e9, { signal }) },
      });
      const starting = rejectionOf(waiting.cycle.start());
      await waiting.clock.advance(50);
      await waiting.cycle.stop();
      expect((await starting)?.code).toBe('stopped');
      expect(waiting.log).toEqual(['start a', 'started a', 'start b', 'stop b', 'stopped b', 'stop a', 'stopped a']);
      expect(waiting.clock.pending).toBe(0);
    });

    it('does not wait longer than its deadline for a start that ignores the signal', async () => {
      const { clock, log, cycle } = setup(['a', 'b'], { b: { start: never } });
      void rejectionOf(cycle.start());
      await clock.advance(50);
      const stopping = rejectionOf(cycle.stop());
      await clock.advance(STOP_TIMEOUT_MS);
      expect((await stopping)?.message).toBe(
        `did not stop cleanly: b, still starting: not done within ${STOP_TIMEOUT_MS} ms`,
      );
      expect(log).toContain('stopped a');
      expect(clock.pending).toBe(0);
    });
  });
});
