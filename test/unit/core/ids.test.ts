import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clusterIdFromBytes,
  ID_BYTES,
  idBytes,
  nodeIdFromBytes,
  opIdFromBytes,
  parseClusterId,
  parseNodeId,
  parseOpId,
  parseRegId,
  regIdFromBytes,
} from '../../../src/core/ids.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { codeOf, failureOf } from '../../support/outcome.ts';

const kinds = [
  ['cluster', clusterIdFromBytes, parseClusterId],
  ['node', nodeIdFromBytes, parseNodeId],
  ['registration', regIdFromBytes, parseRegId],
  ['operation', opIdFromBytes, parseOpId],
] as const;

describe.each(kinds)('a %s id', (kind, fromBytes, parse) => {
  it('is 43 characters that lead back to its 32 bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: ID_BYTES, maxLength: ID_BYTES }), (bytes) => {
        const id = fromBytes(bytes);
        expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/);
        expect(parse(id)).toBe(id);
        expect(idBytes(id)).toEqual(bytes);
      }),
      { numRuns: fuzzRuns(200) },
    );
  });

  it.each([0, 31, 33, 64])('is not made of %d bytes', (length) => {
    const failure = failureOf(() => fromBytes(new Uint8Array(length)));
    expect(failure?.code).toBe('bad-id');
    expect(failure?.message).toContain(kind);
  });

  it.each([
    '',
    'A'.repeat(42),
    'A'.repeat(44),
    `${'A'.repeat(42)}B`,
    `${'A'.repeat(42)}=`,
    `${'A'.repeat(42)}+`,
    `${'A'.repeat(42)}\u0100`,
    ` ${'A'.repeat(42)}`,
  ])('is not read from %j', (text) => {
    const failure = failureOf(() => parse(text));
    expect(failure?.code).toBe('bad-id');
    expect(failure?.message).toContain(kind);
  });

  it('has no second spelling', () => {
    const last = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
    fc.assert(
      fc.property(last, (character) => {
        const text = `${'A'.repeat(42)}${character}`;
        const whole = Buffer.from(text, 'base64url').toString('base64url') === text;
        expect(codeOf(() => parse(text))).toBe(whole ? undefined : 'bad-id');
      }),
      { numRuns: fuzzRuns(200) },
    );
  });
});
