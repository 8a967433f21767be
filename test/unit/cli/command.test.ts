import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addCommand, EXIT, integerOption, runProgram, usageError } from '../../../src/cli/command.ts';
import { VERSION } from '../../../src/cli/version.ts';
import { KithError } from '../../../src/core/errors.ts';
import { createFakeTerminal, kith } from '../../support/terminal.ts';

const oneLine = /^kith: [^\n\r]+\n$/;

describe('kith', () => {
  it.each([
    [['--help'], ['Usage: kith', 'dev', 'fmd']],
    [
      ['fmd', '--help'],
      ['Usage: kith fmd', 'detect', 'keygen', 'flag'],
    ],
    [
      ['fmd', 'detect', '--help'],
      ['--keys <file>', '--chain <file>', '--json'],
    ],
    [['fmd', 'detect', '-h', '--json'], ['--keys <file>']],
  ])('helps on %j: exit code 0, on stdout only', async (words, parts) => {
    const { exitCode, out, err } = await kith(...words);
    expect(exitCode).toBe(EXIT.done);
    for (const part of parts) expect(out).toContain(part);
    expect(err).toBe('');
  });

  it('tells its version', async () => {
    expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
    expect(await kith('--version')).toEqual({ exitCode: EXIT.done, out: `${VERSION}\n`, err: '' });
  });

  it.each([
    ['no command', [], 'command'],
    ['no command of a group', ['fmd'], 'command'],
    ['an unknown command', ['fnord'], 'fnord'],
    ['an unknown command of a group', ['fmd', 'fnord'], 'fnord'],
    ['an unknown option', ['fmd', 'detect', '--keys', 'a', '--chain', 'b', '--fnord'], '--fnord'],
    ['an unknown option of the whole', ['--fnord'], '--fnord'],
    ['a missing option', ['fmd', 'detect', '--keys', 'a'], '--chain'],
    ['a missing value', ['fmd', 'detect', '--chain', 'b', '--keys'], '--keys'],
    ['a superfluous word', ['fmd', 'detect', '--keys', 'a', '--chain', 'b', 'fnord'], 'argument'],
    ['a number out of range', ['fmd', 'keygen', '--out', '/dev/null/x', '-n', '21'], 'from 1 to 20'],
    ['a number that is none', ['fmd', 'keygen', '--out', '/dev/null/x', '--count', '1e3'], 'from 1 to 10000'],
    ['a negative number', ['fmd', 'keygen', '--out', '/dev/null/x', '-n', '-1'], 'from 1 to 20'],
    ['hex of another length', ['fmd', 'keygen', '--out', '/dev/null/x', '--seed', 'beef'], '--seed'],
    ['options that exclude each other', ['fmd', 'keygen', '--out', '/x', '--seed', 'b', '--count', '2'], '--seed'],
    ['a key that is no hex', ['fmd', 'flag', '--public-key', 'z'.repeat(128)], '--public-key'],
    ['a long tag', ['fmd', 'flag', '--public-key', '0'.repeat(128), '--tag', 'x'.repeat(257)], '--tag'],
  ])('refuses %s: exit code 2, one line, and an error document for --json', async (_what, words, says) => {
    const plain = await kith(...words);
    expect(plain.exitCode).toBe(EXIT.usage);
    expect(plain.out).toBe('');
    expect(plain.err).toMatch(oneLine);
    expect(plain.err).toContain(says);
    const json = await kith(...words.slice(0, 2), '--json', ...words.slice(2));
    expect(json.exitCode).toBe(EXIT.usage);
    expect(json.err).toMatch(oneLine);
    const document = JSON.parse(json.out) as { error: { code: string; message: string } };
    expect(document.error.code).toBe('usage');
    expect(`kith: ${document.error.message}\n`).toBe(json.err);
  });

  it.each([
    ['no such file', ['fmd', 'detect', '--keys', '/nowhere/keys.json', '--chain', 'b'], 'file', '/nowhere/keys.json'],
    ['a folder for a file', ['fmd', 'detect', '--keys', '/', '--chain', 'b'], 'file', 'regular file'],
    ['a key that is no point', ['fmd', 'flag', '--public-key', 'f'.repeat(128)], 'bad-encoding', 'coefficient 0'],
  ])('fails on %s: exit code 1, one line, and an error document for --json', async (_what, words, code, says) => {
    const { exitCode, out, err } = await kith(...words, '--json');
    expect(exitCode).toBe(EXIT.failed);
    expect(err).toMatch(oneLine);
    expect(err).toContain(says);
    const document = JSON.parse(out) as { error: { code: string; message: string } };
    expect(document.error.code).toBe(code);
    expect(`kith: ${document.error.message}\n`).toBe(err);
    expect((await kith(...words)).out).toBe('');
  });

  it('keeps an error on one line and off the terminal controls, whatever a file is called', async () => {
    const { exitCode, err } = await kith('fmd', 'detect', '--keys', 'a\nkith: all is well\u001b[2J', '--chain', 'b');
    expect(exitCode).toBe(EXIT.failed);
    expect(err).toMatch(/^kith: [^\p{Cc}]+\n$/u);
  });
});

describe('the frame of a command', () => {
  function program(
    run: () => Promise<{ json: unknown; text: string; exitCode?: 0 | 1 | 2 } | undefined>,
  ): () => Command {
    return () => {
      const root = new Command('kith');
      addCommand(root, 'try', 'for tests', () => undefined, run);
      return root;
    };
  }
  const attempt = async (run: Parameters<typeof program>[0], ...words: string[]) => {
    const terminal = createFakeTerminal();
    const exitCode = await runProgram(program(run), ['try', ...words], terminal);
    return { exitCode, out: terminal.out(), err: terminal.err() };
  };

  it('writes the text, or the same as one JSON document', async () => {
    const run = async () => ({ json: { a: 1 }, text: 'a is 1\n' });
    expect(await attempt(run)).toEqual({ exitCode: 0, out: 'a is 1\n', err: '' });
    expect(await attempt(run, '--json')).toEqual({ exitCode: 0, out: '{"a":1}\n', err: '' });
  });

  it('gives the exit code a command asks for', async () => {
    expect(await attempt(async () => ({ json: 1, text: 'no\n', exitCode: EXIT.failed }))).toMatchObject({
      exitCode: 1,
    });
    expect(await attempt(async () => undefined)).toEqual({ exitCode: 0, out: '', err: '' });
  });

  it('tells failures, wrong usage and faults of its own apart', async () => {
    const failing = (error: unknown) => () => Promise.reject(error);
    expect(await attempt(failing(new KithError('refused', 'not now')))).toEqual({
      exitCode: EXIT.failed,
      out: '',
      err: 'kith: not now\n',
    });
    expect(await attempt(failing(usageError('not so')), '--json')).toEqual({
      exitCode: EXIT.usage,
      out: '{"error":{"code":"usage","message":"not so"}}\n',
      err: 'kith: not so\n',
    });
    const fault = await attempt(failing(new TypeError('x is undefined')), '--json');
    expect(fault.exitCode).toBe(EXIT.failed);
    expect(fault.err).toContain('a fault in kith itself: x is undefined');
    expect(JSON.parse(fault.out)).toMatchObject({ error: { code: 'internal' } });
    expect((await attempt(failing('a string'))).err).toContain('a fault in kith itself: a string');
  });
});

describe('an option for whole numbers', () => {
  it('takes those of its range only, written as digits', () => {
    const parse = integerOption(0, 100);
    expect(['0', '7', '007', '100'].map(parse)).toEqual([0, 7, 7, 100]);
    for (const text of ['', '-1', '101', '1.0', '1e1', '0x1', ' 1', '١', '9'.repeat(17)]) {
      expect(() => parse(text)).toThrow('from 0 to 100');
    }
  });
});
