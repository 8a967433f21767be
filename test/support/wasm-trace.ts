// Instruments a WebAssembly module so that it keeps a running hash of everything an observer of its timing could learn:
// every branch condition, every choice, every address of a load or store, every operand of a division. Two runs with
// equal hashes took the same path and touched the same memory. A reader of its own for the few instructions a kernel
// uses; an unknown one is an error, so nothing is passed over in silence.

import { leb, Reader, signedLeb, text, vector } from './wasm-binary.ts';

const SECTION = { type: 1, import: 2, function: 3, global: 6, export: 7, code: 10 } as const;
const TYPE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
const OP = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  call: 0x10,
  callIndirect: 0x11,
  select: 0x1b,
  selectTyped: 0x1c,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  loadFirst: 0x28,
  loadLast: 0x35,
  storeFirst: 0x36,
  storeLast: 0x3e,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  plainFirst: 0x45,
  plainLast: 0xc4,
  i32DivFirst: 0x6d,
  i32DivLast: 0x70,
  i64DivFirst: 0x7f,
  i64DivLast: 0x82,
  prefixMemory: 0xfc,
  prefixVector: 0xfd,
} as const;
const STORE_TYPES = [TYPE.i32, TYPE.i64, TYPE.f32, TYPE.f64, TYPE.i32, TYPE.i32, TYPE.i64, TYPE.i64, TYPE.i64];
const FIRST_INDEXED = new Set<number>([
  OP.br,
  OP.call,
  OP.localGet,
  OP.localSet,
  OP.localTee,
  OP.globalGet,
  OP.globalSet,
]);
/** unreachable, nop, else, end, return, drop: nothing to see and no immediates. */
const BARE = new Set([0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a]);
/** FNV's 64-bit prime and offset. */
const PRIME = 0x100000001b3n;
const OFFSET = 0xcbf29ce484222325n;

/** What the instrumented module exports besides. */
export interface Trace {
  /** The hash, and how many observations went into it. */
  readonly traceHash: WebAssembly.Global<'i64'>;
  readonly traceLength: WebAssembly.Global<'i64'>;
}

/** Sets the trace back to its beginning. */
export function resetTrace({ traceHash, traceLength }: Trace): void {
  traceHash.value = BigInt.asIntN(64, OFFSET);
  traceLength.value = 0n;
}

/** Sections of a module by id, as their items where the tracer adds some. */
function readModule(bytes: Uint8Array) {
  const reader = new Reader(bytes, 8);
  const sections: { id: number; body: Uint8Array }[] = [];
  while (!reader.done) sections.push({ id: reader.byte(), body: reader.take(reader.number()) });
  const body = (id: number): Reader =>
    new Reader(sections.find((section) => section.id === id)?.body ?? Uint8Array.of(0));
  const parameters: number[] = [];
  const types = body(SECTION.type);
  for (let left = types.number(); left > 0; left--) {
    types.byte();
    const count = types.number();
    parameters.push(count);
    types.take(count);
    types.take(types.number());
  }
  const imports = body(SECTION.import);
  for (let left = imports.number(); left > 0; left--) {
    imports.take(imports.number());
    imports.take(imports.number());
    if (imports.byte() !== 0x02) throw new Error('only a memory may be imported');
    if (imports.byte() & 1) imports.number();
    imports.number();
  }
  const functions = body(SECTION.function);
  const functionTypes = Array.from({ length: functions.number() }, () => functions.number());
  return { sections, body, parameters, functionTypes };
}

/** The module with observations, and the exports of `Trace`. */
export function instrument(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { sections, body, parameters, functionTypes } = readModule(bytes);
  const globals = body(SECTION.global).number();
  const [hash, length] = [globals, globals + 1];
  const observe = functionTypes.length;
  const observeType = parameters.length;
  const code = body(SECTION.code);
  const bodies = Array.from({ length: code.number() }, (_, i) => {
    const rewritten = rewriteBody(code.take(code.number()), parameters[functionTypes[i]!]!, observe);
    return [...leb(rewritten.length), ...rewritten];
  });
  const own = observeBody(hash, length);
  const added: Record<number, number[][]> = {
    [SECTION.type]: [[0x60, ...vector([[TYPE.i32], [TYPE.i32]]), ...vector([[TYPE.i32]])]],
    [SECTION.function]: [leb(observeType)],
    [SECTION.global]: [
      [TYPE.i64, 1, OP.i64Const, ...signedLeb(BigInt.asIntN(64, OFFSET)), 0x0b],
      [TYPE.i64, 1, OP.i64Const, 0, 0x0b],
    ],
    [SECTION.export]: [
      [...text('traceHash'), 3, ...leb(hash)],
      [...text('traceLength'), 3, ...leb(length)],
    ],
  };
  const ids = [...new Set([...sections.map(({ id }) => id), ...Object.keys(added).map(Number)])].filter(
    (id) => id !== 0,
  );
  const out: number[] = [...bytes.subarray(0, 8)];
  for (const id of ids.sort((a, b) => a - b)) {
    const items = added[id];
    const reader = body(id);
    let contents: number[];
    if (id === SECTION.code) contents = vector([...bodies, [...leb(own.length), ...own]]);
    else if (!items) contents = [...reader.bytes];
    else {
      const count = reader.number();
      contents = [...leb(count + items.length), ...reader.bytes.subarray(reader.at), ...items.flat()];
    }
    out.push(id, ...leb(contents.length));
    for (const byte of contents) out.push(byte);
  }
  return Uint8Array.from(out);
}

/** (value, site) -> value: hash = (hash ^ (site << 32 | value)) * PRIME; length += 1. */
function observeBody(hash: number, length: number): number[] {
  const [extend, or, shl, xor, mul, add] = [0xad, 0x84, 0x86, 0x85, 0x7e, 0x7c] as const;
  return [
    0,
    ...[OP.globalGet, ...leb(hash), OP.localGet, 0, extend],
    ...[OP.localGet, 1, extend, OP.i64Const, 32, shl, or, xor],
    ...[OP.i64Const, ...signedLeb(PRIME), mul, OP.globalSet, ...leb(hash)],
    ...[OP.globalGet, ...leb(length), OP.i64Const, 1, add, OP.globalSet, ...leb(length)],
    ...[OP.localGet, 0, 0x0b],
  ];
}

/** One function body with an observation before each instruction that shows something. */
function rewriteBody(bytes: Uint8Array, parameterCount: number, observe: number): number[] {
  const reader = new Reader(bytes);
  const groups = reader.number();
  let locals = parameterCount;
  const declared: number[] = [];
  for (let i = 0; i < groups; i++) {
    const count = reader.number();
    locals += count;
    declared.push(...leb(count), reader.byte());
  }
  const spare = new Map<number, number>(
    [TYPE.i32, TYPE.i64, TYPE.f32, TYPE.f64, TYPE.v128].map((type, i) => [type, locals + i]),
  );
  const second = locals + spare.size;
  const out: number[] = [...leb(groups + spare.size + 1), ...declared];
  for (const type of spare.keys()) out.push(1, type);
  out.push(1, TYPE.i32);
  const put = (from: number): void => {
    for (const byte of bytes.subarray(from, reader.at)) out.push(byte);
  };
  let site = 0;
  const top = (): void => {
    out.push(OP.i32Const, ...signedLeb(BigInt(site++)), OP.call, ...leb(observe));
  };
  /** Observes what lies below a value of this type. */
  const below = (type: number): void => {
    const local = leb(spare.get(type)!);
    out.push(OP.localSet, ...local);
    top();
    out.push(OP.localGet, ...local);
  };
  while (!reader.done) {
    const from = reader.at;
    const seen = instruction(reader);
    if (seen === 'top') top();
    else if (seen === 'two') {
      top();
      below(TYPE.i32);
    } else if (seen === 'three') {
      // Length and both addresses of a bulk operation (for a fill the value, which is as good).
      const kept = leb(second);
      top();
      out.push(OP.localSet, ...kept);
      top();
      below(TYPE.i32);
      out.push(OP.localGet, ...kept);
    } else if (typeof seen === 'number') below(seen);
    put(from);
  }
  return out;
}

/** Reads one instruction; what of its operands shows: nothing, the topmost, two, three, or what is below a value. */
function instruction(reader: Reader): 'nothing' | 'top' | 'two' | 'three' | number {
  const op = reader.byte();
  if (BARE.has(op)) return 'nothing';
  if (op === OP.prefixVector) return vectorInstruction(reader);
  if (op === OP.prefixMemory) return memoryInstruction(reader);
  if (op >= OP.loadFirst && op <= OP.storeLast) {
    reader.number();
    reader.number();
    return op <= OP.loadLast ? 'top' : STORE_TYPES[op - OP.storeFirst]!;
  }
  if (op >= OP.plainFirst && op <= OP.plainLast) {
    if (op >= OP.i64DivFirst && op <= OP.i64DivLast) throw new Error('64-bit divisions are not traced');
    return op >= OP.i32DivFirst && op <= OP.i32DivLast ? 'two' : 'nothing';
  }
  if (FIRST_INDEXED.has(op)) {
    reader.number();
    return 'nothing';
  }
  switch (op) {
    case OP.block:
    case OP.loop:
    case OP.if:
      reader.skipNumber();
      return op === OP.if ? 'top' : 'nothing';
    case OP.brIf:
      reader.number();
      return 'top';
    case OP.brTable:
      for (let left = reader.number(); left >= 0; left--) reader.number();
      return 'top';
    case OP.callIndirect:
      reader.number();
      reader.number();
      return 'top';
    case OP.select:
      return 'top';
    case OP.selectTyped:
      reader.take(reader.number());
      return 'top';
    case OP.memorySize:
      reader.byte();
      return 'nothing';
    case OP.memoryGrow:
      reader.byte();
      return 'top';
    case OP.i32Const:
    case OP.i64Const:
      reader.skipNumber();
      return 'nothing';
    case OP.f32Const:
      reader.take(4);
      return 'nothing';
    case OP.f64Const:
      reader.take(8);
      return 'nothing';
    default:
      throw new Error(`instruction 0x${op.toString(16)} is not known to the tracer`);
  }
}

function vectorInstruction(reader: Reader): 'nothing' | 'top' | number {
  const op = reader.number();
  const memory = op <= 11 || (op >= 84 && op <= 93);
  if (memory) {
    reader.number();
    reader.number();
    if (op >= 84 && op <= 91) reader.byte();
    return op === 11 || (op >= 84 && op <= 91) ? TYPE.v128 : 'top';
  }
  if (op === 12 || op === 13) reader.take(16);
  else if (op >= 21 && op <= 34) reader.byte();
  else if (op > 255) throw new Error('relaxed SIMD is not constant by specification');
  return 'nothing';
}

function memoryInstruction(reader: Reader): 'nothing' | 'three' {
  const op = reader.number();
  if (op <= 7) return 'nothing';
  if (op !== 10 && op !== 11) throw new Error(`bulk instruction ${op} is not known to the tracer`);
  reader.take(op === 10 ? 2 : 1);
  return 'three';
}
