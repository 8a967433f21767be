// Keeps verified collateral for the kinds of platforms in a cluster: asks the sources in turn, refreshes in time,
// never goes back to older documents, and looks ahead for the own platform.

import { abortable, deadline } from '../../core/deadline.ts';
import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import type { Part } from '../../core/life-cycle.ts';
import type { Clock, Timer } from '../../core/ports.ts';
import { checkValidity, parseTrustAnchor, type Validity } from '../chain.ts';
import type { VerificationCode } from '../errors.ts';
import {
  mergeNewest,
  type NewestCollateral,
  NO_COLLATERAL_SEEN,
  newestOf,
  olderThanSeen,
} from '../policy/collateral-age.ts';
import type { Collateral } from '../quote-collateral.ts';
import { inWords, type OldComponent } from '../tcb-level.ts';
import { collateralDates } from '../verdict.ts';
import { verifyCollateral } from '../verified-collateral.ts';
import { type Verdict, verifyQuote } from '../verify.ts';
import type { CollateralErrorCode, CollateralRequest, CollateralSource } from './source.ts';

export interface CollateralKeeper extends Part {
  /**
   * Collateral for such platforms, valid now.
   * @throws KithError `collateral-unavailable` saying what each source answered.
   */
  get(kind: Omit<CollateralRequest, 'update'>, options?: { signal?: AbortSignal }): Promise<Collateral>;
  /** The newest issue dates seen, for the policy; kept by the caller across restarts. */
  newest(): NewestCollateral;
  /** How the platform that made this quote stands, today and under what Intel has announced. */
  outlook(
    quote: Uint8Array,
    kind: Omit<CollateralRequest, 'update'>,
    options?: { signal?: AbortSignal },
  ): Promise<Outlook>;
}

export type Outlook =
  /** Up to date, and will be when the announced update comes into force. */
  | { readonly kind: 'good' }
  /** `text` names the component to update and, for what is only announced, says so. */
  | {
      readonly kind: 'behind';
      readonly announced: boolean;
      readonly behind: readonly OldComponent[];
      readonly text: string;
    };

export interface CollateralKeeperOptions {
  /** DER. */
  readonly anchor: Uint8Array;
  readonly newest?: NewestCollateral;
}

/** Intel issues new documents about daily and revokes at any time; a quarter of a day is soon enough and no burden. */
const REFRESH_MS = 6 * 3600 * 1000;
/** After a failure, while what is kept is still valid. */
const RETRY_MS = 5 * 60 * 1000;
/** Four requests, the slowest of which was seen to take seconds. */
const FETCH_TIMEOUT_MS = 30_000;
/** Processor generations in one cluster. */
const KINDS_MAX = 32;

interface Kept {
  readonly collateral: Collateral;
  readonly validity: readonly Validity[];
}

interface Entry {
  readonly kind: Omit<CollateralRequest, 'update'>;
  kept: Kept | undefined;
  /** On the monotonic clock. */
  refreshAt: number;
  pending: Promise<void> | undefined;
}

export function createCollateralKeeper(
  deps: { sources: readonly CollateralSource[]; clock: Clock },
  options: CollateralKeeperOptions,
): CollateralKeeper {
  const { sources, clock } = deps;
  const anchor = parseTrustAnchor(options.anchor);
  const entries = new Map<string, Entry>();
  const stopping = new AbortController();
  let newest = options.newest ?? NO_COLLATERAL_SEEN;
  let timer: Timer | undefined;

  const nowSeconds = () => Math.floor(clock.now() / 1000);

  /** @throws KithError with a VerificationCode, or `collateral-answer` for documents that are older or of another kind. */
  function check(collateral: Collateral, fmspc: string): Kept {
    const verified = verifyCollateral(collateral, anchor);
    checkValidity(verified.validity, nowSeconds());
    const dates = collateralDates(verified);
    const complaint =
      dates.fmspc === fmspc
        ? olderThanSeen(dates, newest)
        : `for platforms with the FMSPC ${dates.fmspc}, not ${fmspc}`;
    if (complaint !== undefined) throw new KithError<CollateralErrorCode>('collateral-answer', complaint);
    newest = mergeNewest(newest, newestOf(dates));
    return { collateral, validity: verified.validity };
  }

  /** The first answer that `accept` does not throw at. */
  async function fetchFrom<T>(request: CollateralRequest, accept: (collateral: Collateral) => T): Promise<T> {
    const answers: string[] = [];
    for (const source of sources) {
      using limit = deadline(clock, FETCH_TIMEOUT_MS, stopping.signal);
      try {
        const collateral = await abortable(source.fetch(request, { signal: limit.signal }), limit.signal);
        if (collateral) return accept(collateral);
        answers.push(`${source.name} has none`);
      } catch (error) {
        if (!isKithError(error)) throw error;
        answers.push(`${source.name}: ${messageOf(error)}`);
      }
    }
    const why = answers.length > 0 ? answers.join('; ') : 'no source is configured';
    throw new KithError<CollateralErrorCode>(
      'collateral-unavailable',
      `no collateral for platforms with the FMSPC ${request.fmspc}: ${why}`,
    );
  }

  function refresh(entry: Entry): Promise<void> {
    entry.pending ??= (async () => {
      try {
        const request: CollateralRequest = { ...entry.kind, update: 'standard' };
        entry.kept = await fetchFrom(request, (collateral) => check(collateral, entry.kind.fmspc));
        entry.refreshAt = clock.monotonic() + REFRESH_MS;
      } catch (error) {
        entry.refreshAt = clock.monotonic() + RETRY_MS;
        throw error;
      } finally {
        entry.pending = undefined;
      }
    })();
    return entry.pending;
  }

  function isValid({ validity }: Kept): boolean {
    return validity.every(({ from, until }) => from <= nowSeconds() && nowSeconds() <= until);
  }

  function entryOf(kind: Omit<CollateralRequest, 'update'>): Entry {
    const key = `${kind.fmspc} ${kind.authority}`;
    let entry = entries.get(key);
    if (!entry) {
      if (entries.size >= KINDS_MAX) {
        throw new KithError<CollateralErrorCode>('collateral-unavailable', `more than ${KINDS_MAX} kinds of platforms`);
      }
      entry = { kind, kept: undefined, refreshAt: 0, pending: undefined };
      entries.set(key, entry);
    }
    return entry;
  }

  const keeper: CollateralKeeper = {
    name: 'collateral',
    async start() {
      const tick = () => {
        for (const entry of entries.values()) {
          // A failure is seen by whoever needs collateral next; until then what is kept serves.
          if (clock.monotonic() >= entry.refreshAt) void refresh(entry).catch(() => undefined);
        }
        timer = clock.schedule(RETRY_MS, tick);
      };
      timer ??= clock.schedule(RETRY_MS, tick);
    },
    async stop() {
      timer?.cancel();
      stopping.abort(new KithError('stopped', 'the node stops'));
    },
    newest: () => newest,
    async get(kind, { signal } = {}) {
      const entry = entryOf(kind);
      if (!entry.kept || !isValid(entry.kept)) await abortable(refresh(entry), signal);
      return entry.kept!.collateral;
    },
    async outlook(quote, kind, { signal } = {}) {
      const request = { quote, anchor: options.anchor, nowSeconds: nowSeconds(), allowDebug: true };
      const today = verifyQuote({ ...request, collateral: await keeper.get(kind, signal ? { signal } : {}) });
      const announced = fetchFrom({ ...kind, update: 'early' }, (collateral) =>
        verifyQuote({ ...request, collateral }),
      );
      const later = await abortable(announced, signal).catch((error: unknown) => {
        // No source needs to know what is announced.
        if (isKithError(error, 'collateral-unavailable')) return undefined;
        throw error;
      });
      return outlookOf(today, later);
    },
  };
  return keeper;
}

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
  const later = heeded && announced ? shortfall(announced) : undefined;
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
