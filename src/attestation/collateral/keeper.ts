// Keeps verified collateral for the kinds of platforms in a cluster: asks the sources in turn, refreshes in time,
// never goes back to older documents, and looks ahead for the own platform.

import { abortable } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import type { Part } from '../../core/life-cycle.ts';
import type { Clock, Timer } from '../../core/ports.ts';
import { checkValidity, parseTrustAnchor, type TrustAnchor, type Validity } from '../chain.ts';
import type { PlatformKind } from '../platform-kind.ts';
import {
  mergeNewest,
  type NewestCollateral,
  NO_COLLATERAL_SEEN,
  newestOf,
  olderThanSeen,
} from '../policy/collateral-age.ts';
import type { Collateral } from '../quote-collateral.ts';
import { type CollateralDates, collateralDates } from '../verdict.ts';
import { verifyCollateral } from '../verified-collateral.ts';
import { verifyQuote } from '../verify.ts';
import { askSources } from './ask-sources.ts';
import { type Outlook, outlookOf } from './outlook.ts';
import type { CollateralErrorCode, CollateralRequest, CollateralSource } from './source.ts';

export interface CollateralKeeper extends Part {
  /**
   * Collateral for such platforms, valid now.
   * @throws KithError `collateral-unavailable` saying what each source answered.
   */
  get(kind: PlatformKind, options?: { signal?: AbortSignal }): Promise<Collateral>;
  /** The newest issue dates seen, for the policy; kept by the caller across restarts. */
  newest(): NewestCollateral;
  /** When the first of the documents that are kept ends, in seconds since 1970; undefined while there are none. */
  validUntil(): number | undefined;
  /** How the platform that made this quote stands, today and under what Intel has announced. */
  outlook(quote: Uint8Array, kind: PlatformKind, options?: { signal?: AbortSignal }): Promise<Outlook>;
}

export interface CollateralKeeperOptions {
  /** DER. */
  readonly anchor: Uint8Array;
  readonly newest?: NewestCollateral;
}

/** Intel issues new documents about daily and revokes at any time; a quarter of a day is soon enough and no burden. */
const REFRESH_MS = 6 * 3600 * 1000;
/** After a failure, while what is kept is still valid. */
const RETRY_MS = 5 * 60 * 1000;
/** Processor generations in one cluster. */
const KINDS_MAX = 32;

interface Kept {
  readonly collateral: Collateral;
  readonly dates: CollateralDates;
  readonly validity: readonly Validity[];
}

interface Entry {
  readonly kind: PlatformKind;
  kept: Kept | undefined;
  /** On the monotonic clock. */
  refreshAt: number;
  pending: Promise<void> | undefined;
}

export function createCollateralKeeper(
  deps: { sources: readonly CollateralSource[]; clock: Clock },
  options: CollateralKeeperOptions,
): CollateralKeeper {
  const { clock } = deps;
  const anchor = parseTrustAnchor(options.anchor);
  const entries = new Map<string, Entry>();
  const stopping = new AbortController();
  let newest = options.newest ?? NO_COLLATERAL_SEEN;
  let timer: Timer | undefined;

  const nowSeconds = () => Math.floor(clock.now() / 1000);
  const ask = <T>(request: CollateralRequest, accept: (collateral: Collateral) => T): Promise<T> =>
    askSources(deps, request, accept, { signal: stopping.signal });

  function refresh(entry: Entry): Promise<void> {
    entry.pending ??= (async () => {
      entry.refreshAt = clock.monotonic() + RETRY_MS;
      try {
        const { kind } = entry;
        const accept = (collateral: Collateral) => checked(collateral, { anchor, kind, newest, now: nowSeconds() });
        entry.kept = await ask({ ...kind, update: 'standard' }, accept);
        newest = mergeNewest(newest, newestOf(entry.kept.dates));
        entry.refreshAt = clock.monotonic() + REFRESH_MS;
      } finally {
        entry.pending = undefined;
        // A stranger's quote names any kind it likes: those for which there is nothing take no place.
        if (!entry.kept) entries.delete(keyOf(entry.kind));
      }
    })();
    return entry.pending;
  }

  function tick(): void {
    for (const entry of entries.values()) {
      // A failure is seen by whoever needs collateral next; until then what is kept serves.
      if (clock.monotonic() >= entry.refreshAt) void refresh(entry).catch(() => undefined);
    }
    timer = clock.schedule(RETRY_MS, tick);
  }

  const keeper: CollateralKeeper = {
    name: 'collateral',
    async start() {
      timer ??= clock.schedule(RETRY_MS, tick);
    },
    async stop() {
      timer?.cancel();
      stopping.abort(new KithError('stopped', 'the node stops'));
    },
    newest: () => newest,
    validUntil() {
      const ends = [...entries.values()].flatMap(({ kept }) => kept?.validity.map(({ until }) => until) ?? []);
      return ends.length > 0 ? Math.min(...ends) : undefined;
    },
    async get(kind, { signal } = {}) {
      const entry = entryOf(entries, kind);
      if (!entry.kept || !isValid(entry.kept, nowSeconds())) await abortable(refresh(entry), signal);
      return entry.kept!.collateral;
    },
    async outlook(quote, kind, given = {}) {
      const request = { quote, anchor: options.anchor, nowSeconds: nowSeconds(), allowDebug: true };
      const today = verifyQuote({ ...request, collateral: await keeper.get(kind, given) });
      const announced = ask({ ...kind, update: 'early' }, (collateral) => verifyQuote({ ...request, collateral }));
      const later = await abortable(announced, given.signal).catch((error: unknown) => {
        // No source needs to know what is announced.
        if (isKithError(error, 'collateral-unavailable')) return undefined;
        throw error;
      });
      return outlookOf(today, later);
    },
  };
  return keeper;
}

/**
 * What a source returned, if it is genuine, valid, of this kind, and not older than what was seen.
 * @throws KithError with a VerificationCode, or `collateral-answer`.
 */
function checked(
  collateral: Collateral,
  { anchor, kind, newest, now }: { anchor: TrustAnchor; kind: PlatformKind; newest: NewestCollateral; now: number },
): Kept {
  const verified = verifyCollateral(collateral, anchor);
  checkValidity(verified.validity, now);
  const dates = collateralDates(verified);
  const complaint =
    dates.fmspc === kind.fmspc
      ? olderThanSeen(dates, newest)
      : `for platforms with the FMSPC ${dates.fmspc}, not ${kind.fmspc}`;
  if (complaint !== undefined) throw new KithError<CollateralErrorCode>('collateral-answer', complaint);
  return { collateral, dates, validity: verified.validity };
}

const isValid = ({ validity }: Kept, now: number): boolean =>
  validity.every(({ from, until }) => from <= now && now <= until);

const keyOf = ({ fmspc, authority }: PlatformKind): string => `${fmspc} ${authority}`;

function entryOf(entries: Map<string, Entry>, kind: PlatformKind): Entry {
  const key = keyOf(kind);
  const known = entries.get(key);
  if (known) return known;
  if (entries.size >= KINDS_MAX) {
    throw new KithError<CollateralErrorCode>('collateral-unavailable', `more than ${KINDS_MAX} kinds of platforms`);
  }
  const entry: Entry = { kind, kept: undefined, refreshAt: 0, pending: undefined };
  entries.set(key, entry);
  return entry;
}
