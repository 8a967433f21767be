// TCB levels of simulated platforms: one for each state a real platform can be in, and the two signed documents.

import { sha256 } from '#crypto';
import { toHex, utf8 } from '../../core/bytes.ts';
import { TCB_STATUSES, type TcbStatus } from '../tcb-documents.ts';
import { formatIsoTime } from '../time.ts';

/** Component 0 of the newest level; each worse state is one lower. */
const NEWEST_SVN = 12;
const PCE_SVN = 13;
/** The simulated module: version 1 at SVN 5, old from SVN 3 on. */
const MODULE_VERSION = 1;
const MODULE_SVN = 5;
const MODULE_SVN_OLD = 3;
const TDX_MICROCODE_SVN = 4;
const QE_SVN = 4;

export const SIMULATED_FMSPC = 'DE0000000000';
export const SIMULATED_PCE_ID = '0000';
export const SIMULATED_EVALUATION_NUMBER = 20;

/** What the QE of the development PKI reports of itself. */
export const SIMULATED_QE = {
  mrSigner: sha256(utf8('DEV quoting enclave')),
  attributes: Uint8Array.of(0x11, ...new Array<number>(15).fill(0)),
  isvProdId: 2,
  isvSvn: QE_SVN,
} as const;

const SGX_COMPONENTS = [NEWEST_SVN, 12, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0];
const TDX_COMPONENTS = [MODULE_SVN, 0, TDX_MICROCODE_SVN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/** SVNs of a platform in this state. */
export function svnsOf(status: TcbStatus): { components: Uint8Array; pceSvn: number; teeTcbSvn: Uint8Array } {
  const components = Uint8Array.from(SGX_COMPONENTS);
  components[0] = NEWEST_SVN - TCB_STATUSES.indexOf(status);
  const teeTcbSvn = new Uint8Array(16);
  teeTcbSvn.set([MODULE_SVN, MODULE_VERSION, TDX_MICROCODE_SVN]);
  return { components, pceSvn: PCE_SVN, teeTcbSvn };
}

export interface DocumentSpec {
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly nextUpdateAt: number;
  readonly evaluationNumber: number;
  readonly fmspc: string;
  readonly pceId: string;
  /** Added to what the newest level asks of component 0: a TCB recovery makes every platform old. */
  readonly raisedBy: number;
}

const ZERO_48 = '00'.repeat(48);
const module = { mrsigner: ZERO_48, attributes: '0000000000000000', attributesMask: 'FFFFFFFFFFFFFFFF' };

function dates({ issuedAt, nextUpdateAt, evaluationNumber }: DocumentSpec) {
  return {
    issueDate: formatIsoTime(issuedAt),
    nextUpdate: formatIsoTime(nextUpdateAt),
    tcbEvaluationDataNumber: evaluationNumber,
  };
}

const TCB_DATE = '2024-01-01T00:00:00Z';
const isvLevel = (isvsvn: number, tcbStatus: TcbStatus, advisoryIDs?: string[]) => ({
  tcb: { isvsvn },
  tcbDate: TCB_DATE,
  tcbStatus,
  ...(advisoryIDs ? { advisoryIDs } : {}),
});

export function tcbInfoOf(spec: DocumentSpec) {
  const tcbLevels = TCB_STATUSES.map((tcbStatus, worse) => ({
    tcb: {
      sgxtcbcomponents: SGX_COMPONENTS.map((svn, i) =>
        i === 0
          ? {
              svn: NEWEST_SVN - worse + (worse === 0 ? spec.raisedBy : 0),
              category: 'BIOS',
              type: 'Early Microcode Update',
            }
          : { svn },
      ),
      pcesvn: PCE_SVN,
      tdxtcbcomponents: TDX_COMPONENTS.map((svn) => ({ svn })),
    },
    tcbDate: TCB_DATE,
    tcbStatus,
    ...(worse === 0 ? {} : { advisoryIDs: [`DEV-SA-0000${worse}`] }),
  }));
  // After a recovery, what was up to date has a level of its own that is not.
  const raised = { ...tcbLevels[0]!, tcb: { ...tcbLevels[0]!.tcb, sgxtcbcomponents: oldNewest() } };
  const recovered = { ...raised, tcbStatus: 'OutOfDate', advisoryIDs: ['DEV-SA-00099'] };
  return {
    id: 'TDX',
    version: 3,
    ...dates(spec),
    fmspc: spec.fmspc,
    pceId: spec.pceId,
    tcbType: 0,
    tdxModule: module,
    tdxModuleIdentities: [
      {
        id: `TDX_0${MODULE_VERSION}`,
        ...module,
        tcbLevels: [isvLevel(MODULE_SVN, 'UpToDate'), isvLevel(MODULE_SVN_OLD, 'OutOfDate', ['DEV-SA-00050'])],
      },
    ],
    tcbLevels: spec.raisedBy > 0 ? [tcbLevels[0]!, recovered, ...tcbLevels.slice(1)] : tcbLevels,
  };
}

const oldNewest = () =>
  SGX_COMPONENTS.map((svn, i) => (i === 0 ? { svn, category: 'BIOS', type: 'Early Microcode Update' } : { svn }));

export function qeIdentityOf(spec: DocumentSpec) {
  return {
    id: 'TD_QE',
    version: 2,
    ...dates(spec),
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: toHex(SIMULATED_QE.attributes).toUpperCase(),
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: toHex(SIMULATED_QE.mrSigner).toUpperCase(),
    isvprodid: SIMULATED_QE.isvProdId,
    tcbLevels: [isvLevel(QE_SVN, 'UpToDate'), isvLevel(QE_SVN - 2, 'OutOfDate', ['DEV-SA-00060'])],
  };
}
