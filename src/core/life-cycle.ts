// Starting and stopping: parts start in order and stop in reverse, each within its deadline.
// A part that fails to stop is reported and does not keep the others from stopping.

import { abortable, deadline } from './deadline.ts';
import { KithError, messageOf } from './errors.ts';
import type { Clock } from './ports.ts';

/** Something with a beginning and an end. Both calls are idempotent; a stopped part is not started again. */
export interface Part {
  readonly name: string;
  start(options: { signal?: AbortSignal }): Promise<void>;
  stop(): Promise<void>;
}

export interface LifeCycle {
  /**
   * Starts the parts in order. If one fails, those already started are stopped in reverse and the failure is thrown.
   */
  start(options?: { signal?: AbortSignal }): Promise<void>;
  /**
   * Stops the started parts in reverse, aborting a start in flight; throws KithError `stop-failed` naming those that
   * failed, after all were tried.
   */
  stop(): Promise<void>;
}

/** @param options.stopTimeoutMs how long each part may take to stop before it is left behind and reported. */
export function createLifeCycle(
  deps: { clock: Clock },
  parts: readonly Part[],
  options: { stopTimeoutMs: number },
): LifeCycle {
  const started: Part[] = [];
  const aborter = new AbortController();
  let starting: Promise<void> | undefined;
  let startEnded = false;
  let stopping: Promise<void> | undefined;

  async function startAll(parent: AbortSignal | undefined): Promise<void> {
    const onParent = () => aborter.abort(parent?.reason);
    if (parent?.aborted) onParent();
    else parent?.addEventListener('abort', onParent, { once: true });
    try {
      for (const part of parts) {
        if (stopping) throw new KithError('stopped', `not starting ${part.name}: already stopping`);
        started.push(part);
        await part.start({ signal: aborter.signal });
      }
    } catch (error) {
      // While stopping, `stop` sees to the started parts and reports what fails.
      if (!stopping) await stopAll([]).catch(() => undefined);
      throw error;
    } finally {
      startEnded = true;
      parent?.removeEventListener('abort', onParent);
    }
  }

  async function stopAll(failures: string[]): Promise<void> {
    for (let part = started.pop(); part; part = started.pop()) {
      using limit = deadline(deps.clock, options.stopTimeoutMs);
      try {
        await abortable(part.stop(), limit.signal);
      } catch (error) {
        failures.push(`${part.name}: ${messageOf(error)}`);
      }
    }
    if (failures.length > 0) throw new KithError('stop-failed', `did not stop cleanly: ${failures.join('; ')}`);
  }

  /** Ends a start in flight: it is told by its signal, and left behind if it does not listen. */
  async function endStart(running: Promise<void>): Promise<string[]> {
    aborter.abort(new KithError('stopped', 'stopped while starting'));
    using limit = deadline(deps.clock, options.stopTimeoutMs);
    // Its own failure is its caller's.
    const settled = running.catch(() => undefined);
    try {
      await abortable(settled, limit.signal);
      return [];
    } catch (error) {
      return [`${started.at(-1)?.name ?? 'a part'}, still starting: ${messageOf(error)}`];
    }
  }

  return {
    start(startOptions = {}) {
      starting ??= startAll(startOptions.signal);
      return starting;
    },
    stop() {
      stopping ??= (async () => stopAll(starting && !startEnded ? await endStart(starting) : []))();
      return stopping;
    },
  };
}
