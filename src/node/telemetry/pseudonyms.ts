// How registrations are called where people read: 8 bytes of a keyed hash. Whoever has the logs learns which lines are
// about the same registration, and nothing about which registration that is.

import { hmacSha256 } from '#crypto';
import { toHex } from '../../core/bytes.ts';
import { idBytes, type RegId } from '../../core/ids.ts';
import type { Secret } from '../../core/secret.ts';

/** Enough to tell a million registrations apart; too little to be taken for an id. */
const PSEUDONYM_BYTES = 8;

/** 16 hex digits for a registration. */
export type Pseudonyms = (id: RegId) => string;

/** @param key 32 secret bytes that serve nothing else; it stays the caller's. */
export function createPseudonyms(key: Secret): Pseudonyms {
  return (id) => toHex(hmacSha256(key.expose(), idBytes(id)).subarray(0, PSEUDONYM_BYTES));
}
