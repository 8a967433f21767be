// Look-ups of index sets: who may read, waiting for a new synced height, and the sealed blob. Nothing here takes
// another path, or ends at another time, because something matched.

import { toBase64Url } from '../core/bytes.ts';
import { abortError, deadline } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import type { ClusterId, RegId } from '../core/ids.ts';
import type { Clock, Random } from '../core/ports.ts';
import { VERSION_AHEAD_BLOCKS_MAX } from '../core/registration/limits.ts';
import { type IndexSets, indexSetTag } from '../fmd/index.ts';
import type { Registrations } from './registrations/registrations.ts';
import type { IndexSetAnswer, ServiceCall } from './service.ts';

/** As many as there may be connections: every client may wait. */
const WAITING_MAX = 4_096;
/** Answers kept for whoever asks the same before anything new is synced: a few megabytes of small ones. */
const KEPT_ANSWERS_MAX = 1_024;
/** Characters of kept answers in all; larger ones than this allows are made each time. */
const KEPT_CHARS_MAX = 16 * 1024 * 1024;

export interface LookUps {
  /** Look-ups that wait for a new height. */
  readonly waiting: number;
  answer(
    id: RegId,
    options: { readonly since: number; readonly waitMs: number },
    call: ServiceCall,
  ): Promise<IndexSetAnswer | undefined>;
  /** Something new is synced: whoever waited for it is answered, in the order of arrival. */
  synced(): void;
  /** Answers whoever waits with what there is. */
  end(): void;
}

interface Waiting {
  readonly id: RegId;
  readonly since: number;
  wake(): void;
}

export interface LookUpDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly clusterId: ClusterId;
  readonly registrations: Registrations;
  readonly indexSets: IndexSets;
  /** The newest height known. */
  readonly tip: () => number;
}

export function createLookUps(deps: LookUpDeps): LookUps {
  const { clock, registrations, indexSets, clusterId } = deps;
  const waiting = new Set<Waiting>();
  const kept = new Map<string, IndexSetAnswer>();
  let keptChars = 0;

  /**
   * The sealed answer. Until something is synced the content is the same, so the same bytes are given to whoever asks
   * again, as their entity tag says.
   */
  function sealed(id: RegId, serial: number, since: number): IndexSetAnswer | undefined {
    const name = `${serial} ${since}`;
    const known = kept.get(name);
    if (known) return known;
    const made = indexSets.seal(deps, serial, { clusterId, regId: id, since });
    if (!made) return undefined;
    const answer: IndexSetAnswer = {
      id,
      since,
      nonce: toBase64Url(made.nonce),
      ciphertext: toBase64Url(made.ciphertext),
      etag: indexSetTag(id, since, made.syncedTo),
    };
    const chars = answer.ciphertext.length;
    if (kept.size < KEPT_ANSWERS_MAX && keptChars + chars <= KEPT_CHARS_MAX) {
      kept.set(name, answer);
      keptChars += chars;
    }
    return answer;
  }

  /** Whether there is something above `since`; true also for what is gone, so that nobody waits for it. */
  function isAnswerable(id: RegId, since: number): boolean {
    const serial = registrations.serialOf(id);
    const syncedTo = serial === undefined ? undefined : indexSets.syncedTo(serial, since);
    return syncedTo === undefined || syncedTo > since;
  }

  async function wait(id: RegId, since: number, waitMs: number, call: ServiceCall): Promise<void> {
    if (waiting.size >= WAITING_MAX) throw new KithError('lookups-busy', `${WAITING_MAX} look-ups wait already`);
    using limit = deadline(clock, waitMs, call.signal);
    const { signal } = limit;
    await new Promise<void>((resolve, reject) => {
      const one: Waiting = {
        id,
        since,
        wake() {
          waiting.delete(one);
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        waiting.delete(one);
        reject(abortError(signal));
      };
      if (signal.aborted) return onAbort();
      waiting.add(one);
      signal.addEventListener('abort', onAbort, { once: true });
    }).catch((error: unknown) => {
      // The time is up: the answer is what there is.
      if (call.signal.aborted || !isKithError(error, 'timeout')) throw error;
    });
  }

  return {
    get waiting() {
      return waiting.size;
    },
    async answer(id, { since, waitMs }, call) {
      const sinceMax = deps.tip() + VERSION_AHEAD_BLOCKS_MAX;
      if (since > sinceMax) {
        throw new KithError('since-beyond-tip', `since must be at most ${sinceMax}, got ${since}`);
      }
      if (registrations.serialOf(id) === undefined) return undefined;
      if (waitMs > 0 && !isAnswerable(id, since)) await wait(id, since, waitMs, call);
      const serial = registrations.serialOf(id);
      return serial === undefined ? undefined : sealed(id, serial, since);
    },
    synced() {
      kept.clear();
      keptChars = 0;
      for (const one of [...waiting]) if (isAnswerable(one.id, one.since)) one.wake();
    },
    end() {
      for (const one of [...waiting]) one.wake();
    },
  };
}
