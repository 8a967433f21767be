// The reader of Namada transactions: to the last byte of every real one, and typed errors for everything else.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex, toHex, utf8 } from '../../../src/core/bytes.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { encodeNamadaTransaction } from '../../../src/indexer/namada/encode.ts';
import { decodeFlags, encodeFlags, isFlagFrame } from '../../../src/indexer/namada/flags.ts';
import { decodeIbcFlags, encodeIbcData } from '../../../src/indexer/namada/ibc.ts';
import { decodeMaspTransaction, encodeMaspTransaction } from '../../../src/indexer/namada/masp.ts';
import { unwrapEnvelope, writeField } from '../../../src/indexer/namada/protobuf.ts';
import { decodeNamadaTransaction, sectionHash } from '../../../src/indexer/namada/transaction.ts';
import { fixture } from '../../support/fixtures.ts';
import { FAMILY_RUNS, fuzzRuns } from '../../support/fuzz.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const CODES = ['truncated', 'trailing-bytes', 'number-too-large', 'bad-transaction', 'bad-text', 'masp-builder'];

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    if (isKithError(error)) return error.code;
    throw error;
  }
};

const flag = (seed: string): Uint8Array => {
  const bytes = seededRandom(seed).bytes(111);
  bytes.set([3, 0, 0, 0, 0, 0, 0, 0], 100);
  bytes[110]! &= 0x0f;
  return bytes;
};

const path = fixture('namada', 'txs.json');

describe.skipIf(!path)("Namada's own property-test transactions", () => {
  const transactions = path ? (JSON.parse(readFileSync(path, 'utf8')) as string[]).map(fromHex) : [];

  it('decode to the last byte, except where a MaspBuilder stands', () => {
    const outcomes = new Map<string, number>();
    for (const bytes of transactions) {
      const code = codeOf(() => decodeNamadaTransaction(bytes)) ?? 'decoded';
      outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
    }
    expect(Object.fromEntries(outcomes)).toEqual({ decoded: 949, 'masp-builder': 51 });
  });

  it('are refused with one byte more or less', () => {
    for (const bytes of transactions.slice(0, 200)) {
      const inner = unwrapEnvelope(bytes);
      if (codeOf(() => decodeNamadaTransaction(bytes)) === 'masp-builder') continue;
      expect(codeOf(() => decodeNamadaTransaction(writeField(1, inner.subarray(0, -1))))).toBeDefined();
      expect(codeOf(() => decodeNamadaTransaction(writeField(1, concatBytes(inner, Uint8Array.of(0)))))).toBe(
        'trailing-bytes',
      );
    }
  });

  it('fail with a typed error, whatever is changed in them (20,000 mutations)', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.nat(transactions.length - 1), mutation, (index, change) => {
        const code = codeOf(() => decodeNamadaTransaction(mutate(transactions[index]!, change)));
        if (code !== undefined) seen.add(code);
      }),
      { numRuns: fuzzRuns(FAMILY_RUNS) },
    );
    expect(CODES).toEqual(expect.arrayContaining([...seen]));
    expect(seen).toContain('truncated');
    expect(seen).toContain('bad-transaction');
  });

  it('hold memory in bounds when every count is the largest there is', () => {
    const before = process.memoryUsage().heapUsed;
    for (const bytes of transactions.slice(0, 100)) {
      for (let at = 0; at + 4 <= bytes.length; at += 7) {
        const mutant = bytes.slice();
        mutant.set([0xff, 0xff, 0xff, 0xff], at);
        codeOf(() => decodeNamadaTransaction(mutant));
      }
    }
    // Garbage of the loop included: a count taken at its word would have cost gigabytes in one step.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(256 * 1024 * 1024);
  });
});

interface Mutation {
  readonly kind: 'byte' | 'count' | 'cut' | 'double' | 'end' | 'turn';
  readonly at: number;
  readonly length: number;
  readonly byte: number;
}

/** Bytes overwritten, counts blown up, pieces cut out, doubled or moved. */
const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('byte', 'count', 'cut', 'double', 'end', 'turn'),
  at: fc.nat(10_000),
  length: fc.integer({ min: 1, max: 64 }),
  byte: fc.nat(255),
});

function mutate(bytes: Uint8Array, { kind, at: anywhere, length, byte }: Mutation): Uint8Array {
  const at = anywhere % bytes.length;
  const out = bytes.slice();
  switch (kind) {
    case 'byte':
      out[at] = byte;
      return out;
    case 'count':
      out.set([0xff, 0xff, 0xff, byte].slice(0, bytes.length - at), at);
      return out;
    case 'cut':
      return concatBytes(bytes.subarray(0, at), bytes.subarray(at + length));
    case 'double':
      return concatBytes(bytes.subarray(0, at), bytes.subarray(Math.max(0, at - length)));
    case 'end':
      return bytes.slice(0, at);
    case 'turn':
      return concatBytes(bytes.subarray(at), bytes.subarray(0, at));
  }
}

describe('a Namada transaction', () => {
  const salt = utf8('saltsalt');
  const data = { kind: 'data', salt, data: utf8('payload') } as const;
  const extra = {
    kind: 'extra-data',
    salt,
    body: { kind: 'id', bytes: utf8('code') },
    tag: 'tag',
  } as const;

  it('is read as it was written', () => {
    const masp = encodeMaspTransaction(3, (length) => seededRandom('masp').bytes(length));
    const bytes = encodeNamadaTransaction({
      chainId: 'chain',
      timestamp: '2025-01-01T00:00:00Z',
      sections: [data, { kind: 'masp', bytes: masp }, extra],
    });
    const decoded = decodeNamadaTransaction(bytes);
    expect(decoded.chainId).toBe('chain');
    expect(decoded.type).toBe('wrapper');
    expect(decoded.commitments.map((commitment) => toHex(commitment.data))).toEqual([toHex(sectionHash(data))]);
    expect(decoded.sections).toEqual([data, { kind: 'masp', bytes: masp, outputs: 3 }, extra]);
  });

  it('names a section by the hash over its tag, salt, code hash and label', () => {
    // sha256(01 | "saltsalt" | sha256("code") | 01 03000000 "tag"), sha256(00 | "saltsalt" | 07000000 "payload"):
    // computed apart from this code.
    expect(toHex(sectionHash(extra))).toBe('283bb5b7965efc30a2b00b1d5f83c61033d0d801ba976b6f6a79048043758444');
    expect(toHex(sectionHash(data))).toBe('3d8a341d5e0a11e0039bb39f41860b766d3729d6e9c29d5fa4d0472a8a6265dc');
  });

  it('is refused when the envelope is not one field of bytes', () => {
    expect(codeOf(() => decodeNamadaTransaction(utf8('kith/text')))).toBe('bad-transaction');
    expect(codeOf(() => decodeNamadaTransaction(new Uint8Array(0)))).toBe('truncated');
    const varint = Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    expect(codeOf(() => decodeNamadaTransaction(varint))).toBe('bad-transaction');
  });
});

describe('a MASP transaction', () => {
  it('tells its shielded outputs and ends where it ends', () => {
    for (const outputs of [0, 1, 2, 300]) {
      const bytes = encodeMaspTransaction(outputs, (length) => new Uint8Array(length));
      expect(decodeMaspTransaction(bytes).outputs).toBe(outputs);
      expect(codeOf(() => decodeMaspTransaction(bytes.subarray(0, -1)))).toBe('truncated');
    }
  });

  it('is refused with a count that is not in its shortest form', () => {
    const bytes = encodeMaspTransaction(0, (length) => new Uint8Array(length));
    const long = concatBytes(bytes.subarray(0, 20), Uint8Array.of(0xfd, 0, 0), bytes.subarray(21));
    expect(codeOf(() => decodeMaspTransaction(long))).toBe('bad-transaction');
  });
});

describe('a list of flags', () => {
  it('is read as it was written, whatever length a hostile sender puts before a flag', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 5 }), (seeds) => {
        const flags = seeds.map(flag);
        expect(decodeFlags(encodeFlags(flags)).map(toHex)).toEqual(flags.map(toHex));
      }),
      { numRuns: 50 },
    );
  });

  it('is refused when empty, cut short, too long, or with padding bits set', () => {
    const list = encodeFlags([flag('a'), flag('b')]);
    expect(codeOf(() => decodeFlags(encodeFlags([])))).toBe('bad-transaction');
    expect(codeOf(() => decodeFlags(list.subarray(0, -1)))).toBe('bad-transaction');
    expect(codeOf(() => decodeFlags(concatBytes(list, Uint8Array.of(0))))).toBe('trailing-bytes');
    const padded = flag('a');
    padded[110]! |= 0x10;
    expect(isFlagFrame(padded)).toBe(false);
    expect(codeOf(() => decodeFlags(encodeFlags([padded])))).toBe('bad-transaction');
    const lengthened = flag('a');
    lengthened[100] = 4;
    expect(codeOf(() => decodeFlags(encodeFlags([lengthened])))).toBe('bad-transaction');
    expect(codeOf(() => decodeFlags(Uint8Array.of(0xff, 0xff, 0xff, 0xff)))).toBe('bad-transaction');
  });

  it('is found in the memo of an IBC packet, and nowhere else in it', () => {
    const masp = encodeMaspTransaction(2, (length) => seededRandom('ibc').bytes(length));
    const flags = [flag('a'), flag('b')];
    expect(decodeIbcFlags(encodeIbcData(masp, flags)).map(toHex)).toEqual(flags.map(toHex));
    const foreign = writeField(1, utf8('/ibc.core.channel.v1.MsgTimeout'));
    expect(codeOf(() => decodeIbcFlags(foreign))).toBe('bad-transaction');
  });
});
