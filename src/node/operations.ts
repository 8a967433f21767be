// Operations of users: opened, checked, handed to the registrations, confirmed by other members if that comes soon,
// and answered under the request's own key.

import { toBase64Url } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { encodeCertificate } from '../core/certificate.ts';
import { KithError } from '../core/errors.ts';
import type { HpkeKeyPair } from '../core/hpke.ts';
import { type ClusterId, idBytes, type NodeId, type RegId } from '../core/ids.ts';
import type { Random } from '../core/ports.ts';
import { encodeReceipt } from '../core/receipt.ts';
import type { OperationType } from '../core/registration/operation.ts';
import { decodeSubmission, type Submission } from '../core/registration/submission.ts';
import { fromSealedBox, openRequest, type SealedBox } from '../core/sealed-request.ts';
import type { ConfirmationOutcome, Confirmations, OperationRef } from '../replication/index.ts';
import type { OwnReceipts } from './own-receipts.ts';
import type { Registrations } from './registrations/registrations.ts';
import type { OperationAnswer, ServiceCall } from './service.ts';

export interface OperationsDeps {
  readonly random: Random;
  readonly registrations: Pick<Registrations, 'submit'>;
  readonly ownReceipts: OwnReceipts;
  readonly confirmations: Pick<Confirmations, 'wait'>;
  readonly hpkeKeyPair: HpkeKeyPair;
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
}

export interface Operations {
  /**
   * Carries out a sealed operation: synced here, then answered as `confirmed` once a quorum has synced it, or as
   * `pending` after a few seconds; it goes on to the other members all the same.
   * @param id of the path, undefined where there is none.
   * @throws KithError with a code of http/problems.ts.
   */
  carryOut(kind: OperationType, id: RegId | undefined, box: SealedBox, call: ServiceCall): Promise<OperationAnswer>;
}

type SealAnswer = ReturnType<typeof openRequest>['sealAnswer'];

export function createOperations(deps: OperationsDeps): Operations {
  const { clusterId, nodeId, registrations } = deps;

  async function submit(submission: Submission) {
    const outcome = await registrations.submit(submission);
    switch (outcome.kind) {
      case 'refused':
        throw new KithError(outcome.reason, outcome.detail);
      case 'full':
        throw new KithError('registrations-full', outcome.detail);
      case 'taken':
        return outcome;
    }
  }

  /** @returns what is needed to answer; the submission's secrets are gone by then. */
  async function take(kind: OperationType, id: RegId | undefined, box: SealedBox) {
    const context = { clusterId, nodeId, kind };
    const { plaintext, sealAnswer } = openRequest(deps, deps.hpkeKeyPair, context, fromSealedBox(box));
    try {
      const submission = decodeSubmission(plaintext);
      const { operation } = submission;
      if (operation.type !== kind) {
        throw new KithError('wrong-operation', `a ${operation.type} was sent to the path of a ${kind}`);
      }
      if (id !== undefined && operation.regId !== id) {
        throw new KithError('wrong-registration', 'the operation is for another registration than the path names');
      }
      const { regId, opId, expiryHeight, repeated } = await submit(submission);
      return { ref: { regId, opId }, expiryHeight, repeated, sealAnswer };
    } finally {
      plaintext.fill(0);
    }
  }

  return {
    async carryOut(kind, id, box, { signal }) {
      const { ref, expiryHeight, repeated, sealAnswer } = await take(kind, id, box);
      const own = await deps.ownReceipts.of(ref.opId);
      const outcome = await deps.confirmations.wait(ref, own, { again: repeated, signal });
      return answer(clusterId, ref, expiryHeight, outcome, sealAnswer);
    },
  };
}

/** Of a confirmed operation the receipts are its certificate. */
function answer(
  clusterId: ClusterId,
  ref: OperationRef,
  expiryHeight: number,
  { kind: status, receipts: given }: ConfirmationOutcome,
  sealAnswer: SealAnswer,
): OperationAnswer {
  const { regId: id } = ref;
  const receipts = given.map(encodeReceipt);
  const sealed = sealAnswer(encodeCbor({ regId: idBytes(id), status, expiryHeight, receipts }));
  return {
    id,
    status,
    expiryHeight,
    receipts: receipts.map(toBase64Url),
    ...(status === 'confirmed' ? { certificate: toBase64Url(encodeCertificate({ clusterId, ...ref, receipts })) } : {}),
    sealed: { nonce: toBase64Url(sealed.nonce), ciphertext: toBase64Url(sealed.ciphertext) },
  };
}
