// Waiting and following with a certificate at hand: where nodes say that the registration is unknown, it is brought
// back first, without the user.

import type { Cluster } from '../attestation/browser.ts';
import { sleep } from '../core/deadline.ts';
import { isKithError } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import { emptyView, type IndexSetView, viewSyncedTo } from '../fmd/browser.ts';
import type { NodeApi } from './api.ts';
import { isNodeRefusal, passesWithTime } from './errors.ts';
import { type WaitOptions, waitForHeight } from './follow.ts';
import { ownerOf } from './index-set.ts';
import type { KeptRegistration } from './kept.ts';
import type { Registration } from './registration.ts';
import { restoreRegistration } from './restore.ts';
import type { Wallet } from './wallet.ts';

export interface RestoreOptions {
  /** With it the registration is brought back when nodes do not know it. */
  readonly kept?: KeptRegistration | undefined;
  /** It was registered again: the newer certificate is to be kept instead. */
  readonly onRestored?: ((registration: Registration) => void) | undefined;
}

/** How long a stretch of following lasts before it is asked whether nodes still know the registration. */
const ROUND_MS = 60_000;
/** Between two looks whether operators have entered their shares, or whether a node answers again. */
const LOOK_AGAIN_MS = 10_000;
/** How long a new registration may take to be confirmed; it goes on without. */
const CONFIRM_MS = 30_000;

interface RestoringDeps {
  readonly apis: readonly NodeApi[];
  readonly clock: Clock;
  readonly random: Random;
}

/** Whether some node does not know the registration, and none brought the view further. */
const isUnknown = (error: unknown): boolean =>
  isNodeRefusal(error, 'unknown-registration') ||
  (isKithError(error, 'not-synced') && isNodeRefusal(error.cause, 'unknown-registration'));

/** Resolves to whether it is worth trying on after `error`. */
function createBringer(
  deps: RestoringDeps,
  cluster: Cluster,
  wallet: Wallet,
  { kept, onRestored }: RestoreOptions,
  signal: AbortSignal,
): (error: unknown) => Promise<boolean> {
  let held = kept;
  return async (error) => {
    if (!held || !isUnknown(error)) return false;
    try {
      const restored = await restoreRegistration(deps, cluster, wallet, held, { signal, waitMs: CONFIRM_MS });
      if (restored.kind === 'ended') return false;
      if (restored.kind === 'recovering') await sleep(deps.clock, LOOK_AGAIN_MS, { signal });
      if (restored.kind === 'registered') {
        held = restored.registration.kept ?? held;
        onRestored?.(restored.registration);
      }
    } catch (failure) {
      if (signal.aborted || !passesWithTime(failure)) throw failure;
      await sleep(deps.clock, LOOK_AGAIN_MS, { signal });
    }
    return true;
  };
}

/** As `waitForHeight`; the time for bringing it back is part of the time given. */
export async function waitForHeightRestoring(
  deps: RestoringDeps,
  cluster: Cluster,
  wallet: Wallet,
  view: IndexSetView | undefined,
  options: WaitOptions & RestoreOptions,
): Promise<IndexSetView> {
  const { clock } = deps;
  const end = clock.monotonic() + options.timeoutMs;
  const bringBack = createBringer(deps, cluster, wallet, options, options.signal);
  let known = view;
  for (;;) {
    const timeoutMs = Math.max(0, end - clock.monotonic());
    try {
      return await waitForHeight(deps, ownerOf(wallet, cluster.id), known, {
        ...options,
        timeoutMs,
        onProgress(next) {
          known = next;
          options.onProgress?.(next);
        },
      });
    } catch (error) {
      if (clock.monotonic() >= end || !(await bringBack(error))) throw error;
    }
  }
}

/** As `followIndexSet`, with a certificate. */
export async function* followRestoring(
  deps: RestoringDeps,
  cluster: Cluster,
  wallet: Wallet,
  view: IndexSetView | undefined,
  options: RestoreOptions & { readonly signal: AbortSignal },
): AsyncGenerator<IndexSetView, never> {
  const { signal } = options;
  const bringBack = createBringer(deps, cluster, wallet, options, signal);
  const of = ownerOf(wallet, cluster.id);
  let known = view ?? emptyView();
  for (;;) {
    const height = viewSyncedTo(known) + 1;
    const next = await waitForHeight(deps, of, known, { height, timeoutMs: ROUND_MS, signal }).catch(
      async (error: unknown) => {
        if ((await bringBack(error)) || isKithError(error, 'not-synced')) return undefined;
        throw error;
      },
    );
    if (!next) continue;
    known = next;
    yield known;
  }
}
