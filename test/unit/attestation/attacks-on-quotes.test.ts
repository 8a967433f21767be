// What an attacker would try who controls the host, the collateral or a platform of their own. Each attempt is
// refused with its own code.

import { describe, expect, it } from 'vitest';
import { type Attestor, createAttestor } from '../../../src/attestation/attestor.ts';
import { createCluster } from '../../../src/attestation/cluster-configuration/cluster.ts';
import { DEFAULT_LIMITS } from '../../../src/attestation/cluster-configuration/configuration.ts';
import { NO_COLLATERAL_SEEN } from '../../../src/attestation/policy/collateral-age.ts';
import { defaultPolicy } from '../../../src/attestation/policy/policy.ts';
import type { Collateral } from '../../../src/attestation/quote-collateral.ts';
import type { SimulatedPlatform } from '../../../src/attestation/simulated/pki.ts';
import { type SimulatedReport, simulatedQuote } from '../../../src/attestation/simulated/quote.ts';
import { concatBytes, toBase64Url, utf8 } from '../../../src/core/bytes.ts';
import {
  measurements,
  NOW,
  outcome,
  pki,
  platform,
  reportData,
  simulatedEvidence,
  verify,
  withParts,
} from '../../support/attestation.ts';

const evidence = simulatedEvidence('v5-td15');
const good = evidence.collateral;
const withCollateral = (collateral: Collateral) => outcome(verify(evidence, { collateral }));

describe('the quoting enclave and the module', () => {
  const withReport = (report: Partial<SimulatedReport>) =>
    outcome(verify(simulatedEvidence('v5-td15', report), { allowDebug: true }));

  it('a QE report of another quote does not vouch for this attestation key', () => {
    const other = pki.platform({ operator: 'op-a', name: 'm2' });
    // The PCK key and its report are genuine; the key that signs the quote is not the one it reports.
    const mixed: SimulatedPlatform = { ...platform, attestationKey: other.attestationKey };
    const quote = simulatedQuote(platform, { reportData, measurements }, 'v4');
    const theirs = simulatedQuote(mixed, { reportData, measurements }, 'v4');
    // signed region 632, length 4, signature 64, attestation key 64, then 6 bytes and the QE report with its signature
    const report = quote.subarray(632 + 4 + 128 + 6, 632 + 4 + 128 + 6 + 448);
    const spliced = theirs.slice();
    spliced.set(report, 632 + 4 + 128 + 6);
    expect(outcome(verify(evidence, { quote }))).toBe('accepted');
    expect(outcome(verify(evidence, { quote: spliced }))).toBe('qe-report-data');
  });

  it('another quoting enclave than that of the QE identity is refused', () => {
    const identity = JSON.parse(good.qeIdentity) as Record<string, unknown>;
    for (const change of [
      { mrsigner: '11'.repeat(32) },
      { isvprodid: 3 },
      { miscselect: '00000001' },
      { attributes: `13${'00'.repeat(15)}` },
      { tcbLevels: [{ tcb: { isvsvn: 5 }, tcbDate: '2024-01-01T00:00:00Z', tcbStatus: 'UpToDate' }] },
    ]) {
      const qeIdentity = JSON.stringify({ ...identity, ...change });
      const qeIdentitySignature = pki.tcbSignerKey.sign(utf8(qeIdentity));
      expect(withCollateral(withParts(good, { qeIdentity, qeIdentitySignature }))).toBe('qe-identity');
    }
  });

  it('an unknown module, one not signed by Intel, or with attributes, is refused', () => {
    const svn = (module: number, version: number) =>
      Uint8Array.of(module, version, 4, ...new Array<number>(13).fill(0));
    expect(withReport({ teeTcbSvn: svn(5, 1) })).toBe('accepted');
    expect(withReport({ teeTcbSvn: svn(5, 2) })).toBe('module-identity');
    expect(withReport({ teeTcbSvn: svn(5, 0) })).toBe('accepted');
    expect(withReport({ teeTcbSvn: svn(1, 1) })).toBe('tcb-not-supported');
    for (const version of [0, 1]) {
      const teeTcbSvn = svn(5, version);
      expect(withReport({ teeTcbSvn, mrSignerSeam: new Uint8Array(48).fill(1) })).toBe('module-identity');
      expect(withReport({ teeTcbSvn, seamAttributes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) })).toBe('module-identity');
    }
  });

  it('a TCB info that blesses another signer of modules does not help', () => {
    const info = JSON.parse(good.tcbInfo) as { tdxModuleIdentities: { mrsigner: string }[] };
    info.tdxModuleIdentities[0]!.mrsigner = '01'.repeat(48);
    const tcbInfo = JSON.stringify(info);
    const collateral = withParts(good, { tcbInfo, tcbInfoSignature: pki.tcbSignerKey.sign(utf8(tcbInfo)) });
    const quote = simulatedEvidence('v4', { mrSignerSeam: new Uint8Array(48).fill(1) }).quote;
    expect(outcome(verify(evidence, { collateral, quote }))).toBe('module-identity');
  });

  it('states of the TCB are reported, revoked ones refused', () => {
    const of = (tcb: Parameters<typeof pki.platform>[1]) => {
      const machine = pki.platform({ operator: 'op-a', name: 'm9' }, tcb);
      return verify(evidence, { quote: simulatedQuote(machine, { reportData, measurements }) });
    };
    for (const tcb of ['SWHardeningNeeded', 'ConfigurationNeeded', 'OutOfDate'] as const) {
      expect(of({ tcb })).toMatchObject({ kind: 'accepted', tcbStatus: tcb });
    }
    expect(outcome(of({ tcb: 'Revoked' }))).toBe('tcb-revoked');
  });

  it('an old module makes the whole out of date', () => {
    const old = simulatedEvidence('v4', { teeTcbSvn: Uint8Array.of(3, 1, 4, ...new Array<number>(13).fill(0)) });
    expect(verify(old)).toMatchObject({
      tcbStatus: 'OutOfDate',
      advisories: ['DEV-SA-00050'],
      behind: [{ name: 'TDX module TDX_01', svn: 3, newestSvn: 5 }],
    });
  });
});

describe('trust domains that a default policy refuses', () => {
  const cluster = createCluster({
    version: 1,
    chainId: 'test',
    trustAnchor: { development: toBase64Url(pki.root) },
    policy: defaultPolicy([measurements]),
    allowSimulated: true,
    allowUnbacked: false,
    confirmations: 1,
    operators: [],
    governance: { threshold: 1, publicKeys: [toBase64Url(new Uint8Array(32).fill(1))] },
    recovery: { threshold: 0, publicKeys: [] },
    limits: DEFAULT_LIMITS,
  });
  const attestor: Attestor = createAttestor({ cluster: () => cluster });
  const attest = (report: Partial<SimulatedReport>, layout: 'v4' | 'v5-td15' = 'v5-td15') => {
    const { quote, collateral } = simulatedEvidence(layout, report);
    const context = { nowSeconds: NOW, height: undefined, newestCollateral: NO_COLLATERAL_SEEN };
    const result = attestor.attest({ quote, collateral }, () => true, context);
    return result.kind === 'refused' ? result.code : result.kind;
  };

  it('debug, migratable, monitored, bound to a service domain, open to injected exceptions', () => {
    expect(attest({})).toBe('believed');
    expect(attest({ tdAttributes: '0100001000000000' })).toBe('policy-debug');
    expect(attest({ tdAttributes: '0000003000000000' })).toBe('policy-migratable');
    expect(attest({ tdAttributes: '0000001000000080' })).toBe('policy-perfmon');
    expect(attest({ tdAttributes: '0000000000000000' })).toBe('policy-sept-ve');
    expect(attest({ tdAttributes: '0000005000000000' })).toBe('policy-attributes');
    expect(attest({ xfam: 'e703060000000000' })).toBe('policy-xfam');
    expect(attest({ mrServiceTd: new Uint8Array(48).fill(1) })).toBe('policy-service-td');
    expect(attest({ measurements: { ...measurements, rtmr3: '01'.repeat(48) } })).toBe('policy-measurement');
  });

  it('a debug domain is refused by the verifier too, unless asked for', () => {
    const debug = simulatedEvidence('v4', { tdAttributes: '0100001000000000' });
    expect(outcome(verify(debug))).toBe('debug');
    expect(outcome(verify(debug, { allowDebug: true }))).toBe('accepted');
  });
});

describe('forms of a quote', () => {
  const { quote } = simulatedEvidence('v4');
  const changed = (offset: number, ...bytes: number[]) => {
    const copy = quote.slice();
    copy.set(bytes, offset);
    return outcome(verify(evidence, { quote: copy }));
  };

  it('other versions, key types, TEEs and vendors are not supported', () => {
    expect(changed(0, 3)).toBe('unsupported');
    expect(changed(0, 6)).toBe('unsupported');
    expect(changed(2, 3)).toBe('unsupported');
    expect(changed(4, 0)).toBe('unsupported');
    expect(changed(12, 0)).toBe('unsupported');
  });

  it('lengths that do not add up are refused', () => {
    for (const offset of [632, 632 + 4 + 128 + 2, 632 + 4 + 128 + 6 + 448]) {
      const value = quote[offset]!;
      expect(changed(offset, (value + 1) & 0xff)).not.toBe('accepted');
      expect(changed(offset, (value - 1) & 0xff)).not.toBe('accepted');
      expect(changed(offset + 1, 0xff)).not.toBe('accepted');
    }
  });

  it('a body of one version under the size of another is refused', () => {
    const v5 = simulatedEvidence('v5-td15').quote.slice();
    v5[48] = 2;
    expect(outcome(verify(evidence, { quote: v5 }))).toBe('malformed');
    v5[48] = 1;
    expect(outcome(verify(evidence, { quote: v5 }))).toBe('unsupported');
  });

  it('text around the PEM blocks is refused', () => {
    const text = quote.slice();
    const begin = text.findIndex((_, i) => toBase64Url(text.subarray(i, i + 5)) === toBase64Url(utf8('-----')));
    const inserted = concatBytes(text.subarray(0, begin), utf8('x'), text.subarray(begin));
    // All three lengths around the PEM text grow by the byte inserted.
    const view = new DataView(inserted.buffer);
    for (const offset of [632, 632 + 4 + 128 + 2, begin - 4]) {
      view.setUint32(offset, view.getUint32(offset, true) + 1, true);
    }
    expect(outcome(verify(evidence, { quote: inserted }))).toBe('malformed');
    inserted[begin] = 0x20;
    expect(outcome(verify(evidence, { quote: inserted }))).toBe('accepted');
  });
});
