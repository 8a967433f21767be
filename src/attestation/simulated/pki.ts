// A development PKI in the image of Intel's: root, platform authority, TCB signer, collateral, and platforms. What
// it signs goes through the same parser and verifier as the real thing; only the anchor differs. Its default seed
// is public, so it protects nothing.

import { sha256 } from '#crypto';
import { concatBytes, toHex, utf8 } from '../../core/bytes.ts';
import { TAG } from '../der.ts';
import { formatPemChain } from '../pem.ts';
import { type Collateral, makeCollateral } from '../quote-collateral.ts';
import { parseSimulatedPlatform, type SimulatedPlatformName } from '../simulated-name.ts';
import type { TcbStatus } from '../tcb-documents.ts';
import { OID } from '../x509.ts';
import {
  CA_USAGE,
  deriveKey,
  type Issuer,
  issueCertificate,
  issueCrl,
  LEAF_USAGE,
  NOT_AFTER,
  NOT_BEFORE,
  type SigningKey,
  serialOf,
} from './authority.ts';
import { der, octets, oid, sequence, small } from './der-writer.ts';
import {
  qeIdentityOf,
  SIMULATED_EVALUATION_NUMBER,
  SIMULATED_FMSPC,
  SIMULATED_PCE_ID,
  svnsOf,
  tcbInfoOf,
} from './tcb.ts';

/** Public: anybody can make quotes under this root. */
export const DEVELOPMENT_SEED: () => Uint8Array = () => sha256(utf8('kith/dev-pki/v1'));

export interface SimulatedPlatformOptions {
  readonly tcb?: TcbStatus;
  /** Hex of 6 bytes. */
  readonly fmspc?: string;
  readonly pceId?: string;
}

export interface SimulatedPlatform extends SimulatedPlatformName {
  readonly ppid: Uint8Array;
  /** Serial number of its PCK certificate, for revoking it. */
  readonly serial: Uint8Array;
  /** PCK certificate, authority, root: DER. */
  readonly pckChain: readonly Uint8Array[];
  readonly pckKey: SigningKey;
  readonly attestationKey: SigningKey;
  readonly teeTcbSvn: Uint8Array;
}

export interface SimulatedCollateralOptions {
  /** Unix seconds; the constants of the PKI if absent. */
  readonly issuedAt?: number;
  readonly nextUpdateAt?: number;
  readonly evaluationNumber?: number;
  readonly fmspc?: string;
  readonly pceId?: string;
  readonly revokedPlatforms?: readonly SimulatedPlatform[];
  readonly revokeAuthority?: boolean;
  readonly revokeTcbSigner?: boolean;
  /** How far a TCB recovery raised the newest level above today's platforms. */
  readonly raisedBy?: number;
}

export interface DevelopmentPki {
  /** DER: the trust anchor. */
  readonly root: Uint8Array;
  readonly rootIssuer: Issuer;
  readonly authorityIssuer: Issuer;
  readonly authority: Uint8Array;
  readonly tcbSignerKey: SigningKey;
  readonly tcbSigner: Uint8Array;
  platform(name: SimulatedPlatformName, options?: SimulatedPlatformOptions): SimulatedPlatform;
  collateral(options?: SimulatedCollateralOptions): Collateral;
}

const ROOT_NAME = 'DEV Intel SGX Root CA';
const AUTHORITY_NAME = 'DEV Intel SGX PCK Platform CA';
const TCB_SIGNER_NAME = 'DEV Intel SGX TCB Signing';
const PCK_NAME = 'DEV Intel SGX PCK Certificate';

/** The PKI of a seed of 32 bytes; the public development seed if absent. */
export function createDevelopmentPki(seed: Uint8Array = DEVELOPMENT_SEED()): DevelopmentPki {
  const rootIssuer: Issuer = { commonName: ROOT_NAME, key: deriveKey(seed, 'root') };
  const authorityIssuer: Issuer = { commonName: AUTHORITY_NAME, key: deriveKey(seed, 'platform authority') };
  const tcbSignerKey = deriveKey(seed, 'tcb signer');
  const certify = (commonName: string, { publicKey }: SigningKey, keyUsage: number, pathLength?: number) =>
    issueCertificate({ commonName, publicKey, issuer: rootIssuer, keyUsage, pathLength });
  const root = certify(ROOT_NAME, rootIssuer.key, CA_USAGE, 1);
  const authority = certify(AUTHORITY_NAME, authorityIssuer.key, CA_USAGE, 0);
  const tcbSigner = certify(TCB_SIGNER_NAME, tcbSignerKey, LEAF_USAGE);

  return {
    root,
    rootIssuer,
    authorityIssuer,
    authority,
    tcbSignerKey,
    tcbSigner,

    platform({ operator, name }, options = {}) {
      const full = parseSimulatedPlatform(`${operator}/${name}`);
      const pckKey = deriveKey(seed, `pck ${operator}/${name}`);
      const ppid = sha256(concatBytes(seed, utf8(`ppid ${operator}/${name}`))).slice(0, 16);
      const svns = svnsOf(options.tcb ?? 'UpToDate');
      const certificate = issueCertificate({
        commonName: PCK_NAME,
        publicKey: pckKey.publicKey,
        issuer: authorityIssuer,
        keyUsage: LEAF_USAGE,
        sgxExtension: sgxExtension(ppid, svns, options),
      });
      return {
        ...full,
        ppid,
        serial: serialOf(PCK_NAME, pckKey.publicKey),
        pckChain: [certificate, authority, root],
        pckKey,
        attestationKey: deriveKey(seed, `attestation ${operator}/${name}`),
        teeTcbSvn: svns.teeTcbSvn,
      };
    },

    collateral(options = {}) {
      const dates = { thisUpdate: options.issuedAt ?? NOT_BEFORE, nextUpdate: options.nextUpdateAt ?? NOT_AFTER };
      const spec = {
        issuedAt: dates.thisUpdate,
        nextUpdateAt: dates.nextUpdate,
        evaluationNumber: options.evaluationNumber ?? SIMULATED_EVALUATION_NUMBER,
        fmspc: options.fmspc ?? SIMULATED_FMSPC,
        pceId: options.pceId ?? SIMULATED_PCE_ID,
        raisedBy: options.raisedBy ?? 0,
      };
      const tcbInfo = JSON.stringify(tcbInfoOf(spec));
      const qeIdentity = JSON.stringify(qeIdentityOf(spec));
      const signerChain = formatPemChain([tcbSigner, root]);
      const rootRevoked = [
        ...(options.revokeAuthority ? [serialOf(AUTHORITY_NAME, authorityIssuer.key.publicKey)] : []),
        ...(options.revokeTcbSigner ? [serialOf(TCB_SIGNER_NAME, tcbSignerKey.publicKey)] : []),
      ];
      const pckRevoked = (options.revokedPlatforms ?? []).map(({ serial }) => serial);
      return makeCollateral({
        pckCrlIssuerChain: formatPemChain([authority, root]),
        rootCaCrl: issueCrl({ issuer: rootIssuer, ...dates, revoked: rootRevoked }),
        pckCrl: issueCrl({ issuer: authorityIssuer, ...dates, revoked: pckRevoked }),
        tcbInfoIssuerChain: signerChain,
        tcbInfo,
        tcbInfoSignature: tcbSignerKey.sign(utf8(tcbInfo)),
        qeIdentityIssuerChain: signerChain,
        qeIdentity,
        qeIdentitySignature: tcbSignerKey.sign(utf8(qeIdentity)),
      });
    },
  };
}

function sgxExtension(
  ppid: Uint8Array,
  svns: { components: Uint8Array; pceSvn: number },
  { fmspc = SIMULATED_FMSPC, pceId = SIMULATED_PCE_ID }: SimulatedPlatformOptions,
): Uint8Array {
  const field = (number: string, value: Uint8Array) => sequence(oid(`${OID.sgx}.${number}`), value);
  const hex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const tcb = [
    ...[...svns.components].map((svn, i) => field(`2.${i + 1}`, small(svn))),
    field('2.17', small(svns.pceSvn)),
    field('2.18', octets(svns.components)),
  ];
  return sequence(
    field('1', octets(ppid)),
    field('2', sequence(...tcb)),
    field('3', octets(hex(pceId))),
    field('4', octets(hex(fmspc))),
    field('5', small(1, TAG.enumerated)),
    field('6', octets(sha256(ppid).slice(0, 16))),
    field('7', sequence(...[1, 2, 3].map((i) => field(`7.${i}`, der(TAG.boolean, Uint8Array.of(0xff)))))),
  );
}

/** Hex of a platform's name in verdicts: SHA-256 of its PPID. */
export const simulatedPlatformId = ({ ppid }: SimulatedPlatform): string => toHex(sha256(ppid));
