// Certificates: the receipts for one operation that together show that the cluster holds it. Public data: a client
// keeps them, and shows them to a node that does not know the registration. Format: docs/REPLICATION.md.

import { decodeCbor, encodeCbor } from './cbor.ts';
import { isKithError } from './errors.ts';
import {
  type ClusterId,
  clusterIdFromBytes,
  idBytes,
  type NodeId,
  type OpId,
  opIdFromBytes,
  type RegId,
  regIdFromBytes,
} from './ids.ts';
import { quorumOf } from './quorum.ts';
import { decodeReceipt, RECEIPT_BYTES_MAX, type Receipt, receiptBy } from './receipt.ts';
import type { RosterEntry } from './roster.ts';
import { bytes, bytesUpTo, closed, list, shape } from './schema.ts';

/** One for each member of the largest roster. */
export const CERTIFICATE_RECEIPTS_MAX = 32;
/** Three ids and the receipts. */
export const CERTIFICATE_BYTES_MAX = 36_864;

export interface Certificate {
  readonly clusterId: ClusterId;
  readonly regId: RegId;
  readonly opId: OpId;
  /** Encoded; that of the member which took the operation from the user first. */
  readonly receipts: readonly Uint8Array[];
}

const certificateShape = shape(
  closed({
    clusterId: bytes(32),
    regId: bytes(32),
    opId: bytes(32),
    receipts: list(bytesUpTo(RECEIPT_BYTES_MAX, 1), CERTIFICATE_RECEIPTS_MAX, 1),
  }),
);

/** Deterministic CBOR; at most CERTIFICATE_BYTES_MAX bytes. */
export const encodeCertificate = ({ clusterId, regId, opId, receipts }: Certificate): Uint8Array =>
  encodeCbor({ clusterId: idBytes(clusterId), regId: idBytes(regId), opId: idBytes(opId), receipts: [...receipts] });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. Verifies nothing. */
export function decodeCertificate(encoded: Uint8Array, where = 'certificate'): Certificate {
  const { clusterId, regId, opId, receipts } = decodeCbor(encoded, certificateShape, {
    bytesMax: CERTIFICATE_BYTES_MAX,
    where,
  });
  return {
    clusterId: clusterIdFromBytes(clusterId),
    regId: regIdFromBytes(regId),
    opId: opIdFromBytes(opId),
    receipts,
  };
}

/** What receipts show of one operation, under one roster. */
export interface Confirmation {
  /** The encoded receipts that count, in the order given: valid, of members, one for each platform. */
  readonly receipts: readonly Uint8Array[];
  /** Who gave them. */
  readonly nodeIds: readonly NodeId[];
  /** Whether they fill the quorum. */
  readonly filled: boolean;
  /** Platforms the quorum needs. */
  readonly needed: number;
}

/**
 * Verifies receipts. What proves nothing about the operation, comes from somebody who is not on the roster, or from a
 * platform that has confirmed already, does not count; it is no error.
 * @param members the holders of the registration.
 * @param platformsMin asks for more than a majority, as `confirmations` of the cluster configuration does.
 */
export function confirmationBy(
  receipts: readonly Uint8Array[],
  of: { readonly clusterId: ClusterId; readonly opId: OpId },
  members: readonly RosterEntry[],
  platformsMin: number,
): Confirmation {
  const byId = new Map(members.map((entry) => [entry.nodeId, entry]));
  const counted = new Map<string, { readonly encoded: Uint8Array; readonly member: RosterEntry }>();
  for (const encoded of receipts.slice(0, CERTIFICATE_RECEIPTS_MAX)) {
    const nodeId = giverOf(encoded, of);
    const member = nodeId && byId.get(nodeId);
    if (member && !counted.has(member.platform)) counted.set(member.platform, { encoded, member });
  }
  const confirming = [...counted.values()];
  const operators = new Set(confirming.map(({ member }) => member.operator)).size;
  const quorum = quorumOf(members, platformsMin);
  return {
    receipts: confirming.map(({ encoded }) => encoded),
    nodeIds: confirming.map(({ member }) => member.nodeId),
    filled: confirming.length >= quorum.needed && operators >= quorum.operators,
    needed: quorum.needed,
  };
}

function giverOf(encoded: Uint8Array, { clusterId, opId }: { clusterId: ClusterId; opId: OpId }): NodeId | undefined {
  let receipt: Receipt;
  try {
    receipt = decodeReceipt(encoded);
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
  return receiptBy(receipt, clusterId, opId);
}
