// Chance that a seed decides: the same seed gives the same faults and the same filler.

/** Numbers from 0 (inclusive) to 1 (exclusive); Mulberry32, by Tommy Ettinger. Not for secrets. */
export function seededChance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that depend on `seed` only. */
export function seededBytes(seed: number): (length: number) => Uint8Array {
  const next = seededChance(seed);
  return (length) => {
    const out = new Uint8Array(length);
    const words = new DataView(out.buffer);
    let i = 0;
    for (; i + 4 <= length; i += 4) words.setUint32(i, next() * 2 ** 32);
    for (; i < length; i++) out[i] = next() * 256;
    return out;
  };
}
