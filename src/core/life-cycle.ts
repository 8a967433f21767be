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
  /** Stops the started parts in reverse; throws KithError `stop-failed` naming those that failed, after all were tried. */
  stop(): Promise<void>;
}

/** @param options.stopTimeoutMs how long each part may take to stop before it is left behind and reported. */
export function createLifeCycle(
  deps: { clock: Clock },
  parts: readonly Part[],
  options: { stopTimeoutMs: number },
): LifeCycle {
  const started: Part[] = [];
  let starting: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;

  async function startAll(signal: AbortSignal | undefined): Promise<void> {
    for (const part of parts) {
      if (stopping) throw new KithError('stopped', `not starting ${part.name}: already stopping`);
      started.push(part);
      try {
        await part.start(signal ? { signal } : {});
      } catch (error) {
        await stopAll().catch(() => undefined);
        throw error;
      }
    }
  }

  async function stopAll(): Promise<void> {
    const failures: string[] = [];
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

  return {
    start(startOptions = {}) {
      starting ??= startAll(startOptions.signal);
      return starting;
    },
    stop() {
      stopping ??= (async () => {
        // A start in flight sees `stopping` before its next part; its own failure is its caller's.
        await starting?.catch(() => undefined);
        await stopAll();
      })();
      return stopping;
    },
  };
}
