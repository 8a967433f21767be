// Answers with anything changed in them.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isKithError } from '../../../src/core/errors.ts';
import { systemClock as clock } from '../../../src/core/system.ts';
import { createDevnet } from '../../../src/devnet/index.ts';
import { createCometSource, createMaspSource, type Transport } from '../../../src/indexer/index.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { recordedChain } from '../../support/replay.ts';

const { signal } = new AbortController();

describe('any answer at all', () => {
  const sources = [
    ['CometBFT', createCometSource],
    ['masp-indexer', createMaspSource],
  ] as const;

  it.each(sources)('of %s gives blocks or a typed error, whatever its bytes are', async (_, make) => {
    const inner = createDevnet({ replay: recordedChain() }).transport();
    let change: Mutation | undefined;
    const transport: Transport = {
      name: 'mutant',
      async request(request, options) {
        const response = await inner.request(request, options);
        return change ? { ...response, body: mutate(response.body, change) } : response;
      },
    };
    const source = make({ transport, clock });
    await source.blocks(1031830, 1031831, { signal });
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(mutation, async (drawn) => {
        change = drawn;
        const outcome = await source.blocks(1031830, 1031831, { signal }).catch((error: unknown) => error);
        if (Array.isArray(outcome)) return;
        if (!isKithError(outcome)) throw outcome;
        codes.add(outcome.code);
      }),
      { numRuns: fuzzRuns(2_000) },
    );
    expect(['bad-answer', 'upstream-refused', 'height-unavailable']).toEqual(expect.arrayContaining([...codes]));
    expect(codes).toContain('bad-answer');
  });
});

interface Mutation {
  readonly kind: 'mark' | 'move' | 'digits';
  readonly at: number;
  readonly from: number;
  readonly length: number;
  readonly mark: string;
}

/** JSON's own characters are the ones that hurt. */
const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('mark', 'move', 'digits'),
  at: fc.nat(100_000),
  from: fc.nat(100_000),
  length: fc.integer({ min: 1, max: 64 }),
  mark: fc.constantFrom(...'{}[],:"0-9en\\ '),
});

function mutate(body: Uint8Array, { kind, at: anywhere, from: somewhere, length, mark }: Mutation): Uint8Array {
  const out = body.slice();
  const at = anywhere % body.length;
  const from = somewhere % body.length;
  if (kind === 'mark') out[at] = mark.charCodeAt(0);
  else if (kind === 'move') out.copyWithin(at, from, from + length);
  else out.fill(48 + (length % 10), at, at + (length % 8));
  return out;
}
