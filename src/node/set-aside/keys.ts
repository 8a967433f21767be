// The two ways in which the key of a closed store comes back: its key servers, asked for as long as the node runs, and
// the holders of recovery keys, who come when they like.

import { abortable, sleep } from '../../core/deadline.ts';
import { KithError, messageOf } from '../../core/errors.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { Secret } from '../../core/secret.ts';
import type { Log } from '../log.ts';
import type { RecoveredKey } from '../sealing-keys.ts';
import type { StoreHeader } from '../store/index.ts';
import type { TotalRestart } from '../total-restart.ts';
import type { StoreKey } from './open.ts';

export interface KeySourcesDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly restart: Pick<TotalRestart, 'waitForKey'>;
  /** Asks the members for the sealing key of a store of an earlier id; undefined if none of them has it now. */
  readonly askMembers?: AskMembers | undefined;
}

export type AskMembers = (
  header: { readonly bytes: Uint8Array; readonly read: StoreHeader },
  options: { readonly signal: AbortSignal },
) => Promise<RecoveredKey | undefined>;

/** Who said no may have been the wrong one to ask: the right one may be back by then. */
const ASK_AGAIN_MS_MIN = 30_000;
/** A key that did not come in an hour is not waited for by anybody who looks. */
const ASK_AGAIN_MS_MAX = 600_000;

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** The data key, once enough recovery shares were entered; never without recovery keys. One wait for each store. */
export function enteredKey(
  { restart, log }: KeySourcesDeps,
  header: StoreHeader,
  signal: AbortSignal,
): Promise<Secret> {
  return restart.waitForKey(header, { signal }).then(
    (dataKey) => dataKey ?? never(),
    (error: unknown) => {
      if (!signal.aborted) log.warn('not-offered', { nodeId: header.nodeId, reason: messageOf(error) });
      return never();
    },
  );
}

/** The sealing key, once members give it back. */
async function askedKey(
  deps: KeySourcesDeps,
  header: { readonly bytes: Uint8Array; readonly read: StoreHeader },
  signal: AbortSignal,
): Promise<RecoveredKey> {
  // Without key servers the sealing key was in a memory that is gone.
  if (!deps.askMembers || header.read.threshold === 0) return never();
  for (let pauseMs = ASK_AGAIN_MS_MIN; ; pauseMs = Math.min(ASK_AGAIN_MS_MAX, pauseMs * 2)) {
    const recovered = await deps.askMembers(header, { signal });
    if (recovered) return recovered;
    // Not all at once: up to a quarter later.
    await sleep(deps.clock, pauseMs + (pauseMs * deps.random.bytes(1)[0]!) / 1_024, { signal });
  }
}

/** Whichever comes first. @param entered of `enteredKey`. @throws the signal's reason. */
export async function firstKey(
  deps: KeySourcesDeps,
  header: { readonly bytes: Uint8Array; readonly read: StoreHeader },
  entered: Promise<Secret>,
  signal: AbortSignal,
): Promise<StoreKey> {
  const ending = new AbortController();
  const asked = askedKey(deps, header, AbortSignal.any([signal, ending.signal]));
  let found: StoreKey | undefined;
  const fromHolders = entered.then((key): StoreKey => ({ kind: 'data-key', key }));
  const fromMembers = asked.then(({ key, header: newest }): StoreKey => ({ kind: 'sealing-key', key, header: newest }));
  // What comes second is used by nobody.
  const wipeLate = (late: StoreKey) => {
    if (late !== found) late.key.wipe();
  };
  try {
    found = await abortable(Promise.race([fromHolders, fromMembers]), signal);
    return found;
  } finally {
    ending.abort(new KithError('stopped', 'the key has come'));
    fromHolders.then(wipeLate, () => undefined);
    fromMembers.then(wipeLate, () => undefined);
  }
}
