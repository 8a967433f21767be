// Flag ciphertexts: the 111-byte Borsh form of Namada pull request #4640 and strict checks of their parts.

import { ByteReader } from '../core/byte-reader.ts';
import { equalBytes } from '../core/bytes.ts';
import { isKithError } from '../core/errors.ts';
import { fmdError } from './errors.ts';
import { decodePoint, decodeScalar, type GroupPoint } from './group.ts';
import { checkGamma } from './keys.ts';
import { GAMMA } from './limits.ts';

/** u32 size, basepoint_ch, u, y, u64 length of the bits, 3 bytes of bits. */
export const FLAG_BORSH_BYTES = 111;

/** The size field counts what follows it. */
const FLAG_BORSH_SIZE = FLAG_BORSH_BYTES - 4;

/** A flag ciphertext. All parts are public. */
export interface Flag {
  /** Number of bits; the subkey indices a detection key may use with it are below this. */
  readonly gamma: number;
  /** B, the base of the chameleon hash: canonical ristretto255 encoding. */
  readonly basepoint: Uint8Array;
  /** u = r * G: canonical ristretto255 encoding. */
  readonly u: Uint8Array;
  /** y, opening of the chameleon hash: canonical scalar. */
  readonly y: Uint8Array;
  /** The bits c_i, least significant first; bits beyond gamma are zero. */
  readonly bits: Uint8Array;
}

/** The parts of a flag as numbers. */
export interface FlagParts {
  readonly basepoint: GroupPoint;
  readonly u: GroupPoint;
  readonly y: bigint;
}

export const bitBytes = (gamma: number): number => Math.ceil(gamma / 8);

/** Bit i of the flag, 0 or 1. */
export function flagBit(flag: Flag, index: number): number {
  return (flag.bits[index >> 3]! >> (index & 7)) & 1;
}

/** Checks the number of bits and their padding. @throws `bad-encoding`, or `bad-parameter` for the number itself. */
export function checkBits({ gamma, bits }: Flag): void {
  checkGamma(gamma);
  if (bits.length !== bitBytes(gamma)) {
    throw fmdError('bad-encoding', `bits: ${gamma} bits take ${bitBytes(gamma)} bytes, got ${bits.length}`);
  }
  const used = gamma % 8;
  if (used !== 0 && bits.at(-1)! >> used !== 0) {
    throw fmdError('bad-encoding', `bits: the bits above bit ${gamma - 1} must be zero`);
  }
}

/**
 * Checks all parts of a flag as the crate's decoder does and returns points and scalar.
 * @throws `bad-encoding` naming the part.
 */
export function checkFlag(flag: Flag): FlagParts {
  checkBits(flag);
  return {
    basepoint: decodePoint(flag.basepoint, 'basepoint_ch'),
    u: decodePoint(flag.u, 'u'),
    y: decodeScalar(flag.y, 'y'),
  };
}

/**
 * Reads a flag of Namada (gamma 20) from Borsh, without checking points and scalar. The leading size is ignored,
 * as Namada's readers do: a hostile transaction may carry any value there. @throws `bad-encoding`.
 */
export function readFlagBorsh(bytes: Uint8Array): Flag {
  if (bytes.length !== FLAG_BORSH_BYTES) {
    throw fmdError('bad-encoding', `a flag has ${FLAG_BORSH_BYTES} bytes, got ${bytes.length}`);
  }
  const reader = new ByteReader(bytes);
  reader.u32('size');
  const basepoint = reader.take(32, 'basepoint_ch').slice();
  const u = reader.take(32, 'u').slice();
  const y = reader.take(32, 'y').slice();
  const low = reader.u32('length of the bits');
  const high = reader.u32('length of the bits');
  if (low !== bitBytes(GAMMA) || high !== 0) {
    throw fmdError('bad-encoding', `the length of the bits must be ${bitBytes(GAMMA)}`);
  }
  return { gamma: GAMMA, basepoint, u, y, bits: reader.take(bitBytes(GAMMA), 'bits').slice() };
}

/** A flag of Namada from Borsh, all parts checked. @throws `bad-encoding`. */
export function decodeFlagBorsh(bytes: Uint8Array): Flag {
  const flag = readFlagBorsh(bytes);
  checkFlag(flag);
  return flag;
}

/** Whether `decodeFlagBorsh` accepts these bytes: the check for an indexer, which does not look inside. */
export function isDecodableFlag(bytes: Uint8Array): boolean {
  try {
    decodeFlagBorsh(bytes);
    return true;
  } catch (error) {
    if (isKithError(error, 'bad-encoding')) return false;
    throw error;
  }
}

/** The Borsh form of a flag with gamma 20. @throws `bad-parameter` for another gamma. */
export function encodeFlagBorsh(flag: Flag): Uint8Array {
  if (flag.gamma !== GAMMA) throw fmdError('bad-parameter', `the Borsh form is for gamma ${GAMMA}, got ${flag.gamma}`);
  const out = new Uint8Array(FLAG_BORSH_BYTES);
  const view = new DataView(out.buffer);
  view.setUint32(0, FLAG_BORSH_SIZE, true);
  out.set(flag.basepoint, 4);
  out.set(flag.u, 36);
  out.set(flag.y, 68);
  view.setUint32(100, bitBytes(GAMMA), true);
  out.set(flag.bits, 108);
  return out;
}

/** Whether two flags are the same ciphertext. */
export function equalFlags(a: Flag, b: Flag): boolean {
  return (
    a.gamma === b.gamma &&
    equalBytes(a.basepoint, b.basepoint) &&
    equalBytes(a.u, b.u) &&
    equalBytes(a.y, b.y) &&
    equalBytes(a.bits, b.bits)
  );
}
