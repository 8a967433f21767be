// Random edits of bytes and texts, and what must be left of a quote and its collateral whatever was edited.

import fc from 'fast-check';
import { parsePemChain } from '../../src/attestation/pem.ts';
import { parseQuote, pckChainOf } from '../../src/attestation/quote.ts';
import type { Collateral } from '../../src/attestation/quote-collateral.ts';
import { concatBytes, toHex } from '../../src/core/bytes.ts';

export interface Edit {
  readonly kind: 'flip' | 'set' | 'insert' | 'delete' | 'copy';
  /** Where: a fraction of the length, in 2^32 parts. */
  readonly at: number;
  readonly from: number;
  readonly value: number;
  readonly length: number;
}

const fraction = fc.nat(0xffff_ffff);

/** One to three edits. */
export const edits = fc.array(
  fc.record<Edit>({
    kind: fc.constantFrom('flip', 'set', 'insert', 'delete', 'copy'),
    at: fraction,
    from: fraction,
    // White space and other characters with a meaning come up more often than one in 256.
    value: fc.oneof(fc.nat(255), fc.constantFrom(0, 10, 13, 32, 34, 48, 61, 92)),
    length: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 64 })),
  }),
  { minLength: 1, maxLength: 3 },
);

const place = (part: number, length: number): number => Math.floor((part / 2 ** 32) * length);

export function applyEdits(original: Uint8Array, list: readonly Edit[]): Uint8Array {
  let bytes: Uint8Array = original.slice();
  for (const { kind, at, from, value, length } of list) {
    const i = place(at, bytes.length);
    const head = bytes.subarray(0, i);
    if (kind === 'flip') bytes[i] = (bytes[i] ?? 0) ^ (1 << (value & 7));
    else if (kind === 'set') bytes[i] = value;
    else if (kind === 'insert') bytes = concatBytes(head, new Uint8Array(length).fill(value), bytes.subarray(i));
    else if (kind === 'delete') bytes = concatBytes(head, bytes.subarray(i + length));
    else bytes.copyWithin(i, place(from, bytes.length), place(from, bytes.length) + length);
  }
  return bytes;
}

/** Everything in a quote but the white space in its PEM text and the zeros behind its end. */
export function contentOfQuote(bytes: Uint8Array): string {
  const quote = parseQuote(bytes);
  const parts = [
    quote.signed,
    quote.signature,
    quote.attestationKey,
    quote.qeReport.bytes,
    quote.qeReportSignature,
    quote.qeAuthData,
    ...pckChainOf(quote),
  ];
  return parts.map(toHex).join(' ');
}

/** Everything in collateral but the layout of its file and the white space in its PEM texts. */
export function contentOfCollateral(collateral: Collateral): string {
  const chains = [collateral.pckCrlIssuerChain, collateral.tcbInfoIssuerChain, collateral.qeIdentityIssuerChain];
  return [
    ...chains.flatMap((pem) => parsePemChain(pem).map(toHex)),
    toHex(collateral.rootCaCrl),
    toHex(collateral.pckCrl),
    collateral.tcbInfo,
    toHex(collateral.tcbInfoSignature),
    collateral.qeIdentity,
    toHex(collateral.qeIdentitySignature),
  ].join(' ');
}
