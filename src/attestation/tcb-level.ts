// Which TCB level a platform, its TDX module and its quoting enclave have reached ("Intel TDX DCAP: Quote
// Verification", sections on TCB level selection and TDX module matching), and which component holds it back.

import { equalBytes, fromHex, toHex } from '../core/bytes.ts';
import { refuse } from './errors.ts';
import type { QeReport, TdReport } from './quote.ts';
import type { PlatformTcb } from './sgx-extension.ts';
import {
  type IsvLevel,
  type QeIdentity,
  type TcbComponent,
  type TcbInfo,
  type TcbLevel,
  type TcbStatus,
  worseStatus,
} from './tcb-documents.ts';

/** A component older than the newest TCB level asks for. */
export interface OldComponent {
  /** In words: "SGX component 0 (BIOS, Early Microcode Update)". */
  readonly name: string;
  readonly svn: number;
  readonly newestSvn: number;
}

export interface TcbEvaluation {
  readonly status: TcbStatus;
  /** Of all three levels, sorted. */
  readonly advisories: readonly string[];
  /** Date of the platform's TCB level: "2024-03-13T00:00:00Z". */
  readonly tcbDate: string;
  readonly behind: readonly OldComponent[];
}

/**
 * Steps 8 and 9 of docs/ATTESTATION.md.
 * @throws KithError `module-identity`, `tcb-not-supported` or `qe-identity`.
 */
export function evaluateTcb(
  tcbInfo: TcbInfo,
  qeIdentity: QeIdentity,
  platform: PlatformTcb,
  report: TdReport,
  qeReport: QeReport,
): TcbEvaluation {
  const module = evaluateModule(tcbInfo, report);
  const level = tcbInfo.tcbLevels.find(
    (candidate) => oldComponents(candidate, platform, report.teeTcbSvn).length === 0,
  );
  const behind = oldComponents(tcbInfo.tcbLevels[0]!, platform, report.teeTcbSvn);
  if (!level) refuse('tcb-not-supported', `no TCB level of ${tcbInfo.fmspc} is that old: ${inWords(behind)}`);
  const qe = isvLevelOf(qeIdentity.tcbLevels, qeReport.isvSvn);
  if (!qe) refuse('qe-identity', `no level of the QE identity is as old as SVN ${qeReport.isvSvn}`);

  const levels = [level, qe, ...(module ? [module.level] : [])];
  const newestQe = qeIdentity.tcbLevels[0]!.tcb.isvsvn;
  return {
    status: levels.map(({ tcbStatus }) => tcbStatus).reduce(worseStatus),
    advisories: [...new Set(levels.flatMap(({ advisoryIDs }) => advisoryIDs ?? []))].sort(),
    tcbDate: level.tcbDate,
    behind: [
      ...behind,
      ...(module?.behind ?? []),
      ...(qeReport.isvSvn < newestQe ? [{ name: 'quoting enclave', svn: qeReport.isvSvn, newestSvn: newestQe }] : []),
    ],
  };
}

/** "SGX component 0 (BIOS) has SVN 6, the newest level asks for 8; ..." */
export function inWords(behind: readonly OldComponent[]): string {
  return behind
    .map(({ name, svn, newestSvn }) => `${name} has SVN ${svn}, the newest level asks for ${newestSvn}`)
    .join('; ');
}

/** The components of a platform that are below a level. */
function oldComponents(level: TcbLevel, platform: PlatformTcb, teeTcbSvn: Uint8Array): OldComponent[] {
  const { sgxtcbcomponents, tdxtcbcomponents, pcesvn } = level.tcb;
  const old: OldComponent[] = [];
  const compare = (name: string, svn: number, newestSvn: number) => {
    if (svn < newestSvn) old.push({ name, svn, newestSvn });
  };
  sgxtcbcomponents.forEach((component, i) => {
    compare(componentName('SGX', i, component), platform.components[i]!, component.svn);
  });
  compare('PCE', platform.pceSvn, pcesvn);
  // With a versioned module, the first two stand for the module, which has levels of its own.
  const firstComponent = teeTcbSvn[1]! > 0 ? 2 : 0;
  for (let i = firstComponent; i < tdxtcbcomponents.length; i++) {
    compare(componentName('TDX', i, tdxtcbcomponents[i]!), teeTcbSvn[i]!, tdxtcbcomponents[i]!.svn);
  }
  return old;
}

function componentName(kind: string, index: number, { category, type }: TcbComponent): string {
  const words = [category, type].filter((word) => word !== undefined);
  return words.length > 0 ? `${kind} component ${index} (${words.join(', ')})` : `${kind} component ${index}`;
}

/** Levels are listed newest first. */
function isvLevelOf(levels: readonly IsvLevel[], isvSvn: number): IsvLevel | undefined {
  return levels.find((level) => isvSvn >= level.tcb.isvsvn);
}

/** The module's level; undefined for modules from before they had versions: their SVN is among the components. */
function evaluateModule(
  tcbInfo: TcbInfo,
  report: TdReport,
): { level: IsvLevel; behind: readonly OldComponent[] } | undefined {
  const [isvSvn, version] = [report.teeTcbSvn[0]!, report.teeTcbSvn[1]!];
  if (version === 0) {
    checkModule('the TDX module', tcbInfo.tdxModule, report);
    return undefined;
  }
  const id = `TDX_${toHex(Uint8Array.of(version))}`;
  const identity = tcbInfo.tdxModuleIdentities?.find((candidate) => candidate.id.toLowerCase() === id.toLowerCase());
  if (!identity) refuse('module-identity', `the TCB info knows no TDX module ${id}`);
  checkModule(`the TDX module ${id}`, identity, report);
  const level = isvLevelOf(identity.tcbLevels, isvSvn);
  if (!level) refuse('tcb-not-supported', `no level of the TDX module ${id} is as old as SVN ${isvSvn}`);
  const newestSvn = identity.tcbLevels[0]!.tcb.isvsvn;
  return { level, behind: isvSvn < newestSvn ? [{ name: `TDX module ${id}`, svn: isvSvn, newestSvn }] : [] };
}

function checkModule(what: string, identity: TcbInfo['tdxModule'], report: TdReport): void {
  const zero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);
  // Zero means Intel's key, and no debug or other attribute: whatever the identity says, nothing else is a module.
  if (!zero(report.mrSignerSeam) || !equalBytes(report.mrSignerSeam, fromHex(identity.mrsigner))) {
    refuse('module-identity', `${what} is signed by another key than Intel's (MRSIGNERSEAM)`);
  }
  if (
    !zero(report.seamAttributes) ||
    !equalMasked(report.seamAttributes, fromHex(identity.attributes), fromHex(identity.attributesMask))
  ) {
    refuse('module-identity', `${what} has other attributes than its identity (SEAMATTRIBUTES)`);
  }
}

/** Whether the bits of `value` under `mask` are those of `expected`, and no bit outside the mask is expected. */
export function equalMasked(value: Uint8Array, expected: Uint8Array, mask: Uint8Array): boolean {
  return value.every((byte, i) => (byte & mask[i]!) === expected[i]!);
}
