// Certificate chains of Intel's PKI: root CA -> PCK authority -> PCK certificate, and root CA -> TCB signing
// certificate. Roles are told apart by name, CA flag, path length and key usage, so that no certificate can stand
// in for another (RFC 5280, section 6; "Intel SGX PCK Certificate and CRL Profile Specification").

import { sha256 } from '#crypto';
import { equalBytes, toHex } from '../core/bytes.ts';
import { type BoundedCache, createBoundedCache } from './bounded-cache.ts';
import type { RevocationList } from './crl.ts';
import { readAs, refuse, type VerificationCode } from './errors.ts';
import { type Certificate, KEY_USAGE, parseCertificate } from './x509.ts';

/** A time span in which something must be used, and the code of the refusal outside of it. Unix seconds, inclusive. */
export interface Validity {
  readonly code: VerificationCode;
  readonly what: string;
  readonly from: number;
  readonly until: number;
}

/** @throws KithError with the code of the first span that `nowSeconds` is outside of. */
export function checkValidity(spans: readonly Validity[], nowSeconds: number): void {
  for (const { code, what, from, until } of spans) {
    if (nowSeconds < from) refuse(code, `${what} is not valid yet: it begins at ${from}, now is ${nowSeconds}`);
    if (nowSeconds > until) refuse(code, `${what} is not valid any more: it ended at ${until}, now is ${nowSeconds}`);
  }
}

const ROOT_NAMES = ['Intel SGX Root CA'];
const PCK_AUTHORITY_NAMES = ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'];
const PCK_NAMES = ['Intel SGX PCK Certificate'];
const TCB_SIGNER_NAMES = ['Intel SGX TCB Signing'];

/** Certificates of a development root carry this before Intel's names. */
const DEVELOPMENT_PREFIX = 'DEV ';

export interface TrustAnchor {
  readonly certificate: Certificate;
  /** Whether its names say that it is no root of Intel's. */
  readonly development: boolean;
  /** Certificates already seen to be issued by it, by role and digest: one PCK authority and TCB signer come often. */
  readonly issued: BoundedCache<Certificate>;
}

/** Two PCK authorities and one TCB signer at a time; the signer is issued anew every seven years. */
const ISSUED_MAX = 8;

function isNamed(certificate: Certificate, names: readonly string[], development: boolean): boolean {
  const prefix = development ? DEVELOPMENT_PREFIX : '';
  return names.some((name) => certificate.subjectCommonName === `${prefix}${name}`);
}

/**
 * The trust anchor of these DER bytes. Its own signature proves nothing and is not looked at.
 * @throws KithError `chain` unless it is a root CA in form.
 */
export function parseTrustAnchor(der: Uint8Array): TrustAnchor {
  const certificate = readAs('chain', 'the trust anchor', () => parseCertificate(der));
  const development = certificate.subjectCommonName.startsWith(DEVELOPMENT_PREFIX);
  const usage = KEY_USAGE.keyCertSign | KEY_USAGE.crlSign;
  if (!isNamed(certificate, ROOT_NAMES, development) || !certificate.ca || (certificate.keyUsage & usage) !== usage) {
    refuse('chain', 'the trust anchor is no root CA');
  }
  return { certificate, development, issued: createBoundedCache(ISSUED_MAX) };
}

export interface VerifiedChain {
  readonly leaf: Certificate;
  readonly validity: readonly Validity[];
}

export interface VerifiedPckChain extends VerifiedChain {
  readonly authority: Certificate;
}

/**
 * Verifies a chain of leaf, PCK authority and root.
 * @throws KithError `malformed` or `chain`.
 */
export function verifyPckChain(chain: readonly Uint8Array[], anchor: TrustAnchor): VerifiedPckChain {
  if (chain.length !== 3) refuse('chain', `the PCK chain has ${chain.length} certificates; expected 3`);
  checkRoot(chain[2]!, anchor, 'chain');
  const authority = pckAuthority(chain[1]!, anchor, 'malformed', 'chain');
  const leaf = readAs('malformed', 'the PCK certificate', () => parseCertificate(chain[0]!));
  if (!isNamed(leaf, PCK_NAMES, anchor.development)) refuse('chain', 'the first certificate is no PCK certificate');
  checkLeaf(leaf, 'the PCK certificate', 'chain');
  checkIssued(leaf, authority, 'the PCK certificate', 'chain');
  return { leaf, authority, validity: [span(leaf, 'the PCK certificate'), ...authoritySpans(authority, anchor)] };
}

/**
 * The PCK authority of a CRL's issuer chain: authority and root.
 * @throws KithError `crl-signature`.
 */
export function verifyCrlIssuerChain(chain: readonly Uint8Array[], anchor: TrustAnchor): VerifiedChain {
  const code = 'crl-signature';
  if (chain.length !== 2) refuse(code, `the CRL issuer chain has ${chain.length} certificates; expected 2`);
  checkRoot(chain[1]!, anchor, code);
  const authority = pckAuthority(chain[0]!, anchor, code, code);
  return { leaf: authority, validity: authoritySpans(authority, anchor) };
}

/**
 * The TCB signing certificate of an issuer chain: signer and root.
 * @throws KithError with `code`.
 */
export function verifyTcbSignerChain(
  chain: readonly Uint8Array[],
  anchor: TrustAnchor,
  code: VerificationCode,
): VerifiedChain {
  if (chain.length !== 2) refuse(code, `the issuer chain has ${chain.length} certificates; expected 2`);
  checkRoot(chain[1]!, anchor, code);
  const signer = anchor.issued.get(`tcb-signer ${toHex(sha256(chain[0]!))}`, () =>
    verifyTcbSigner(chain[0]!, anchor, code),
  );
  const root = span(anchor.certificate, 'the root certificate');
  return { leaf: signer, validity: [span(signer, 'the TCB signing certificate'), root] };
}

function verifyTcbSigner(der: Uint8Array, anchor: TrustAnchor, code: VerificationCode): Certificate {
  const what = 'the TCB signing certificate';
  const signer = readAs(code, what, () => parseCertificate(der));
  if (!isNamed(signer, TCB_SIGNER_NAMES, anchor.development)) {
    refuse(code, 'the issuer is no TCB signing certificate');
  }
  checkLeaf(signer, what, code);
  checkIssued(signer, anchor.certificate, what, code);
  return signer;
}

/**
 * Checks issuer and signature of a CRL.
 * @throws KithError `crl-signature`.
 */
export function checkRevocationList(list: RevocationList, issuer: Certificate, what: string): void {
  const code = 'crl-signature';
  if (!equalBytes(list.issuer, issuer.subject)) refuse(code, `${what} has another issuer`);
  checkKeyId(list.authorityKeyId, issuer, what, code);
  if ((issuer.keyUsage & KEY_USAGE.crlSign) === 0) refuse(code, `${what}: its issuer may not sign CRLs`);
  if (!issuer.key.verify(list.signed, list.signature)) refuse(code, `${what} has a wrong signature`);
}

function checkRoot(der: Uint8Array, anchor: TrustAnchor, code: VerificationCode): void {
  if (!equalBytes(der, anchor.certificate.der)) refuse(code, 'the root certificate is not the trust anchor');
}

function pckAuthority(
  der: Uint8Array,
  anchor: TrustAnchor,
  formCode: VerificationCode,
  code: VerificationCode,
): Certificate {
  return anchor.issued.get(`pck-authority ${toHex(sha256(der))}`, () =>
    verifyPckAuthority(der, anchor, formCode, code),
  );
}

function verifyPckAuthority(
  der: Uint8Array,
  anchor: TrustAnchor,
  formCode: VerificationCode,
  code: VerificationCode,
): Certificate {
  const what = 'the PCK authority';
  const authority = readAs(formCode, what, () => parseCertificate(der));
  if (!isNamed(authority, PCK_AUTHORITY_NAMES, anchor.development))
    refuse(code, `${what} has the name of no authority`);
  if (!authority.ca || (authority.keyUsage & KEY_USAGE.keyCertSign) === 0) {
    refuse(code, `${what} may not issue certificates`);
  }
  if (anchor.certificate.pathLength === 0) refuse(code, 'the trust anchor allows no authority below it');
  checkIssued(authority, anchor.certificate, what, code);
  return authority;
}

function checkLeaf(leaf: Certificate, what: string, code: VerificationCode): void {
  if (leaf.ca || (leaf.keyUsage & (KEY_USAGE.keyCertSign | KEY_USAGE.crlSign)) !== 0) refuse(code, `${what} is a CA`);
  if ((leaf.keyUsage & KEY_USAGE.digitalSignature) === 0) refuse(code, `${what} may not sign`);
}

function checkIssued(certificate: Certificate, issuer: Certificate, what: string, code: VerificationCode): void {
  if (!equalBytes(certificate.issuer, issuer.subject)) refuse(code, `${what} names another issuer`);
  checkKeyId(certificate.authorityKeyId, issuer, what, code);
  if (!issuer.key.verify(certificate.signed, certificate.signature)) {
    refuse(code, `${what} has a wrong signature`);
  }
}

function checkKeyId(keyId: Uint8Array | undefined, issuer: Certificate, what: string, code: VerificationCode): void {
  if (keyId && issuer.subjectKeyId && !equalBytes(keyId, issuer.subjectKeyId)) {
    refuse(code, `${what} names another issuing key`);
  }
}

function span(certificate: Certificate, what: string): Validity {
  return { code: 'certificate-time', what, from: certificate.notBefore, until: certificate.notAfter };
}

function authoritySpans(authority: Certificate, anchor: TrustAnchor): Validity[] {
  return [span(authority, 'the PCK authority'), span(anchor.certificate, 'the root certificate')];
}
