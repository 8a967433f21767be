// Identifiers: 32 bytes, written as 43 characters of base64url everywhere (JSON, paths, logs, map keys).
// The brands make it impossible to pass one kind for another; only the parsers below make them.

import { fromBase64Url, toBase64Url } from './bytes.ts';
import { isKithError, KithError } from './errors.ts';

export const ID_BYTES = 32;

declare const brand: unique symbol;
type Id<Kind extends string> = string & { readonly [brand]: Kind };

/** SHA-256 of the genesis version of a cluster configuration. */
export type ClusterId = Id<'cluster'>;
/** Ed25519 public key a node made at its first launch. */
export type NodeId = Id<'node'>;
/** Name of a registration: hash over its content and its owner's public key. */
export type RegId = Id<'registration'>;
/** SHA-256 of a signed operation. */
export type OpId = Id<'operation'>;

function idFromBytes(kind: string, bytes: Uint8Array): string {
  if (bytes.length !== ID_BYTES) {
    throw new KithError('bad-id', `a ${kind} id has ${ID_BYTES} bytes, got ${bytes.length}`);
  }
  return toBase64Url(bytes);
}

function idFromText(kind: string, text: string): string {
  try {
    const bytes = text.length === 43 ? fromBase64Url(text) : new Uint8Array(0);
    if (bytes.length === ID_BYTES) return text;
  } catch (error) {
    if (!isKithError(error, 'bad-base64url')) throw error;
  }
  throw new KithError('bad-id', `a ${kind} id is 43 characters of base64url (32 bytes)`);
}

/** The 32 bytes of any id. */
export function idBytes(id: ClusterId | NodeId | RegId | OpId): Uint8Array {
  return fromBase64Url(id);
}

export const clusterIdFromBytes = (bytes: Uint8Array): ClusterId => idFromBytes('cluster', bytes) as ClusterId;
export const parseClusterId = (text: string): ClusterId => idFromText('cluster', text) as ClusterId;
export const nodeIdFromBytes = (bytes: Uint8Array): NodeId => idFromBytes('node', bytes) as NodeId;
export const parseNodeId = (text: string): NodeId => idFromText('node', text) as NodeId;
export const regIdFromBytes = (bytes: Uint8Array): RegId => idFromBytes('registration', bytes) as RegId;
export const parseRegId = (text: string): RegId => idFromText('registration', text) as RegId;
export const opIdFromBytes = (bytes: Uint8Array): OpId => idFromBytes('operation', bytes) as OpId;
export const parseOpId = (text: string): OpId => idFromText('operation', text) as OpId;
