// Quotes of simulated platforms, in the three layouts that real ones have.

import { sha256, sha384 } from '#crypto';
import { concatBytes, fromHex, toHex, utf8 } from '../../core/bytes.ts';
import { formatPemChain } from '../pem.ts';
import type { MeasurementSet } from '../policy/policy.ts';
import { TD_REPORT_10_BYTES, TD_REPORT_15_BYTES } from '../quote.ts';
import { simulatedAuthData } from '../simulated-name.ts';
import type { SimulatedPlatform } from './pki.ts';
import { SIMULATED_QE } from './tcb.ts';

export type QuoteLayout = 'v4' | 'v5-td10' | 'v5-td15';

/** Fields of the report that a test or a provider sets; all others have the values of a production domain. */
export interface SimulatedReport {
  readonly reportData: Uint8Array;
  readonly measurements: Pick<MeasurementSet, 'mrtd' | 'rtmr0' | 'rtmr1' | 'rtmr2' | 'rtmr3'>;
  readonly tdAttributes?: string;
  readonly xfam?: string;
  readonly teeTcbSvn?: Uint8Array;
  readonly mrSignerSeam?: Uint8Array;
  readonly seamAttributes?: Uint8Array;
  readonly mrServiceTd?: Uint8Array;
  /** Instead of the platform's name. */
  readonly qeAuthData?: Uint8Array;
}

const u16 = (value: number) => Uint8Array.of(value & 0xff, value >> 8);
const u32 = (value: number) => Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24);
const zeros = (length: number) => new Uint8Array(length);

/**
 * Measurements of a simulated domain that runs this build: the loader, the kernel and its command line are the same
 * for all; RTMR2 stands for the application.
 * @param build digest over the files of the running program, any length.
 */
export function simulatedMeasurements(name: string, build: Uint8Array): MeasurementSet {
  const measure = (what: string, ...data: Uint8Array[]) => toHex(sha384(concatBytes(utf8(`DEV ${what}`), ...data)));
  return {
    name,
    mrtd: measure('MRTD'),
    rtmr0: measure('RTMR0'),
    rtmr1: measure('RTMR1'),
    rtmr2: measure('RTMR2', build),
    rtmr3: '00'.repeat(48),
  };
}

function tdReport(platform: SimulatedPlatform, report: SimulatedReport, layout: QuoteLayout): Uint8Array {
  const { measurements } = report;
  const teeTcbSvn = report.teeTcbSvn ?? platform.teeTcbSvn;
  const body = concatBytes(
    teeTcbSvn,
    sha384(utf8('DEV MRSEAM')),
    report.mrSignerSeam ?? zeros(48),
    report.seamAttributes ?? zeros(8),
    fromHex(report.tdAttributes ?? '0000001000000000'),
    fromHex(report.xfam ?? 'e702060000000000'),
    fromHex(measurements.mrtd),
    // MRCONFIGID, MROWNER, MROWNERCONFIG.
    zeros(144),
    ...[measurements.rtmr0, measurements.rtmr1, measurements.rtmr2, measurements.rtmr3].map(fromHex),
    report.reportData,
  );
  return layout === 'v5-td15' ? concatBytes(body, teeTcbSvn, report.mrServiceTd ?? zeros(48)) : body;
}

function qeReport(attestationKey: Uint8Array, authData: Uint8Array): Uint8Array {
  const report = zeros(384);
  report.set(SIMULATED_QE.attributes, 48);
  report.set(sha256(utf8('DEV quoting enclave code')), 64);
  report.set(SIMULATED_QE.mrSigner, 128);
  report.set(u16(SIMULATED_QE.isvProdId), 256);
  report.set(u16(SIMULATED_QE.isvSvn), 258);
  report.set(sha256(concatBytes(attestationKey, authData)), 320);
  return report;
}

/** A quote of a simulated platform. */
export function simulatedQuote(
  platform: SimulatedPlatform,
  report: SimulatedReport,
  layout: QuoteLayout = 'v4',
): Uint8Array {
  const header = concatBytes(
    u16(layout === 'v4' ? 4 : 5),
    u16(2),
    u32(0x81),
    zeros(4),
    fromHex('939a7233f79c4ca9940a0db3957f0607'),
    zeros(20),
  );
  const bodyHeader =
    layout === 'v5-td10' ? concatBytes(u16(2), u32(TD_REPORT_10_BYTES)) : concatBytes(u16(3), u32(TD_REPORT_15_BYTES));
  const signed = concatBytes(header, ...(layout === 'v4' ? [] : [bodyHeader]), tdReport(platform, report, layout));

  const { attestationKey, pckKey } = platform;
  const authData = report.qeAuthData ?? simulatedAuthData(platform);
  const enclave = qeReport(attestationKey.publicKey, authData);
  const pem = concatBytes(utf8(formatPemChain(platform.pckChain)), zeros(1));
  const certification = concatBytes(
    enclave,
    pckKey.sign(enclave),
    u16(authData.length),
    authData,
    u16(5),
    u32(pem.length),
    pem,
  );
  const signatureData = concatBytes(
    attestationKey.sign(signed),
    attestationKey.publicKey,
    u16(6),
    u32(certification.length),
    certification,
  );
  return concatBytes(signed, u32(signatureData.length), signatureData);
}
