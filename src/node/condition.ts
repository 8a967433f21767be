// What a node knows of itself at the moment: written by node.ts as it goes through its phases, read by what tells
// others of it.

import type { AcceptedQuote } from '../attestation/index.ts';
import type { Log } from './log.ts';
import type { Rollback } from './rollback.ts';
import type { Running } from './running.ts';
import type { Phase } from './service.ts';

/** What the node learnt of itself while attesting. */
export interface Self {
  readonly quote: AcceptedQuote;
  readonly operator: string;
}

export interface Condition {
  readonly phase: Phase;
  /** Why it is in this phase, one line each. */
  readonly reasons: readonly string[];
  /** Once it has attested itself. */
  readonly attested: Self | undefined;
  /** Of the chain, before the store was open; only asked for where the policy depends on it. */
  readonly firstHeight: number | undefined;
  /** Once the store is open. */
  readonly running: Running | undefined;
  /** 0 before the store is open. */
  readonly incarnation: number;
  /** Members remember a later state of the store. */
  readonly rollback: Rollback | undefined;
}

/** The same for who writes it. */
export interface OwnCondition extends Condition {
  attested: Self | undefined;
  firstHeight: number | undefined;
  running: Running | undefined;
  incarnation: number;
  rollback: Rollback | undefined;
  /** Nothing happens any more once the node stops, or is fenced. */
  enter(phase: Phase, reasons: readonly string[]): void;
}

/** Newest height known of the chain; undefined before the first. */
export const heightOf = ({ running, firstHeight }: Condition): number | undefined => running?.tip() || firstHeight;

/** From these there is no way on. */
const LAST: readonly Phase[] = ['draining', 'fenced'];

/** @param deps.onPhase called after each change of the phase. */
export function createCondition(deps: { readonly log: Log; readonly onPhase?: () => void }): OwnCondition {
  const { log, onPhase } = deps;
  let phase: Phase = 'starting';
  let reasons: readonly string[] = ['starting'];
  return {
    get phase() {
      return phase;
    },
    get reasons() {
      return reasons;
    },
    attested: undefined,
    firstHeight: undefined,
    running: undefined,
    incarnation: 0,
    rollback: undefined,
    enter(next, why) {
      // Work that is not over when a node begins to stop would say of it what is no longer true.
      if (LAST.includes(phase)) return;
      const changed = next !== phase;
      if (changed) log.info('phase', { phase: next, reason: why[0] });
      phase = next;
      reasons = why;
      if (changed) onPhase?.();
    },
  };
}
