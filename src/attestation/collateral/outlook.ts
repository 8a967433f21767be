// How a platform stands: today, and under what Intel has announced.

import type { VerificationCode } from '../errors.ts';
import { inWords, type OldComponent } from '../tcb-level.ts';
import type { Verdict } from '../verify.ts';

export type Outlook =
  /** Up to date, and will be when the announced update comes into force. */
  | { readonly kind: 'good' }
  | {
      readonly kind: 'behind';
      /** Whether it is so only once the announced update comes. */
      readonly announced: boolean;
      readonly behind: readonly OldComponent[];
      /** Names the component to update. */
      readonly text: string;
    };

/** Refusals that are about the platform, not about the collateral. */
const TCB_CODES: ReadonlySet<VerificationCode> = new Set([
  'tcb-not-supported',
  'tcb-revoked',
  'module-identity',
  'qe-identity',
]);

/** What a platform's operator should know, from the verdicts under today's and the announced collateral; pure. */
export function outlookOf(today: Verdict, announced: Verdict | undefined): Outlook {
  const now = shortfall(today);
  if (now) return { kind: 'behind', announced: false, ...now };
  // A source that answers with forged or stale announcements has announced nothing.
  const heeded = announced?.kind === 'accepted' || (announced && TCB_CODES.has(announced.code));
  const later = heeded ? shortfall(announced) : undefined;
  if (!later) return { kind: 'good' };
  return {
    kind: 'behind',
    announced: true,
    behind: later.behind,
    text: `when the announced update comes: ${later.text}`,
  };
}

function shortfall(verdict: Verdict): { behind: readonly OldComponent[]; text: string } | undefined {
  if (verdict.kind === 'refused') return { behind: [], text: verdict.message };
  if (verdict.tcbStatus === 'UpToDate') return undefined;
  const { behind, tcbStatus, evaluationNumber } = verdict;
  const old = behind.length > 0 ? `: ${inWords(behind)}` : '';
  return { behind, text: `${tcbStatus} by TCB evaluation ${evaluationNumber}${old}` };
}
