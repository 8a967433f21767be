// Attestation policy as data: which trust domains a cluster believes. It stands in the signed cluster
// configuration, so no flag of a host can change it. An empty policy denies everything.

import { closed, hexText, list, type Static, shape, Type, text, uint } from '../../core/schema.ts';
import { TCB_STATUSES, type TcbStatus } from '../tcb-documents.ts';

/** Builds that are valid at one time: two during an upgrade, some more while a cluster is slow to follow. */
const MEASUREMENT_SETS_MAX = 64;
const ADVISORIES_DENIED_MAX = 1_024;
/** Seconds of the year 9999. */
const TIME_MAX = 253_402_300_799;

const lowerHex = (length: number) =>
  Type.Refine(
    hexText(length),
    (value) => value === value.toLowerCase(),
    () => 'must be lower-case hex',
  );

const measurementSetSchema = closed({
  /** For people: "kith 0.1.0". */
  name: text(64, 1),
  mrtd: lowerHex(48),
  rtmr0: lowerHex(48),
  rtmr1: lowerHex(48),
  rtmr2: lowerHex(48),
  rtmr3: lowerHex(48),
  mrseam: Type.Optional(lowerHex(48)),
  mrconfigid: Type.Optional(lowerHex(48)),
  /** First and last chain height at which it is believed, both inclusive; absent: no bound. */
  fromHeight: Type.Optional(uint()),
  untilHeight: Type.Optional(uint()),
});

/** Everything but Revoked, which the verifier refuses, and UpToDate, which needs no grace. */
const graceStatus = Type.Unsafe<Exclude<TcbStatus, 'Revoked' | 'UpToDate'>>(
  Type.Union(
    TCB_STATUSES.filter((status) => status !== 'Revoked' && status !== 'UpToDate').map((status) =>
      Type.Literal(status),
    ),
  ),
);

export const attestationPolicySchema = closed({
  measurements: list(measurementSetSchema, MEASUREMENT_SETS_MAX),
  /** TDATTRIBUTES must be exactly this; DEBUG, MIGRATABLE and PERFMON are refused whatever it says. */
  tdAttributes: lowerHex(8),
  /** XFAM may have these bits only. */
  xfamAllowed: lowerHex(8),
  /** TCB states other than UpToDate that are accepted until a moment (unix seconds) set by the governance. */
  grace: list(closed({ status: graceStatus, until: uint(TIME_MAX) }), TCB_STATUSES.length),
  advisoriesDenied: list(text(64, 1), ADVISORIES_DENIED_MAX),
  /** Collateral of an older round of Intel's TCB recovery is refused. */
  evaluationNumberMin: uint(0xffff_ffff),
  /** `listed`: only platforms that the configuration gives to an operator. */
  platforms: Type.Union([Type.Literal('any'), Type.Literal('listed')]),
});

export const attestationPolicyShape = shape(attestationPolicySchema);
export type AttestationPolicy = Static<typeof attestationPolicySchema>;
export type MeasurementSet = Static<typeof measurementSetSchema>;

/** SEPT_VE_DISABLE and nothing else: what production trust domains show. */
const TD_ATTRIBUTES_DEFAULT = '0000001000000000';
/** x87, SSE, AVX, AVX-512, PKRU, CET, user interrupts, AMX; no processor trace, no last-branch records. */
const XFAM_ALLOWED_DEFAULT = 'e75a060000000000';

/** The strictest policy under which these builds are believed on current platforms of any operator. */
export function defaultPolicy(measurements: readonly MeasurementSet[]): AttestationPolicy {
  return {
    measurements: [...measurements],
    tdAttributes: TD_ATTRIBUTES_DEFAULT,
    xfamAllowed: XFAM_ALLOWED_DEFAULT,
    grace: [],
    advisoriesDenied: [],
    evaluationNumberMin: 0,
    platforms: 'any',
  };
}
