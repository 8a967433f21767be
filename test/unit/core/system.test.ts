import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock, systemRandom } from '../../../src/core/system.ts';

describe('the system clock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('calls once, after the delay and never synchronously', () => {
    const calls: number[] = [];
    systemClock.schedule(0, () => calls.push(0));
    systemClock.schedule(-5, () => calls.push(-5));
    systemClock.schedule(100, () => calls.push(100));
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(99);
    expect(calls.toSorted()).toEqual([-5, 0]);
    vi.advanceTimersByTime(1000);
    expect(calls.length).toBe(3);
  });

  it('does not call what was cancelled', () => {
    const calls: string[] = [];
    const timer = systemClock.schedule(10, () => calls.push('called'));
    timer.cancel();
    timer.cancel();
    vi.advanceTimersByTime(100);
    expect(calls).toEqual([]);
  });

  it('waits a month if told so, although setTimeout cannot', () => {
    const monthMs = 30 * 24 * 3600 * 1000;
    expect(monthMs).toBeGreaterThan(2 ** 31);
    const calls: string[] = [];
    systemClock.schedule(monthMs, () => calls.push('kept'));
    const cancelled = systemClock.schedule(monthMs, () => calls.push('cancelled'));
    vi.advanceTimersByTime(2 ** 31 - 1);
    expect(calls).toEqual([]);
    cancelled.cancel();
    vi.advanceTimersByTime(monthMs - (2 ** 31 - 1) - 1);
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(calls).toEqual(['kept']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tells the time', () => {
    const [now, monotonic] = [systemClock.now(), systemClock.monotonic()];
    expect(now).toBe(1_000_000);
    vi.advanceTimersByTime(250);
    expect(systemClock.now() - now).toBe(250);
    expect(systemClock.monotonic() - monotonic).toBe(250);
  });
});

describe('system randomness', () => {
  it.each([0, 1, 32, 65_536, 65_537, 200_000])('gives %d bytes', (length) => {
    const bytes = systemRandom.bytes(length);
    expect(bytes.length).toBe(length);
    // The last 32 bytes are zero by chance once in 2^256 times.
    if (length >= 32) expect(bytes.subarray(length - 32).some((byte) => byte !== 0)).toBe(true);
  });

  it('does not repeat itself', () => {
    expect(systemRandom.bytes(32)).not.toEqual(systemRandom.bytes(32));
  });
});
