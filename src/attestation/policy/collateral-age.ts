// The newest collateral a node has seen of each kind, so that a host cannot go back to documents from before a TCB
// recovery or a revocation while those are still within their dates.

import { closed, type Static, shape, Type, text, uint } from '../../core/schema.ts';
import { formatIsoTime } from '../time.ts';
import type { CollateralDates } from '../verdict.ts';

const TIMES_MAX_NAME = 64;
const times = Type.Record(text(TIMES_MAX_NAME), uint());

const newestCollateralSchema = closed({
  /** Unix seconds of issue, by FMSPC. */
  tcbInfo: times,
  /** By name of the PCK authority. */
  pckCrl: times,
  qeIdentity: uint(),
  rootCrl: uint(),
});

/** Kept in the sealed store of a node: what it read there is as good as what it wrote. */
export type NewestCollateral = Static<typeof newestCollateralSchema>;
export const newestCollateralShape = shape(newestCollateralSchema);

export const NO_COLLATERAL_SEEN: NewestCollateral = { tcbInfo: {}, pckCrl: {}, qeIdentity: 0, rootCrl: 0 };

export function newestOf(dates: CollateralDates): NewestCollateral {
  return {
    tcbInfo: { [dates.fmspc]: dates.tcbInfo },
    pckCrl: { [dates.authority]: dates.pckCrl },
    qeIdentity: dates.qeIdentity,
    rootCrl: dates.rootCrl,
  };
}

/** The newer of each; commutative, associative, idempotent. */
export function mergeNewest(a: NewestCollateral, b: NewestCollateral): NewestCollateral {
  return {
    tcbInfo: maxima(a.tcbInfo, b.tcbInfo),
    pckCrl: maxima(a.pckCrl, b.pckCrl),
    qeIdentity: Math.max(a.qeIdentity, b.qeIdentity),
    rootCrl: Math.max(a.rootCrl, b.rootCrl),
  };
}

function maxima(a: Record<string, number>, b: Record<string, number>): Record<string, number> {
  const out: Record<string, number> = { ...a };
  for (const [name, time] of Object.entries(b)) out[name] = Math.max(out[name] ?? 0, time);
  return out;
}

/** Says which part is older than one seen before, undefined if none is. */
export function olderThanSeen(dates: CollateralDates, newest: NewestCollateral): string | undefined {
  const parts: [string, number, number | undefined][] = [
    ['TCB info', dates.tcbInfo, newest.tcbInfo[dates.fmspc]],
    ['CRL of the PCK authority', dates.pckCrl, newest.pckCrl[dates.authority]],
    ['QE identity', dates.qeIdentity, newest.qeIdentity],
    ['CRL of the root', dates.rootCrl, newest.rootCrl],
  ];
  const old = parts.find(([, time, seen]) => seen !== undefined && time < seen);
  if (!old) return undefined;
  return `the ${old[0]} is of ${formatIsoTime(old[1])}, one of ${formatIsoTime(old[2]!)} was seen before`;
}
