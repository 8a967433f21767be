import { describe, expect, it } from 'vitest';
import { abortable, abortError, deadline, sleep, throwIfAborted } from '../../../src/core/deadline.ts';
import { KithError } from '../../../src/core/errors.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { codeOf, rejectionOf } from '../../support/outcome.ts';

/** Where a promise stands, without waiting for it. */
function watch<T>(promise: Promise<T>) {
  const seen: { state: 'pending' | 'done' | 'failed'; value?: T; error?: unknown } = { state: 'pending' };
  promise.then(
    (value) => Object.assign(seen, { state: 'done', value }),
    (error: unknown) => Object.assign(seen, { state: 'failed', error }),
  );
  return seen;
}

describe('a deadline', () => {
  it('aborts with timeout when its time has come, and not before', async () => {
    const clock = createManualClock();
    using limit = deadline(clock, 1000);
    await clock.advance(999);
    expect(limit.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(limit.signal.aborted).toBe(true);
    expect(limit.signal.reason).toMatchObject({ code: 'timeout', message: 'not done within 1000 ms' });
    expect(clock.pending).toBe(0);
  });

  it('lets go of timer and parent when it is cancelled, once or twice', async () => {
    const clock = createManualClock();
    const parent = new AbortController();
    const limit = deadline(clock, 1000, parent.signal);
    limit.cancel();
    limit.cancel();
    expect(clock.pending).toBe(0);
    await clock.advance(2000);
    parent.abort();
    expect(limit.signal.aborted).toBe(false);
  });

  it('is cancelled at the end of a using block', () => {
    const clock = createManualClock();
    {
      using limit = deadline(clock, 1000);
      expect(limit.signal.aborted).toBe(false);
      expect(clock.pending).toBe(1);
    }
    expect(clock.pending).toBe(0);
  });

  it("takes its parent's reason when the parent is first", () => {
    const clock = createManualClock();
    const parent = new AbortController();
    const limit = deadline(clock, 1000, parent.signal);
    const reason = new KithError('fenced', 'a newer incarnation exists');
    parent.abort(reason);
    expect(limit.signal.reason).toBe(reason);
    expect(clock.pending).toBe(0);
  });

  it('of a parent that is aborted already is aborted at once and leaves no timer', () => {
    const clock = createManualClock();
    const limit = deadline(clock, 1000, AbortSignal.abort());
    expect(limit.signal.aborted).toBe(true);
    expect(limit.signal.reason).toMatchObject({ code: 'aborted' });
    expect(clock.pending).toBe(0);
  });

  it('keeps its first reason', async () => {
    const clock = createManualClock();
    const parent = new AbortController();
    const limit = deadline(clock, 10, parent.signal);
    await clock.advance(10);
    parent.abort(new KithError('fenced', 'later'));
    expect(limit.signal.reason).toMatchObject({ code: 'timeout' });
  });
});

describe('an aborted signal', () => {
  it('is told by its reason if that is ours, else as aborted with the reason as cause', () => {
    const ours = new KithError('fenced', 'x');
    expect(abortError(AbortSignal.abort(ours))).toBe(ours);
    const foreign = abortError(AbortSignal.abort('because'));
    expect(foreign.code).toBe('aborted');
    expect(foreign.cause).toBe('because');
  });

  it('stops who asks before working', () => {
    expect(codeOf(() => throwIfAborted(undefined))).toBeUndefined();
    expect(codeOf(() => throwIfAborted(new AbortController().signal))).toBeUndefined();
    expect(codeOf(() => throwIfAborted(AbortSignal.abort()))).toBe('aborted');
  });
});

describe('a sleep', () => {
  it('ends when its time has come', async () => {
    const clock = createManualClock();
    const nap = watch(sleep(clock, 500));
    await clock.advance(499);
    expect(nap.state).toBe('pending');
    await clock.advance(1);
    expect(nap.state).toBe('done');
  });

  it('ends early with the reason when its signal aborts, and leaves no timer', async () => {
    const clock = createManualClock();
    const controller = new AbortController();
    const nap = watch(sleep(clock, 500, { signal: controller.signal }));
    await clock.advance(100);
    controller.abort(new KithError('stopped', 'enough'));
    await clock.advance(0);
    expect(nap).toMatchObject({ state: 'failed', error: { code: 'stopped' } });
    expect(clock.pending).toBe(0);
  });

  it('does not begin under an aborted signal', async () => {
    const clock = createManualClock();
    const failure = await rejectionOf(sleep(clock, 500, { signal: AbortSignal.abort() }));
    expect(failure?.code).toBe('aborted');
    expect(clock.pending).toBe(0);
  });

  it('that has ended does not mind a later abort', async () => {
    const clock = createManualClock();
    const controller = new AbortController();
    const nap = watch(sleep(clock, 500, { signal: controller.signal }));
    await clock.advance(500);
    controller.abort();
    await clock.advance(0);
    expect(nap.state).toBe('done');
  });
});

describe('abortable work', () => {
  it('without a signal is the work itself', () => {
    const work = Promise.resolve(1);
    expect(abortable(work, undefined)).toBe(work);
  });

  it('gives the result or failure of the work if that is first', async () => {
    const { signal } = new AbortController();
    expect(await abortable(Promise.resolve(7), signal)).toBe(7);
    const failure = await rejectionOf(abortable(Promise.reject(new KithError('own', 'x')), signal));
    expect(failure?.code).toBe('own');
  });

  it('is left behind as soon as the signal aborts, and its late end is dropped', async () => {
    const clock = createManualClock();
    for (const late of [() => undefined, () => Promise.reject(new Error('late'))]) {
      const controller = new AbortController();
      const work = sleep(clock, 1000).then(late);
      const seen = watch(abortable(work, controller.signal));
      await clock.advance(1);
      controller.abort();
      await clock.advance(0);
      expect(seen).toMatchObject({ state: 'failed', error: { code: 'aborted' } });
      await clock.advance(1000);
      expect(seen).toMatchObject({ state: 'failed', error: { code: 'aborted' } });
    }
  });

  it('under an aborted signal fails although the work succeeds', async () => {
    const failure = await rejectionOf(abortable(Promise.resolve(7), AbortSignal.abort()));
    expect(failure?.code).toBe('aborted');
  });
});
