// One side's heartbeats on an attested connection: every few seconds, and at once when there is news. At most one is on
// its way; a peer that answers none of them is cut.

import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import type { Clock, Timer } from '../../core/ports.ts';
import type { MeshErrorCode } from '../errors.ts';
import { ANNOUNCE_INTERVAL_MS, HEARTBEAT_MS, SILENCE_MS } from '../limits.ts';

export interface HeartbeatDeps {
  readonly clock: Clock;
  /** Sends the own note as it is now; resolves when the peer has answered. */
  beat(options: { readonly timeoutMs: number }): Promise<void>;
  /** When anything was heard of the peer, on the monotonic clock. */
  lastSeenMs(): number;
  end(reason: KithError): void;
}

export interface Heartbeat {
  /** The first one, and from now on one every few seconds. */
  start(): void;
  /**
   * One more, now or at most a second later if there was one a moment ago. Resolves when the peer has answered a note
   * made after the call, or when the connection has ended.
   */
  announce(): Promise<void>;
  stop(): void;
}

const silent = (message: string) => new KithError<MeshErrorCode>('peer-silent', message);

export function createHeartbeat({ clock, beat, lastSeenMs, end }: HeartbeatDeps): Heartbeat {
  let started = false;
  let stopped = false;
  let beating = false;
  let announcedMs = Number.NEGATIVE_INFINITY;
  let regular: Timer | undefined;
  let extra: Timer | undefined;
  /** Who waits for a note that is not made yet. */
  let waiting: (() => void)[] = [];

  function tick(): void {
    regular = clock.schedule(HEARTBEAT_MS, tick);
    if (clock.monotonic() - lastSeenMs() >= SILENCE_MS) {
      end(silent(`nothing was heard from the peer for ${SILENCE_MS} ms`));
    } else if (!beating) send();
  }

  function send(): void {
    beating = true;
    const told = waiting;
    waiting = [];
    beat({ timeoutMs: SILENCE_MS })
      .catch((error: unknown) => {
        // It may hear nothing of us while we hear it: a link that works one way is of no use.
        if (isKithError(error, 'timeout')) end(silent(`no answer to a heartbeat for ${SILENCE_MS} ms`));
        else end(isKithError(error) ? error : new KithError('internal', messageOf(error), { cause: error }));
      })
      .finally(() => {
        beating = false;
        for (const tell of told) tell();
        if (waiting.length > 0) soon();
      });
  }

  /** All that is announced within a second goes with one heartbeat, which shows the last state of it. */
  function soon(): void {
    if (stopped || !started || beating || extra) return;
    const delayMs = announcedMs + ANNOUNCE_INTERVAL_MS - clock.monotonic();
    if (delayMs > 0) {
      extra = clock.schedule(delayMs, () => {
        extra = undefined;
        soon();
      });
      return;
    }
    // A regular heartbeat may have brought it meanwhile.
    if (waiting.length === 0) return;
    announcedMs = clock.monotonic();
    send();
  }

  return {
    start() {
      if (stopped) return;
      started = true;
      tick();
    },
    announce() {
      if (stopped) return Promise.resolve();
      // What is announced in one go needs one note.
      if (waiting.length === 0) void Promise.resolve().then(soon);
      return new Promise((resolve) => {
        waiting.push(resolve);
      });
    },
    stop() {
      stopped = true;
      regular?.cancel();
      extra?.cancel();
      for (const tell of waiting) tell();
      waiting = [];
    },
  };
}
