// The operations of a store that was set aside, taken into the one in use: each is checked as that of any member, since
// who made the store may not be known. It is a union, so doing it again, or in part, is harmless.

import { throwIfAborted } from '../../core/deadline.ts';
import { isKithError } from '../../core/errors.ts';
import { decodeOperation, type Operation } from '../../core/registration/operation.ts';
import { passesWithTime } from '../../core/registration/refusal.ts';
import { TAKE_IN_MAX } from '../registrations/limits.ts';
import { keysOf, registrationShape, type StoredRegistration } from '../registrations/record.ts';
import type { Incoming, Registrations, TakenIn } from '../registrations/registrations.ts';
import type { SealedStore } from '../store/index.ts';

export interface ImportCounts {
  taken: number;
  known: number;
  /** Not taken, now or ever: expired for long, forged, not readable. */
  refused: number;
  /** Not taken yet: there is no room, or the chain is behind what was signed. */
  postponed: number;
}

/**
 * Reads page by page: what is in memory is bounded whatever the store holds.
 * @throws KithError of either store, or the signal's reason; what was taken until then stays.
 */
export async function importOperations(
  from: SealedStore,
  registrations: Pick<Registrations, 'takeIn'>,
  { signal }: { readonly signal: AbortSignal },
): Promise<ImportCounts> {
  const counts: ImportCounts = { taken: 0, known: 0, refused: 0, postponed: 0 };
  let page: Incoming[] = [];
  const flush = async () => {
    throwIfAborted(signal);
    for (const answer of await registrations.takeIn(page)) counts[fateOf(answer)] += 1;
    page = [];
  };
  for await (const [, record] of from.namespace('registrations', registrationShape).entries()) {
    const incoming = incomingOf(record);
    counts.refused += incoming.unreadable;
    if (page.length + incoming.items.length > TAKE_IN_MAX) await flush();
    page.push(...incoming.items);
  }
  await flush();
  return counts;
}

function fateOf(answer: TakenIn): keyof ImportCounts {
  switch (answer.kind) {
    case 'taken':
    case 'known':
      return answer.kind;
    case 'full':
      return 'postponed';
    case 'refused':
      return passesWithTime(answer.reason) ? 'postponed' : 'refused';
  }
}

/** At most two operations, the keys with the register. */
function incomingOf({ base, renewal, keys }: StoredRegistration): { items: Incoming[]; unreadable: number } {
  const items: Incoming[] = [];
  let unreadable = 0;
  for (const stored of [base, renewal]) {
    if (!stored) continue;
    const operation = readOperation(stored.signed);
    if (!operation) unreadable += 1;
    else if (operation.type === 'register' && keys) {
      items.push({ operation, payload: { kind: 'keys', ...keysOf(keys) } });
    } else items.push({ operation });
  }
  return { items, unreadable };
}

function readOperation(signed: Uint8Array): Operation | undefined {
  try {
    return decodeOperation(signed, 'operation of a store set aside');
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}
