// Reads and writes the numbers and lists that WebAssembly modules are made of.

export class Reader {
  readonly bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  get done(): boolean {
    return this.at >= this.bytes.length;
  }
  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new Error('unexpected end of the module');
    return value;
  }
  /** An unsigned LEB128 number below 2^32. */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
  take(length: number): Uint8Array {
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }
  /** Skips a LEB128 number of either sign. */
  skipNumber(): void {
    while (this.byte() >= 0x80);
  }
}

export function leb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    out.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return out;
}

export function signedLeb(value: bigint): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const byte = Number(BigInt.asUintN(7, rest));
    const last = rest >> 6n === 0n || rest >> 6n === -1n;
    out.push(last ? byte : byte + 128);
    if (last) return out;
  }
}

export const text = (name: string): number[] => [...leb(name.length), ...new TextEncoder().encode(name)];
export const vector = (items: readonly (readonly number[])[]): number[] => [...leb(items.length), ...items.flat()];
