// Random edits of good quotes and good collateral: what is accepted says the same as before, and nothing is thrown.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VERIFICATION_CODES } from '../../../src/attestation/errors.ts';
import { type Collateral, formatCollateral, parseCollateral } from '../../../src/attestation/quote-collateral.ts';
import { createVerificationCaches, type Verdict } from '../../../src/attestation/verify.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { outcome, realEvidence, simulatedEvidence, verify } from '../../support/attestation.ts';
import { saySkipped } from '../../support/fixtures.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { applyEdits, contentOfCollateral, contentOfQuote, edits } from '../../support/mutations.ts';

/** Together 20,000 in `npm test`, ten times as many in long form. */
const QUOTE_RUNS = 12_000;
const COLLATERAL_RUNS = 8_000;

const real = realEvidence();
if (real.length === 0) saySkipped('mutations of real quotes', 'the fixtures are absent; simulated ones are mutated');
const all = [...(real.length > 0 ? real : [simulatedEvidence('v5-td15')]), simulatedEvidence('v4')];

const share = (runs: number) => Math.ceil(fuzzRuns(runs) / all.length);
/** What a smaller budget reaches is chance. */
const isWhole = fuzzRuns(QUOTE_RUNS) >= QUOTE_RUNS;

describe.each(all)('$name', (evidence) => {
  const caches = createVerificationCaches();

  it('edited quotes are accepted only if they say the same', () => {
    const content = contentOfQuote(evidence.quote);
    const codes = new Set<string>();
    fc.assert(
      fc.property(edits, (list) => {
        const quote = applyEdits(evidence.quote, list);
        const verdict = verify(evidence, { quote }, caches);
        codes.add(outcome(verdict));
        if (verdict.kind === 'accepted') expect(contentOfQuote(quote)).toBe(content);
        else expect(Object.hasOwn(VERIFICATION_CODES, verdict.code)).toBe(true);
      }),
      { numRuns: share(QUOTE_RUNS) },
    );
    // The edits reach every layer, not only the first.
    const layers = ['malformed', 'chain', 'quote-signature', 'qe-report-data', 'qe-report-signature'];
    if (isWhole) expect([...codes]).toEqual(expect.arrayContaining(layers));
  });

  it('edited collateral is accepted only if it says the same', () => {
    const text = formatCollateral(evidence.collateral);
    const original = utf8(text);
    const content = contentOfCollateral(evidence.collateral);
    const codes = new Set<string>();
    fc.assert(
      fc.property(edits, (list) => {
        const edited = new TextDecoder().decode(applyEdits(original, list));
        const collateral = parseOrCode(edited);
        if (typeof collateral === 'string') {
          codes.add(collateral);
          return;
        }
        const verdict: Verdict = verify(evidence, { collateral }, caches);
        codes.add(outcome(verdict));
        if (verdict.kind === 'accepted') expect(contentOfCollateral(collateral)).toBe(content);
        else expect(Object.hasOwn(VERIFICATION_CODES, verdict.code)).toBe(true);
      }),
      { numRuns: share(COLLATERAL_RUNS) },
    );
    const layers = ['collateral-malformed', 'crl-malformed', 'crl-signature', 'tcb-info-signature'];
    if (isWhole) expect([...codes]).toEqual(expect.arrayContaining(layers));
  });
});

/** The collateral, or the typed error's code; anything else thrown fails the test. */
function parseOrCode(text: string): Collateral | string {
  try {
    return parseCollateral(text);
  } catch (error) {
    if (isKithError(error)) return error.code;
    throw error;
  }
}
