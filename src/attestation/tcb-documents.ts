// The two JSON documents Intel signs about TCBs: TCB info (version 3, TDX) and the identity of the TDX quoting
// enclave (version 2). Shapes from Intel's PCS API, version 4; fields not used here are left alone.

import { parseJson } from '../core/json.ts';
import { hexText, list, type Static, shape, Type, text, uint } from '../core/schema.ts';
import { ADVISORIES_MAX, TCB_LEVELS_MAX } from './limits.ts';
import { parseIsoTime } from './time.ts';

/** From best to worst; the two that name a configuration say that it adds to the risk. */
export const TCB_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const;

export type TcbStatus = (typeof TCB_STATUSES)[number];

const tcbStatusSchema = Type.Unsafe<TcbStatus>(Type.Union(TCB_STATUSES.map((status) => Type.Literal(status))));

/** "2026-01-27T09:01:45Z"; read by parseIsoTime. */
const isoTime = text(20, 20);
const SVN_MAX = 255;
const PCE_SVN_MAX = 65_535;
/** A category like "OS/VMM" or a type like "TDX Late Microcode Update". */
const label = Type.Optional(text(256));

const component = Type.Object({ svn: uint(SVN_MAX), category: label, type: label });
const components = list(component, 16, 16);
const advisories = Type.Optional(list(text(64), ADVISORIES_MAX));
const isvLevel = Type.Object({
  tcb: Type.Object({ isvsvn: uint(65_535) }),
  tcbDate: isoTime,
  tcbStatus: tcbStatusSchema,
  advisoryIDs: advisories,
});
const moduleFields = { mrsigner: hexText(48), attributes: hexText(8), attributesMask: hexText(8) };
const dated = { issueDate: isoTime, nextUpdate: isoTime, tcbEvaluationDataNumber: uint(0xffff_ffff) };

const tcbInfoShape = shape(
  Type.Object({
    id: Type.Literal('TDX'),
    version: Type.Literal(3),
    ...dated,
    fmspc: hexText(6),
    pceId: hexText(2),
    tcbType: Type.Literal(0),
    tdxModule: Type.Object(moduleFields),
    // Absent in documents from before modules had versions (2023).
    tdxModuleIdentities: Type.Optional(
      list(Type.Object({ id: text(64), ...moduleFields, tcbLevels: list(isvLevel, TCB_LEVELS_MAX) }), TCB_LEVELS_MAX),
    ),
    tcbLevels: list(
      Type.Object({
        tcb: Type.Object({ sgxtcbcomponents: components, pcesvn: uint(PCE_SVN_MAX), tdxtcbcomponents: components }),
        tcbDate: isoTime,
        tcbStatus: tcbStatusSchema,
        advisoryIDs: advisories,
      }),
      TCB_LEVELS_MAX,
      1,
    ),
  }),
);

const qeIdentityShape = shape(
  Type.Object({
    id: Type.Literal('TD_QE'),
    version: Type.Literal(2),
    ...dated,
    miscselect: hexText(4),
    miscselectMask: hexText(4),
    attributes: hexText(16),
    attributesMask: hexText(16),
    mrsigner: hexText(32),
    isvprodid: uint(65_535),
    tcbLevels: list(isvLevel, TCB_LEVELS_MAX, 1),
  }),
);

export type TcbInfo = ReturnType<typeof parseTcbInfo>;
export type QeIdentity = ReturnType<typeof parseQeIdentity>;
export type IsvLevel = Static<typeof isvLevel>;
export type TcbComponent = Static<typeof component>;
export type TcbLevel = TcbInfo['tcbLevels'][number];

/** @throws KithError `bad-json`, `bad-shape` or `bad-time`. */
export function parseTcbInfo(json: string) {
  return withDates(tcbInfoShape.parse(parseJson(json, 'TCB info'), 'TCB info'));
}

/** @throws KithError `bad-json`, `bad-shape` or `bad-time`. */
export function parseQeIdentity(json: string) {
  return withDates(qeIdentityShape.parse(parseJson(json, 'QE identity'), 'QE identity'));
}

/** Adds the dates as unix seconds. */
function withDates<T extends { issueDate: string; nextUpdate: string }>(document: T) {
  return {
    ...document,
    issuedAt: parseIsoTime(document.issueDate),
    nextUpdateAt: parseIsoTime(document.nextUpdate),
  };
}

/**
 * The status of a whole from those of its parts: the worse one, where a needed configuration stays visible beside
 * an old TCB (Intel's QuoteVerifier joins platform, module and QE in the same way).
 */
export function worseStatus(a: TcbStatus, b: TcbStatus): TcbStatus {
  const worse = TCB_STATUSES.indexOf(a) >= TCB_STATUSES.indexOf(b) ? a : b;
  const configuration = [a, b].some((status) => status.includes('Configuration'));
  if (worse === 'OutOfDate' && configuration) return 'OutOfDateConfigurationNeeded';
  const hardening = [a, b].some((status) => status.includes('SWHardening'));
  return worse === 'ConfigurationNeeded' && hardening ? 'ConfigurationAndSWHardeningNeeded' : worse;
}
