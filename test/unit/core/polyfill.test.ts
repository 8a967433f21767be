import { describe, expect, it } from 'vitest';
import '../../../src/core/polyfill.ts';

describe('Promise.withResolvers', () => {
  it('is there, and settles its promise from outside', async () => {
    const good = Promise.withResolvers<number>();
    good.resolve(1);
    expect(await good.promise).toBe(1);
    const bad = Promise.withResolvers<number>();
    bad.reject(new Error('no'));
    await expect(bad.promise).rejects.toThrow('no');
  });
});
