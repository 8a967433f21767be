import { describe, expect, it } from 'vitest';
import { isKithError, KithError, messageOf, printable, unreachable } from '../../../src/core/errors.ts';
import { failureOf } from '../../support/outcome.ts';

describe('a KithError', () => {
  it('carries code, message and cause', () => {
    const cause = new Error('deeper');
    const error = new KithError('some-code', 'what was wrong', { cause });
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('KithError');
    expect(error.code).toBe('some-code');
    expect(error.message).toBe('what was wrong');
    expect(error.cause).toBe(cause);
    expect('cause' in new KithError('some-code', 'x')).toBe(false);
  });

  it('is recognised by its class and by any of the codes asked for', () => {
    const error: unknown = new KithError('one', 'x');
    expect(isKithError(error)).toBe(true);
    expect(isKithError(error, 'one')).toBe(true);
    expect(isKithError(error, 'two', 'one')).toBe(true);
    expect(isKithError(error, 'two')).toBe(false);
    expect(isKithError(Object.assign(new Error('x'), { code: 'one' }), 'one')).toBe(false);
    expect(isKithError(undefined)).toBe(false);
  });
});

describe('what was thrown', () => {
  it.each([
    [new Error('plain'), 'plain'],
    [new KithError('c', 'ours'), 'ours'],
    ['text', 'text'],
    [undefined, 'undefined'],
    [7n, '7'],
  ])('has a text: %s', (thrown, text) => {
    expect(messageOf(thrown)).toBe(text);
  });
});

describe('the default of an exhaustive switch', () => {
  it('names the case it did not expect, and never what the case carries', () => {
    const named = failureOf(() => unreachable({ kind: 'new-kind', key: 'c2VjcmV0' } as never));
    expect(named?.code).toBe('internal');
    expect(named?.message).toContain('new-kind');
    expect(named?.message).not.toContain('c2VjcmV0');
    expect(failureOf(() => unreachable('other' as never))?.message).toContain('other');
    expect(failureOf(() => unreachable(7n as never))?.code).toBe('internal');
    expect(failureOf(() => unreachable(undefined as never))?.code).toBe('internal');
  });
});

describe('text from outside, made printable', () => {
  it.each([
    ['plain é 漢', 'plain é 漢'],
    ['a\nb\r\u2028c', 'a\\u000ab\\u000d\\u2028c'],
    ['\u001b[2J\u009b\u007f', '\\u001b[2J\\u009b\\u007f'],
    ['x\u202ey\u2066', 'x\\u202ey\\u2066'],
    ['12345678901', '1234567890...'],
  ])('is %j as %j', (text, shown) => {
    expect(printable(text, 10)).toBe(shown);
  });

  it('is not cut where it fits', () => {
    expect(printable('1234567890', 10)).toBe('1234567890');
  });
});
