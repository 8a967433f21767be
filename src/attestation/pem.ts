// PEM chains of certificates (RFC 7468), strictly: only white space outside the blocks and inside their base64.
// The text is outside every signature; what is returned is checked by its signatures.

import { KithError } from '../core/errors.ts';
import { CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX, PEM_CHAIN_BYTES_MAX } from './limits.ts';

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

function bad(why: string): never {
  throw new KithError('bad-pem', why);
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PAD = 64;
const OTHER = 255;
const DIGITS = Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = code === 0 ? -1 : BASE64.indexOf(String.fromCharCode(code));
  return digit >= 0 ? digit : code === 61 ? PAD : OTHER;
});

const isWhite = (code: number): boolean => code === 10 || code === 13 || code === 32 || code === 9;

/** base64 with its padding and with unused bits zero, so that each byte string has one text but for white space. */
function decodeBase64(text: string): Uint8Array {
  const out = new Uint8Array(Math.ceil((text.length * 3) / 4));
  let length = 0;
  let group = 0;
  let digits = 0;
  let pads = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isWhite(code)) continue;
    const digit = DIGITS[code] ?? OTHER;
    if (digit === OTHER) bad(`not a base64 character at position ${i}`);
    if (digit === PAD) pads++;
    else if (pads > 0) bad('base64 goes on after its padding');
    group = (group << 6) | (digit & 63);
    if (++digits % 4 !== 0) continue;
    if (pads > 2 || (pads > 0 && (group & (pads === 1 ? 0xff : 0xffff)) !== 0)) bad('base64 with unused bits set');
    for (let shift = 16; shift >= 8 * pads; shift -= 8) out[length++] = (group >> shift) & 0xff;
    group = 0;
  }
  if (digits % 4 !== 0) bad('base64 without its padding');
  return out.subarray(0, length);
}

/**
 * The DER of each certificate of a chain, in order.
 * @param text latin-1 or ASCII; anything outside ASCII is refused.
 * @throws KithError `bad-pem`.
 */
export function parsePemChain(text: string): Uint8Array[] {
  if (text.length > PEM_CHAIN_BYTES_MAX) {
    bad(`${text.length} characters, at most ${PEM_CHAIN_BYTES_MAX} are accepted`);
  }
  const certificates: Uint8Array[] = [];
  let at = skipWhite(text, 0);
  while (at < text.length) {
    if (!text.startsWith(BEGIN, at)) bad(`expected a certificate at position ${at}`);
    const end = text.indexOf(END, at);
    if (end < 0) bad('a certificate does not end');
    if (certificates.length === CHAIN_CERTIFICATES_MAX) bad(`more than ${CHAIN_CERTIFICATES_MAX} certificates`);
    const der = decodeBase64(text.slice(at + BEGIN.length, end));
    if (der.length > CERTIFICATE_BYTES_MAX) bad(`a certificate of ${der.length} bytes`);
    certificates.push(der);
    at = skipWhite(text, end + END.length);
  }
  return certificates;
}

function skipWhite(text: string, from: number): number {
  let at = from;
  while (at < text.length && isWhite(text.charCodeAt(at))) at++;
  return at;
}

/** The PEM chain of these certificates. */
export function formatPemChain(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => `${BEGIN}\n${lines(encodeBase64(der))}${END}\n`).join('');
}

/** Base64 with padding (RFC 4648, section 4). */
function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const digits = [group >> 18, (group >> 12) & 63, (group >> 6) & 63, group & 63].map((digit) => BASE64[digit]!);
    text += digits.slice(0, Math.min(4, bytes.length - i + 1)).join('');
  }
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

const lines = (text: string): string => text.replaceAll(/.{1,64}/g, '$&\n');
