// A strict reader for DER (ITU-T X.690, section 10 and 11): one encoding per value, definite minimal lengths,
// low tag numbers. It reads what X.509 certificates, CRLs and Intel's SGX extension consist of, and nothing else.

import { KithError } from '../core/errors.ts';
import { unixSeconds } from './time.ts';

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  context0: 0xa0,
  context3: 0xa3,
} as const;

function bad(why: string): never {
  throw new KithError('bad-der', why);
}

/** One element. Its bytes are views into the input, cut only when asked for: a CRL has thousands of elements. */
export class DerElement {
  readonly tag: number;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #contentStart: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start: number, contentStart: number, end: number) {
    this.tag = bytes[start]!;
    this.#bytes = bytes;
    this.#start = start;
    this.#contentStart = contentStart;
    this.#end = end;
  }

  get content(): Uint8Array {
    return this.#bytes.subarray(this.#contentStart, this.#end);
  }

  /** With tag and length. */
  get whole(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** A reader over the content. */
  enter(): DerReader {
    return new DerReader(this.#bytes, this.#contentStart, this.#end);
  }
}

/** Reads elements one after another. Every method throws KithError `bad-der` when the input is not what it reads. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#offset === this.#end;
  }

  /** The tag of the next element, undefined at the end. */
  get nextTag(): number | undefined {
    return this.done ? undefined : this.#bytes[this.#offset];
  }

  next(what: string): DerElement {
    const start = this.#offset;
    const bytes = this.#bytes;
    if (this.#end - start < 2) bad(`${what}: the input ends before it`);
    if ((bytes[start]! & 0x1f) === 0x1f) bad(`${what}: high tag numbers are not used here`);
    let length = bytes[start + 1]!;
    let header = 2;
    if (length >= 0x80) {
      const width = length & 0x7f;
      if (width === 0) bad(`${what}: an indefinite length is not DER`);
      if (width > 3) bad(`${what}: a length of ${width} bytes is more than any document here needs`);
      if (this.#end - start < 2 + width) bad(`${what}: the input ends inside its length`);
      length = 0;
      for (let i = 0; i < width; i++) length = length * 256 + bytes[start + 2 + i]!;
      if (length < 0x80 || length < 256 ** (width - 1)) bad(`${what}: a length must have its shortest form`);
      header += width;
    }
    const end = start + header + length;
    if (end > this.#end) bad(`${what}: the input ends inside it`);
    this.#offset = end;
    return new DerElement(bytes, start, start + header, end);
  }

  expect(tag: number, what: string): DerElement {
    const element = this.next(what);
    if (element.tag !== tag) bad(`${what}: expected tag ${tag}, got ${element.tag}`);
    return element;
  }

  /** The next element if it has this tag. */
  optional(tag: number, what: string): DerElement | undefined {
    return this.nextTag === tag ? this.next(what) : undefined;
  }

  /** A reader over the content of the next element. */
  enter(tag: number, what: string): DerReader {
    return this.expect(tag, what).enter();
  }

  end(what: string): void {
    if (!this.done) bad(`${what}: something follows its end`);
  }
}

/** The one element that `bytes` must consist of. */
export function derWhole(bytes: Uint8Array, tag: number, what: string): DerReader {
  const outer = new DerReader(bytes);
  const inner = outer.enter(tag, what);
  outer.end(what);
  return inner;
}

/** Content of an INTEGER that is not negative, without its sign byte. */
export function derUnsigned(content: Uint8Array, what: string): Uint8Array {
  if (content.length === 0) bad(`${what}: an integer has at least one byte`);
  if (content[0]! >= 0x80) bad(`${what}: must not be negative`);
  if (content[0] === 0 && content.length > 1) {
    if (content[1]! < 0x80) bad(`${what}: an integer must have its shortest form`);
    return content.subarray(1);
  }
  return content;
}

/** A small INTEGER or ENUMERATED as a number. */
export function derSmallNumber(content: Uint8Array, what: string): number {
  const bytes = derUnsigned(content, what);
  if (bytes.length > 4) bad(`${what}: too large`);
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

/** DER allows 0x00 and 0xff only (X.690, section 11.1). */
export function derBoolean(content: Uint8Array, what: string): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) bad(`${what}: not a DER boolean`);
  return content[0] === 0xff;
}

/** The bytes of a BIT STRING that consists of whole bytes. */
export function derBytesOfBits(content: Uint8Array, what: string): Uint8Array {
  if (content[0] !== 0) bad(`${what}: must consist of whole bytes`);
  return content.subarray(1);
}

/** A named-bit list of up to 16 bits as a number, bit 0 of the list being 1 (X.690, section 11.2.2). */
export function derNamedBits(content: Uint8Array, what: string): number {
  const unused = content[0];
  if (unused === undefined || unused > 7 || content.length > 3) bad(`${what}: not a list of named bits`);
  if (content.length === 1) {
    if (unused !== 0) bad(`${what}: an empty list has no unused bits`);
    return 0;
  }
  const last = content.at(-1)!;
  // The last bit present must be a one, and everything after it zero.
  if (((last >> unused) & 1) === 0 || (last & ((1 << unused) - 1)) !== 0) bad(`${what}: not the shortest form`);
  let bits = 0;
  for (let i = 0; i < 8 * (content.length - 1); i++) {
    if ((content[1 + (i >> 3)]! & (0x80 >> (i & 7))) !== 0) bits |= 1 << i;
  }
  return bits;
}

/** Dotted form of an OBJECT IDENTIFIER. */
export function derOid(content: Uint8Array, what: string): string {
  if (content.length === 0 || content.length > 32 || content.at(-1)! >= 0x80) bad(`${what}: not an object identifier`);
  const arcs: number[] = [];
  let arc = 0;
  let first = true;
  for (const byte of content) {
    if (first && byte === 0x80) bad(`${what}: an arc must have its shortest form`);
    if (arc >= 2 ** 24) bad(`${what}: an arc is too large`);
    arc = arc * 128 + (byte & 0x7f);
    first = byte < 0x80;
    if (first) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const head = arcs[0]!;
  const top = Math.min(2, Math.floor(head / 40));
  return [top, head - 40 * top, ...arcs.slice(1)].join('.');
}

/** UTCTime until 2049, GeneralizedTime from 2050 on, both to the second in UTC (RFC 5280, section 4.1.2.5). */
export function derTime(element: Pick<DerElement, 'tag' | 'content'>, what: string): number {
  if (element.tag !== TAG.utcTime && element.tag !== TAG.generalizedTime) bad(`${what}: not a time`);
  const { content } = element;
  const yearDigits = element.tag === TAG.utcTime ? 2 : 4;
  const digits = yearDigits + 10;
  if (content.length !== digits + 1 || content[digits] !== LETTER_Z) {
    bad(`${what}: a time must be given to the second, in UTC`);
  }
  const number = (from: number, to: number): number => {
    let value = 0;
    for (let i = from; i < to; i++) {
      const digit = content[i]! - DIGIT_0;
      if (digit < 0 || digit > 9) bad(`${what}: a time must consist of digits`);
      value = value * 10 + digit;
    }
    return value;
  };
  const part = (i: number) => number(yearDigits + 2 * i, yearDigits + 2 * i + 2);
  const year = number(0, yearDigits);
  if (yearDigits === 4 && year < 2050) bad(`${what}: times before 2050 must be UTCTime`);
  const century = yearDigits === 4 ? 0 : year < 50 ? 2000 : 1900;
  return unixSeconds(century + year, part(0), part(1), part(2), part(3), part(4));
}

const DIGIT_0 = 0x30;
const LETTER_Z = 0x5a;

/** r||s (64 bytes) of an Ecdsa-Sig-Value over a 256-bit curve (RFC 3279, section 2.2.3). */
export function derEcdsaSignature(bytes: Uint8Array, what: string): Uint8Array {
  const reader = derWhole(bytes, TAG.sequence, what);
  const signature = new Uint8Array(64);
  for (const at of [32, 64]) {
    const number = derUnsigned(reader.expect(TAG.integer, what).content, what);
    if (number.length > 32) bad(`${what}: a number is above 256 bits`);
    signature.set(number, at - number.length);
  }
  reader.end(what);
  return signature;
}
