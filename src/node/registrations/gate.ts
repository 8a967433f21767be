// Who may change registrations at the same time: operations on different ids side by side, on one id one after another,
// and a sweep over all of them alone.

import type { RegId } from '../../core/ids.ts';

export interface Gate {
  /** Runs `work` once nothing else works on `id`, and no exclusive work is under way or waiting. */
  shared<T>(id: RegId, work: () => Promise<T>): Promise<T>;
  /** Runs `work` once everything begun before has ended; what comes meanwhile waits. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
}

export function createGate(): Gate {
  const lastOf = new Map<RegId, Promise<unknown>>();
  let barrier: Promise<unknown> = Promise.resolve();

  return {
    shared(id, work) {
      const before = lastOf.get(id) ?? barrier;
      const run = before.then(work, work);
      const settled = run.then(forget, forget);
      function forget(): void {
        if (lastOf.get(id) === settled) lastOf.delete(id);
      }
      lastOf.set(id, settled);
      return run;
    },
    exclusive(work) {
      const before = Promise.all([barrier, ...lastOf.values()]);
      const run = before.then(work);
      barrier = run.catch(() => undefined);
      lastOf.clear();
      return run;
    },
  };
}
