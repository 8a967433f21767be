// `/kith/member/1`: what two members tell each other every few seconds: that they live, where they stand, where they
// and those they know can be reached. Addresses are hints; whoever is found there has to attest like everybody.

import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { closed, list, shape, Type, text, uint } from '../core/schema.ts';

/** A multiaddr with a DNS name of 253 characters would be longer; nobody's is. */
const ADDRESS_CHARS_MAX = 160;
/** Of one node: a few interfaces. */
export const OWN_ADDRESSES_MAX = 8;
/** Of others: two each for a full cluster. */
export const KNOWN_ADDRESSES_MAX = 64;
const MEMBER_BYTES_MAX = 16_384;

const addressSchema = Type.Refine(
  text(ADDRESS_CHARS_MAX, 1),
  (value) => /^[\x21-\x7e]+$/.test(value),
  () => 'must be printable ASCII',
);

const memberShape = shape(
  closed({
    phase: text(32),
    height: Type.Optional(uint()),
    configuration: Type.Optional(uint()),
    addresses: list(addressSchema, OWN_ADDRESSES_MAX),
    known: list(addressSchema, KNOWN_ADDRESSES_MAX),
  }),
);

export interface Member {
  readonly phase: string;
  /** Newest chain height it has, undefined before the first. */
  readonly height?: number | undefined;
  /** Number of the configuration version it is under. */
  readonly configuration?: number | undefined;
  readonly addresses: readonly string[];
  readonly known: readonly string[];
}

/** Whether others would accept it as an address at all. */
export const isAddress = (value: string): boolean => value.length <= ADDRESS_CHARS_MAX && /^[\x21-\x7e]+$/.test(value);

export function encodeMember({ phase, height, configuration, addresses, known }: Member): Uint8Array {
  return encodeCbor({
    phase,
    height,
    configuration,
    addresses: addresses.filter(isAddress).slice(0, OWN_ADDRESSES_MAX),
    known: known.filter(isAddress).slice(0, KNOWN_ADDRESSES_MAX),
  });
}

/** @throws KithError from CBOR. */
export function decodeMember(bytes: Uint8Array): Member {
  return decodeCbor(bytes, memberShape, { bytesMax: MEMBER_BYTES_MAX, where: 'member note' });
}
