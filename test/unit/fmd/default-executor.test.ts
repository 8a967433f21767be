import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/core/system.ts';
import { createDefaultExecutor } from '../../../src/fmd/default-executor.ts';
import { createDetectionEngine } from '../../../src/fmd/engine.ts';
import { encodeFlagBorsh } from '../../../src/fmd/flag.ts';
import { naiveDetect, randomDetectionKey, randomFlag } from '../../support/fmd.ts';
import { seededRandom } from '../../support/seeded-random.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the executor for this machine', () => {
  it('is the compiled kernel on workers where WebAssembly SIMD is there', () => {
    const said: string[] = [];
    const executor = createDefaultExecutor({ clock: systemClock, onFallback: (why) => said.push(why) }, { workers: 3 });
    expect(executor.kernel).toBe('wasm-simd128 (3 workers)');
    expect(said).toEqual([]);
  });

  it('is the reference where it is missing, which is said once, and detects all the same', async () => {
    vi.spyOn(WebAssembly, 'validate').mockReturnValue(false);
    const random = seededRandom('default executor');
    const said: string[] = [];
    const executor = createDefaultExecutor({ clock: systemClock, onFallback: (why) => said.push(why) });
    expect(executor.kernel).toBe('noble');
    const engine = createDetectionEngine({ executor });
    await engine.start();
    const key = randomDetectionKey(random, [0, 1]);
    const flags = Array.from({ length: 8 }, () => randomFlag(random));
    engine.add(key);
    const transactions = flags.map((flag) => ({ flags: [encodeFlagBorsh(flag)] }));
    const result = await engine.detect({ lane: 'head', transactions });
    expect(flags.map((_, i) => result.matches(i, 0))).toEqual(flags.map((flag) => naiveDetect(flag, key)));
    await engine.stop();
    expect(said).toEqual(['WebAssembly SIMD is missing: detection runs on the slow reference']);
  });
});
