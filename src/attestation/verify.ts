// Verification of TDX quotes: Intel's algorithm in ten steps ("Intel TDX DCAP: Quote Verification"; the list with
// what each step refuses is in docs/ATTESTATION.md). Pure: the same arguments give the same verdict, whatever is
// cached. The tenth step, policy, is in policy/.

import { p256PublicKey, sha256 } from '#crypto';
import { concatBytes, equalBytes, fromHex, toHex } from '../core/bytes.ts';
import type { P256PublicKey } from '../core/crypto/door.ts';
import { type BoundedCache, createBoundedCache } from './bounded-cache.ts';
import { checkValidity, parseTrustAnchor, type TrustAnchor, type VerifiedPckChain, verifyPckChain } from './chain.ts';
import { isRefusal, readAs, refuse, type VerificationCode } from './errors.ts';
import { CACHED_ATTESTATION_KEYS_MAX, CACHED_CHAINS_MAX, CACHED_COLLATERALS_MAX } from './limits.ts';
import { parseQuote, pckChainOf, type QeReport, type Quote } from './quote.ts';
import type { Collateral } from './quote-collateral.ts';
import { parseSgxExtension, type SgxExtension } from './sgx-extension.ts';
import type { QeIdentity } from './tcb-documents.ts';
import { equalMasked, evaluateTcb } from './tcb-level.ts';
import { type AcceptedQuote, describeQuote } from './verdict.ts';
import { isCrlAuthority, type VerifiedCollateral, verifyCollateral } from './verified-collateral.ts';

export type Verdict = AcceptedQuote | RefusedQuote;

export interface RefusedQuote {
  readonly kind: 'refused';
  readonly code: VerificationCode;
  /** One line for people: what was wrong. */
  readonly message: string;
}

export interface VerificationRequest {
  readonly quote: Uint8Array;
  readonly collateral: Collateral;
  /** DER of the root certificate that is trusted. */
  readonly anchor: Uint8Array;
  /** Unix seconds. */
  readonly nowSeconds: number;
  /** Accept trust domains in debug mode, whose memory the host reads. For looking at quotes only. */
  readonly allowDebug?: boolean;
}

interface PckChain extends VerifiedPckChain {
  readonly sgx: SgxExtension;
}

/** What was verified before and does not change: chains, collateral, attestation keys. Only successes are kept. */
export interface VerificationCaches {
  readonly anchors: BoundedCache<TrustAnchor & { readonly id: string }>;
  readonly chains: BoundedCache<PckChain>;
  readonly collaterals: BoundedCache<VerifiedCollateral>;
  readonly attestationKeys: BoundedCache<P256PublicKey>;
}

export function createVerificationCaches(): VerificationCaches {
  return {
    anchors: createBoundedCache(2),
    chains: createBoundedCache(CACHED_CHAINS_MAX),
    collaterals: createBoundedCache(CACHED_COLLATERALS_MAX),
    attestationKeys: createBoundedCache(CACHED_ATTESTATION_KEYS_MAX),
  };
}

/**
 * Steps 1 to 9. The verdict on every input is a value; what is thrown is a fault of ours.
 * @param caches keep them and pass them again to save the work for what is the same.
 */
export function verifyQuote(
  request: VerificationRequest,
  caches: VerificationCaches = createVerificationCaches(),
): Verdict {
  try {
    return verifyOrThrow(request, caches);
  } catch (error) {
    if (isRefusal(error)) return { kind: 'refused', code: error.code, message: error.message };
    throw error;
  }
}

function verifyOrThrow(request: VerificationRequest, caches: VerificationCaches): AcceptedQuote {
  const { nowSeconds } = request;
  const anchorId = toHex(sha256(request.anchor));
  const anchor = caches.anchors.get(anchorId, () => ({ ...parseTrustAnchor(request.anchor), id: anchorId }));

  // Step 1: form. Step 2: the PCK chain.
  const quote = parseQuote(request.quote);
  const chainKey = anchorId + toHex(sha256(quote.pckChainPem));
  const chain = caches.chains.get(chainKey, () => readPckChain(quote, anchor));
  checkValidity(chain.validity, nowSeconds);

  // Steps 3 and 4: CRLs, TCB info, QE identity.
  const { collateral } = request;
  const verified = caches.collaterals.get(anchorId + collateral.digest, () => verifyCollateral(collateral, anchor));
  checkValidity(verified.validity, nowSeconds);
  checkRevocations(chain, verified);

  // Step 5: the quoting enclave. Step 6: the quote.
  const { qeReport, qeReportSignature, attestationKey, qeAuthData } = quote;
  const vouched = concatBytes(chain.leaf.publicKey, qeReportSignature, qeReport.bytes, attestationKey, qeAuthData);
  const key = caches.attestationKeys.get(toHex(sha256(vouched)), () => verifyQeReport(quote, chain));
  checkQeIdentity(qeReport, verified.qeIdentity);
  if (!key.verify(quote.signed, quote.signature)) {
    refuse('quote-signature', 'the quote is not signed by its attestation key');
  }

  // Step 7: is this collateral for this platform? Steps 8 and 9: the TDX module and the TCB levels.
  checkPlatformKind(chain.sgx, verified);
  const tcb = evaluateTcb(verified.tcbInfo, verified.qeIdentity, chain.sgx.tcb, quote.report, quote.qeReport);
  if (tcb.status === 'Revoked') refuse('tcb-revoked', 'the TCB level was revoked');

  const accepted = describeQuote(quote, chain.sgx, verified, tcb, anchor.development);
  if (accepted.attributes.debug && request.allowDebug !== true) {
    refuse('debug', 'the trust domain is in debug mode: its memory is open to the host');
  }
  return accepted;
}

function readPckChain(quote: Quote, anchor: TrustAnchor): PckChain {
  const ders = readAs('malformed', 'the PCK chain', () => pckChainOf(quote));
  const chain = verifyPckChain(ders, anchor);
  const { sgxExtension } = chain.leaf;
  if (!sgxExtension) refuse('malformed', 'the PCK certificate lacks the SGX extension');
  return { ...chain, sgx: readAs('malformed', 'the PCK certificate', () => parseSgxExtension(sgxExtension)) };
}

function checkRevocations(chain: PckChain, collateral: VerifiedCollateral): void {
  if (!isCrlAuthority(collateral, chain.authority)) {
    refuse('crl-signature', 'the CRL is of another authority than the one that issued the PCK certificate');
  }
  if (collateral.rootCrl.revoked.has(chain.authority.serial)) {
    refuse('ca-revoked', `the PCK authority ${chain.authority.serial} was revoked`);
  }
  if (collateral.rootCrl.revoked.has(collateral.pckAuthority.serial)) {
    refuse('ca-revoked', `the PCK authority ${collateral.pckAuthority.serial} of the CRL was revoked`);
  }
  for (const { serial } of collateral.tcbSigners) {
    if (collateral.rootCrl.revoked.has(serial)) {
      refuse('tcb-signer-revoked', `the TCB signing certificate ${serial} was revoked`);
    }
  }
  if (collateral.pckCrl.revoked.has(chain.leaf.serial)) {
    refuse('pck-revoked', `the PCK certificate ${chain.leaf.serial} was revoked`);
  }
}

/** The attestation key, once the PCK key has signed the report that names it. */
function verifyQeReport(quote: Quote, chain: PckChain): P256PublicKey {
  if (!chain.leaf.key.verify(quote.qeReport.bytes, quote.qeReportSignature)) {
    refuse('qe-report-signature', 'the report of the quoting enclave is not signed by the PCK key');
  }
  // The QE vouches for one attestation key: SHA-256(key || authentication data) || 32 zeros.
  const expected = new Uint8Array(64);
  expected.set(sha256(concatBytes(quote.attestationKey, quote.qeAuthData)));
  if (!equalBytes(quote.qeReport.reportData, expected)) {
    refuse('qe-report-data', 'the report of the quoting enclave names another attestation key');
  }
  const key = p256PublicKey(quote.attestationKey);
  if (!key) refuse('quote-signature', 'the attestation key is no point of the curve');
  return key;
}

function checkQeIdentity(report: QeReport, identity: QeIdentity): void {
  const hold = (met: boolean, what: string) => {
    if (!met) refuse('qe-identity', `the quoting enclave has another ${what} than the QE identity`);
  };
  hold(equalBytes(report.mrSigner, fromHex(identity.mrsigner)), 'MRSIGNER');
  hold(report.isvProdId === identity.isvprodid, 'ISVPRODID');
  // The JSON gives MISCSELECT as a number, most significant digit first; the report holds it little-endian.
  const misc = fromHex(identity.miscselect).reverse();
  hold(equalMasked(report.miscSelect, misc, fromHex(identity.miscselectMask).reverse()), 'MISCSELECT');
  hold(equalMasked(report.attributes, fromHex(identity.attributes), fromHex(identity.attributesMask)), 'ATTRIBUTES');
}

function checkPlatformKind(sgx: SgxExtension, { tcbInfo }: VerifiedCollateral): void {
  if (!equalBytes(sgx.fmspc, fromHex(tcbInfo.fmspc))) {
    refuse('fmspc', `the platform has the FMSPC ${toHex(sgx.fmspc)}, the TCB info is for ${tcbInfo.fmspc}`);
  }
  if (!equalBytes(sgx.pceId, fromHex(tcbInfo.pceId))) {
    refuse('pceid', `the platform has the PCEID ${toHex(sgx.pceId)}, the TCB info is for ${tcbInfo.pceId}`);
  }
}
