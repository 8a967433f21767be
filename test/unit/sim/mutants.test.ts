// The mutants still fit the source they are made for, and nothing of them, or of any test, is in what is shipped.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { mutate } from '../../../scripts/sim/bundle.ts';
import { MUTANTS } from '../../sim/mutants/mutants.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('mutants', () => {
  it.each(MUTANTS)('$name changes what stands in the source exactly once', ({ changes }) => {
    for (const file of new Set(changes.map((change) => change.file))) {
      const ofFile = changes.filter((change) => change.file === file);
      expect(file).toMatch(/^src\//);
      expect(mutate(read(file), ofFile, file)).not.toBe(read(file));
    }
  });

  it('are refused where the text is gone, or there twice', () => {
    const change = { find: 'a', replace: 'b' };
    expect(() => mutate('x', [change], 'file.ts')).toThrow('file.ts: what the mutant changes is there 0 times');
    expect(() => mutate('aa', [change], 'file.ts')).toThrow('2 times');
    expect(mutate('$&a', [{ find: 'a', replace: "$'" }], 'file.ts')).toBe("$&$'");
  });

  it('are twelve at least, each with its own name', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    expect(MUTANTS.length).toBeGreaterThanOrEqual(12);
  });
});

describe('the product', () => {
  it('is compiled from src alone, and no file of src knows of tests or mutants', () => {
    const build = JSON.parse(read('tsconfig.build.json')) as {
      compilerOptions: { rootDir: string };
      include: string[];
    };
    expect(build.include).toEqual(['src']);
    expect(build.compilerOptions.rootDir).toBe('src');
    const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    expect(files.length).toBeGreaterThan(100);
    const naming = files.filter((name) => /test\/(sim|support)|mutant|scripts\/sim/i.test(read(join('src', name))));
    expect(naming).toEqual([]);
  });

  it('ships dist and nothing else', () => {
    expect((JSON.parse(read('package.json')) as { files: string[] }).files).toEqual(['dist']);
    const built = readdirSync(join(ROOT, 'dist'), { recursive: true, encoding: 'utf8' });
    expect(built.filter((name) => /\.test\.|(^|\/)(test|sim|mutants?)(\/|$)/.test(name))).toEqual([]);
  });
});
