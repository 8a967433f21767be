import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../../../src/core/json.ts';
import { FAMILY_RUNS, fuzzRuns } from '../../support/fuzz.ts';
import { codeOf, failureOf } from '../../support/outcome.ts';

const SECRET = 'a5a7018c47ec8603937c6afdb8b11335';

describe('JSON from outside', () => {
  it('gives what JSON.parse gives for any value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.boolean(), (value, spaced) => {
        const text = JSON.stringify(value, undefined, spaced ? 2 : undefined);
        expect(parseJson(text, 'x')).toEqual(JSON.parse(text));
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });

  it.each([
    ['{"a":1,"a":2}', '"a"'],
    ['{"a":{"b":1,"c":[],"b":2}}', '"b"'],
    ['[{"x":1},{"x":1,"y":{},"x":1}]', '"x"'],
    ['{"a":1,"\\u0061":2}', '"a"'],
    ['{"":1,"":2}', '""'],
    ['{"a\\"b":1,"c":"}{,","a\\"b":2}', '"a\\"b"'],
    ['{"__proto__":1,"__proto__":2}', '"__proto__"'],
  ])('refuses the repeated key in %s', (text, key) => {
    const failure = failureOf(() => parseJson(text, 'keys.json'));
    expect(failure?.code).toBe('bad-json');
    expect(failure?.message).toBe(`keys.json: the key ${key} appears twice in one object`);
  });

  it.each([
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"a"}',
    '{"a":["a","a"],"b":"\\"a\\":1,"}',
    '{"A":1,"a":2}',
  ])('does not take %s for a repetition', (text) => {
    expect(codeOf(() => parseJson(text, 'x'))).toBeUndefined();
  });

  it('finds any repeated key and no other', () => {
    const key = fc.constantFrom('a', 'b', '"', '\\', '{', ',', '');
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.jsonValue({ maxDepth: 2 })), { maxLength: 5 }), (entries) => {
        const text = `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`;
        const repeated = new Set(entries.map(([k]) => k)).size < entries.length;
        expect(codeOf(() => parseJson(text, 'x'))).toBe(repeated ? 'bad-json' : undefined);
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });

  it('keeps a field named __proto__ a field', () => {
    const value = parseJson('{"__proto__":{"admin":true}}', 'x') as Record<string, unknown>;
    expect(value['admin']).toBeUndefined();
    expect(Object.keys(value)).toEqual(['__proto__']);
  });

  it('takes 32 levels and no more', () => {
    const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
    expect(codeOf(() => parseJson(nested(32), 'x'))).toBeUndefined();
    expect(failureOf(() => parseJson(nested(33), 'x'))?.message).toBe('x: nested deeper than 32 levels');
    expect(codeOf(() => parseJson(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`, 'x'))).toBe('bad-json');
  });

  it.each([
    ['arrays', '['.repeat(1_000_000)],
    ['closed arrays', `${'['.repeat(300_000)}${']'.repeat(300_000)}`],
    ['objects', '{"a":'.repeat(300_000)],
  ])('survives hundreds of thousands of nested %s', (_what, text) => {
    expect(codeOf(() => parseJson(text, 'x'))).toBe('bad-json');
  });

  it.each([
    `{"seed":${SECRET}}`,
    `{"seed":"${SECRET}"`,
    `{"seed":"${SECRET}}`,
    `{"seed" "${SECRET}"}`,
    `{"seed":"${SECRET}",}`,
    `{"seed":"${SECRET}" "x"}`,
    `{"seed":'${SECRET}'}`,
    `${SECRET}`,
    `"${SECRET}`,
    `"${SECRET}\\x"`,
    `"${SECRET}\n"`,
    `"${SECRET}" ${SECRET}`,
    `[,"${SECRET}"]`,
    `{"a":"${SECRET}","a":"${SECRET}"}`,
    `${'['.repeat(40)}"${SECRET}"${']'.repeat(40)}`,
  ])('tells what is wrong with %s in one line, without quoting it', (text) => {
    const failure = failureOf(() => parseJson(text, 'wallet.json'));
    expect(failure?.code).toBe('bad-json');
    expect(failure?.message).toMatch(/^wallet\.json: [\x20-\x7e]{10,160}$/);
    for (let i = 0; i + 4 <= SECRET.length; i++) expect(failure?.message).not.toContain(SECRET.slice(i, i + 4));
    expect(String(failure?.cause)).not.toContain(SECRET.slice(0, 4));
  });

  it.each(['', ' ', '{', 'nul', 'NaN', '01', '1.', '{a:1}', '\u001b[2J', '"\u0007"', 'undefined', '\ufeff{}'])(
    'refuses %j in one printable line',
    (text) => {
      expect(failureOf(() => parseJson(text, 'x'))?.message).toMatch(/^x: not JSON: [\x20-\x7e]+$/);
    },
  );

  it('answers any text with a value or bad-json in one line', () => {
    const pieces = fc.constantFrom(...'{}[]:,"\\ \n0-1.e', 'null', 'true', '"a"', '"b":', '\\u0061', '\u2028', 'é');
    const text = fc.array(pieces, { maxLength: 24 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (value) => {
        const failure = failureOf(() => parseJson(value, 'x'));
        if (failure) {
          expect(failure.code).toBe('bad-json');
          expect(failure.message).not.toMatch(/[\n\r\u2028]/);
        } else {
          expect(JSON.stringify(parseJson(value, 'x'))).toBe(JSON.stringify(JSON.parse(value)));
        }
      }),
      { numRuns: fuzzRuns(FAMILY_RUNS) },
    );
  });
});
