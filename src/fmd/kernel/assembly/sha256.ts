// The hash bit of a subkey, SHA-256(enc(u) || enc(x u) || enc(w))[0] & 1, for four subkeys side by side (FIPS 180-4).
// enc(u) fills the first eight words of the first block, so the state after eight rounds is the flag's; the second block
// is enc(w) and padding, so its whole schedule is.

import { SHA_CONSTANTS, SHA_PREFIX, SHA_SCHEDULE, SHA_SECOND } from '../layout';

// @ts-ignore: decorator
@inline
function rotate(x: v128, n: i32): v128 {
  return v128.or(i32x4.shr_u(x, n), i32x4.shl(x, 32 - n));
}

// @ts-ignore: decorator
@inline
function xor3(a: v128, b: v128, c: v128): v128 {
  return v128.xor(v128.xor(a, b), c);
}

// @ts-ignore: decorator
@inline
function first(e: v128, f: v128, g: v128, h: v128, w: v128): v128 {
  const sum = xor3(rotate(e, 6), rotate(e, 11), rotate(e, 25));
  const choice = v128.xor(g, v128.and(e, v128.xor(f, g)));
  return i32x4.add(i32x4.add(h, w), i32x4.add(sum, choice));
}

/** The second addend of a round; `bc` is b ^ c, which is the a ^ b of the round before. */
// @ts-ignore: decorator
@inline
function second(a: v128, b: v128, ab: v128, bc: v128): v128 {
  return i32x4.add(xor3(rotate(a, 2), rotate(a, 13), rotate(a, 22)), v128.xor(b, v128.and(ab, bc)));
}

/** Word i of a schedule, with its constant, if that was not added before. */
// @ts-ignore: decorator
@inline
function word(w: i32, constants: i32, i: i32): v128 {
  const raw = v128.load(w + (i << 4));
  return constants ? i32x4.add(raw, v128.load32_splat(constants + (i << 2))) : raw;
}

/** Rounds `from` to `to` (multiples of 8) on the eight vectors at `state`; `constants` is 0 or SHA_CONSTANTS. */
// @ts-ignore: decorator
@inline
function someRounds(state: i32, schedule: i32, constants: i32, from: i32, to: i32): void {
  let a = v128.load(state);
  let b = v128.load(state, 16);
  let c = v128.load(state, 32);
  let d = v128.load(state, 48);
  let e = v128.load(state, 64);
  let f = v128.load(state, 80);
  let g = v128.load(state, 96);
  let h = v128.load(state, 112);
  let bc = v128.xor(b, c);
  let ab: v128;
  if (constants) constants += from << 2;
  for (let w = schedule + (from << 4), end = schedule + (to << 4); w < end; w += 128) {
    h = first(e, f, g, h, word(w, constants, 0));
    d = i32x4.add(d, h);
    ab = v128.xor(a, b);
    h = i32x4.add(h, second(a, b, ab, bc));
    g = first(d, e, f, g, word(w, constants, 1));
    c = i32x4.add(c, g);
    bc = v128.xor(h, a);
    g = i32x4.add(g, second(h, a, bc, ab));
    f = first(c, d, e, f, word(w, constants, 2));
    b = i32x4.add(b, f);
    ab = v128.xor(g, h);
    f = i32x4.add(f, second(g, h, ab, bc));
    e = first(b, c, d, e, word(w, constants, 3));
    a = i32x4.add(a, e);
    bc = v128.xor(f, g);
    e = i32x4.add(e, second(f, g, bc, ab));
    d = first(a, b, c, d, word(w, constants, 4));
    h = i32x4.add(h, d);
    ab = v128.xor(e, f);
    d = i32x4.add(d, second(e, f, ab, bc));
    c = first(h, a, b, c, word(w, constants, 5));
    g = i32x4.add(g, c);
    bc = v128.xor(d, e);
    c = i32x4.add(c, second(d, e, bc, ab));
    b = first(g, h, a, b, word(w, constants, 6));
    f = i32x4.add(f, b);
    ab = v128.xor(c, d);
    b = i32x4.add(b, second(c, d, ab, bc));
    a = first(f, g, h, a, word(w, constants, 7));
    e = i32x4.add(e, a);
    bc = v128.xor(b, c);
    a = i32x4.add(a, second(b, c, bc, ab));
    if (constants) constants += 32;
  }
  v128.store(state, a);
  v128.store(state, b, 16);
  v128.store(state, c, 32);
  v128.store(state, d, 48);
  v128.store(state, e, 64);
  v128.store(state, f, 80);
  v128.store(state, g, 96);
  v128.store(state, h, 112);
}

/** Rounds with the constants added on the way. */
function rounds(state: i32, schedule: i32, from: i32, to: i32): void {
  someRounds(state, schedule, SHA_CONSTANTS, from, to);
}

/** All rounds with a schedule that has its constants already. */
function roundsOfSecond(state: i32): void {
  someRounds(state, SHA_SECOND, 0, 0, 64);
}

/** Words 16 to 63 of the schedule. */
function expand(schedule: i32): void {
  const end = schedule + 1024;
  for (let w = schedule + 256; w < end; w += 16) {
    const w15 = v128.load(w - 240);
    const w2 = v128.load(w - 32);
    const s0 = xor3(rotate(w15, 7), rotate(w15, 18), i32x4.shr_u(w15, 3));
    const s1 = xor3(rotate(w2, 17), rotate(w2, 19), i32x4.shr_u(w2, 10));
    v128.store(w, i32x4.add(i32x4.add(v128.load(w - 256), s0), i32x4.add(v128.load(w - 112), s1)));
  }
}

const INITIAL: i32 = SHA_CONSTANTS + 256;
const STATE: i32 = SHA_PREFIX + 128;

function bigEndian(word: v128): v128 {
  return i8x16.swizzle(word, i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
}

/** Takes enc(u), as eight little-endian words. */
export function hashPrefix(words: i32): void {
  for (let i = 0; i < 8; i++) {
    v128.store(SHA_PREFIX + (i << 4), v128.load32_splat(INITIAL + (i << 2)));
    // They stay in the schedule, which every hash goes on from.
    v128.store(SHA_SCHEDULE + (i << 4), bigEndian(v128.load32_splat(words + (i << 2))));
  }
  rounds(SHA_PREFIX, SHA_SCHEDULE, 0, 8);
}

/** Takes enc(w), as eight vectors of little-endian words. */
export function hashSuffix(words: i32): void {
  for (let i = 0; i < 8; i++) v128.store(SHA_SECOND + (i << 4), bigEndian(v128.load(words + (i << 4))));
  for (let i = 8; i < 16; i++) v128.store(SHA_SECOND + (i << 4), i32x4.splat(0));
  v128.store(SHA_SECOND + 128, i32x4.splat(<i32>0x80000000));
  v128.store(SHA_SECOND + 240, i32x4.splat(768)); // 96 bytes in bits
  expand(SHA_SECOND);
  for (let i = 0; i < 64; i++) {
    const w = SHA_SECOND + (i << 4);
    v128.store(w, i32x4.add(v128.load(w), v128.load32_splat(SHA_CONSTANTS + (i << 2))));
  }
}

/** Writes the hash bits of the four encodings at `words` (little-endian words) as bytes to `out`. */
export function hashBits(out: i32, words: i32): void {
  for (let i = 0; i < 8; i++) {
    v128.store(SHA_SCHEDULE + 128 + (i << 4), bigEndian(v128.load(words + (i << 4))));
    v128.store(STATE + (i << 4), v128.load(SHA_PREFIX + (i << 4)));
  }
  expand(SHA_SCHEDULE);
  rounds(STATE, SHA_SCHEDULE, 8, 64);
  for (let i = 0; i < 8; i++) {
    const word = i32x4.add(v128.load(STATE + (i << 4)), v128.load32_splat(INITIAL + (i << 2)));
    v128.store(STATE + (i << 4), word);
    v128.store(SHA_PREFIX + 256 + (i << 4), word);
  }
  roundsOfSecond(STATE);
  // Bit 0 of the first byte is bit 24 of the first word.
  const digest = i32x4.add(v128.load(STATE), v128.load(SHA_PREFIX, 256));
  const bit = v128.and(i32x4.shr_u(digest, 24), i32x4.splat(1));
  v128.store32_lane(out, v128.shuffle<u8>(bit, bit, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), 0);
}
