import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { opIdFromBytes } from '../../../src/core/ids.ts';
import { LIFETIME_BLOCKS } from '../../../src/core/registration/limits.ts';
import {
  forgetBelow,
  join,
  type Meaning,
  meaningOf,
  NO_OPERATIONS,
  operationsOf,
  type RegistrationState,
  stateOf,
} from '../../../src/replication/merge.ts';
import { compareRank, type OperationSummary } from '../../../src/replication/order.ts';
import { fuzzRuns } from '../../support/fuzz.ts';

/** Few values, so that ties of every kind are common. */
const anOperation: fc.Arbitrary<OperationSummary> = fc
  .record({
    type: fc.constantFrom('register', 'renew', 'revoke'),
    version: fc.integer({ min: 1, max: 6 }),
    lasts: fc.integer({ min: 1, max: 4 }),
    birthday: fc.integer({ min: 0, max: 1 }),
    variant: fc.nat(1),
  })
  .map(({ type, version, lasts, birthday, variant }): OperationSummary => {
    const opId = opIdFromBytes(sha256(utf8(`${type} ${version} ${lasts} ${birthday} ${variant}`)));
    const expiryHeight = type === 'revoke' ? version + LIFETIME_BLOCKS : version + 3 * lasts;
    return {
      type: type as 'register',
      opId,
      version,
      expiryHeight,
      birthday: type === 'register' ? birthday : undefined,
    };
  });
const operations = fc.array(anOperation, { maxLength: 12 });
const aState = operations.map((list) => list.map(stateOf).reduce(join, NO_OPERATIONS));
const floor = fc.integer({ min: 0, max: 8 });

/** The rules as docs/REGISTRATIONS.md says them, over the whole set of operations. */
function meaningByTheBook(set: readonly OperationSummary[]): Meaning {
  const highest = (type: string) =>
    set
      .filter((operation) => operation.type === type)
      .sort(compareRank)
      .at(-1);
  const register = highest('register');
  const revoke = highest('revoke');
  const renewal = highest('renew');
  if (revoke && revoke.version >= (register?.version ?? 0)) return { kind: 'revoked', version: revoke.version };
  if (!register) return { kind: 'unknown' };
  const { version, birthday } = register;
  const renewed = renewal !== undefined && compareRank(renewal, register) > 0;
  const expiryHeight = renewed ? Math.min(renewal.expiryHeight, version + LIFETIME_BLOCKS) : register.expiryHeight;
  return { kind: 'open', version, birthday: birthday!, expiryHeight };
}

describe('rank', () => {
  it('is a total order: antisymmetric, transitive, zero for the same only', () => {
    fc.assert(
      fc.property(anOperation, anOperation, anOperation, (a, b, c) => {
        expect(Math.sign(compareRank(a, b))).toBe(-Math.sign(compareRank(b, a)) + 0);
        expect(compareRank(a, b) === 0).toBe(a.opId === b.opId);
        if (compareRank(a, b) >= 0 && compareRank(b, c) >= 0) expect(compareRank(a, c)).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });
});

describe('merging', () => {
  it('is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(aState, aState, aState, (a, b, c) => {
        expect(join(a, b)).toEqual(join(b, a));
        expect(join(join(a, b), c)).toEqual(join(a, join(b, c)));
        expect(join(a, a)).toEqual(a);
        expect(join(a, NO_OPERATIONS)).toEqual(a);
        expect(join(join(a, b), b)).toEqual(join(a, b));
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it('gives every order and grouping of the same operations one state, which means what the rules say', () => {
    const shuffled = operations.chain((list) =>
      fc.tuple(
        fc.constant(list),
        fc.shuffledSubarray([...list, ...list], { minLength: 2 * list.length }),
        fc.array(fc.nat(24), { maxLength: 6 }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([list, again, cuts]) => {
        const expected = list.map(stateOf).reduce(join, NO_OPERATIONS);
        const bounds = [0, ...cuts.filter((cut) => cut < again.length).sort((a, b) => a - b), again.length];
        const groups = bounds
          .slice(1)
          .map((end, i) => again.slice(bounds[i], end).map(stateOf).reduce(join, NO_OPERATIONS));
        expect(groups.reduceRight((right, left) => join(left, right), NO_OPERATIONS)).toEqual(expected);
        expect(meaningOf(expected)).toEqual(meaningByTheBook(list));
        expect(operationsOf(expected).length).toBeLessThanOrEqual(2);
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it('commutes with forgetting: forgetting before or after makes no difference', () => {
    fc.assert(
      fc.property(operations, operations, floor, floor, (a, b, low, high) => {
        const state = (list: OperationSummary[]): RegistrationState => list.map(stateOf).reduce(join, NO_OPERATIONS);
        const remaining = [...a, ...b].filter(({ version }) => version >= high);
        const first = forgetBelow(join(forgetBelow(state(a), Math.min(low, high)), state(b)), high);
        expect(first).toEqual(state(remaining));
        expect(forgetBelow(join(state(a), state(b)), high)).toEqual(state(remaining));
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });

  it('never opens what is revoked, except by a register of a higher version', () => {
    fc.assert(
      fc.property(operations, operations, (earlier, later) => {
        const before = earlier.map(stateOf).reduce(join, NO_OPERATIONS);
        const meaning = meaningOf(before);
        fc.pre(meaning.kind === 'revoked');
        const registers = later.filter(({ type, version }) => type === 'register' && version > meaning.version);
        const after = meaningOf(later.map(stateOf).reduce(join, before));
        if (after.kind === 'open') expect(registers.length).toBeGreaterThan(0);
        else expect(after.kind).toBe('revoked');
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });

  const make = (type: OperationSummary['type'], version: number, expiryHeight: number): OperationSummary => ({
    type,
    version,
    expiryHeight,
    birthday: type === 'register' ? 1 : undefined,
    opId: opIdFromBytes(sha256(utf8(`${type} ${version} ${expiryHeight}`))),
  });
  const meaning = (...list: OperationSummary[]) => meaningOf(list.map(stateOf).reduce(join, NO_OPERATIONS));

  it('keeps a renewal until its register comes, and lets it shorten as well as lengthen', () => {
    expect(meaning(make('renew', 20, 90))).toEqual({ kind: 'unknown' });
    expect(meaning(make('renew', 20, 90), make('register', 10, 50))).toMatchObject({ kind: 'open', expiryHeight: 90 });
    expect(meaning(make('register', 10, 50), make('renew', 20, 30))).toMatchObject({ kind: 'open', expiryHeight: 30 });
    expect(meaning(make('register', 25, 50), make('renew', 20, 90))).toMatchObject({ kind: 'open', expiryHeight: 50 });
  });

  it('lets no renewal reach further than one lifetime after its register', () => {
    const expiryHeight = 10 + LIFETIME_BLOCKS;
    expect(meaning(make('register', 10, 50), make('renew', 20, 20 + LIFETIME_BLOCKS))).toMatchObject({ expiryHeight });
  });

  it('applies to a register above a revoke the renewals above that register', () => {
    const revoked = [make('register', 5, 50), make('revoke', 10, 10 + LIFETIME_BLOCKS), make('renew', 20, 90)];
    expect(meaning(...revoked)).toEqual({ kind: 'revoked', version: 10 });
    expect(meaning(...revoked, make('register', 10, 60))).toEqual({ kind: 'revoked', version: 10 });
    expect(meaning(...revoked, make('register', 11, 60))).toMatchObject({ kind: 'open', expiryHeight: 90 });
    expect(meaning(...revoked, make('register', 21, 60))).toMatchObject({ kind: 'open', expiryHeight: 60 });
  });
});
