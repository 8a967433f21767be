// Byte strings and their text forms. Every decoder is strict: one text, one byte string.

import { KithError } from './errors.ts';

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes of `parts` one after another. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Equality in time that depends on the lengths only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

/** Bytewise lexicographic order, a prefix first: negative, zero or positive. Not for secrets. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}

/** UTF-8 of a well-formed string. */
export function utf8(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/** @throws KithError `bad-text` when `bytes` are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return utf8Decoder.decode(bytes);
  } catch (cause) {
    throw new KithError('bad-text', 'not valid UTF-8', { cause });
  }
}

const ascii = (text: string): Uint8Array => utf8Encoder.encode(text);

const HEX = ascii('0123456789abcdef');

// Texts are decoded from bytes at once: pieced together they would stay trees of pieces in V8, three times as large.

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  const text = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    text[2 * i] = HEX[bytes[i]! >> 4]!;
    text[2 * i + 1] = HEX[bytes[i]! & 15]!;
  }
  return utf8Decoder.decode(text);
}

/**
 * Bytes of hexadecimal text, either case, no prefix.
 * @throws KithError `bad-hex` on an odd number of digits or another character.
 */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) {
    throw new KithError('bad-hex', `expected an even number of hex digits, got ${text.length}`);
  }
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) {
    const high = hexDigit(text.charCodeAt(2 * i));
    const low = hexDigit(text.charCodeAt(2 * i + 1));
    if (high < 0 || low < 0) {
      throw new KithError('bad-hex', `expected hex digits only, got another character at position ${2 * i}`);
    }
    out[i] = high * 16 + low;
  }
  return out;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

const BASE64URL = ascii('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

/** base64url without padding (RFC 4648, section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  const rest = bytes.length % 3;
  let offset = 0;
  for (let i = 0; i + 2 < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!;
    text[offset] = BASE64URL[group >> 18]!;
    text[offset + 1] = BASE64URL[(group >> 12) & 63]!;
    text[offset + 2] = BASE64URL[(group >> 6) & 63]!;
    text[offset + 3] = BASE64URL[group & 63]!;
    offset += 4;
  }
  if (rest > 0) {
    const group = rest === 1 ? bytes.at(-1)! << 16 : (bytes.at(-2)! << 16) | (bytes.at(-1)! << 8);
    text[offset++] = BASE64URL[group >> 18]!;
    text[offset++] = BASE64URL[(group >> 12) & 63]!;
    if (rest === 2) text[offset] = BASE64URL[(group >> 6) & 63]!;
  }
  return utf8Decoder.decode(text);
}

/**
 * Bytes of base64url text without padding; unused bits must be zero, so that each byte string has one text.
 * @throws KithError `bad-base64url`.
 */
export function fromBase64Url(text: string): Uint8Array {
  const rest = text.length % 4;
  if (rest === 1) throw new KithError('bad-base64url', `no base64url text has ${text.length} characters`);
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  const whole = text.length - rest;
  let offset = 0;
  for (let i = 0; i < whole; i += 4) {
    const group = (digit(text, i) << 18) | (digit(text, i + 1) << 12) | (digit(text, i + 2) << 6) | digit(text, i + 3);
    out[offset] = group >> 16;
    out[offset + 1] = group >> 8;
    out[offset + 2] = group;
    offset += 3;
  }
  if (rest > 0) {
    const group =
      (digit(text, whole) << 12) | (digit(text, whole + 1) << 6) | (rest === 3 ? digit(text, whole + 2) : 0);
    if ((group & (rest === 3 ? 0b11 : 0x3ff)) !== 0) {
      throw new KithError('bad-base64url', 'the unused bits of the last character must be zero');
    }
    out[offset++] = group >> 10;
    if (rest === 3) out[offset] = group >> 2;
  }
  return out;
}

/** Values of characters below 128; 64 for those that stand for nothing. */
const BASE64URL_VALUES = new Uint8Array(128).fill(64);
BASE64URL.forEach((character, value) => {
  BASE64URL_VALUES[character] = value;
});

function digit(text: string, i: number): number {
  const value = BASE64URL_VALUES[text.charCodeAt(i)] ?? 64;
  if (value === 64) throw new KithError('bad-base64url', `character ${i} is not of the base64url alphabet`);
  return value;
}

/** `value` as `length` bytes, least significant first. @throws KithError `out-of-range` if it does not fit. */
export function bigintToLe(value: bigint, length: number): Uint8Array {
  if (value < 0n || value >> BigInt(8 * length) !== 0n) {
    throw new KithError('out-of-range', `the number does not fit ${length} bytes`);
  }
  const out = new Uint8Array(length);
  const view = new DataView(out.buffer);
  let rest = value;
  let at = 0;
  for (; at + 8 <= length; at += 8) {
    view.setBigUint64(at, BigInt.asUintN(64, rest), true);
    rest >>= 64n;
  }
  for (; at < length; at++) {
    out[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

/** The number whose bytes, least significant first, are `bytes`. */
export function leToBigint(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let value = 0n;
  let at = bytes.length;
  for (; at % 8 > 0; at--) value = (value << 8n) | BigInt(bytes[at - 1]!);
  for (; at > 0; at -= 8) value = (value << 64n) | view.getBigUint64(at - 8, true);
  return value;
}

/** `value` as four bytes, most significant first. @throws KithError `out-of-range` if it does not fit. */
export function u32be(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new KithError('out-of-range', `expected an unsigned number of 32 bits, got ${value}`);
  }
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

/** `value` as eight bytes, most significant first. `value` is a safe integer, not negative. */
export function u64be(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new KithError('out-of-range', `expected an unsigned safe integer, got ${value}`);
  }
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value));
  return out;
}
