import { describe, expect, it } from 'vitest';
import { bytes, bytesUpTo, closed, hexText, list, shape, Type, text, uint } from '../../../src/core/schema.ts';
import { failureOf } from '../../support/outcome.ts';

const record = shape(
  closed({
    height: uint(100, 1),
    name: text(5, 2),
    key: hexText(2),
    raw: bytes(4),
    blob: bytesUpTo(3, 1),
    items: list(closed({ n: uint() }), 2, 1),
    choice: Type.Union([uint(), text(9), Type.Null()]),
    several: Type.Optional(Type.Union([list(uint(), 2), Type.Null()])),
    mode: Type.Union([Type.Literal('head'), Type.Literal('backfill')]),
    note: Type.Optional(text(3)),
  }),
);

const good = {
  height: 7,
  name: 'abc',
  key: 'beef',
  raw: new Uint8Array(4),
  blob: new Uint8Array(2),
  items: [{ n: 1 }],
  choice: null,
  mode: 'head',
};

/** Appears in every wrong value below, and must not appear in any error. */
const SECRET = 'hunter2secret';
const SECRET_NUMBER = 987654321;

/** What is put in, the field to be named, what the line must say. */
const WRONG: [string, object, string, RegExp][] = [
  ['a missing field', { height: undefined }, 'height', /lacks|must be/],
  ['another type', { height: SECRET }, 'height', /integer.*got a string of 13 characters/],
  ['a fraction', { height: SECRET_NUMBER + 0.5 }, 'height', /integer/],
  ['a number above the range', { height: SECRET_NUMBER }, 'height', /<= 100/],
  ['a number below the range', { height: 0 }, 'height', />= 1/],
  ['an unsafe integer', { items: [{ n: 2 ** 53 }] }, 'items.0.n', /<= 9007199254740991/],
  ['not a number', { height: Number.NaN }, 'height', /integer/],
  ['a long string', { name: SECRET }, 'name', /5 characters.*got a string of 13/],
  ['a short string', { name: 's' }, 'name', /2 characters.*got a string of 1/],
  ['a string that is no hex', { key: 'hunt' }, 'key', /must be 4 hex digits \(2 bytes\)/],
  ['hex of another length', { key: 'beefbe' }, 'key', /4/],
  ['bytes of another length', { raw: new Uint8Array(5) }, 'raw', /must be 4 bytes, got 5 bytes/],
  ['a list for bytes', { raw: [1, 2, 3, 4] }, 'raw', /must be 4 bytes, got a list of 4/],
  ['too few bytes', { blob: new Uint8Array(0) }, 'blob', /must be 1 to 3 bytes, got 0 bytes/],
  ['too many bytes', { blob: new Uint8Array(9) }, 'blob', /must be 1 to 3 bytes, got 9 bytes/],
  ['null', { name: null }, 'name', /string, got null/],
  ['an object for a list', { items: { secret: SECRET } }, 'items', /array.*got object/],
  ['an empty list', { items: [] }, 'items', /1 item.*got a list of 0/],
  ['a long list', { items: [{ n: 1 }, { n: 2 }, { n: SECRET_NUMBER }] }, 'items', /2 items.*got a list of 3/],
  ['a wrong item', { items: [{ n: 1 }, { n: SECRET }] }, 'items.1.n', /integer/],
  ['an incomplete item', { items: [{}] }, 'items.0', /lacks the field n/],
  ['an unknown field inside', { items: [{ n: 1, extra: SECRET }] }, 'items.0', /has the unknown field extra/],
  ['a long text, one of several forms', { choice: SECRET }, 'choice', /9 characters.*got a string of 13/],
  ['a number out of range, one of several forms', { choice: -1 }, 'choice', />= 0/],
  ['a wrong item of one of several forms', { several: [1, SECRET] }, 'several.1', /integer, got a string of 13/],
  ['a long list of several forms', { several: [1, 2, 3] }, 'several', /2 items, got a list of 3/],
  ['none of several forms', { choice: { secret: SECRET } }, 'choice', /one of integer, string, null/],
  ['none of several words', { mode: SECRET }, 'mode', /one of "head", "backfill"/],
  ['a wrong optional field', { note: SECRET }, 'note', /3 characters/],
];

describe('a shape', () => {
  it('gives back the value it describes, itself', () => {
    expect(record.parse(good, 'x')).toBe(good);
    expect(record.matches(good)).toBe(true);
    expect(record.matches({ ...good, note: 'abc' })).toBe(true);
    expect(record.matches({ ...good, note: undefined, height: '7' })).toBe(false);
  });

  it.each(WRONG)('names place and field of %s, what is expected, and not the value', (_what, change, field, says) => {
    const failure = failureOf(() => record.parse({ ...good, ...change }, 'chain.jsonl line 7'));
    expect(failure?.code).toBe('bad-shape');
    const message = failure?.message ?? '';
    expect(message).toMatch(/^chain\.jsonl line 7: [\x20-\x7e]{5,200}$/);
    expect(message).toContain(field);
    expect(message).toMatch(says);
    expect(message).not.toContain(SECRET);
    expect(message).not.toContain(String(SECRET_NUMBER));
    expect(message).not.toContain('hunt');
  });

  it('names a field that is not there at all', () => {
    const { height: _left, ...rest } = good;
    expect(failureOf(() => record.parse(rest, 'x'))?.message).toBe('x: the whole lacks the field height');
  });

  it.each([
    [{ ...good, extra: SECRET }, 'x: the whole has the unknown field extra'],
    [JSON.parse(`{"__proto__":"${SECRET}"}`), undefined],
    [SECRET, 'x: the whole must be object, got a string of 13 characters'],
    [null, 'x: the whole must be object, got null'],
    [undefined, 'x: the whole must be object, got undefined'],
    [[SECRET], 'x: the whole must be object, got a list of 1'],
  ])('refuses %j as a whole', (value, message) => {
    const failure = failureOf(() => record.parse(value, 'x'));
    expect(failure?.code).toBe('bad-shape');
    if (message) expect(failure?.message).toBe(message);
    expect(failure?.message).not.toContain(SECRET);
  });

  it('refuses __proto__ as an unknown field', () => {
    const value: unknown = JSON.parse('{"n":1,"__proto__":{"n":2}}');
    const failure = failureOf(() => shape(closed({ n: uint() })).parse(value, 'x'));
    expect(failure?.message).toBe('x: the whole has the unknown field __proto__');
  });

  it('does not find fields in the prototype', () => {
    const value: unknown = Object.create({ n: 1 });
    expect(failureOf(() => shape(closed({ n: uint() })).parse(value, 'x'))?.code).toBe('bad-shape');
    expect(shape(closed({ toString: text(5) })).matches({})).toBe(false);
  });

  it('prints a hostile field name short and without control characters', () => {
    const name = `\u001b[2J\n\u009b${'x'.repeat(5000)}`;
    const failure = failureOf(() => record.parse({ ...good, [name]: 1 }, 'x'));
    expect(failure?.message).toMatch(/^x: the whole has the unknown field [\x20-\x7e]{10,200}$/);
  });

  it('names the field below keys with slashes and tildes', () => {
    const map = shape(Type.Record(Type.String(), uint(5)));
    const failure = failureOf(() => map.parse({ 'a/b~c': 'text' }, 'x'));
    expect(failure?.message).toContain('a/b~c');
    expect(failure?.message).toContain('got a string of 4 characters');
  });
});
