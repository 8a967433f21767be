// What an attacker would try who controls the host, the collateral or a platform of their own. Each attempt is
// refused with its own code.

import { describe, expect, it } from 'vitest';
import { intelRoot } from '../../../src/attestation/intel-root.ts';
import { formatPemChain } from '../../../src/attestation/pem.ts';
import type { Collateral } from '../../../src/attestation/quote-collateral.ts';
import {
  CA_USAGE,
  type CertificateSpec,
  type CrlSpec,
  deriveKey,
  issueCertificate,
  issueCrl,
  LEAF_USAGE,
  NOT_AFTER,
  NOT_BEFORE,
  type SigningKey,
} from '../../../src/attestation/simulated/authority.ts';
import { createDevelopmentPki, type SimulatedPlatform } from '../../../src/attestation/simulated/pki.ts';
import { simulatedQuote } from '../../../src/attestation/simulated/quote.ts';
import { parseCertificate } from '../../../src/attestation/x509.ts';
import { utf8 } from '../../../src/core/bytes.ts';
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
const leafIssuer = { commonName: 'DEV Intel SGX PCK Certificate', key: platform.pckKey };
const leaf = platform.pckChain[0]!;
const stranger = deriveKey(utf8('stranger'), 'key');

const withCollateral = (collateral: Collateral) => outcome(verify(evidence, { collateral }));

/** A quote of a platform whose PCK chain was tampered with. */
function quoteWithChain(pckChain: readonly Uint8Array[], key: SigningKey = platform.pckKey): Uint8Array {
  const forged: SimulatedPlatform = { ...platform, pckChain, pckKey: key };
  return simulatedQuote(forged, { reportData, measurements }, 'v5-td15');
}

const withChain = (pckChain: readonly Uint8Array[], key?: SigningKey) =>
  outcome(verify(evidence, { quote: quoteWithChain(pckChain, key) }));

/** The real leaf's certificate issued anew with changes. */
function leafLike(changes: Partial<CertificateSpec>): Uint8Array {
  const { sgxExtension } = parseCertificate(leaf);
  return issueCertificate({
    commonName: 'DEV Intel SGX PCK Certificate',
    publicKey: platform.pckKey.publicKey,
    issuer: pki.authorityIssuer,
    keyUsage: LEAF_USAGE,
    ...(sgxExtension ? { sgxExtension } : {}),
    ...changes,
  });
}

function authorityLike(changes: Partial<CertificateSpec>): Uint8Array {
  return issueCertificate({
    commonName: pki.authorityIssuer.commonName,
    publicKey: pki.authorityIssuer.key.publicKey,
    issuer: pki.rootIssuer,
    keyUsage: CA_USAGE,
    pathLength: 0,
    ...changes,
  });
}

function signedBy(key: SigningKey, chain: readonly Uint8Array[], what: 'tcbInfo' | 'qeIdentity'): Collateral {
  const signature = key.sign(utf8(good[what]));
  return what === 'tcbInfo'
    ? withParts(good, { tcbInfoSignature: signature, tcbInfoIssuerChain: formatPemChain(chain) })
    : withParts(good, { qeIdentitySignature: signature, qeIdentityIssuerChain: formatPemChain(chain) });
}

describe('certificates', () => {
  it('the helper that forges makes good chains when nothing is changed', () => {
    expect(withChain([leafLike({}), authorityLike({}), pki.root])).toBe('accepted');
  });

  it('a PCK leaf is no CA: what it issues is refused', () => {
    const issued = leafLike({ issuer: leafIssuer, publicKey: stranger.publicKey });
    expect(withChain([issued, leaf, pki.root], stranger)).toBe('chain');
    expect(withChain([issued, leaf, pki.authority, pki.root].slice(0, 3), stranger)).toBe('chain');
    expect(withChain([issued, leaf, pki.authority, pki.root], stranger)).toBe('malformed');
  });

  it('a leaf that was made a CA, or may sign certificates or CRLs, is no PCK certificate', () => {
    expect(withChain([leafLike({ ca: true }), pki.authority, pki.root])).toBe('chain');
    expect(withChain([leafLike({ keyUsage: LEAF_USAGE | CA_USAGE }), pki.authority, pki.root])).toBe('chain');
    expect(withChain([leafLike({ keyUsage: 0b10 }), pki.authority, pki.root])).toBe('chain');
  });

  it('an authority must be a CA, may sign certificates, and carry its name', () => {
    expect(withChain([leaf, authorityLike({ pathLength: undefined, ca: false }), pki.root])).toBe('chain');
    expect(withChain([leaf, authorityLike({ keyUsage: LEAF_USAGE }), pki.root])).toBe('chain');
    const renamed = { commonName: 'DEV Intel SGX TCB Signing', key: pki.authorityIssuer.key };
    const chain = [leafLike({ issuer: renamed }), authorityLike({ commonName: renamed.commonName }), pki.root];
    expect(withChain(chain)).toBe('chain');
  });

  it('names without the mark of a development root are not accepted under one', () => {
    const intel = { commonName: 'Intel SGX PCK Platform CA', key: pki.authorityIssuer.key };
    expect(withChain([leafLike({ issuer: intel }), authorityLike({ commonName: intel.commonName }), pki.root])).toBe(
      'chain',
    );
    expect(withChain([leafLike({ commonName: 'Intel SGX PCK Certificate' }), pki.authority, pki.root])).toBe('chain');
  });

  it('issuer names and keys must be those of the issuer', () => {
    const wrongName = { commonName: 'DEV Intel SGX PCK Processor CA', key: pki.authorityIssuer.key };
    expect(withChain([leafLike({ issuer: wrongName }), pki.authority, pki.root])).toBe('chain');
    const wrongKey = { commonName: pki.authorityIssuer.commonName, key: stranger };
    expect(withChain([leafLike({ issuer: wrongKey }), pki.authority, pki.root])).toBe('chain');
  });

  it('chains of other lengths and orders are refused', () => {
    expect(withChain([leaf, pki.authority])).toBe('chain');
    expect(withChain([])).toBe('chain');
    expect(withChain([pki.authority, leaf, pki.root])).toBe('chain');
    expect(withChain([leaf, pki.root, pki.authority])).toBe('chain');
    expect(withChain([leaf, pki.root, pki.root])).toBe('chain');
  });

  it('certificates are used within their dates only', () => {
    expect(withChain([leafLike({ notAfter: NOW - 1 }), pki.authority, pki.root])).toBe('certificate-time');
    expect(withChain([leafLike({ notBefore: NOW + 1 }), pki.authority, pki.root])).toBe('certificate-time');
    expect(withChain([leaf, authorityLike({ notAfter: NOW - 1 }), pki.root])).toBe('certificate-time');
    expect(withChain([leaf, authorityLike({ notAfter: NOW }), pki.root])).toBe('accepted');
  });

  it('a PCK certificate without the SGX extension, or with a broken one, is refused', () => {
    const broken = leafLike({ sgxExtension: Uint8Array.of(0x30, 0) });
    expect(withChain([broken, pki.authority, pki.root])).toBe('malformed');
    expect(withChain([leafLike({ sgxExtension: utf8('?') }), pki.authority, pki.root])).toBe('malformed');
  });
});

describe.each(['tcbInfo', 'qeIdentity'] as const)('who signs %s', (what) => {
  const code = what === 'tcbInfo' ? 'tcb-info-signature' : 'qe-identity-signature';

  it('the TCB signer of the root does', () => {
    expect(withCollateral(signedBy(pki.tcbSignerKey, [pki.tcbSigner, pki.root], what))).toBe('accepted');
  });

  it('the PCK leaf does not', () => {
    expect(withCollateral(signedBy(platform.pckKey, [leaf, pki.root], what))).toBe(code);
    expect(withCollateral(signedBy(platform.pckKey, [leaf, pki.authority, pki.root], what))).toBe(code);
  });

  it('a certificate that the platform CA issued under the name of the signer does not', () => {
    const issued = leafLike({ commonName: 'DEV Intel SGX TCB Signing', publicKey: stranger.publicKey });
    expect(withCollateral(signedBy(stranger, [issued, pki.root], what))).toBe(code);
    expect(withCollateral(signedBy(stranger, [issued, pki.authority, pki.root], what))).toBe(code);
  });

  it('the platform CA and the root do not', () => {
    expect(withCollateral(signedBy(pki.authorityIssuer.key, [pki.authority, pki.root], what))).toBe(code);
    expect(withCollateral(signedBy(pki.rootIssuer.key, [pki.root, pki.root], what))).toBe(code);
    expect(withCollateral(signedBy(pki.rootIssuer.key, [pki.root], what))).toBe(code);
  });

  it('a signer made a CA, or outside its dates, does not', () => {
    const signer = (changes: Partial<CertificateSpec>) =>
      issueCertificate({
        commonName: 'DEV Intel SGX TCB Signing',
        publicKey: stranger.publicKey,
        issuer: pki.rootIssuer,
        keyUsage: LEAF_USAGE,
        ...changes,
      });
    expect(withCollateral(signedBy(stranger, [signer({}), pki.root], what))).toBe('accepted');
    expect(withCollateral(signedBy(stranger, [signer({ ca: true }), pki.root], what))).toBe(code);
    expect(withCollateral(signedBy(stranger, [signer({ notAfter: NOW - 1 }), pki.root], what))).toBe(
      'certificate-time',
    );
  });
});

describe('revocation', () => {
  const crl = (changes: Partial<CrlSpec>) =>
    issueCrl({ issuer: pki.authorityIssuer, thisUpdate: NOT_BEFORE, nextUpdate: NOT_AFTER, revoked: [], ...changes });
  const withPckCrl = (changes: Partial<CrlSpec>) => withCollateral(withParts(good, { pckCrl: crl(changes) }));
  const withRootCrl = (changes: Partial<CrlSpec>) =>
    withCollateral(withParts(good, { rootCaCrl: crl({ issuer: pki.rootIssuer, ...changes }) }));

  it('a forged CRL is refused: signed by a stranger, by the leaf, by the root for the authority', () => {
    expect(withPckCrl({})).toBe('accepted');
    expect(withPckCrl({ issuer: { ...pki.authorityIssuer, key: stranger } })).toBe('crl-signature');
    expect(withPckCrl({ issuer: leafIssuer })).toBe('crl-signature');
    expect(withPckCrl({ issuer: pki.rootIssuer })).toBe('crl-signature');
    expect(withRootCrl({ issuer: pki.authorityIssuer })).toBe('crl-signature');
  });

  it('an expired CRL and one from the future are refused', () => {
    expect(withPckCrl({ nextUpdate: NOW - 1 })).toBe('crl-time');
    expect(withPckCrl({ thisUpdate: NOW + 1 })).toBe('crl-time');
    expect(withRootCrl({ nextUpdate: NOW - 1 })).toBe('crl-time');
    expect(withRootCrl({ thisUpdate: NOW + 1 })).toBe('crl-time');
  });

  it('a revoked PCK certificate, authority or TCB signer is refused', () => {
    expect(withPckCrl({ revoked: [utf8('another'), platform.serial] })).toBe('pck-revoked');
    expect(withCollateral(pki.collateral({ revokedPlatforms: [platform] }))).toBe('pck-revoked');
    expect(withCollateral(pki.collateral({ revokeAuthority: true }))).toBe('ca-revoked');
    expect(withCollateral(pki.collateral({ revokeTcbSigner: true }))).toBe('tcb-signer-revoked');
    const other = pki.platform({ operator: 'op-a', name: 'm2' });
    expect(withCollateral(pki.collateral({ revokedPlatforms: [other] }))).toBe('accepted');
  });
});

describe('collateral', () => {
  it('is refused when expired or from the future', () => {
    const dated = (issuedAt: number, nextUpdateAt: number) => {
      const { tcbInfo, tcbInfoSignature, qeIdentity, qeIdentitySignature } = pki.collateral({ issuedAt, nextUpdateAt });
      return { info: { tcbInfo, tcbInfoSignature }, identity: { qeIdentity, qeIdentitySignature } };
    };
    for (const { info, identity } of [dated(NOW - 10, NOW - 1), dated(NOW + 1, NOW + 10)]) {
      expect(withCollateral(withParts(good, info))).toBe('tcb-info-time');
      expect(withCollateral(withParts(good, identity))).toBe('qe-identity-time');
    }
  });

  it('is refused for a platform of another FMSPC or PCEID', () => {
    expect(withCollateral(pki.collateral({ fmspc: 'DE0000000001' }))).toBe('fmspc');
    expect(withCollateral(pki.collateral({ pceId: '0001' }))).toBe('pceid');
    const other = pki.platform({ operator: 'op-a', name: 'm3' }, { fmspc: 'DE0000000002' });
    expect(outcome(verify(evidence, { quote: simulatedQuote(other, { reportData, measurements }) }))).toBe('fmspc');
  });

  it('of another development PKI is refused, and so is a quote of one', () => {
    const others = createDevelopmentPki(new Uint8Array(32).fill(7));
    expect(withCollateral(others.collateral())).toBe('crl-signature');
    const { pckCrlIssuerChain, rootCaCrl, pckCrl } = good;
    expect(withCollateral(withParts(others.collateral(), { pckCrlIssuerChain, rootCaCrl, pckCrl }))).toBe(
      'tcb-info-signature',
    );
    expect(outcome(verify(evidence, { anchor: others.root }))).toBe('chain');
    expect(outcome(verify(evidence, { anchor: intelRoot() }))).toBe('chain');
  });
});
