// One suite over real and simulated quotes: they differ in anchor, policy and provider, and in nothing else.

import { describe, expect, it } from 'vitest';
import { NO_COLLATERAL_SEEN } from '../../../src/attestation/policy/collateral-age.ts';
import { decide, type PolicyContext } from '../../../src/attestation/policy/decide.ts';
import { defaultPolicy } from '../../../src/attestation/policy/policy.ts';
import { parseQuote } from '../../../src/attestation/quote.ts';
import { createDevelopmentPki } from '../../../src/attestation/simulated/pki.ts';
import type { AcceptedQuote } from '../../../src/attestation/verdict.ts';
import { createVerificationCaches } from '../../../src/attestation/verify.ts';
import { concatBytes, toHex, utf8 } from '../../../src/core/bytes.ts';
import {
  type Evidence,
  flipped,
  offsetIn,
  outcome,
  pki,
  realEvidence,
  simulatedEvidence,
  verify,
  withParts,
} from '../../support/attestation.ts';
import { saySkipped } from '../../support/fixtures.ts';

const real = realEvidence();
if (real.length === 0) saySkipped('the verification suite over real quotes', 'the fixtures are absent');
const all = [...real, ...(['v4', 'v5-td10', 'v5-td15'] as const).map((layout) => simulatedEvidence(layout))];

const context = (evidence: Evidence): PolicyContext => ({
  nowSeconds: evidence.nowSeconds,
  height: undefined,
  newestCollateral: NO_COLLATERAL_SEEN,
  operator: undefined,
  allowSimulated: evidence.anchor === pki.root,
});

function accepted(evidence: Evidence): AcceptedQuote {
  const verdict = verify(evidence);
  if (verdict.kind === 'refused') throw new Error(verdict.message);
  return verdict;
}

function policyFor({ measurements }: AcceptedQuote) {
  const { mrtd, rtmr0, rtmr1, rtmr2, rtmr3 } = measurements;
  return defaultPolicy([{ name: 'this', mrtd, rtmr0, rtmr1, rtmr2, rtmr3 }]);
}

describe.each(all)('$name', (evidence) => {
  const parsed = parseQuote(evidence.quote);
  const caches = createVerificationCaches();

  it('is accepted as UpToDate, cold and cached alike', () => {
    const cold = accepted(evidence);
    expect(cold.tcbStatus).toBe('UpToDate');
    expect(cold.ppid).toMatch(/^[0-9a-f]{32}$/);
    expect(verify(evidence, {}, caches)).toEqual(cold);
    expect(verify(evidence, {}, caches)).toEqual(cold);
  });

  it('is refused when any bit of the signed region is flipped', () => {
    expect(outcome(verify(evidence, {}, caches))).toBe('accepted');
    const codes = new Map<string, number>();
    for (let bit = 0; bit < 8 * parsed.signed.length; bit++) {
      const code = outcome(verify(evidence, { quote: flipped(evidence.quote, bit) }, caches));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(codes.has('accepted')).toBe(false);
    // Report data, measurements and all other fields of the body; the header and sizes fail earlier.
    expect(codes.get('quote-signature')).toBeGreaterThan(8 * 584);
  });

  it('is refused when a bit of a signature, of the attestation key or of the QE report is flipped', () => {
    const regions: [string, Uint8Array][] = [
      ['quote-signature', parsed.signature],
      ['qe-report-data', parsed.attestationKey],
      ['qe-report-signature', parsed.qeReport.bytes],
      ['qe-report-signature', parsed.qeReportSignature],
      ['qe-report-data', parsed.qeAuthData],
    ];
    for (const [code, region] of regions) {
      for (let byte = 0; byte < region.length; byte++) {
        const bit = 8 * (offsetIn(evidence.quote, region) + byte) + (byte % 8);
        expect(outcome(verify(evidence, { quote: flipped(evidence.quote, bit) }, caches)), `byte ${byte}`).toBe(code);
      }
    }
  });

  it('is refused as malformed when truncated at any length', () => {
    const end = offsetIn(evidence.quote, parsed.pckChainPem) + parsed.pckChainPem.length;
    for (let length = 0; length < end; length++) {
      expect(outcome(verify(evidence, { quote: evidence.quote.subarray(0, length) }, caches)), `${length}`).toBe(
        'malformed',
      );
    }
  });

  it('may be followed by zeros and by nothing else', () => {
    const padded = concatBytes(evidence.quote, new Uint8Array(64));
    expect(outcome(verify(evidence, { quote: padded }, caches))).toBe('accepted');
    expect(outcome(verify(evidence, { quote: concatBytes(padded, Uint8Array.of(1)) }, caches))).toBe('trailing-bytes');
    expect(outcome(verify(evidence, { quote: new Uint8Array(20_000) }, caches))).toBe('malformed');
  });

  it('is refused under another anchor', () => {
    const others = [createDevelopmentPki(utf8('another seed').slice(0, 12)).root, ...all.map(({ anchor }) => anchor)];
    for (const anchor of others) {
      if (toHex(anchor) === toHex(evidence.anchor)) continue;
      expect(outcome(verify(evidence, { anchor }))).toBe('chain');
      expect(outcome(verify(evidence, { anchor }, caches))).toBe('chain');
    }
    expect(outcome(verify(evidence, { anchor: parsed.pckChainPem }))).toBe('chain');
  });

  it('is refused before and after the dates of certificates and collateral, cached or not', () => {
    const { validUntil } = accepted(evidence).collateral;
    for (const known of [undefined, caches]) {
      expect(outcome(verify(evidence, { nowSeconds: 0 }, known))).toBe('certificate-time');
      expect(outcome(verify(evidence, { nowSeconds: 4_102_444_800 }, known))).toBe('certificate-time');
      expect(outcome(verify(evidence, { nowSeconds: validUntil }, known))).toBe('accepted');
      expect(outcome(verify(evidence, { nowSeconds: validUntil + 1 }, known))).toMatch(/-time$/);
    }
  });

  it('is refused with signed texts that were edited, swapped or signed otherwise', () => {
    const { collateral } = evidence;
    const edit = (text: string) => text.replace('"tcbStatus":"OutOfDate"', '"tcbStatus":"UpToDate"').concat(' ');
    const changes: [string, Parameters<typeof withParts>[1]][] = [
      ['tcb-info-signature', { tcbInfo: edit(collateral.tcbInfo) }],
      ['tcb-info-signature', { tcbInfoSignature: flipped(collateral.tcbInfoSignature, 200) }],
      ['tcb-info-signature', { tcbInfoSignature: new Uint8Array(0) }],
      ['tcb-info-signature', { tcbInfoIssuerChain: '' }],
      ['tcb-info-signature', { tcbInfoIssuerChain: collateral.pckCrlIssuerChain }],
      ['tcb-info-malformed', { tcbInfo: collateral.qeIdentity, tcbInfoSignature: collateral.qeIdentitySignature }],
      ['qe-identity-signature', { qeIdentity: edit(collateral.qeIdentity) }],
      ['qe-identity-signature', { qeIdentitySignature: flipped(collateral.qeIdentitySignature, 3) }],
      ['qe-identity-signature', { qeIdentityIssuerChain: collateral.pckCrlIssuerChain }],
      ['qe-identity-malformed', { qeIdentity: collateral.tcbInfo, qeIdentitySignature: collateral.tcbInfoSignature }],
    ];
    for (const [code, parts] of changes) {
      expect(outcome(verify(evidence, { collateral: withParts(collateral, parts) }, caches))).toBe(code);
    }
  });

  it('is refused with CRLs that are missing, garbage, forged or of another issuer', () => {
    const { collateral } = evidence;
    const changes: [string, Parameters<typeof withParts>[1]][] = [
      ['crl-missing', { pckCrl: new Uint8Array(0) }],
      ['crl-missing', { rootCaCrl: new Uint8Array(0) }],
      ['crl-malformed', { pckCrl: utf8('garbage') }],
      ['crl-malformed', { rootCaCrl: collateral.rootCaCrl.subarray(0, -1) }],
      ['crl-malformed', { rootCaCrl: concatBytes(collateral.rootCaCrl, Uint8Array.of(0)) }],
      // The last byte is of the number s of the signature.
      ['crl-signature', { pckCrl: flipped(collateral.pckCrl, 8 * collateral.pckCrl.length - 1) }],
      ['crl-signature', { rootCaCrl: collateral.pckCrl }],
      ['crl-signature', { pckCrl: collateral.rootCaCrl }],
      ['crl-signature', { pckCrlIssuerChain: collateral.tcbInfoIssuerChain }],
    ];
    for (const [code, parts] of changes) {
      expect(outcome(verify(evidence, { collateral: withParts(collateral, parts) }, caches))).toBe(code);
    }
  });

  it('is allowed by a default policy with its measurements, and by no other', () => {
    const quote = accepted(evidence);
    expect(decide(policyFor(quote), quote, context(evidence)).kind).toBe('allowed');
    const none = decide(defaultPolicy([]), quote, context(evidence));
    expect(none).toMatchObject({ kind: 'denied', code: 'policy-measurement' });
    for (const field of ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'] as const) {
      const [set] = policyFor(quote).measurements;
      const other = defaultPolicy([{ ...set!, [field]: toHex(flipped(utf8('x'.repeat(48)), 5)) }]);
      expect(decide(other, quote, context(evidence))).toMatchObject({ kind: 'denied', code: 'policy-measurement' });
    }
  });
});

describe.skipIf(real.length === 0)('real and simulated evidence do not mix', () => {
  it.each(real)('$name', (evidence) => {
    const simulated = simulatedEvidence('v4');
    expect(outcome(verify(simulated, { anchor: evidence.anchor }))).toBe('chain');
    expect(outcome(verify(evidence, { anchor: simulated.anchor }))).toBe('chain');
    expect(outcome(verify(evidence, { collateral: simulated.collateral }))).toBe('crl-signature');
  });
});
