// TDX quotes, versions 4 and 5, as Intel lays them out ("Intel TDX DCAP: Quote Generation Library and Quote
// Verification Library", appendices on quote format; docs/ATTESTATION.md). Parsing proves nothing: see verify.ts.

import { ByteReader } from '../core/byte-reader.ts';
import { isKithError } from '../core/errors.ts';
import { refuse } from './errors.ts';
import { QE_AUTH_BYTES_MAX, QUOTE_BYTES_MAX } from './limits.ts';
import { parsePemChain } from './pem.ts';

/** The body of a quote: what the TDX module says about a trust domain. All fields are views into the quote. */
export interface TdReport {
  /** TD 1.5 bodies have two fields more. */
  readonly version: '1.0' | '1.5';
  /** [0] SVN of the TDX module, [1] its major version, [2] SVN of the microcode's TDX part, ... 16 bytes. */
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly tdAttributes: Uint8Array;
  readonly xfam: Uint8Array;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtmr: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  readonly reportData: Uint8Array;
  readonly teeTcbSvn2: Uint8Array | undefined;
  readonly mrServiceTd: Uint8Array | undefined;
}

/** The report of the quoting enclave (an SGX report body). */
export interface QeReport {
  readonly bytes: Uint8Array;
  readonly miscSelect: Uint8Array;
  readonly attributes: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Uint8Array;
}

export interface Quote {
  readonly version: 4 | 5;
  readonly report: TdReport;
  /** What the attestation key signs. The rest of a quote can be written in several ways, so only this identifies it. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly attestationKey: Uint8Array;
  readonly qeReport: QeReport;
  readonly qeReportSignature: Uint8Array;
  /** Bytes of the quoting enclave's choice, bound by its report. */
  readonly qeAuthData: Uint8Array;
  /** The PEM text of the PCK chain, and its certificates as DER: leaf, intermediate, root. */
  readonly pckChainPem: Uint8Array;
}

export const TD_REPORT_10_BYTES = 584;
export const TD_REPORT_15_BYTES = 648;
const KEY_TYPE_ECDSA_P256 = 2;
const TEE_TYPE_TDX = 0x81;
const BODY_TYPE_TD_10 = 2;
const BODY_TYPE_TD_15 = 3;
/** Certification data types: a PCK chain in PEM, and a QE report with certification data of its own. */
const CERTIFICATION_PCK_CHAIN = 5;
const CERTIFICATION_QE_REPORT = 6;
const INTEL_QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607';

/**
 * Parses a quote; nothing is verified.
 * @throws KithError `malformed`, `unsupported` or `trailing-bytes`.
 */
export function parseQuote(bytes: Uint8Array): Quote {
  if (bytes.length > QUOTE_BYTES_MAX) {
    refuse('malformed', `a quote of ${bytes.length} bytes; at most ${QUOTE_BYTES_MAX} are accepted`);
  }
  const reader = new ByteReader(bytes);
  try {
    const quote = readQuote(bytes, reader);
    readPadding(reader);
    return quote;
  } catch (error) {
    if (isKithError(error, 'truncated')) refuse('malformed', `the quote is cut short: ${error.message}`, error);
    throw error;
  }
}

function readQuote(bytes: Uint8Array, reader: ByteReader): Quote {
  const version = readHeader(reader);
  let bodyVersion: TdReport['version'] = '1.0';
  if (version === 5) {
    const type = reader.u16('body type');
    const size = reader.u32('body size');
    if (type !== BODY_TYPE_TD_10 && type !== BODY_TYPE_TD_15) refuse('unsupported', `body type ${type}`);
    bodyVersion = type === BODY_TYPE_TD_15 ? '1.5' : '1.0';
    const expected = bodyVersion === '1.5' ? TD_REPORT_15_BYTES : TD_REPORT_10_BYTES;
    if (size !== expected) refuse('malformed', `a body of type ${type} has ${expected} bytes, not ${size}`);
  }
  const report = readTdReport(reader, bodyVersion);
  const signed = bytes.subarray(0, reader.offset);

  const data = new ByteReader(reader.take(reader.u32('signature data size'), 'signature data'));
  const signature = data.take(64, 'signature');
  const attestationKey = data.take(64, 'attestation key');
  if (data.u16('certification type') !== CERTIFICATION_QE_REPORT) {
    refuse('malformed', `expected certification data of type ${CERTIFICATION_QE_REPORT}: a QE report`);
  }
  const certification = new ByteReader(data.take(data.u32('certification size'), 'certification data'));
  if (data.remaining !== 0) refuse('malformed', 'something follows the certification data');
  const qeReport = readQeReport(certification.take(384, 'QE report'));
  const qeReportSignature = certification.take(64, 'QE report signature');
  const authSize = certification.u16('QE authentication data size');
  if (authSize > QE_AUTH_BYTES_MAX) refuse('malformed', `QE authentication data of ${authSize} bytes`);
  const qeAuthData = certification.take(authSize, 'QE authentication data');
  if (certification.u16('inner certification type') !== CERTIFICATION_PCK_CHAIN) {
    refuse('malformed', `expected certification data of type ${CERTIFICATION_PCK_CHAIN}: a PCK chain`);
  }
  const pem = certification.take(certification.u32('PCK chain size'), 'PCK chain');
  if (certification.remaining !== 0) refuse('malformed', 'something follows the PCK chain');
  return {
    version,
    report,
    signed,
    signature,
    attestationKey,
    qeReport,
    qeReportSignature,
    qeAuthData,
    // Intel's library ends the text with a NUL on some platforms.
    pckChainPem: pem.at(-1) === 0 ? pem.subarray(0, -1) : pem,
  };
}

function readHeader(reader: ByteReader): 4 | 5 {
  const version = reader.u16('version');
  if (version !== 4 && version !== 5) refuse('unsupported', `quote version ${version}; 4 and 5 are known`);
  const keyType = reader.u16('key type');
  if (keyType !== KEY_TYPE_ECDSA_P256) refuse('unsupported', `attestation key type ${keyType}; 2 is known`);
  const teeType = reader.u32('TEE type');
  if (teeType !== TEE_TYPE_TDX) refuse('unsupported', `TEE type ${teeType}; ${TEE_TYPE_TDX} (TDX) is known`);
  reader.take(4, 'reserved');
  const vendor = reader.take(16, 'QE vendor');
  if (vendor.some((byte, i) => byte !== Number.parseInt(INTEL_QE_VENDOR.slice(2 * i, 2 * i + 2), 16))) {
    refuse('unsupported', "a quoting enclave of another vendor than Intel's");
  }
  reader.take(20, 'user data');
  return version;
}

function readTdReport(reader: ByteReader, version: TdReport['version']): TdReport {
  return {
    version,
    teeTcbSvn: reader.take(16, 'TEE_TCB_SVN'),
    mrSeam: reader.take(48, 'MRSEAM'),
    mrSignerSeam: reader.take(48, 'MRSIGNERSEAM'),
    seamAttributes: reader.take(8, 'SEAMATTRIBUTES'),
    tdAttributes: reader.take(8, 'TDATTRIBUTES'),
    xfam: reader.take(8, 'XFAM'),
    mrTd: reader.take(48, 'MRTD'),
    mrConfigId: reader.take(48, 'MRCONFIGID'),
    mrOwner: reader.take(48, 'MROWNER'),
    mrOwnerConfig: reader.take(48, 'MROWNERCONFIG'),
    rtmr: [reader.take(48, 'RTMR0'), reader.take(48, 'RTMR1'), reader.take(48, 'RTMR2'), reader.take(48, 'RTMR3')],
    reportData: reader.take(64, 'REPORTDATA'),
    teeTcbSvn2: version === '1.5' ? reader.take(16, 'TEE_TCB_SVN2') : undefined,
    mrServiceTd: version === '1.5' ? reader.take(48, 'MRSERVICETD') : undefined,
  };
}

/** An SGX report body ("Intel Software Developer's Manual", volume 3D, REPORT). */
function readQeReport(bytes: Uint8Array): QeReport {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    bytes,
    miscSelect: bytes.subarray(16, 20),
    attributes: bytes.subarray(48, 64),
    mrSigner: bytes.subarray(128, 160),
    isvProdId: view.getUint16(256, true),
    isvSvn: view.getUint16(258, true),
    reportData: bytes.subarray(320, 384),
  };
}

/** Some clouds return a fixed-size buffer with zeros behind the quote. */
function readPadding(reader: ByteReader): void {
  const end = reader.offset;
  const padding = reader.take(reader.remaining);
  const at = padding.findIndex((byte) => byte !== 0);
  if (at >= 0) refuse('trailing-bytes', `the quote ends at byte ${end}, but byte ${end + at} is not zero`);
}

/** The certificates of a quote's PCK chain as DER. @throws KithError `bad-pem`. */
export function pckChainOf(quote: Quote): Uint8Array[] {
  let text = '';
  for (const byte of quote.pckChainPem) text += String.fromCharCode(byte);
  return parsePemChain(text);
}
