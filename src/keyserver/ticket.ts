// A migration ticket: an operator's word that one of its nodes may be recovered on another platform.
// Bytes: deterministic CBOR of {nodeId, incarnation, newPlatform, expiryHeight, signature}; the signature is Ed25519 by
// the operator's key over label || CBOR of the other fields.

import { ed25519Sign, ed25519Verify } from '#crypto';
import { concatBytes, utf8 } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { idBytes, type NodeId, nodeIdFromBytes } from '../core/ids.ts';
import { LABEL_MIGRATION_TICKET } from '../core/labels.ts';
import { bytes, closed, shape, text, uint } from '../core/schema.ts';
import type { Secret } from '../core/secret.ts';
import { keyserverError } from './errors.ts';
import { INCARNATION_MAX, NAME_CHARS_MAX, TICKET_BYTES_MAX } from './limits.ts';

export interface MigrationTicket {
  readonly nodeId: NodeId;
  /** The highest it may be recovered as: later boots need another ticket. */
  readonly incarnation: number;
  /** Hex of SHA-256 over the PPID. */
  readonly newPlatform: string;
  /** Last chain height at which it is valid. */
  readonly expiryHeight: number;
}

const ticketShape = shape(
  closed({
    nodeId: bytes(32),
    incarnation: uint(INCARNATION_MAX),
    newPlatform: text(NAME_CHARS_MAX, 1),
    expiryHeight: uint(),
    signature: bytes(64),
  }),
);

const signedBytes = ({ nodeId, incarnation, newPlatform, expiryHeight }: MigrationTicket): Uint8Array =>
  concatBytes(
    utf8(LABEL_MIGRATION_TICKET),
    encodeCbor({ nodeId: idBytes(nodeId), incarnation, newPlatform, expiryHeight }),
  );

/** @throws KithError `bad-ticket` if no key server would read it. */
export function makeTicket(ticket: MigrationTicket, operatorSecret: Secret): Uint8Array {
  const { nodeId, incarnation, newPlatform, expiryHeight } = ticket;
  const signature = ed25519Sign(operatorSecret.expose(), signedBytes(ticket));
  const encoded = encodeCbor({ nodeId: idBytes(nodeId), incarnation, newPlatform, expiryHeight, signature });
  parse(encoded);
  return encoded;
}

/** The ticket in these bytes if the operator signed it. @throws KithError `bad-ticket` if they are not of the form. */
export function verifyTicket(encoded: Uint8Array, operatorKey: Uint8Array): MigrationTicket | undefined {
  const { signature, ...fields } = parse(encoded);
  const ticket: MigrationTicket = { ...fields, nodeId: nodeIdFromBytes(fields.nodeId) };
  return ed25519Verify(operatorKey, signedBytes(ticket), signature) ? ticket : undefined;
}

function parse(encoded: Uint8Array) {
  try {
    return decodeCbor(encoded, ticketShape, { bytesMax: TICKET_BYTES_MAX, where: 'migration ticket' });
  } catch (cause) {
    throw keyserverError('bad-ticket', 'the migration ticket is damaged or of another version', cause);
  }
}
