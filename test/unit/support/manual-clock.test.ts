import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../support/manual-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

describe('the manual clock', () => {
  it('fires timers by time, and those of one moment in the order they were scheduled, whatever was cancelled', async () => {
    const clock = createManualClock(0);
    const drawn = seededRandom('manual clock').bytes(600);
    const fired: [number, number][] = [];
    const kept: [number, number][] = [];
    for (let i = 0; i < 300; i++) {
      const delayMs = drawn[2 * i]! % 50;
      const timer = clock.schedule(delayMs, () => fired.push([delayMs, i]));
      if (drawn[2 * i + 1]! < 100) timer.cancel();
      else kept.push([delayMs, i]);
    }
    expect(clock.pending).toBe(kept.length);
    await clock.advance(50);
    expect(fired).toEqual(kept.sort((a, b) => a[0] - b[0] || a[1] - b[1]));
    expect(fired.length).toBeGreaterThan(100);
    expect(clock.pending).toBe(0);
  });

  it('fires what a timer schedules for the same moment before time goes on', async () => {
    const clock = createManualClock(0);
    const seen: number[] = [];
    clock.schedule(10, () => clock.schedule(0, () => seen.push(clock.monotonic())));
    clock.schedule(11, () => seen.push(clock.monotonic()));
    await clock.advance(20);
    expect(seen).toEqual([10, 11]);
    expect(clock.monotonic()).toBe(20);
  });

  it('does not count a timer twice that is cancelled after it fired', async () => {
    const clock = createManualClock(0);
    const timer = clock.schedule(1, () => undefined);
    clock.schedule(5, () => undefined);
    await clock.advance(1);
    timer.cancel();
    timer.cancel();
    expect(clock.pending).toBe(1);
  });
});
