// What Intel certifies about a platform: the extension 1.2.840.113741.1.13.1 of a PCK certificate
// ("Intel SGX PCK Certificate and Certificate Revocation List Profile Specification", SGX extensions).

import { KithError } from '../core/errors.ts';
import { type DerElement, type DerReader, derOid, derSmallNumber, derWhole, TAG } from './der.ts';
import { OID } from './x509.ts';

export interface PlatformTcb {
  /** SVNs of the 16 SGX TCB components. */
  readonly components: Uint8Array;
  readonly pceSvn: number;
}

export interface SgxExtension {
  /** Encrypted platform id: the same for all PCK certificates of a platform. 16 bytes. */
  readonly ppid: Uint8Array;
  readonly tcb: PlatformTcb;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** Family, model, stepping, platform type, custom SKU: which TCB info applies. 6 bytes. */
  readonly fmspc: Uint8Array;
}

const COMPONENTS = 16;
const field = (number: number): string => `${OID.sgx}.${number}`;
const TCB_OID = field(2);

function bad(why: string): never {
  throw new KithError('bad-certificate', why);
}

/** @throws KithError `bad-der` or `bad-certificate`. */
export function parseSgxExtension(extension: Uint8Array): SgxExtension {
  const fields = readFields(derWhole(extension, TAG.sequence, 'SGX extension'));
  const octets = (number: number, length: number, what: string): Uint8Array => {
    const element = fields.get(field(number));
    if (element?.tag !== TAG.octetString || element.content.length !== length) {
      bad(`the SGX extension must hold ${what} of ${length} bytes`);
    }
    return element.content;
  };
  const tcb = fields.get(TCB_OID);
  if (tcb?.tag !== TAG.sequence) bad('the SGX extension must hold a TCB');
  return {
    ppid: octets(1, 16, 'a PPID'),
    tcb: readTcb(readFields(tcb.enter())),
    pceId: octets(3, 2, 'a PCEID'),
    fmspc: octets(4, 6, 'an FMSPC'),
  };
}

function readFields(reader: DerReader): Map<string, DerElement> {
  const fields = new Map<string, DerElement>();
  while (!reader.done) {
    const pair = reader.enter(TAG.sequence, 'SGX extension');
    const oid = derOid(pair.expect(TAG.oid, 'SGX extension').content, 'SGX extension');
    const value = pair.next('SGX extension');
    pair.end('SGX extension');
    if (fields.has(oid)) bad(`the SGX extension holds ${oid} twice`);
    fields.set(oid, value);
  }
  return fields;
}

function readTcb(fields: Map<string, DerElement>): PlatformTcb {
  const svn = (number: number, max: number): number => {
    const element = fields.get(`${TCB_OID}.${number}`);
    if (element?.tag !== TAG.integer) bad(`the TCB of the SGX extension lacks its SVN ${number}`);
    const value = derSmallNumber(element.content, 'SVN');
    if (value > max) bad(`an SVN of ${value}, at most ${max} is possible`);
    return value;
  };
  const components = Uint8Array.from({ length: COMPONENTS }, (_, i) => svn(i + 1, 0xff));
  return { components, pceSvn: svn(COMPONENTS + 1, 0xffff) };
}
