// One registration in the midst of a change: what the registry and the engine say already, and the store does not yet.
// It is written and settled, or abandoned as if nothing had been.

import { idBytes, type RegId } from '../../core/ids.ts';
import { encodeOperation } from '../../core/registration/operation.ts';
import type { RegistrationKeys } from '../../core/registration/payload.ts';
import { type Admitted, type Change, type Heights, type Registry, summarise } from '../../replication/index.ts';
import type { Namespace, StoreWrite } from '../store/index.ts';
import type { Held, Holdings } from './holdings.ts';
import { TOMBSTONES_PER_REGISTRATION } from './limits.ts';
import { keysOf, nextRecord, type StoredOperation, type StoredRegistration, storeOperation } from './record.ts';

export interface DraftDeps {
  readonly records: Namespace<StoredRegistration>;
  readonly registry: Registry;
  readonly holdings: Holdings;
  readonly heights: () => Heights;
}

export type Applied =
  | { readonly kind: 'taken' }
  /** Nothing changed by it. */
  | { readonly kind: 'known' }
  /** The cluster holds as much as it may: nothing was changed. */
  | { readonly kind: 'full'; readonly detail: string };

export interface Draft {
  apply(admitted: Admitted): Applied;
  /** The record as it is to be; undefined if nothing changed. */
  write(): StoreWrite | undefined;
  /** It is written. @returns whether there is somebody new to detect for. */
  settle(): boolean;
  /** It could not be written. */
  abandon(): void;
}

/** @param options.registrationsMax of the cluster configuration. */
export async function createDraft(
  { records, registry, holdings, heights }: DraftDeps,
  regId: RegId,
  { registrationsMax }: { readonly registrationsMax: number },
): Promise<Draft> {
  const key = idBytes(regId);
  const stored = await records.get(key);
  const before = holdings.of(regId);
  const changes: Change[] = [];
  const added: StoredOperation[] = [];
  let brought: RegistrationKeys | undefined;
  let held: Held | undefined = before;
  const known = registry.state(regId);
  const isNew = !known.base && !known.renewal;

  const keysAtHand = () => brought ?? (stored?.keys && keysOf(stored.keys));

  function whyFull({ keysBefore, keysAfter }: Change): string | undefined {
    const all = registrationsMax * (1 + TOMBSTONES_PER_REGISTRATION);
    if (isNew && registry.size > all) return 'too many have ended recently';
    return keysAfter && !keysBefore && brought ? holdings.whyFull(brought) : undefined;
  }

  /** Another birthday is another index set: it is scanned anew under a serial number of its own. */
  function hold({ keysAfter, after }: Change): void {
    const birthday = after.base?.birthday ?? 0;
    if (keysAfter && held?.birthday === birthday) return;
    if (held && held !== before) holdings.letGo(held);
    const keys = keysAfter ? keysAtHand() : undefined;
    held = keys && holdings.hold(birthday, keys);
  }

  return {
    apply({ operation, opId, keys }) {
      brought ??= keys;
      const summary = summarise(operation, opId);
      const change = registry.apply(regId, summary, { keys: brought !== undefined, heights: heights() });
      const full = whyFull(change);
      if (full !== undefined) {
        registry.restore(change);
        return { kind: 'full', detail: full };
      }
      if (isSame(change)) return { kind: 'known' };
      changes.push(change);
      added.push(storeOperation(summary, encodeOperation(operation)));
      hold(change);
      return { kind: 'taken' };
    },
    write() {
      const change = changes.at(-1);
      if (!change) return undefined;
      const keys = keysAtHand();
      const renewed = held && held !== before && keys ? { serial: held.serial, keys } : undefined;
      const record = nextRecord(stored, change, { added, held: renewed });
      return record ? records.put(key, record) : records.delete(key);
    },
    settle() {
      if (held === before) return false;
      if (before) holdings.letGo(before);
      holdings.set(regId, held);
      return held !== undefined;
    },
    abandon() {
      if (held && held !== before) holdings.letGo(held);
      for (const change of changes.reverse()) registry.restore(change);
    },
  };
}

const isSame = ({ before, after, keysBefore, keysAfter }: Change): boolean =>
  before.base?.opId === after.base?.opId && before.renewal?.opId === after.renewal?.opId && keysBefore === keysAfter;
