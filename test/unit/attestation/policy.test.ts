import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  mergeNewest,
  type NewestCollateral,
  NO_COLLATERAL_SEEN,
  newestOf,
} from '../../../src/attestation/policy/collateral-age.ts';
import { decide, explain, type PolicyContext } from '../../../src/attestation/policy/decide.ts';
import {
  type AttestationPolicy,
  attestationPolicyShape,
  defaultPolicy,
} from '../../../src/attestation/policy/policy.ts';
import { simulatedQuote } from '../../../src/attestation/simulated/quote.ts';
import type { TcbStatus } from '../../../src/attestation/tcb-documents.ts';
import type { AcceptedQuote } from '../../../src/attestation/verdict.ts';
import { measurements, NOW, pki, reportData, simulatedEvidence, verify } from '../../support/attestation.ts';

function quoteOf(tcb: TcbStatus = 'UpToDate', collateral = pki.collateral()): AcceptedQuote {
  const machine = pki.platform({ operator: 'op-a', name: 'm1' }, { tcb });
  const quote = simulatedQuote(machine, { reportData, measurements });
  const verdict = verify(simulatedEvidence('v4'), { quote, collateral });
  if (verdict.kind === 'refused') throw new Error(verdict.message);
  return verdict;
}

const quote = quoteOf();
const policy = defaultPolicy([measurements]);
const context: PolicyContext = {
  nowSeconds: NOW,
  height: 100,
  newestCollateral: NO_COLLATERAL_SEEN,
  operator: undefined,
  allowSimulated: true,
};

function codeOf(rules: Partial<AttestationPolicy>, changes: Partial<PolicyContext> = {}, of = quote): string {
  const decision = decide({ ...policy, ...rules }, of, { ...context, ...changes });
  return decision.kind === 'denied' ? decision.code : decision.kind;
}

describe('attestation policy', () => {
  it('denies everything when it is empty', () => {
    expect(codeOf({ measurements: [] })).toBe('policy-measurement');
    expect(explain(decide(defaultPolicy([]), quote, context))).toContain('the policy has no measurement sets');
  });

  it('believes a measurement set within its heights only, both bounds included', () => {
    const bounded = (fromHeight: number, untilHeight: number) => ({
      measurements: [{ ...measurements, fromHeight, untilHeight }],
    });
    expect(codeOf(bounded(100, 100))).toBe('allowed');
    expect(codeOf(bounded(101, 200))).toBe('policy-measurement');
    expect(codeOf(bounded(0, 99))).toBe('policy-measurement');
    expect(codeOf(bounded(0, 200), { height: undefined })).toBe('policy-measurement');
  });

  it('believes two builds during an upgrade', () => {
    const old = { ...measurements, name: 'old', rtmr2: '00'.repeat(48), untilHeight: 120 };
    const next = { ...measurements, name: 'next', fromHeight: 90 };
    expect(decide({ ...policy, measurements: [old, next] }, quote, context)).toMatchObject({ measurementSet: 'next' });
  });

  it('compares MRSEAM and MRCONFIGID where the set names them', () => {
    expect(codeOf({ measurements: [{ ...measurements, mrseam: quote.measurements.mrseam }] })).toBe('allowed');
    expect(codeOf({ measurements: [{ ...measurements, mrseam: '00'.repeat(48) }] })).toBe('policy-measurement');
    expect(codeOf({ measurements: [{ ...measurements, mrconfigid: '01'.repeat(48) }] })).toBe('policy-measurement');
  });

  it('accepts an old TCB until its grace ends, and not a second longer', () => {
    const old = quoteOf('OutOfDate');
    const grace = [{ status: 'OutOfDate' as const, until: NOW }];
    expect(codeOf({}, {}, old)).toBe('policy-tcb-status');
    expect(codeOf({ grace }, {}, old)).toBe('allowed');
    expect(codeOf({ grace }, { nowSeconds: NOW + 1 }, old)).toBe('policy-tcb-status');
    expect(codeOf({ grace }, {}, quoteOf('ConfigurationNeeded'))).toBe('policy-tcb-status');
  });

  it('cannot be written to accept what is revoked', () => {
    expect(attestationPolicyShape.matches(policy)).toBe(true);
    expect(attestationPolicyShape.matches({ ...policy, grace: [{ status: 'Revoked', until: NOW }] })).toBe(false);
  });

  it('names the old component when it denies a TCB', () => {
    const decision = decide(policy, quoteOf('OutOfDate'), context);
    expect(decision.kind === 'denied' && decision.message).toBe(
      'OutOfDate is not accepted: SGX component 0 (BIOS, Early Microcode Update) has SVN 8, the newest level asks for 12',
    );
  });

  it('denies advisories of its list', () => {
    const old = quoteOf('OutOfDate');
    const grace = [{ status: 'OutOfDate' as const, until: NOW }];
    expect(codeOf({ grace, advisoriesDenied: ['DEV-SA-00004'] }, {}, old)).toBe('policy-advisory');
    expect(codeOf({ grace, advisoriesDenied: ['DEV-SA-00001'] }, {}, old)).toBe('allowed');
  });

  it('asks for a minimum evaluation number', () => {
    expect(codeOf({ evaluationNumberMin: 20 })).toBe('allowed');
    expect(codeOf({ evaluationNumberMin: 21 })).toBe('policy-evaluation-number');
  });

  it('asks for a listed operator when it lists platforms', () => {
    expect(codeOf({ platforms: 'listed' })).toBe('policy-platform');
    expect(codeOf({ platforms: 'listed' }, { operator: 'op-a' })).toBe('allowed');
  });

  it('denies a development root where simulation is not allowed, whatever else it says', () => {
    expect(codeOf({}, { allowSimulated: false })).toBe('policy-development');
  });

  it('denies attributes the hard rules forbid even if it names them', () => {
    const verdict = verify(simulatedEvidence('v4', { tdAttributes: '0100001000000000' }), { allowDebug: true });
    const debug = verdict as AcceptedQuote;
    expect(codeOf({ tdAttributes: '0100001000000000' }, {}, debug)).toBe('policy-debug');
  });

  it('explains each rule, met or not', () => {
    const decision = decide({ ...policy, evaluationNumberMin: 99 }, quote, context);
    expect(decision.rules.length).toBe(14);
    expect(decision.rules.filter(({ met }) => !met).map(({ code }) => code)).toEqual(['policy-evaluation-number']);
    const text = explain(decision);
    expect(text).toContain('met     policy-debug: not in debug mode\n');
    expect(text).toContain('not met policy-evaluation-number: TCB evaluation number 20, the policy asks for 99\n');
    expect(text.endsWith('denied: policy-evaluation-number\n')).toBe(true);
  });
});

describe('collateral that was seen', () => {
  it('is never gone back from', () => {
    const newer = quoteOf('UpToDate', pki.collateral({ issuedAt: NOW - 10 }));
    const newestCollateral = newestOf(newer.collateral);
    expect(codeOf({}, { newestCollateral }, newer)).toBe('allowed');
    expect(codeOf({}, { newestCollateral })).toBe('policy-collateral-age');
  });

  it('is told apart by kind of platform and authority', () => {
    const newest = { ...NO_COLLATERAL_SEEN, tcbInfo: { DE0000000009: NOW }, pckCrl: { other: NOW } };
    expect(codeOf({}, { newestCollateral: newest })).toBe('allowed');
    expect(codeOf({}, { newestCollateral: { ...newest, qeIdentity: NOW } })).toBe('policy-collateral-age');
    expect(codeOf({}, { newestCollateral: { ...newest, rootCrl: NOW } })).toBe('policy-collateral-age');
  });

  it('merges in any order to the same', () => {
    const times = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat(9), { noNullPrototype: true });
    const newest: fc.Arbitrary<NewestCollateral> = fc.record({
      tcbInfo: times,
      pckCrl: times,
      qeIdentity: fc.nat(9),
      rootCrl: fc.nat(9),
    });
    fc.assert(
      fc.property(newest, newest, newest, (a, b, c) => {
        expect(mergeNewest(a, b)).toEqual(mergeNewest(b, a));
        expect(mergeNewest(mergeNewest(a, b), c)).toEqual(mergeNewest(a, mergeNewest(b, c)));
        expect(mergeNewest(a, a)).toEqual(a);
      }),
    );
  });
});
