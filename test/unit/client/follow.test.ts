import { describe, expect, it } from 'vitest';
import { retryDelayMs } from '../../../src/client/follow.ts';
import {
  followIndexSet,
  isNodeRefusal,
  type NodeApi,
  readIndexSet,
  viewSyncedTo,
  waitForHeight,
} from '../../../src/client/index.ts';
import { KithError } from '../../../src/core/errors.ts';
import type { Deviations } from '../../support/fake-node.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { createBench, owner, registeredAt } from '../../support/wallet-client.ts';

const { signal } = new AbortController();
const lookUps = (asked: readonly string[]) => asked.filter((path) => path.startsWith('/v1/index-sets'));

/** Refuses look-ups for as long as the test says. */
function refusing(code: string) {
  const state = { on: true };
  const refuse: Deviations['refuse'] = (path) =>
    state.on && path.startsWith('/v1/index-sets') ? new KithError(code, 'the test refuses') : undefined;
  return { state, refuse };
}

describe('waiting for a height', () => {
  it('returns at once what is there, without asking for what is known', async () => {
    const { clock, node } = createBench();
    const bench = node();
    await registeredAt(bench.node);
    bench.node.scan(1, 30);
    const deps = { apis: [bench.api], clock };
    const options = { height: 30, timeoutMs: 1_000, signal };
    const view = await clock.settle(waitForHeight(deps, owner, undefined, options));
    expect(viewSyncedTo(view)).toBe(30);
    const asked = bench.node.asked.length;
    expect(await waitForHeight(deps, owner, view, options)).toBe(view);
    expect(bench.node.asked.length).toBe(asked);
    expect(clock.pending).toBe(0);
  });

  it('holds one long poll of at most 55 seconds, and says when the view goes further', async () => {
    const { clock, node } = createBench();
    const bench = node();
    await registeredAt(bench.node);
    bench.node.scan(1, 20);
    const synced: number[] = [];
    const waiting = waitForHeight({ apis: [bench.api], clock }, owner, undefined, {
      height: 22,
      timeoutMs: 120_000,
      signal,
      onProgress: (view) => synced.push(viewSyncedTo(view)),
    });
    await clock.advance(60_000);
    expect(lookUps(bench.node.asked)).toEqual([
      `/v1/index-sets/${owner.id}?since=0&wait=55`,
      `/v1/index-sets/${owner.id}?since=20&wait=55`,
      `/v1/index-sets/${owner.id}?since=20&wait=55`,
    ]);
    bench.node.scan(21, 21);
    await clock.advance(1);
    bench.node.scan(22, 25, [[22, 0]]);
    expect((await clock.settle(waiting)).entries).toEqual([[22, 0]]);
    expect(synced).toEqual([20, 21, 25]);
    expect(clock.pending).toBe(0);
  });

  it('ends at its time with how far it came, and leaves no timer behind', async () => {
    const { clock, node } = createBench();
    const bench = node();
    await registeredAt(bench.node);
    bench.node.scan(1, 20);
    const options = { height: 21, timeoutMs: 90_000, signal };
    const error = await clock.settle(
      rejectionOf(waitForHeight({ apis: [bench.api], clock }, owner, undefined, options)),
    );
    expect([error?.code, error?.message]).toEqual(['not-synced', 'synced to 20, not to 21, within 90 s']);
    expect(clock.monotonic()).toBe(90_000);
    await clock.advance(60_000);
    expect(clock.pending).toBe(0);
  });

  it('does not hammer a node that answers at once instead of waiting', async () => {
    const { clock, node } = createBench();
    let count = 0;
    const bench = node({
      tamper: (path, answer) => {
        if (path.startsWith('/v1/index-sets')) count++;
        return answer;
      },
    });
    await registeredAt(bench.node);
    bench.node.scan(1, 20);
    bench.node.scan(30, 31);
    const impatient: NodeApi = {
      ...bench.api,
      get: (path, form, how) => bench.api.get(path.replace(/&wait=.*/, ''), form, how),
    };
    const options = { height: 40, timeoutMs: 30_000, signal };
    await clock.settle(rejectionOf(waitForHeight({ apis: [impatient], clock }, owner, undefined, options)));
    expect(count).toBeGreaterThan(20);
    expect(count).toBeLessThanOrEqual(33);
  });

  it.each(['not-ready', 'rate-limited', 'store-full'])('tries again after %s, no sooner than asked', async (code) => {
    const { clock, node } = createBench();
    const { state, refuse } = refusing(code);
    const bench = node({ refuse });
    await registeredAt(bench.node);
    bench.node.scan(1, 30);
    const options = { height: 30, timeoutMs: 300_000, signal };
    const waiting = waitForHeight({ apis: [bench.api], clock }, owner, undefined, options);
    await clock.advance(4_900);
    const asked = lookUps(bench.node.asked).length;
    if (code === 'not-ready') expect(asked).toBe(1);
    if (code === 'store-full') expect(asked).toBe(1);
    if (code === 'rate-limited') expect(asked).toBeLessThanOrEqual(5);
    state.on = false;
    expect(viewSyncedTo(await clock.settle(waiting))).toBe(30);
  });

  it('tries a node again that does not answer, and tells the last failure at the end', async () => {
    const { clock, node } = createBench();
    const bench = node();
    const error = new KithError('node-unreachable', 'http://node-0.test does not answer: refused');
    let asked = 0;
    const deaf = { ...bench.api, get: async () => Promise.reject(error).finally(() => void asked++) };
    const options = { height: 5, timeoutMs: 60_000, signal };
    const ended = await clock.settle(rejectionOf(waitForHeight({ apis: [deaf], clock }, owner, undefined, options)));
    expect(ended?.message).toBe(`synced to 0, not to 5, within 60 s; last failure: ${error.message}`);
    expect(asked).toBeGreaterThan(7);
    expect(asked).toBeLessThan(14);
  });

  it('waits a moment for a registration that is still on its way, but not for ever', async () => {
    const { clock, node } = createBench();
    const bench = node();
    const options = { height: 30, timeoutMs: 300_000, signal };
    const waiting = waitForHeight({ apis: [bench.api], clock }, owner, undefined, options);
    await clock.advance(3_000);
    await registeredAt(bench.node);
    bench.node.scan(1, 30);
    expect(viewSyncedTo(await clock.settle(waiting))).toBe(30);

    const stranger = node();
    const before = clock.monotonic();
    const error = await clock.settle(
      rejectionOf(waitForHeight({ apis: [stranger.api], clock }, owner, undefined, options)),
    );
    expect(error?.code).toBe('unknown-registration');
    expect(clock.monotonic() - before).toBeLessThan(30_000);
  });

  it('goes on with the other nodes when one forges, and gives up when none is left', async () => {
    const { clock, node } = createBench();
    const forge: Deviations['tamper'] = (path, answer) =>
      path.startsWith('/v1/index-sets') ? { ...answer, nonce: 'A'.repeat(32) } : answer;
    const [forger, honest] = [node({ tamper: forge }), node()];
    for (const one of [forger, honest]) await registeredAt(one.node);
    honest.node.scan(1, 20);
    const options = { height: 25, timeoutMs: 100_000, signal };
    const apis = [forger.api, honest.api];
    const waiting = waitForHeight({ apis, clock }, owner, undefined, options);
    await clock.advance(10_000);
    honest.node.scan(21, 25);
    expect(viewSyncedTo(await clock.settle(waiting))).toBe(25);
    const alone = await rejectionOf(waitForHeight({ apis: [forger.api], clock }, owner, undefined, options));
    expect(alone?.code).toBe('forged-answer');
  });

  it('takes from each of two nodes what the other lacks', async () => {
    const { clock, node } = createBench();
    const [low, high] = [node(), node()];
    for (const one of [low, high]) await registeredAt(one.node);
    low.node.scan(1, 20, [[11, 0]]);
    high.node.scan(21, 50, [[44, 0]]);
    const options = { height: 50, timeoutMs: 100_000, signal };
    const view = await clock.settle(waitForHeight({ apis: [low.api, high.api], clock }, owner, undefined, options));
    expect(view.entries).toEqual([
      [11, 0],
      [44, 0],
    ]);
  });

  it('ends with the caller', async () => {
    const { clock, node } = createBench();
    const bench = node();
    await registeredAt(bench.node);
    const controller = new AbortController();
    const options = { height: 50, timeoutMs: 100_000, signal: controller.signal };
    const waiting = rejectionOf(waitForHeight({ apis: [bench.api], clock }, owner, undefined, options));
    await clock.advance(10);
    controller.abort();
    expect((await waiting)?.code).toBe('aborted');
    expect(clock.pending).toBe(0);
    const late = rejectionOf(waitForHeight({ apis: [bench.api], clock }, owner, undefined, options));
    expect((await late)?.code).toBe('aborted');
  });
});

describe('following', () => {
  it('yields each view that is synced further, until the caller stops', async () => {
    const { clock, node } = createBench();
    const bench = node();
    await registeredAt(bench.node);
    const views = followIndexSet({ apis: [bench.api], clock }, owner, undefined, { signal });
    const synced: number[] = [];
    for (const height of [20, 21, 40]) {
      const next = views.next();
      await clock.advance(5);
      bench.node.scan(10, height);
      synced.push(viewSyncedTo((await clock.settle(next)).value));
    }
    // The first is the answer that says where the registration begins.
    expect(synced).toEqual([9, 20, 21]);
  });

  it('survives a chain that stands still for an hour', async () => {
    const { clock, node } = createBench();
    const bench = node();
    await registeredAt(bench.node);
    bench.node.scan(10, 20);
    const views = followIndexSet({ apis: [bench.api], clock }, owner, undefined, { signal });
    await clock.settle(views.next());
    const next = views.next();
    await clock.advance(3_500_000);
    bench.node.scan(21, 21);
    expect(viewSyncedTo((await clock.settle(next)).value)).toBe(21);
  });
});

describe('politeness', () => {
  const refusal = (retryAfterSeconds: number | undefined) =>
    Object.assign(new KithError('not-ready', 'x'), { status: 503, retryAfterSeconds });

  it('doubles its pauses up to ten seconds, and keeps to what a node asks for, up to a minute', () => {
    const delays = [1, 2, 3, 10, 1000].map((failures) => retryDelayMs(refusal(undefined), failures));
    expect(delays).toEqual([250, 500, 1000, 10_000, 10_000]);
    const asked = [5, 0, -7, 1e9, Number.MAX_VALUE].map((seconds) => retryDelayMs(refusal(seconds), 1));
    expect(asked).toEqual([5_000, 250, 250, 60_000, 60_000]);
    expect(retryDelayMs(new KithError('node-unreachable', 'x'), 2)).toBe(500);
  });

  it('hears what the node asks for: the error carries it', async () => {
    const { node, clock } = createBench();
    const bench = node({ refuse: () => new KithError('not-ready', 'catching up') });
    const options = { height: 1, timeoutMs: 1, signal };
    await clock.settle(rejectionOf(waitForHeight({ apis: [bench.api], clock }, owner, undefined, options)));
    const error = await rejectionOf(readIndexSet(bench, owner, undefined, { signal }));
    expect(isNodeRefusal(error, 'not-ready') && [error.status, error.retryAfterSeconds]).toEqual([503, 5]);
  });
});
