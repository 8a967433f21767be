// Generates src/fmd/kernel/assembly/field.generated.ts: straight-line multiplication and squaring modulo 2^255 - 19 for
// four field elements at a time. Run by the build; the same script gives the same text. assembly/field.ts describes the
// representation and proves the bounds that keep every 32-bit sum in range.

import { PRODUCT_SCRATCH, SUM_SCRATCH } from '../src/fmd/kernel/layout.ts';
import { type VectorConstant, vectorAddress } from '../src/fmd/kernel/vector-constants.ts';

/** Words (a word: a pair of limbs in each lane) of an element, and of one half of it. */
const WORDS = 10;
const HALF = WORDS / 2;
/** Coefficients of the product of two halves of ten limbs each. */
const HALF_COEFFICIENTS = 4 * HALF - 1;
const add = (a: string, b: string): string => `i32x4.add(${a}, ${b})`;
const sub = (a: string, b: string): string => `i32x4.sub(${a}, ${b})`;
const dot = (a: string, b: string): string => `i32x4.dot_i16x8_s(${a}, ${b})`;
const carryOf = (a: string): string => `i32x4.shr_s(${a}, 13)`;
const constant = (name: VectorConstant): string => `v128.load(${vectorAddress(name)})`;
const lowLimb = (a: string): string => `v128.and(${a}, ${constant('lowLimb')})`;
const highLimb = (a: string): string => `v128.andnot(${a}, ${constant('lowLimb')})`;
/** In every lane the low limb of the first operand and the high limb of the second. */
const splice = (low: string, high: string): string => `v128.shuffle<i16>(${low}, ${high}, 0, 9, 2, 11, 4, 13, 6, 15)`;
/** Exchanges the limbs of every lane. Two instructions, but a swizzle would want its indices in a register. */
const swapLimbs = (a: string): string => `v128.shuffle<i16>(${a}, ${a}, 1, 0, 3, 2, 5, 4, 7, 6)`;

type Emit = (line: string) => void;
type Word = (index: number) => string;

/** Sums of products that are still growing, in locals; a finished one goes to memory, so that few are alive at once. */
function coefficients(emit: Emit, prefix: string, address: Word) {
  const open = new Set<number>();
  const stored = new Set<number>();
  const name = (k: number): string => `${prefix}${k}`;
  return {
    add(k: number, term: string): void {
      if (open.has(k)) emit(`${name(k)} = ${add(name(k), term)};`);
      else
        emit(
          `${stored.has(k) ? '' : 'let '}${name(k)} = ${stored.has(k) ? add(`v128.load(${address(k)})`, term) : term};`,
        );
      open.add(k);
    },
    finish(k: number): void {
      if (!open.delete(k)) return;
      stored.add(k);
      emit(`v128.store(${address(k)}, ${name(k)});`);
    },
    finishAll(): void {
      for (const k of [...open].sort((a, b) => a - b)) this.finish(k);
    },
  };
}

/**
 * Product of two halves. A dot product of words i and j, one of them swapped, gives two terms of coefficient
 * 2(i+j)+1; with a word spliced from b[2j] and b[2j-1], two terms of coefficient 2(i+j). One pass for each kind keeps
 * five words of `a` and five sums in registers while the words of `b` stream by.
 */
function multiplyHalves(emit: Emit, tag: string, a: Word, b: Word, address: Word): void {
  for (let i = 0; i < HALF; i++) emit(`const ${tag}a${i} = ${a(i)};`);
  const odd = coefficients(emit, `${tag}c`, address);
  for (let i = 0; i < HALF; i++) emit(`const ${tag}s${i} = ${swapLimbs(`${tag}a${i}`)};`);
  for (let j = 0; j < HALF; j++) {
    emit(`const ${tag}o${j} = ${b(j)};`);
    for (let i = 0; i < HALF; i++) odd.add(2 * (i + j) + 1, dot(`${tag}s${i}`, `${tag}o${j}`));
    odd.finish(2 * j + 1);
  }
  odd.finishAll();
  const even = coefficients(emit, `${tag}c`, address);
  for (let j = 0; j <= HALF; j++) {
    if (j < HALF) emit(`const ${tag}b${j} = ${b(j)};`);
    const spliced = j === 0 ? lowLimb(`${tag}b0`) : splice(`${tag}b${j}`, `${tag}b${j - 1}`);
    emit(`const ${tag}e${j} = ${j === HALF ? highLimb(`${tag}b${j - 1}`) : spliced};`);
    for (let i = 0; i < HALF && i + j < 2 * HALF; i++) even.add(2 * (i + j), dot(`${tag}a${i}`, `${tag}e${j}`));
    even.finish(2 * j);
  }
  even.finishAll();
}

/** Square of an element, by halves of the left operand: like `multiplyHalves`, with equal terms taken once, doubled. */
function squareWords(emit: Emit, a: Word, address: Word): void {
  const odd = coefficients(emit, 'c', address);
  const even = coefficients(emit, 'c', address);
  for (const first of [0, HALF]) {
    const own = Array.from({ length: HALF }, (_, n) => first + n);
    for (const i of own) emit(`const w${i} = ${a(i)}; const d${i} = i16x8.add(w${i}, w${i});`);
    for (const i of own) emit(`const s${i} = ${swapLimbs(`d${i}`)};`);
    for (let j = first; j < WORDS; j++) {
      const word = `o${first}x${j}`;
      emit(`const ${word} = ${a(j)};`);
      for (const i of own.filter((i) => i <= j)) odd.add(2 * (i + j) + 1, dot(`s${i}`, i === j ? lowLimb(word) : word));
      odd.finish(2 * (first + j) + 1);
    }
    odd.finishAll();
    for (let j = first; j <= WORDS; j++) {
      const [word, before] = [`b${first}x${j}`, `b${first}x${j - 1}`];
      if (j < WORDS) emit(`const ${word} = ${a(j)};`);
      if (j > first) emit(`const e${first}x${j} = ${j < WORDS ? splice(word, before) : highLimb(before)};`);
      for (const i of own.filter((i) => i <= j && i + j < 2 * WORDS)) {
        const left = i === j - 1 ? splice(`d${i}`, before) : `d${i}`;
        even.add(2 * (i + j), i === j ? dot(lowLimb(word), word) : dot(left, `e${first}x${j}`));
      }
      even.finish(2 * (first + j));
    }
    even.finishAll();
  }
}

/** The four coefficients k, k + 10, k + 20 and k + 30 of a product, for one k at a time. */
interface Source {
  /** Emits what the four need and returns their names or expressions. */
  quarter(k: number): { c0: string; c10: string; c20: string; c30: string };
  /** Coefficients 9, 19 and 29. */
  nines(): { c9: string; c19: string; c29: string };
}

/**
 * Reduces 39 coefficients to 20 limbs. A coefficient c[k+20] = h * 2^16 + l, l and h signed, adds 608 l to c[k] and
 * 4864 h to c[k+1]: one dot product of (l of c[k+20], h of c[k+19]). Rounding adds 16 to every h and so
 * 77,824 = 4096 + 9 * 2^13 to every coefficient: limbs come out unsigned, and `centre` taken off makes them signed.
 * Two carry chains, from limb 0 and from limb 10, run side by side.
 */
function reduce(emit: Emit, source: Source, write: (word: number, value: string) => void): void {
  const pack = (even: string, odd: string): string =>
    `i16x8.sub(v128.and(${splice(even, `i32x4.shl(${odd}, 16)`)}, mask), centre)`;
  emit(`const rounding = ${constant('rounding')}; const fold = ${constant('fold')};`);
  emit(`const mask = ${constant('limbs')}; const centre = ${constant('centre')};`);
  const { c9, c19, c29 } = source.nines();
  emit(`const t19 = ${add(c19, 'rounding')}; const t29 = ${add(c29, 'rounding')};`);
  for (let k = 0; k < 9; k++) {
    const { c0, c10, c20, c30 } = source.quarter(k);
    emit(`const f${k} = ${add(c0, dot(splice(c20, `t${k + 19}`), 'fold'))};`);
    emit(`const f${k + 10} = ${add(c10, dot(splice(c30, `t${k + 29}`), 'fold'))};`);
    emit(`const t${k + 20} = ${add(c20, 'rounding')}; const t${k + 30} = ${add(c30, 'rounding')};`);
    for (const n of [k, k + 10]) {
      emit(`const l${n} = ${k === 0 ? `f${n}` : add(`f${n}`, `q${n - 1}`)}; const q${n} = ${carryOf(`l${n}`)};`);
      if (k % 2 === 1 && k > 1) write((n - 1) / 2, pack(`l${n - 1}`, `l${n}`));
    }
  }
  emit(`const l9 = ${add(add(c9, dot(splice(c29, 't28'), 'fold')), 'q8')};`);
  emit(`const r19 = i32x4.shr_s(i32x4.shl(${c19}, 16), 16);`);
  emit(`const l19 = ${add(add('r19', dot(highLimb('t38'), 'fold')), 'q18')};`);
  write(4, pack('l8', 'l9'));
  write(9, pack('l18', 'l19'));
  // The carry out of the top comes back 608-fold, less what centring put into it; then two limbs of each chain once more.
  emit(`const wrapped = ${sub(dot(carryOf('l19'), constant('wrap')), constant('wrapCentre'))};`);
  emit(`const limb = ${constant('limb')};`);
  for (const [n, into] of [[0, 'wrapped'] as const, [10, carryOf('l9')] as const]) {
    emit(`const m${n} = ${add(`v128.and(l${n}, limb)`, into)};`);
    emit(`const m${n + 1} = ${add(`v128.and(l${n + 1}, limb)`, carryOf(`m${n}`))};`);
    const limbs = splice(`v128.and(m${n}, limb)`, `i32x4.shl(m${n + 1}, 16)`);
    write(n / 2, `i16x8.sub(${limbs}, ${n === 0 ? constant('centreFirst') : 'centre'})`);
  }
}

const productAddress =
  (part: number): Word =>
  (k) =>
    `${PRODUCT_SCRATCH + 16 * (part * HALF_COEFFICIENTS + k)}`;
const loadWord =
  (base: string, first: number): Word =>
  (i) =>
    `v128.load(${base}, ${16 * (first + i)})`;

/** Karatsuba: low * low, high * high, and the product of the sums, whose excess over 32 bits cancels modulo 2^32. */
function multiplyBody(emit: Emit, write: (word: number, value: string) => void): void {
  const [low, high, middle] = [productAddress(0), productAddress(1), productAddress(2)];
  multiplyHalves(emit, 'l', loadWord('a', 0), loadWord('b', 0), low);
  multiplyHalves(emit, 'h', loadWord('a', HALF), loadWord('b', HALF), high);
  const sum =
    (operand: number): Word =>
    (i) =>
      `${SUM_SCRATCH + 16 * (operand * HALF + i)}`;
  for (const [operand, name] of ['a', 'b'].entries()) {
    for (let i = 0; i < HALF; i++) {
      const value = `i16x8.add(${loadWord(name, 0)(i)}, ${loadWord(name, HALF)(i)})`;
      emit(`v128.store(${sum(operand)(i)}, ${value});`);
    }
  }
  const loadSum =
    (operand: number): Word =>
    (i) =>
      `v128.load(${sum(operand)(i)})`;
  multiplyHalves(emit, 'm', loadSum(0), loadSum(1), middle);
  const load =
    (address: Word): Word =>
    (k) =>
      `v128.load(${address(k)})`;
  const source: Source = {
    nines: () => {
      emit(`const low9 = ${load(low)(9)}; const high9 = ${load(high)(9)};`);
      emit(`const mid9 = ${sub(load(middle)(9), add('low9', 'high9'))};`);
      return { c9: 'low9', c19: 'mid9', c29: 'high9' };
    },
    quarter: (k) => {
      emit(`const low${k} = ${load(low)(k)}; const high${k + 10} = ${load(high)(k + 10)};`);
      emit(`const both${k} = ${sub(load(low)(k + 10), load(high)(k))};`);
      emit(`const g${k + 10} = ${add(load(middle)(k), sub(`both${k}`, `low${k}`))};`);
      emit(`const g${k + 20} = ${sub(load(middle)(k + 10), add(`both${k}`, `high${k + 10}`))};`);
      return { c0: `low${k}`, c10: `g${k + 10}`, c20: `g${k + 20}`, c30: `high${k + 10}` };
    },
  };
  reduce(emit, source, write);
}

function squareBody(emit: Emit, write: (word: number, value: string) => void): void {
  const address = productAddress(0);
  squareWords(emit, loadWord('a', 0), address);
  const take = (k: number): string => {
    emit(`const g${k} = v128.load(${address(k)});`);
    return `g${k}`;
  };
  reduce(
    emit,
    {
      nines: () => ({ c9: take(9), c19: take(19), c29: take(29) }),
      quarter: (k) => ({ c0: take(k), c10: take(k + 10), c20: take(k + 20), c30: take(k + 30) }),
    },
    write,
  );
}

/** The text of src/fmd/kernel/assembly/field.generated.ts. */
export function generateField(): string {
  const lines: string[] = [
    '// Generated by scripts/generate-field.ts: do not edit. Operands and results may overlap where it is said so.',
  ];
  const define = (doc: string, head: string, body: (emit: Emit) => void): void => {
    lines.push('', `/** ${doc} */`, `export function ${head}: void {`);
    body((line) => lines.push(`  ${line}`));
    lines.push('}');
  };
  const toResult = (emit: Emit) => (word: number, value: string) => emit(`v128.store(r, ${value}, ${16 * word});`);
  define('r = a * b. r may be a or b.', 'multiply(r: i32, a: i32, b: i32)', (emit) =>
    multiplyBody(emit, toResult(emit)),
  );
  define(
    'r = x - a * b and r + FIELD_BYTES: x + a * b. The results must not overlap x past its own place.',
    'multiplyDifferenceSum(r: i32, a: i32, b: i32, x: i32)',
    (emit) =>
      multiplyBody(emit, (word, value) => {
        emit(`const p${word} = ${value}; const x${word} = v128.load(x, ${16 * word});`);
        emit(`v128.store(r, i16x8.sub(x${word}, p${word}), ${16 * word});`);
        emit(`v128.store(r, i16x8.add(x${word}, p${word}), ${16 * (WORDS + word)});`);
      }),
  );
  define('r = a * a. r may be a.', 'square(r: i32, a: i32)', (emit) => squareBody(emit, toResult(emit)));
  return `${lines.join('\n')}\n`;
}
