// Writes the DER that the development PKI consists of.

import { concatBytes, utf8 } from '../../core/bytes.ts';
import { TAG } from '../der.ts';
import { formatIsoTime } from '../time.ts';

export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  const { length } = content;
  const size: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest % 256);
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 + size.length, ...size];
  return concatBytes(Uint8Array.from(header), content);
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(TAG.sequence, ...parts);
export const octets = (bytes: Uint8Array): Uint8Array => der(TAG.octetString, bytes);
export const bits = (bytes: Uint8Array): Uint8Array => der(TAG.bitString, Uint8Array.of(0), bytes);
export const trueValue: () => Uint8Array = () => der(TAG.boolean, Uint8Array.of(0xff));

/** An INTEGER that is not negative, most significant byte first. */
export function unsigned(bytes: Uint8Array, tag: number = TAG.integer): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const shortest = bytes.subarray(start);
  return der(tag, shortest[0]! >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0), shortest);
}

export const small = (value: number, tag?: number): Uint8Array =>
  unsigned(Uint8Array.of(value >> 8, value & 0xff), tag);

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const content = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let more = Math.floor(arc / 128); more > 0; more = Math.floor(more / 128))
      groups.unshift((more & 0x7f) | 0x80);
    return groups;
  });
  return der(TAG.oid, Uint8Array.from(content));
}

/** UTCTime of unix seconds before 2050. */
export function time(seconds: number): Uint8Array {
  return der(TAG.utcTime, utf8(`${formatIsoTime(seconds).slice(2).replaceAll(/[-:T]/g, '')}`));
}

/** Ecdsa-Sig-Value of r||s. */
export function ecdsaSignature(raw: Uint8Array): Uint8Array {
  return sequence(unsigned(raw.subarray(0, 32)), unsigned(raw.subarray(32)));
}
