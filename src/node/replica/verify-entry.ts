// What another member sent, checked before it queues for the writer: the signature of an entry and those of its users
// exactly once each. What is in force here already was verified when it came.

import { equalBytes } from '../../core/bytes.ts';
import { opIdFromBytes, regIdFromBytes } from '../../core/ids.ts';
import { LIFETIME_BLOCKS, VERSION_AHEAD_BLOCKS_MAX } from '../../core/registration/limits.ts';
import { operationId } from '../../core/registration/operation.ts';
import type { DeriveKeys } from '../../core/registration/payload.ts';
import { type Refusal, refuse } from '../../core/registration/refusal.ts';
import {
  type AdmissionContext,
  admitFromMember,
  checkLogEntry,
  type EntryWithBodies,
  type LogEntry,
  NO_ENTRY_HASH,
  type OperationBody,
} from '../../replication/index.ts';
import type { Arrived } from '../registrations/merger.ts';
import type { Registrations } from '../registrations/registrations.ts';

export interface VerifyDeps {
  readonly deriveKeys: DeriveKeys;
  readonly registrations: Pick<Registrations, 'state' | 'keysHeld'>;
}

/** An operation that may be merged. */
export type CheckedBody = Omit<Arrived, 'origin'>;

export type BadEntry = { readonly kind: 'refused'; readonly refusal: Refusal } | BadShape;
interface BadShape {
  readonly kind: 'invalid';
  readonly why: string;
}
const invalid = (why: string): BadShape => ({ kind: 'invalid', why });

/** What is wrong with an entry alone. */
export function checkEntry(entry: LogEntry, { clusterId, heights }: AdmissionContext): BadEntry | undefined {
  if (entry.seq === 1 && !equalBytes(entry.previous, NO_ENTRY_HASH))
    return invalid('nothing comes before the first entry');
  const latest = heights.cluster + VERSION_AHEAD_BLOCKS_MAX + LIFETIME_BLOCKS;
  if (entry.expiryHeight > latest) {
    const refusal = refuse('version-in-future', `no operation of the entry can end above ${latest} by now`);
    return { kind: 'refused', refusal };
  }
  return checkLogEntry(entry, clusterId) ? undefined : invalid('the entry is not signed by the node of its writer');
}

/** The operations of an entry that are to be merged. */
export function checkBodies(
  deps: VerifyDeps,
  { entry, bodies }: EntryWithBodies,
  context: AdmissionContext,
): CheckedBody[] | BadEntry {
  if (bodies.length !== entry.operations.length)
    return invalid(`${bodies.length} bodies for ${entry.operations.length} operations`);
  const checked: CheckedBody[] = [];
  for (const [i, body] of bodies.entries()) {
    if (!body) continue;
    const { operation } = body;
    const named = entry.operations[i]!;
    if (operation.regId !== regIdFromBytes(named.regId)) return invalid('a body is for another registration');
    if (operation.expiryHeight > entry.expiryHeight) return invalid('an operation ends after its entry');
    const one = checkBody(deps, body, context);
    if (one.kind === 'refused') {
      // Nobody needs it any more, so the entry counts without it.
      if (one.reason === 'version-too-old') continue;
      return one.reason === 'version-in-future' ? { kind: 'refused', refusal: one } : invalid(one.detail);
    }
    if (one.body.opId !== opIdFromBytes(named.opId)) return invalid('a body is another operation than the entry names');
    checked.push(one.body);
  }
  return checked;
}

/** An operation by itself. */
export function checkBody(
  { deriveKeys, registrations }: VerifyDeps,
  { operation, keys }: OperationBody,
  context: AdmissionContext,
): { readonly kind: 'checked'; readonly body: CheckedBody } | Refusal {
  const opId = operationId(operation);
  const { base, renewal } = registrations.state(operation.regId);
  const inForce = base?.opId === opId || renewal?.opId === opId;
  if (inForce && (!keys || registrations.keysHeld(operation.regId))) {
    return { kind: 'checked', body: { operation, opId, keys: undefined } };
  }
  const payload = keys && { kind: 'keys' as const, dataKey: keys.dataKey, detectionKey: keys.detectionKey };
  const admitted = admitFromMember({ deriveKeys }, operation, payload, context);
  if (admitted.kind === 'refused') return admitted;
  return { kind: 'checked', body: { operation, opId, keys: admitted.keys } };
}
