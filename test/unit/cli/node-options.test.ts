import { describe, expect, it } from 'vitest';
import { kith } from '../../support/terminal.ts';

async function printed(...words: string[]): Promise<Record<string, { value: unknown; origin: string }>> {
  const { exitCode, out, err } = await kith('config', 'print', '--json', ...words);
  if (exitCode !== 0) throw new Error(err);
  return JSON.parse(out) as Record<string, { value: unknown; origin: string }>;
}

describe('the options of a node on the command line', () => {
  it('take switches without a value and lists by repetition', async () => {
    const options = await printed(
      '--found',
      '--bootstrap',
      '/ip4/10.0.0.1/tcp/9000',
      '--bootstrap',
      '/dns4/b/tcp/9000',
    );
    expect(options['found']).toEqual({ value: 'on', origin: 'flag' });
    expect(options['bootstrap']?.value).toEqual(['/ip4/10.0.0.1/tcp/9000', '/dns4/b/tcp/9000']);
    expect((await printed())['found']?.origin).toBe('unset');
  });

  it('refuse a single value that is given twice', async () => {
    const { exitCode, err } = await kith('config', 'print', '--http', '127.0.0.1:1', '--http', '127.0.0.1:2');
    expect(exitCode).not.toBe(0);
    expect(err).toContain('--http');
  });
});
