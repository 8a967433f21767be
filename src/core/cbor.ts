// The only door for CBOR: deterministic encoding (RFC 8949, section 4.2.1) and a decoder that accepts nothing else. What
// is signed and hashed goes through it, so each value has one encoding, and there is one reading of each: libraries
// accept unsorted maps or ill-formed text, and a check before one of them would be a second reading.

import { compareBytes, utf8 } from './bytes.ts';
import { KithError } from './errors.ts';
import type { Shape } from './schema.ts';

export type CborErrorCode = 'too-large' | 'malformed' | 'bad-shape' | 'non-canonical';

/** What our messages consist of. Integers are safe integers; maps have string keys; no tags, floats, undefined. */
export type CborValue =
  | number
  | string
  | boolean
  | null
  | Uint8Array
  | readonly CborValue[]
  | { readonly [key: string]: CborValue | undefined };

/** No message of ours nests deeper than six. */
const CBOR_DEPTH_MAX = 8;

/** First bytes of items, RFC 8949, section 3. */
const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;

/**
 * Deterministic CBOR of `value`; properties that are `undefined` are left out.
 * @throws KithError `malformed` for what `decodeCbor` would refuse on the other side: fractions, unsafe integers,
 * `undefined` in lists, ill-formed text, too deep nesting.
 */
export function encodeCbor(value: CborValue): Uint8Array {
  const writer = new Writer();
  try {
    writer.value(value, 0);
    return writer.taken();
  } finally {
    writer.wipe();
  }
}

const refuseToWrite = (why: string): never => {
  throw new KithError<CborErrorCode>('malformed', `not encodable as CBOR: ${why}`);
};

/** Enough for most messages. */
const FIRST_ROOM_BYTES = 512;

class Writer {
  #room = new Uint8Array(FIRST_ROOM_BYTES);
  #length = 0;

  taken(): Uint8Array {
    return this.#room.slice(0, this.#length);
  }

  /** Messages may hold keys. */
  wipe(): void {
    this.#room.fill(0, 0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#room.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#room.length, this.#length + bytes));
    larger.set(this.#room.subarray(0, this.#length));
    this.wipe();
    this.#room = larger;
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#room[this.#length++] = byte;
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#room.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The first byte of an item and its argument, in the shortest form. */
  #head(major: number, argument: number): void {
    this.#reserve(9);
    const room = this.#room;
    const first = major << 5;
    if (argument < 24) room[this.#length++] = first | argument;
    else {
      const width = argument < 2 ** 8 ? 1 : argument < 2 ** 16 ? 2 : argument < 2 ** 32 ? 4 : 8;
      room[this.#length++] = first | (24 + Math.log2(width));
      let rest = argument;
      for (let i = width - 1; i >= 0; i--) {
        room[this.#length + i] = rest % 256;
        rest = Math.floor(rest / 256);
      }
      this.#length += width;
    }
  }

  value(value: CborValue | undefined, depth: number): void {
    if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'string') this.#text(value);
    else if (typeof value === 'boolean') this.#byte(value ? TRUE : FALSE);
    else if (value === null) this.#byte(NULL);
    else if (value instanceof Uint8Array) {
      this.#head(MAJOR.bytes, value.length);
      this.#bytes(value);
    } else if (typeof value === 'object') {
      if (depth === CBOR_DEPTH_MAX) refuseToWrite(`nested deeper than ${CBOR_DEPTH_MAX} levels`);
      if (isList(value)) {
        this.#head(MAJOR.list, value.length);
        for (const item of value) this.value(item, depth + 1);
      } else this.#map(value, depth);
    } else refuseToWrite(`a value of type ${typeof value}`);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) refuseToWrite('a number that is no safe integer');
    if (value < 0) this.#head(MAJOR.negative, -1 - value);
    else this.#head(MAJOR.unsigned, value);
  }

  #text(text: string): void {
    if (isAscii(text)) {
      this.#head(MAJOR.text, text.length);
      this.#reserve(text.length);
      for (let i = 0; i < text.length; i++) this.#room[this.#length++] = text.charCodeAt(i);
      return;
    }
    if (!isPortableText(text)) refuseToWrite('text that is ill-formed or begins with a byte order mark');
    const bytes = utf8(text);
    this.#head(MAJOR.text, bytes.length);
    this.#bytes(bytes);
  }

  #map(map: { readonly [key: string]: CborValue | undefined }, depth: number): void {
    const keys = Object.keys(map).filter((key) => map[key] !== undefined);
    keys.sort(compareKeys);
    this.#head(MAJOR.map, keys.length);
    for (const key of keys) {
      this.#text(key);
      this.value(map[key], depth + 1);
    }
  }
}

const isList = (value: object): value is readonly CborValue[] => Array.isArray(value);

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** Bytewise order of the encoded keys: the length comes first, so the shorter comes first. */
function compareKeys(a: string, b: string): number {
  if (isAscii(a) && isAscii(b)) return a.length - b.length || (a < b ? -1 : 1);
  const [x, y] = [utf8(a), utf8(b)];
  return x.length - y.length || compareBytes(x, y);
}

/** Lone surrogates do not survive UTF-8; a mark at the start does not survive other decoders. */
const isPortableText = (text: string): boolean => text.isWellFormed() && !text.startsWith('\ufeff');

/**
 * Decodes `bytes`, which must be the deterministic encoding of a value of the shape.
 * Byte strings in the result are copies.
 * @param limits.bytesMax refuse anything longer before looking at it.
 * @throws KithError `too-large`, `malformed`, `bad-shape` or `non-canonical`.
 */
export function decodeCbor<T>(
  bytes: Uint8Array,
  form: Shape<T>,
  { bytesMax, where }: { bytesMax: number; where: string },
): T {
  if (bytes.length > bytesMax) {
    throw new KithError<CborErrorCode>(
      'too-large',
      `${where}: ${bytes.length} bytes, at most ${bytesMax} are accepted`,
    );
  }
  return form.parse(new Reader(bytes, where).whole(), where);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The least argument that needs 1, 2, 4 or 8 bytes after the initial one: a smaller one has a shorter form. */
const ARGUMENT_MIN = [24, 2 ** 8, 2 ** 16, 2 ** 32];

/** Texts up to this length are put together by character code, which is faster than a decoder's call. */
const SHORT_TEXT_BYTES = 64;

class Reader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  #offset = 0;

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  whole(): CborValue {
    const value = this.#item(0);
    const left = this.#bytes.length - this.#offset;
    if (left > 0) this.#refuse('malformed', `${left} bytes after its end`);
    return value;
  }

  #refuse(code: CborErrorCode, why: string): never {
    throw new KithError<CborErrorCode>(code, `${this.#where}: ${why}`);
  }

  #first(): number {
    const first = this.#bytes[this.#offset++];
    return first ?? this.#refuse('malformed', 'ends inside an item');
  }

  /** The number that belongs to a first byte, in the shortest form; exact up to 2^53, above it only that it is. */
  #argument(first: number): number {
    const additional = first & 31;
    if (additional < 24) return additional;
    if (additional > 27) this.#refuse('malformed', 'indefinite lengths and reserved forms are not accepted');
    const width = 1 << (additional - 24);
    if (this.#offset + width > this.#bytes.length) this.#refuse('malformed', 'ends inside an item');
    let argument = 0;
    for (let i = 0; i < width; i++) argument = argument * 256 + this.#bytes[this.#offset++]!;
    if (argument < ARGUMENT_MIN[additional - 24]!) this.#refuse('non-canonical', 'a number has a shorter encoding');
    return argument;
  }

  /** @param depth lists and maps around it. */
  #item(depth: number): CborValue {
    const first = this.#first();
    switch (first >> 5) {
      case MAJOR.unsigned:
        return this.#safe(this.#argument(first));
      case MAJOR.negative:
        return this.#safe(-1 - this.#argument(first));
      case MAJOR.bytes:
        return this.#content(first).slice();
      case MAJOR.text:
        return this.#text(first);
      case MAJOR.list:
        return this.#list(this.#count(first, 1, depth), depth);
      case MAJOR.map:
        return this.#map(this.#count(first, 2, depth), depth);
      case MAJOR.tag:
        return this.#refuse('malformed', 'tags are not accepted');
      default:
        if (first === FALSE) return false;
        if (first === TRUE) return true;
        if (first === NULL) return null;
        return this.#refuse('malformed', 'of the simple values only false, true and null are accepted');
    }
  }

  #safe(value: number): number {
    return Number.isSafeInteger(value) ? value : this.#refuse('malformed', 'a number beyond 2^53');
  }

  /** Of a string, in place. */
  #content(first: number): Uint8Array {
    const length = this.#argument(first);
    if (length > this.#bytes.length - this.#offset) {
      this.#refuse('malformed', 'a string is longer than the message');
    }
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  #text(first: number): string {
    const content = this.#content(first);
    if (content.length <= SHORT_TEXT_BYTES && content.every(isAsciiByte)) {
      return String.fromCharCode.apply(null, content as unknown as number[]);
    }
    try {
      const text = strictUtf8.decode(content);
      if (isPortableText(text)) return text;
    } catch {
      // Said below.
    }
    return this.#refuse('malformed', 'text is not well-formed UTF-8 without a mark');
  }

  /** Items of a list or map, before anything is kept for them. */
  #count(first: number, itemsEach: number, depth: number): number {
    const count = this.#argument(first);
    if (count * itemsEach > this.#bytes.length - this.#offset) {
      this.#refuse('malformed', 'a list or map has more items than the message has bytes');
    }
    if (depth === CBOR_DEPTH_MAX) this.#refuse('malformed', `nested deeper than ${CBOR_DEPTH_MAX} levels`);
    return count;
  }

  #list(count: number, depth: number): CborValue {
    const list: CborValue[] = [];
    for (let i = 0; i < count; i++) list.push(this.#item(depth + 1));
    return list;
  }

  #map(count: number, depth: number): CborValue {
    const map: Record<string, CborValue> = {};
    let before: Uint8Array | undefined;
    for (let i = 0; i < count; i++) {
      const begins = this.#offset;
      const first = this.#first();
      if (first >> 5 !== MAJOR.text) this.#refuse('malformed', 'keys are text');
      const key = this.#text(first);
      const encoded = this.#bytes.subarray(begins, this.#offset);
      const order = before ? compareBytes(before, encoded) : -1;
      if (order === 0) this.#refuse('malformed', 'a key stands twice in a map');
      if (order > 0) this.#refuse('non-canonical', 'the keys of a map are not in their order');
      before = encoded;
      const value = this.#item(depth + 1);
      if (key !== '__proto__') map[key] = value;
      // A field like any other, which gives nothing to the object.
      else Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return map;
  }
}

const isAsciiByte = (byte: number): boolean => byte < 0x80;
