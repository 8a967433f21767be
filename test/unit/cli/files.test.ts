import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileSize, readLines, readTextFile, writeSecretFile } from '../../../src/cli/files.ts';
import { concatBytes, utf8 } from '../../../src/core/bytes.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { rejectionOf } from '../../support/outcome.ts';

const folder = temporaryFolder();
let files = 0;

function file(contents: string | Uint8Array): string {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, contents);
  return path;
}

async function linesOf(path: string, lineBytesMax = 1000): Promise<{ text: string; endOffset: number }[]> {
  const lines = [];
  for await (const line of readLines(path, lineBytesMax)) lines.push(line);
  return lines;
}

const textsOf = async (contents: string | Uint8Array, lineBytesMax?: number): Promise<string[]> =>
  (await linesOf(file(contents), lineBytesMax)).map(({ text }) => text);

describe('the lines of a file', () => {
  it.each([
    ['', []],
    ['\n', ['']],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\nb', ['a', 'b']],
    ['a\r\nb\r\n', ['a', 'b']],
    ['a\r\nb\r', ['a', 'b']],
    ['a\n\n\nb\n', ['a', '', '', 'b']],
    ['a\rb\n', ['a\rb']],
    ['a\r\r\n', ['a\r']],
    ['ü漢\u2028x\n', ['ü漢\u2028x']],
  ])('of %j are %j', async (contents, lines) => {
    expect(await textsOf(contents)).toEqual(lines);
  });

  it('come with the place where they end', async () => {
    expect((await linesOf(file('a\r\nüx\n\nlast'))).map(({ endOffset }) => endOffset)).toEqual([3, 7, 8, 12]);
  });

  it('are the same wherever the reads of a long file are cut', async () => {
    // Longer than one read of a stream (64 KiB), with characters of several bytes across the cuts.
    const lines = Array.from({ length: 9000 }, (_, i) => `${i} ${'é漢😀'.repeat(i % 7)}`);
    expect(await textsOf(lines.join('\n'))).toEqual(lines);
    expect(await textsOf(`${lines.join('\r\n')}\r\n`)).toEqual(lines);
  });

  it('are those that splitting gives, for any text', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '\n', '\r\n', '\r'), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(text, async (contents) => {
        const expected = contents.split('\n').map((line) => line.replace(/\r$/, ''));
        if (contents === '' || contents.endsWith('\n')) expected.pop();
        expect(await textsOf(contents)).toEqual(expected);
      }),
      { numRuns: fuzzRuns(150) },
    );
  });

  it('may be as long as allowed and no longer, with or without an end', async () => {
    expect(await textsOf('12345\n1234\r\n12345', 5)).toEqual(['12345', '1234', '12345']);
    for (const contents of ['ok\n123456\n', 'ok\n123456', `ok\n${'x'.repeat(300_000)}`]) {
      const path = file(contents);
      const failure = await rejectionOf(linesOf(path, 5));
      expect(failure?.code).toBe('line-too-long');
      expect(failure?.message).toBe(`${path} line 2: longer than 5 bytes`);
    }
  });

  it.each([[Uint8Array.of(0xff)], [Uint8Array.of(0xc3)], [Uint8Array.of(0xed, 0xa0, 0x80)]])(
    'must be UTF-8: not %j',
    async (bad) => {
      const path = file(concatBytes(utf8('good\n'), bad, utf8('\ngood')));
      const failure = await rejectionOf(linesOf(path));
      expect(failure?.code).toBe('bad-text');
      expect(failure?.message).toBe(`${path} line 2: not UTF-8 text`);
    },
  );

  it('are not those of a folder or of a file that is not there', async () => {
    expect(await rejectionOf(linesOf(folder))).toMatchObject({
      code: 'file',
      message: `cannot read ${folder}: it is a folder`,
    });
    const missing = join(folder, 'missing');
    expect(await rejectionOf(linesOf(missing))).toMatchObject({
      code: 'file',
      message: `cannot read ${missing}: no such file or folder`,
    });
    const below = join(file('x'), 'below');
    expect((await rejectionOf(linesOf(below)))?.message).toContain('a part of its path is not a folder');
  });

  it('can be left in the middle', async () => {
    for await (const { text } of readLines(file('a\nb\nc\n'), 10)) {
      expect(text).toBe('a');
      break;
    }
  });
});

describe('the text of a file', () => {
  it('is read whole, up to its limit', async () => {
    const text = 'é'.repeat(50_000);
    expect(await readTextFile(file(text), 100_000)).toBe(text);
    const path = file(text);
    expect(await rejectionOf(readTextFile(path, 99_999))).toMatchObject({
      code: 'too-large',
      message: `${path} has 100000 bytes; at most 99999 are accepted`,
    });
    expect(await fileSize(path, 100_000)).toBe(100_000);
    expect(await readTextFile(file(''), 10)).toBe('');
  });

  it('must be UTF-8, in a regular file that is there', async () => {
    expect((await rejectionOf(readTextFile(file(Uint8Array.of(0x61, 0xff)), 10)))?.code).toBe('bad-text');
    expect((await rejectionOf(readTextFile(folder, 10)))?.message).toBe(
      `cannot read ${folder}: it is not a regular file`,
    );
    expect((await rejectionOf(readTextFile('/dev/zero', 10)))?.code).toBe('file');
    expect((await rejectionOf(readTextFile(join(folder, 'none'), 10)))?.message).toContain('no such file');
  });
});

describe('a file of secrets', () => {
  const place = (): string => {
    const path = join(folder, `secrets-${files++}`);
    mkdirSync(path);
    return path;
  };

  it.each([true, false])('is written whole, for its owner only, with overwrite %s', async (overwrite) => {
    const home = place();
    await writeSecretFile(join(home, 'wallet'), 'contents', { overwrite });
    expect(readFileSync(join(home, 'wallet'), 'utf8')).toBe('contents');
    expect(statSync(join(home, 'wallet')).mode & 0o777).toBe(0o600);
    expect(readdirSync(home)).toEqual(['wallet']);
  });

  it('never replaces a file unless told to', async () => {
    const home = place();
    const path = join(home, 'wallet');
    await writeSecretFile(path, 'first', { overwrite: false });
    const failure = await rejectionOf(writeSecretFile(path, 'second', { overwrite: false }));
    expect(failure).toMatchObject({
      code: 'file',
      message: `cannot write ${path}: it exists already; remove it or name another`,
    });
    expect(readFileSync(path, 'utf8')).toBe('first');
    expect(readdirSync(home)).toEqual(['wallet']);
  });

  it('is the work of one when many write at once', async () => {
    const home = place();
    const path = join(home, 'wallet');
    const attempts = ['a', 'b', 'c', 'd'].map((contents) => writeSecretFile(path, contents, { overwrite: false }));
    const settled = await Promise.allSettled(attempts);
    const winners = settled.flatMap(({ status }, i) => (status === 'fulfilled' ? ['abcd'[i]] : []));
    expect(winners.length).toBe(1);
    expect(readFileSync(path, 'utf8')).toBe(winners[0]);
    expect(readdirSync(home)).toEqual(['wallet']);
  });

  it('replaces an older one, whose wider mode it does not keep', async () => {
    const home = place();
    const path = join(home, 'wallet');
    writeFileSync(path, 'a much longer text than the new one');
    chmodSync(path, 0o644);
    await writeSecretFile(path, 'new', { overwrite: true });
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(home)).toEqual(['wallet']);
  });

  it('that cannot be put in place leaves nothing behind', async () => {
    const home = place();
    mkdirSync(join(home, 'taken'));
    for (const overwrite of [true, false]) {
      expect((await rejectionOf(writeSecretFile(join(home, 'taken'), 'x', { overwrite })))?.code).toBe('file');
    }
    expect(readdirSync(home)).toEqual(['taken']);
    expect(readdirSync(join(home, 'taken'))).toEqual([]);
    expect((await rejectionOf(writeSecretFile(join(home, 'no', 'x'), 'x', { overwrite: true })))?.message).toContain(
      'no such file or folder',
    );
  });
});
