// One check of `kith doctor`: a name, a verdict, a line that says why. A check never throws and never hangs.

import { abortable, deadline } from '../core/deadline.ts';
import { isKithError, messageOf, printable } from '../core/errors.ts';
import { systemClock } from '../core/system.ts';

/** A warning lets a node start; what failed does not. */
export interface Finding {
  readonly status: 'ok' | 'warning' | 'failed';
  readonly detail: string;
}

export interface Check extends Finding {
  readonly check: string;
}

export const fine = (detail: string): Finding => ({ status: 'ok', detail });
export const warning = (detail: string): Finding => ({ status: 'warning', detail });
export const failed = (detail: string): Finding => ({ status: 'failed', detail });

/** Two requests to an upstream, each of which ends after 10 s; everything else takes milliseconds. */
const CHECK_MS = 25_000;
/** A line of a check quotes at most two paths or addresses. */
const DETAIL_CHARS_MAX = 1_000;

/** Several findings as one: the worst verdict, and only the lines that led to it, if it is not `ok`. */
export function worst(findings: readonly Finding[]): Finding {
  const status = (['failed', 'warning'] as const).find((grade) => findings.some((finding) => finding.status === grade));
  const told = status === undefined ? findings : findings.filter((finding) => finding.status !== 'ok');
  return { status: status ?? 'ok', detail: told.map(({ detail }) => detail).join('; ') };
}

/** The outcome of `work`; what it throws is a failure, and so is taking longer than 25 s. */
export async function runCheck(
  check: string,
  signal: AbortSignal,
  work: (options: { signal: AbortSignal }) => Promise<Finding> | Finding,
): Promise<Check> {
  using limit = deadline(systemClock, CHECK_MS, signal);
  try {
    const { status, detail } = await abortable(
      Promise.resolve().then(() => work({ signal: limit.signal })),
      limit.signal,
    );
    return { check, status, detail: printable(detail, DETAIL_CHARS_MAX) };
  } catch (error) {
    const known = isKithError(error) || (error instanceof Error && 'code' in error);
    const detail = known ? messageOf(error) : `a fault in kith itself: ${messageOf(error)}`;
    return { check, status: 'failed', detail: printable(detail, DETAIL_CHARS_MAX) };
  }
}
