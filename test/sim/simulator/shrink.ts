// A smaller plan that breaks the same invariant: faults first in halves, then one by one, then what users do.

import type { Plan } from './plan.ts';
import type { RunResult } from './run.ts';

/** Runs that are tried at most. */
const TRIES_MAX = 200;

/** @param run of a plan; @param invariant that has to break again. */
export async function shrink(plan: Plan, invariant: string, run: (plan: Plan) => Promise<RunResult>): Promise<Plan> {
  let tries = 0;
  let best = plan;
  const fails = async (tried: Plan): Promise<boolean> => {
    if (tries++ >= TRIES_MAX) return false;
    const { violation } = await run(tried);
    return violation?.invariant === invariant;
  };
  async function drop<K extends 'faults' | 'acts'>(what: K): Promise<void> {
    for (let size = Math.ceil(best[what].length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < best[what].length; ) {
        const left = best[what].filter((_, i) => i < at || i >= at + size);
        const tried: Plan = { ...best, [what]: left };
        if (await fails(tried)) best = tried;
        else at += size;
      }
    }
  }
  await drop('faults');
  await drop('acts');
  return best;
}
