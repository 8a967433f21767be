// Operations of users: opened, checked, handed to the registrations, and answered under the request's own key.

import { toBase64Url } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { KithError } from '../core/errors.ts';
import type { HpkeKeyPair } from '../core/hpke.ts';
import { type ClusterId, idBytes, type NodeId, type RegId } from '../core/ids.ts';
import type { Random } from '../core/ports.ts';
import type { OperationType } from '../core/registration/operation.ts';
import { decodeSubmission } from '../core/registration/submission.ts';
import { fromSealedBox, openRequest, type SealedBox } from '../core/sealed-request.ts';
import type { Registrations } from './registrations/registrations.ts';
import type { OperationAnswer } from './service.ts';

export interface OperationsDeps {
  readonly random: Random;
  readonly registrations: Registrations;
  readonly hpkeKeyPair: HpkeKeyPair;
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
}

export interface Operations {
  /**
   * Carries out a sealed operation and resolves once it is synced.
   * @param id of the path, undefined where there is none.
   * @throws KithError with a code of http/problems.ts.
   */
  carryOut(kind: OperationType, id: RegId | undefined, box: SealedBox): Promise<OperationAnswer>;
}

export function createOperations(deps: OperationsDeps): Operations {
  const { clusterId, nodeId, registrations } = deps;
  return {
    async carryOut(kind, id, box) {
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
        const outcome = await registrations.submit(submission);
        switch (outcome.kind) {
          case 'refused':
            throw new KithError(outcome.reason, outcome.detail);
          case 'full':
            throw new KithError('registrations-full', outcome.detail);
          case 'taken':
            return answer(outcome.regId, outcome.expiryHeight, sealAnswer);
        }
      } finally {
        plaintext.fill(0);
      }
    },
  };
}

/** This node alone is the quorum. */
function answer(
  id: RegId,
  expiryHeight: number,
  sealAnswer: ReturnType<typeof openRequest>['sealAnswer'],
): OperationAnswer {
  const status = 'confirmed';
  const sealed = sealAnswer(encodeCbor({ regId: idBytes(id), status, expiryHeight, receipts: [] }));
  return {
    id,
    status,
    expiryHeight,
    receipts: [],
    sealed: { nonce: toBase64Url(sealed.nonce), ciphertext: toBase64Url(sealed.ciphertext) },
  };
}
