// Quotes with everything needed to verify them: real ones from the fixtures, simulated ones made here.

import { readFileSync } from 'node:fs';
import type { MeasurementSet } from '../../src/attestation/policy/policy.ts';
import {
  type Collateral,
  type CollateralParts,
  makeCollateral,
  parseCollateral,
} from '../../src/attestation/quote-collateral.ts';
import { createDevelopmentPki } from '../../src/attestation/simulated/pki.ts';
import {
  type QuoteLayout,
  type SimulatedReport,
  simulatedMeasurements,
  simulatedQuote,
} from '../../src/attestation/simulated/quote.ts';
import {
  type Verdict,
  type VerificationCaches,
  type VerificationRequest,
  verifyQuote,
} from '../../src/attestation/verify.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { fixture } from './fixtures.ts';

export interface Evidence {
  readonly name: string;
  readonly quote: Uint8Array;
  readonly collateral: Collateral;
  readonly anchor: Uint8Array;
  readonly nowSeconds: number;
}

export const pki = createDevelopmentPki();
export const NOW = 1_760_000_000;
export const measurements: MeasurementSet = simulatedMeasurements('this build', utf8('build'));
export const platform = pki.platform({ operator: 'op-a', name: 'm1' });
export const reportData = new Uint8Array(64).map((_, i) => i + 1);

export function simulatedEvidence(layout: QuoteLayout, report: Partial<SimulatedReport> = {}): Evidence {
  return {
    name: `simulated ${layout}`,
    quote: simulatedQuote(platform, { reportData, measurements, ...report }, layout),
    collateral: pki.collateral(),
    anchor: pki.root,
    nowSeconds: NOW,
  };
}

export interface ExpectedRow {
  readonly quote: string;
  readonly collateral: string;
  readonly at: number;
  readonly result: 'accept' | 'reject';
  readonly tcbStatus?: string;
  readonly advisories?: number;
  readonly why?: string;
  readonly debug?: boolean;
  readonly ppidPrefix?: string;
}

export interface RealRow {
  readonly row: ExpectedRow;
  readonly quotePath: string;
  readonly collateralPath: string;
}

/** Every row of the fixtures' table; empty where the fixtures are absent. */
export function realRows(): RealRow[] {
  const table = fixture('tdx', 'expected.json');
  if (!table) return [];
  return (JSON.parse(readFileSync(table, 'utf8')) as ExpectedRow[]).map((row) => ({
    row,
    quotePath: fixture('tdx', 'quotes', `${row.quote}.bin`)!,
    collateralPath: fixture('tdx', 'collateral', `${row.collateral}.json`)!,
  }));
}

export function readEvidence({ row, quotePath, collateralPath }: RealRow): Evidence {
  return {
    name: `${row.quote} with ${row.collateral}`,
    quote: new Uint8Array(readFileSync(quotePath)),
    collateral: parseCollateral(readFileSync(collateralPath, 'utf8')),
    anchor: new Uint8Array(readFileSync(fixture('tdx', 'IntelSGXRootCA.der')!)),
    nowSeconds: row.at,
  };
}

/** One real quote per layout: version 4, and version 5 with a TD 1.5 body. */
export function realEvidence(): Evidence[] {
  const rows = realRows().filter(({ row }) => row.result === 'accept' && row.tcbStatus === 'UpToDate' && !row.debug);
  const versions = ['v4-dcapqvl-tdx_quote', 'v5-gotdx-td15'];
  return versions.flatMap((name) => rows.filter(({ row }) => row.quote === name).slice(0, 1)).map(readEvidence);
}

export function verify(
  evidence: Evidence,
  changes: Partial<VerificationRequest> = {},
  caches?: VerificationCaches,
): Verdict {
  const { quote, collateral, anchor, nowSeconds } = evidence;
  return verifyQuote({ quote, collateral, anchor, nowSeconds, ...changes }, caches);
}

/** `accepted` or the code of the refusal. */
export const outcome = (verdict: Verdict): string => (verdict.kind === 'accepted' ? 'accepted' : verdict.code);

export const withParts = (collateral: Collateral, parts: Partial<CollateralParts>): Collateral =>
  makeCollateral({ ...collateral, ...parts });

export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

/** Where a view lies in the bytes it was cut from. */
export const offsetIn = (whole: Uint8Array, view: Uint8Array): number => view.byteOffset - whole.byteOffset;
