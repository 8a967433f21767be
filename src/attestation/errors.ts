// Every reason for which a quote is refused, each with its code and a sentence for people.
// The codes are a contract (`kith attest verify --help` lists them); more may be added, none renamed.

import { isKithError, KithError } from '../core/errors.ts';

export const VERIFICATION_CODES = {
  malformed: 'the quote or a certificate in it is cut short or not of the described form',
  'trailing-bytes': 'bytes other than zero padding follow the end of the quote',
  unsupported: 'a version, key type, TEE type or quoting enclave vendor this verifier does not know',
  chain: 'the PCK certificate chain does not lead to the trust anchor under the rules for its roles',
  'certificate-time': 'a certificate is not valid yet or not any more',
  'collateral-malformed': 'the collateral is not of the described form',
  'crl-missing': 'the collateral lacks a revocation list',
  'crl-malformed': 'a revocation list is not of the described form',
  'crl-signature': 'a revocation list was not issued and signed by the right authority',
  'crl-time': 'a revocation list is expired or from the future',
  'pck-revoked': 'the PCK certificate was revoked',
  'ca-revoked': 'the certificate of the PCK authority was revoked',
  'tcb-signer-revoked': 'the certificate that signs TCB information was revoked',
  'tcb-info-signature': 'the TCB info is not signed by a TCB signing certificate of the trust anchor',
  'tcb-info-malformed': 'the TCB info is not of the described form, kind and version',
  'tcb-info-time': 'the TCB info is expired or from the future',
  'qe-identity-signature': 'the QE identity is not signed by a TCB signing certificate of the trust anchor',
  'qe-identity-malformed': 'the QE identity is not of the described form, kind and version',
  'qe-identity-time': 'the QE identity is expired or from the future',
  'qe-report-signature': 'the report of the quoting enclave is not signed by the PCK key',
  'qe-report-data': 'the report of the quoting enclave names another attestation key',
  'qe-identity': 'the quoting enclave is not the one of the QE identity',
  'quote-signature': 'the quote is not signed by its attestation key',
  fmspc: 'the TCB info is for platforms with another FMSPC',
  pceid: 'the TCB info is for platforms with another PCEID',
  'module-identity': 'the TDX module is not one of the TCB info, or not signed by Intel',
  'tcb-not-supported': 'the platform is older than every TCB level of its kind',
  'tcb-revoked': 'the TCB level of the platform, its TDX module or its quoting enclave was revoked',
  debug: 'the trust domain is in debug mode: its memory is open to the host',
} as const satisfies Record<string, string>;

export type VerificationCode = keyof typeof VERIFICATION_CODES;

/** @throws KithError with that code, always. */
export function refuse(code: VerificationCode, message: string, cause?: unknown): never {
  throw new KithError<VerificationCode>(code, message, cause === undefined ? undefined : { cause });
}

/** What `read` returns; whatever typed error the readers below it throw becomes one with `code`. */
export function readAs<T>(code: VerificationCode, what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isKithError(error)) refuse(code, `${what}: ${error.message}`, error);
    throw error;
  }
}

/** Whether `error` says why a quote is refused; anything else is a fault of ours. */
export function isRefusal(error: unknown): error is KithError<VerificationCode> {
  return isKithError(error) && Object.hasOwn(VERIFICATION_CODES, error.code);
}
