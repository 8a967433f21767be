// Register, renew, revoke: signed by the wallet, sealed to one verified node, believed only as far as that node's
// sealed answer and the receipts in it go.

import type { Cluster } from '../attestation/browser.ts';
import { fromBase64Url, toBase64Url } from '../core/bytes.ts';
import { decodeCbor } from '../core/cbor.ts';
import { CERTIFICATE_RECEIPTS_MAX } from '../core/certificate.ts';
import { isKithError } from '../core/errors.ts';
import { idBytes, type OpId, type RegId } from '../core/ids.ts';
import type { Random } from '../core/ports.ts';
import { RECEIPT_BYTES_MAX } from '../core/receipt.ts';
import { type OperationRequest, operationId, signOperation } from '../core/registration/operation.ts';
import { innerHash } from '../core/registration/payload.ts';
import { encodeSubmission } from '../core/registration/submission.ts';
import { bytes, bytesUpTo, closed, list, shape, Type, uint } from '../core/schema.ts';
import { type RequestKind, sealRequest, toSealedBox } from '../core/sealed-request.ts';
import { type CallOptions, type NodeApi, operationShape } from './api.ts';
import { type Judged, judgeReceipts } from './confirmation.ts';
import { clientError } from './errors.ts';
import type { VerifiedNode } from './verify-node.ts';
import { type Wallet, walletKeys, walletPayload, walletRegistrationId } from './wallet.ts';

/**
 * `confirmed`: the receipts, verified here, fill the quorum; together they are the certificate. `pending`: durable at
 * the node, the quorum is still being gathered.
 */
export interface OperationResult extends Judged {
  readonly id: RegId;
  readonly opId: OpId;
  readonly expiryHeight: number;
}

export interface SendOptions extends CallOptions {
  /** Platforms that must have confirmed before it is believed, if that is more than others ask for (`judgeReceipts`). */
  readonly platformsMin?: number | undefined;
}

const sealedAnswerShape = shape(
  closed({
    regId: bytes(32),
    status: Type.Union([Type.Literal('confirmed'), Type.Literal('pending')]),
    expiryHeight: uint(),
    receipts: list(bytesUpTo(RECEIPT_BYTES_MAX, 1), CERTIFICATE_RECEIPTS_MAX),
  }),
);

/** 32 receipts and the answer around them, padded. */
const SEALED_ANSWER_BYTES_MAX = 65_536;

export type WalletOperation =
  | { readonly type: 'register'; readonly birthday: number; readonly expiryHeight: number }
  | { readonly type: 'renew'; readonly expiryHeight: number }
  | { readonly type: 'revoke' };

/**
 * Sends one operation of the wallet to a verified node.
 * @param version height of the chain as far as the caller knows.
 * @throws KithError `forged-answer`, `bad-answer`, `node-unreachable`, or the node's refusal under its code.
 */
export async function sendOperation(
  deps: { api: NodeApi; random: Random },
  to: { node: VerifiedNode; cluster: Cluster },
  wallet: Wallet,
  operation: WalletOperation & { version: number },
  options: SendOptions,
): Promise<OperationResult> {
  const id = walletRegistrationId(wallet);
  const { id: clusterId } = to.cluster;
  const request: OperationRequest = { ...operation, clusterId, inner: innerHash(walletKeys(wallet)) };
  const signed = signOperation(wallet.authSecret, request);
  const plaintext = encodeSubmission({
    operation: signed,
    payload: operation.type === 'register' ? walletPayload(wallet) : undefined,
  });
  const kind: RequestKind = operation.type;
  const context = { clusterId, nodeId: to.node.nodeId, kind };
  const sealed = sealRequest(deps, to.node.hpkePublicKey, context, plaintext);
  plaintext.fill(0);
  const path = kind === 'register' ? '/v1/registrations' : `/v1/registrations/${id}/${kind}`;
  const answer = await deps.api.post(path, toSealedBox(sealed.request), operationShape, options);
  const { expiryHeight, receipts } = readAnswer(answer.sealed, sealed.openAnswer, id, deps.api.url);
  const opId = operationId(signed);
  const of = { cluster: to.cluster, roster: to.node.roster };
  return { id, opId, expiryHeight, ...judgeReceipts(receipts, opId, of, options.platformsMin) };
}

/** Only the sealed part of an answer is the node's word; the rest may be anybody's. */
function readAnswer(
  { nonce, ciphertext }: { nonce: string; ciphertext: string },
  openAnswer: ReturnType<typeof sealRequest>['openAnswer'],
  id: RegId,
  url: string,
) {
  const where = `the sealed answer of ${url}`;
  try {
    const opened = openAnswer({ nonce: fromBase64Url(nonce), ciphertext: fromBase64Url(ciphertext) });
    if (!opened) throw clientError('forged-answer', `${where} was not made by the node the request was sealed to`);
    const answer = decodeCbor(opened, sealedAnswerShape, { bytesMax: SEALED_ANSWER_BYTES_MAX, where });
    if (toBase64Url(answer.regId) !== toBase64Url(idBytes(id))) {
      throw clientError('forged-answer', `${where} is about another registration`);
    }
    return answer;
  } catch (cause) {
    if (isKithError(cause, 'forged-answer') || !isKithError(cause)) throw cause;
    throw clientError('bad-answer', `${where} cannot be read: ${cause.message}`, cause);
  }
}
