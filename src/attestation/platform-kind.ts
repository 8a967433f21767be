// Which collateral a quote needs, read from its PCK certificate before anything is verified.

import { toHex } from '../core/bytes.ts';
import { readAs, refuse } from './errors.ts';
import { parseQuote, pckChainOf } from './quote.ts';
import { parseSgxExtension } from './sgx-extension.ts';
import { parseCertificate } from './x509.ts';

export interface PlatformKind {
  /** 12 upper-case hex digits. */
  readonly fmspc: string;
  /** Which of Intel's two authorities certified the platform. */
  readonly authority: 'platform' | 'processor';
}

/**
 * What the quote says about its platform; a hint for fetching, proven only by verification.
 * @throws KithError with a VerificationCode.
 */
export function platformKindOf(quote: Uint8Array): PlatformKind {
  const parsed = parseQuote(quote);
  return readAs('malformed', 'the PCK chain', () => {
    const [leaf, authority] = pckChainOf(parsed).map(parseCertificate);
    if (!leaf?.sgxExtension || !authority) refuse('malformed', 'no PCK certificate with the SGX extension');
    const { fmspc } = parseSgxExtension(leaf.sgxExtension);
    const processor = authority.subjectCommonName.endsWith('Processor CA');
    return { fmspc: toHex(fmspc).toUpperCase(), authority: processor ? 'processor' : 'platform' };
  });
}
