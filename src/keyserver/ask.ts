// Asking a member within a time: an answer or silence, and what to wait before asking again.

import { abortable, deadline } from '../core/deadline.ts';
import { messageOf } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import { REQUEST_TIMEOUT_MS, RETRY_MS_MAX, RETRY_MS_MIN } from './limits.ts';
import type { CustodyAnswer, CustodyRequest } from './messages.ts';
import type { CustodyPeer } from './ports.ts';

export interface Silence {
  readonly kind: 'silent';
  readonly why: string;
}

/** The answer, or silence: no connection, no answer in time, or an answer that could not be read. */
export async function ask(
  { clock }: { clock: Clock },
  peer: CustodyPeer | undefined,
  message: CustodyRequest,
  { signal }: { signal: AbortSignal },
): Promise<CustodyAnswer | Silence> {
  if (!peer) return { kind: 'silent', why: 'not connected' };
  using limit = deadline(clock, REQUEST_TIMEOUT_MS, signal);
  let work: Promise<CustodyAnswer> | undefined;
  try {
    work = peer.request(message, { signal: limit.signal });
    return await abortable(work, limit.signal);
  } catch (error) {
    // Shares that come too late are used by nobody.
    work?.then(wipeShares, () => undefined);
    return { kind: 'silent', why: messageOf(error) };
  }
}

/** Wipes the shares in an answer that will not be used. */
export function wipeShares(answer: CustodyAnswer): void {
  if (answer.kind === 'released') for (const { share } of answer.deals) share.wipe();
}

/** `ms` give or take a quarter, so that nodes which failed together do not try again together. */
export function jittered({ random }: { random: Random }, ms: number): number {
  const [high, low] = random.bytes(2) as Uint8Array & [number, number];
  return ms * (0.75 + (high * 256 + low) / 131_072);
}

/** How long to wait after so many failures in a row (from 1), before jitter. */
export const backoffMs = (failures: number, maxMs = RETRY_MS_MAX): number =>
  Math.min(maxMs, RETRY_MS_MIN * 2 ** Math.min(failures - 1, 16));
