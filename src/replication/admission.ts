// Which operations are taken. From members: whatever is valid, late or not, because replicas must agree on the set.
// From users: also what makes sense now, so that mistakes are told and not stored. Nothing here changes anything.

import { equalBytes } from '../core/bytes.ts';
import type { ClusterId, OpId } from '../core/ids.ts';
import { LIFETIME_BLOCKS, VERSION_AHEAD_BLOCKS_MAX } from '../core/registration/limits.ts';
import { checkOperation, type Operation, operationId } from '../core/registration/operation.ts';
import {
  checkPayload,
  type DeriveKeys,
  innerHash,
  type Payload,
  type RegistrationKeys,
} from '../core/registration/payload.ts';
import { type Refusal, refuse } from '../core/registration/refusal.ts';
import type { Submission } from '../core/registration/submission.ts';
import { type Heights, mayServe } from './heights.ts';
import { meaningOf, type RegistrationState } from './merge.ts';
import { compareRank, type OperationSummary, summarise } from './order.ts';

/** What admission depends on besides the operation. */
export interface AdmissionContext {
  readonly clusterId: ClusterId;
  readonly heights: Heights;
  /** `registry.versionFloor`: never falls, whatever the heights do. */
  readonly versionFloor: number;
}

export interface Admitted {
  readonly kind: 'admitted';
  readonly operation: Operation;
  readonly opId: OpId;
  /** The form in which keys are kept, whatever the payload was. */
  readonly keys: RegistrationKeys | undefined;
  /** Nothing would change: it, or one that says the same, is in force. */
  readonly repeated: boolean;
}

/** Why this operation cannot be taken from anybody, or undefined. `version-in-future` passes, the others do not. */
export function checkAdmissible(operation: Operation, context: AdmissionContext): Refusal | undefined {
  const { version } = operation;
  if (version < context.versionFloor) {
    return refuse('version-too-old', `signed more than ${LIFETIME_BLOCKS} blocks ago`);
  }
  const versionMax = context.heights.cluster + VERSION_AHEAD_BLOCKS_MAX;
  if (version > versionMax) return refuse('version-in-future', `version must be at most ${versionMax}`);
  return checkOperation(operation, context.clusterId);
}

/** The keys of a register, recomputed from its payload and compared with what was signed. */
export function checkKeys(
  deps: { deriveKeys: DeriveKeys },
  operation: Operation,
  payload: Payload,
): { readonly kind: 'keys'; readonly keys: RegistrationKeys } | Refusal {
  const bad = checkPayload(payload);
  if (bad) return bad;
  const keys = deps.deriveKeys(payload);
  if (!keys) return refuse('bad-keys', 'the payload holds no canonical detection key');
  if (!equalBytes(innerHash(keys), operation.inner)) {
    return refuse('wrong-payload', 'inner must be the hash of the keys of the payload');
  }
  return { kind: 'keys', keys };
}

/** @param payload undefined if nobody has the keys any more; the operation counts all the same. */
export function admitFromMember(
  deps: { deriveKeys: DeriveKeys },
  operation: Operation,
  payload: Payload | undefined,
  context: AdmissionContext,
): Admitted | Refusal {
  const bad = checkAdmissible(operation, context);
  if (bad) return bad;
  const opId = operationId(operation);
  if (!payload) return { kind: 'admitted', operation, opId, keys: undefined, repeated: false };
  if (operation.type !== 'register') return refuse('payload-unexpected', `a ${operation.type} has no payload`);
  const checked = checkKeys(deps, operation, payload);
  if (checked.kind === 'refused') return checked;
  return { kind: 'admitted', operation, opId, keys: checked.keys, repeated: false };
}

/** @param state of the operation's registration as this node has it. */
export function admitFromUser(
  deps: { deriveKeys: DeriveKeys },
  submission: Submission,
  state: RegistrationState,
  context: AdmissionContext,
): Admitted | Refusal {
  const admitted = admitSubmission(deps, submission, context);
  return admitted.kind === 'refused' ? admitted : admitIntoState(admitted, state, context.heights);
}

/** The part of `admitFromUser` that takes long and does not depend on what is registered: signature and keys. */
export function admitSubmission(
  deps: { deriveKeys: DeriveKeys },
  { operation, payload }: Submission,
  context: AdmissionContext,
): Admitted | Refusal {
  if (operation.type === 'register' && !payload) return refuse('payload-missing', 'a register needs its payload');
  return admitFromMember(deps, operation, payload, context);
}

/** The rest of `admitFromUser`. @param state of the operation's registration as it is when the operation is merged. */
export function admitIntoState(admitted: Admitted, state: RegistrationState, heights: Heights): Admitted | Refusal {
  const { operation, opId } = admitted;
  const height = Math.max(heights.own, heights.cluster);
  if (operation.type !== 'revoke' && operation.expiryHeight <= height) {
    return refuse('expiry-in-past', `expiryHeight must be above the height, ${height}`);
  }
  const verdict = checkAgainstState(summarise(operation, opId), state, heights);
  if (typeof verdict === 'object') return verdict;
  return { ...admitted, repeated: verdict === 'repeated' };
}

function checkAgainstState(
  operation: OperationSummary,
  state: RegistrationState,
  heights: Heights,
): Refusal | 'new' | 'repeated' {
  const meaning = meaningOf(state);
  if (operation.type !== 'register') {
    if (meaning.kind === 'unknown') return refuse('unknown-registration', 'nothing is registered under this id');
    if (operation.type === 'renew') {
      if (meaning.kind === 'revoked') return refuse('revoked', 'revoked registrations are opened by a register only');
      if (!mayServe(meaning.expiryHeight, heights)) return refuse('expired', 'it has expired: register again');
      const expiryMax = meaning.version + LIFETIME_BLOCKS;
      if (operation.expiryHeight > expiryMax) {
        return refuse(
          'expiry-beyond-register',
          `expiryHeight must be at most ${expiryMax}: register again to go further`,
        );
      }
    }
  }
  const held = state.renewal && operation.type === 'renew' ? state.renewal : state.base;
  if (!held || compareRank(operation, held) > 0) return 'new';
  const same =
    held.type === operation.type &&
    (held.type === 'revoke' || (held.expiryHeight === operation.expiryHeight && held.birthday === operation.birthday));
  return same ? 'repeated' : refuse('superseded', `an operation of version ${held.version} is in force`);
}
