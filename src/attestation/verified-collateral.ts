// Collateral with its signatures checked (steps 3 and 4 of docs/ATTESTATION.md). What depends on the time of day or
// on a quote is left to verify.ts, so that the result can be kept.

import { equalBytes, utf8 } from '../core/bytes.ts';
import {
  checkRevocationList,
  type TrustAnchor,
  type Validity,
  type VerifiedChain,
  verifyCrlIssuerChain,
  verifyTcbSignerChain,
} from './chain.ts';
import { parseRevocationList, type RevocationList } from './crl.ts';
import { readAs, refuse, type VerificationCode } from './errors.ts';
import { QE_IDENTITY_BYTES_MAX, TCB_INFO_BYTES_MAX } from './limits.ts';
import { parsePemChain } from './pem.ts';
import type { Collateral } from './quote-collateral.ts';
import { parseQeIdentity, parseTcbInfo, type QeIdentity, type TcbInfo } from './tcb-documents.ts';
import type { Certificate } from './x509.ts';

export interface VerifiedCollateral {
  readonly rootCrl: RevocationList;
  /** Of the authority below. */
  readonly pckCrl: RevocationList;
  readonly pckAuthority: Certificate;
  readonly tcbSigners: readonly Certificate[];
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  /** In the order in which they are checked. */
  readonly validity: readonly Validity[];
}

/** @throws KithError with a code of the CRLs, the TCB info or the QE identity. */
export function verifyCollateral(collateral: Collateral, anchor: TrustAnchor): VerifiedCollateral {
  const rootCrl = readCrl(collateral.rootCaCrl, 'the CRL of the root');
  checkRevocationList(rootCrl, anchor.certificate, 'the CRL of the root');
  const authority = verifyCrlIssuerChain(readChain(collateral.pckCrlIssuerChain, 'crl-signature'), anchor);
  const pckCrl = readCrl(collateral.pckCrl, 'the CRL of the PCK authority');
  checkRevocationList(pckCrl, authority.leaf, 'the CRL of the PCK authority');

  const tcbInfoSigner = verifySignedText(collateral.tcbInfo, {
    signature: collateral.tcbInfoSignature,
    issuerChain: collateral.tcbInfoIssuerChain,
    anchor,
    code: 'tcb-info-signature',
    what: 'the TCB info',
    bytesMax: TCB_INFO_BYTES_MAX,
  });
  const tcbInfo = readAs('tcb-info-malformed', 'the TCB info', () => parseTcbInfo(collateral.tcbInfo));
  const qeIdentitySigner = verifySignedText(collateral.qeIdentity, {
    signature: collateral.qeIdentitySignature,
    issuerChain: collateral.qeIdentityIssuerChain,
    anchor,
    code: 'qe-identity-signature',
    what: 'the QE identity',
    bytesMax: QE_IDENTITY_BYTES_MAX,
  });
  const qeIdentity = readAs('qe-identity-malformed', 'the QE identity', () => parseQeIdentity(collateral.qeIdentity));

  return {
    rootCrl,
    pckCrl,
    pckAuthority: authority.leaf,
    tcbSigners: [tcbInfoSigner.leaf, qeIdentitySigner.leaf],
    tcbInfo,
    qeIdentity,
    validity: [
      ...authority.validity,
      ...[tcbInfoSigner, qeIdentitySigner].flatMap((chain) => chain.validity),
      { code: 'crl-time', what: 'the CRL of the root', from: rootCrl.thisUpdate, until: rootCrl.nextUpdate },
      { code: 'crl-time', what: 'the CRL of the PCK authority', from: pckCrl.thisUpdate, until: pckCrl.nextUpdate },
      { code: 'tcb-info-time', what: 'the TCB info', from: tcbInfo.issuedAt, until: tcbInfo.nextUpdateAt },
      { code: 'qe-identity-time', what: 'the QE identity', from: qeIdentity.issuedAt, until: qeIdentity.nextUpdateAt },
    ],
  };
}

/**
 * Whether the CRL of this collateral speaks about certificates of `authority`: the certificate itself may have been
 * issued anew, its name and key may not differ.
 */
export function isCrlAuthority(collateral: VerifiedCollateral, authority: Certificate): boolean {
  const { subject, publicKey } = collateral.pckAuthority;
  return equalBytes(subject, authority.subject) && equalBytes(publicKey, authority.publicKey);
}

function readCrl(der: Uint8Array, what: string): RevocationList {
  if (der.length === 0) refuse('crl-missing', `${what} is missing`);
  return readAs('crl-malformed', what, () => parseRevocationList(der));
}

function readChain(pem: string, code: VerificationCode): Uint8Array[] {
  return readAs(code, 'the issuer chain', () => parsePemChain(pem));
}

/** Checks that `text`, to the byte, was signed by a TCB signing certificate of the root, and returns that. */
function verifySignedText(
  text: string,
  claim: {
    signature: Uint8Array;
    issuerChain: string;
    anchor: TrustAnchor;
    code: VerificationCode;
    what: string;
    bytesMax: number;
  },
): VerifiedChain {
  const { signature, anchor, code, what, bytesMax } = claim;
  if (text.length > bytesMax) refuse(code, `${what} has ${text.length} characters; at most ${bytesMax} are accepted`);
  const chain = verifyTcbSignerChain(readChain(claim.issuerChain, code), anchor, code);
  if (!chain.leaf.key.verify(utf8(text), signature)) refuse(code, `${what} has a wrong signature`);
  return chain;
}
