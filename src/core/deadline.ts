// Waiting with an end: deadlines, sleeps and abortable promises on a Clock, so that they obey virtual time.

import { KithError } from './errors.ts';
import type { Clock } from './ports.ts';

export type DeadlineErrorCode = 'timeout' | 'aborted';

/** A signal that aborts after some time or when its parent does. Dispose it when the work is done. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  /** Stops the timer and lets go of the parent. Idempotent. */
  cancel(): void;
}

/** What an aborted signal's waiters should throw: its reason, if that is an error of ours, else `aborted`. */
export function abortError(signal: AbortSignal): KithError {
  if (signal.reason instanceof KithError) return signal.reason;
  return new KithError<DeadlineErrorCode>('aborted', 'the operation was aborted', { cause: signal.reason });
}

/** @throws the reason if `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

/**
 * A signal that aborts with KithError `timeout` once `timeoutMs` have passed on `clock`, or with the parent's reason.
 */
export function deadline(clock: Clock, timeoutMs: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const cancel = () => {
    timer.cancel();
    parent?.removeEventListener('abort', onParent);
  };
  const onParent = () => {
    cancel();
    if (parent) controller.abort(abortError(parent));
  };
  const timer = clock.schedule(timeoutMs, () => {
    cancel();
    controller.abort(new KithError<DeadlineErrorCode>('timeout', `not done within ${timeoutMs} ms`));
  });
  if (parent?.aborted) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  return { signal: controller.signal, cancel, [Symbol.dispose]: cancel };
}

/** Resolves after `delayMs` on `clock`; rejects as soon as `signal` aborts. */
export function sleep(
  clock: Clock,
  delayMs: number,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError(signal));
      return;
    }
    const onAbort = () => {
      timer.cancel();
      if (signal) reject(abortError(signal));
    };
    const timer = clock.schedule(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * `work`, or a rejection as soon as `signal` aborts, whichever is first. The work itself goes on unless it
 * watches the signal too; its late result or failure is dropped.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal));
    const done = () => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work.then(
      (value) => {
        done();
        resolve(value);
      },
      (error: unknown) => {
        done();
        reject(error);
      },
    );
  });
}
