// What an accepted quote says, in plain values: for policy, status pages and the command line.

import { sha256 } from '#crypto';
import { toHex } from '../core/bytes.ts';
import type { Quote, TdReport } from './quote.ts';
import type { SgxExtension } from './sgx-extension.ts';
import type { TcbStatus } from './tcb-documents.ts';
import type { OldComponent, TcbEvaluation } from './tcb-level.ts';
import type { VerifiedCollateral } from './verified-collateral.ts';

/** Hex of 48 bytes each. */
export interface Measurements {
  readonly mrtd: string;
  readonly rtmr0: string;
  readonly rtmr1: string;
  readonly rtmr2: string;
  readonly rtmr3: string;
  readonly mrseam: string;
  readonly mrconfigid: string;
  readonly mrowner: string;
  readonly mrownerconfig: string;
  /** TD 1.5 only. */
  readonly mrservicetd: string | undefined;
}

/** The bits of TDATTRIBUTES that have a name here ("Intel TDX Module Base Architecture Specification"). */
export interface TdAttributes {
  /** All eight bytes as hex. */
  readonly raw: string;
  readonly debug: boolean;
  readonly septVeDisable: boolean;
  readonly migratable: boolean;
  readonly perfmon: boolean;
}

/** How old the collateral of a verdict is. Unix seconds. */
export interface CollateralDates {
  readonly fmspc: string;
  /** Common name of the PCK authority. */
  readonly authority: string;
  readonly tcbInfo: number;
  readonly qeIdentity: number;
  readonly rootCrl: number;
  readonly pckCrl: number;
  /** When the first of them expires. */
  readonly validUntil: number;
}

export interface AcceptedQuote {
  readonly kind: 'accepted';
  /** Never Revoked: that is a refusal. */
  readonly tcbStatus: TcbStatus;
  readonly advisories: readonly string[];
  /** Date of the TCB level reached: "2024-03-13T00:00:00Z". */
  readonly tcbDate: string;
  /** Components older than the newest TCB level asks for; not empty with most states but UpToDate. */
  readonly behind: readonly OldComponent[];
  /** Upper-case hex, as Intel writes it. */
  readonly fmspc: string;
  readonly pceId: string;
  /** Hex of 16 bytes. */
  readonly ppid: string;
  /** SHA-256 of the PPID, hex: the name of the platform. */
  readonly platform: string;
  readonly measurements: Measurements;
  readonly attributes: TdAttributes;
  /** Hex of 8 bytes. */
  readonly xfam: string;
  readonly teeTcbSvn: string;
  readonly reportData: Uint8Array;
  readonly qeAuthData: Uint8Array;
  /** The lower of TCB info's and QE identity's. */
  readonly evaluationNumber: number;
  readonly collateral: CollateralDates;
  /** Whether the trust anchor is a development root. */
  readonly development: boolean;
  readonly quoteVersion: 4 | 5;
  readonly bodyVersion: '1.0' | '1.5';
  /** SHA-256 of the signed region, hex: the only part of a quote that identifies it. */
  readonly id: string;
}

const BIT = { debug: 0, septVeDisable: 28, migratable: 29, perfmon: 63 } as const;

export function describeQuote(
  quote: Quote,
  sgx: SgxExtension,
  collateral: VerifiedCollateral,
  tcb: TcbEvaluation,
  development: boolean,
): AcceptedQuote {
  const { report } = quote;
  const { tcbInfo, qeIdentity } = collateral;
  return {
    kind: 'accepted',
    tcbStatus: tcb.status,
    advisories: tcb.advisories,
    tcbDate: tcb.tcbDate,
    behind: tcb.behind,
    fmspc: toHex(sgx.fmspc).toUpperCase(),
    pceId: toHex(sgx.pceId).toUpperCase(),
    ppid: toHex(sgx.ppid),
    platform: toHex(sha256(sgx.ppid)),
    measurements: measurementsOf(report),
    attributes: attributesOf(report.tdAttributes),
    xfam: toHex(report.xfam),
    teeTcbSvn: toHex(report.teeTcbSvn),
    reportData: report.reportData.slice(),
    qeAuthData: quote.qeAuthData.slice(),
    evaluationNumber: Math.min(tcbInfo.tcbEvaluationDataNumber, qeIdentity.tcbEvaluationDataNumber),
    collateral: collateralDates(collateral),
    development,
    quoteVersion: quote.version,
    bodyVersion: report.version,
    id: toHex(sha256(quote.signed)),
  };
}

function measurementsOf(report: TdReport): Measurements {
  return {
    mrtd: toHex(report.mrTd),
    rtmr0: toHex(report.rtmr[0]),
    rtmr1: toHex(report.rtmr[1]),
    rtmr2: toHex(report.rtmr[2]),
    rtmr3: toHex(report.rtmr[3]),
    mrseam: toHex(report.mrSeam),
    mrconfigid: toHex(report.mrConfigId),
    mrowner: toHex(report.mrOwner),
    mrownerconfig: toHex(report.mrOwnerConfig),
    mrservicetd: report.mrServiceTd && toHex(report.mrServiceTd),
  };
}

function attributesOf(bytes: Uint8Array): TdAttributes {
  const bit = (index: number): boolean => ((bytes[index >> 3]! >> (index & 7)) & 1) === 1;
  return {
    raw: toHex(bytes),
    debug: bit(BIT.debug),
    septVeDisable: bit(BIT.septVeDisable),
    migratable: bit(BIT.migratable),
    perfmon: bit(BIT.perfmon),
  };
}

export function collateralDates(collateral: VerifiedCollateral): CollateralDates {
  const { tcbInfo, qeIdentity, rootCrl, pckCrl } = collateral;
  return {
    fmspc: tcbInfo.fmspc.toUpperCase(),
    authority: collateral.pckAuthority.subjectCommonName,
    tcbInfo: tcbInfo.issuedAt,
    qeIdentity: qeIdentity.issuedAt,
    rootCrl: rootCrl.thisUpdate,
    pckCrl: pckCrl.thisUpdate,
    validUntil: Math.min(...collateral.validity.map(({ until }) => until)),
  };
}
