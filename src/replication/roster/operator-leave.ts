// An operator's leave: takes a member off the roster in its absence. Made where the operator's key is, and handed to any
// member, which judges it like every other statement.

import { ed25519PublicKey, ed25519Sign } from '#crypto';
import { KithError } from '../../core/errors.ts';
import type { ClusterId, NodeId } from '../../core/ids.ts';
import { decodeStatement, encodeStatement, type StatementId, statementMessage } from './statements.ts';

export interface MemberPlace {
  readonly clusterId: ClusterId;
  /** 32 bytes. */
  readonly genesisId: Uint8Array;
  readonly nodeId: NodeId;
  /** What the place comes from; a later place of the same node is not ended. */
  readonly joinId: StatementId;
}

/** @param operatorSecret Ed25519. @returns the encoded statement. */
export function signOperatorLeave({ clusterId, genesisId, nodeId, joinId }: MemberPlace, operatorSecret: Uint8Array) {
  const body = { kind: 'leave', clusterId, genesisId, nodeId, joinId, reason: 'operator' } as const;
  const signature = ed25519Sign(operatorSecret, statementMessage(body));
  return encodeStatement({ body, signatures: [{ signer: ed25519PublicKey(operatorSecret), signature }] });
}

/**
 * Whom a statement takes off. Nothing about its signature or the roster is judged here.
 * @throws KithError `bad-statement` unless it is an operator's leave with one signature.
 */
export function leavesByOperator(encoded: Uint8Array): NodeId {
  const statement = decoded(encoded);
  const { body, signatures } = statement ?? {};
  if (body?.kind === 'leave' && body.reason === 'operator' && signatures?.length === 1) return body.nodeId;
  throw new KithError('bad-statement', "An operator's leave is expected, with one signature.");
}

function decoded(encoded: Uint8Array) {
  try {
    return decodeStatement(encoded);
  } catch {
    return undefined;
  }
}
