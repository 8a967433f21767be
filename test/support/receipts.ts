// Members with keys, and the receipts they give: for tests of quorums, certificates and clients.

import { ed25519PublicKey, sha256 } from '#crypto';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { type ClusterId, clusterIdFromBytes, nodeIdFromBytes, type OpId, opIdFromBytes } from '../../src/core/ids.ts';
import { type BatchReceipt, encodeReceipt, receiptsOf, signReceipt } from '../../src/core/receipt.ts';
import type { RosterEntry } from '../../src/core/roster.ts';

export const receiptCluster = clusterIdFromBytes(sha256(utf8('cluster of receipts')));

export interface Signer extends RosterEntry {
  readonly secret: Uint8Array;
}

/** A member on a platform of an operator; each its own unless named. */
export function signerNamed(name: string, platform = name, operator = `operator of ${platform}`): Signer {
  const secret = sha256(utf8(`member ${name}`));
  return {
    nodeId: nodeIdFromBytes(ed25519PublicKey(secret)),
    platform: toHex(sha256(utf8(`platform ${platform}`))),
    operator,
    secret,
  };
}

export const entriesOf = (signers: readonly Signer[]): RosterEntry[] =>
  signers.map(({ nodeId, platform, operator }) => ({ nodeId, platform, operator }));

export const operationNamed = (name: string): OpId => opIdFromBytes(sha256(utf8(`operation ${name}`)));

/** What a member signs for a batch of operations. */
export function batchReceiptOf(
  signer: Signer,
  opIds: readonly OpId[],
  clusterId: ClusterId = receiptCluster,
): BatchReceipt {
  const head = { incarnation: 1, sequence: 7, hash: new Uint8Array(32).fill(9), height: 1_000 };
  return signReceipt(signer.secret, { clusterId, nodeId: signer.nodeId, ...head }, opIds);
}

/** The encoded receipt of a member for one operation. */
export const receiptBytes = (signer: Signer, opId: OpId, clusterId: ClusterId = receiptCluster): Uint8Array =>
  encodeReceipt(receiptsOf(batchReceiptOf(signer, [opId], clusterId), [opId])(0));
