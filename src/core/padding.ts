// Padding that hides lengths: content, one byte 0x80, zeros (ISO/IEC 7816-4), up to a size the caller chooses.
// Only ever inside of authenticated encryption, so that a bad padding is no oracle.

import { KithError } from './errors.ts';

export type PaddingErrorCode = 'bad-padding' | 'too-large';

/** Starts the padding; whatever follows it is zero. */
const MARK = 0x80;

/**
 * The length Padme gives to something of `length` bytes: at most 12 % more, and only O(log log) bits of the length
 * remain visible (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019,
 * section 4). `length` is a whole number from 0 to 2^31 - 1.
 */
export function padmeLength(length: number): number {
  if (!Number.isInteger(length) || length < 0 || length > 0x7fffffff) {
    throw new KithError('out-of-range', `Padme is for lengths from 0 to 2^31 - 1, got ${length}`);
  }
  if (length < 2) return length;
  const exponent = 31 - Math.clz32(length);
  const lastBits = exponent - (32 - Math.clz32(exponent));
  const step = 2 ** Math.max(0, lastBits);
  return Math.ceil(length / step) * step;
}

/** `content` padded to `size` bytes. @throws KithError `too-large` unless one byte more than `content` fits. */
export function pad(content: Uint8Array, size: number): Uint8Array {
  if (content.length + 1 > size) {
    throw new KithError<PaddingErrorCode>('too-large', `${content.length} bytes do not fit a padded size of ${size}`);
  }
  const out = new Uint8Array(size);
  out.set(content);
  out[content.length] = MARK;
  return out;
}

/** What was padded, as a view into `padded`. @throws KithError `bad-padding`. */
export function unpad(padded: Uint8Array): Uint8Array {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end--;
  if (end < 0 || padded[end] !== MARK) {
    throw new KithError<PaddingErrorCode>('bad-padding', 'expected content, a byte 0x80, and zeros to the end');
  }
  return padded.subarray(0, end);
}
