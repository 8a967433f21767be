// Collateral: what Intel publishes and signs about platforms of one kind, in one file. It comes from anywhere
// (a cache in the cloud, a directory, a peer) and is believed only after verify.ts has checked every signature.

import { sha256 } from '#crypto';
import { concatBytes, fromHex, toHex, u32be, utf8 } from '../core/bytes.ts';
import { parseJson } from '../core/json.ts';
import { closed, shape, Type, text } from '../core/schema.ts';
import { readAs, refuse } from './errors.ts';
import {
  COLLATERAL_BYTES_MAX,
  CRL_BYTES_MAX,
  PEM_CHAIN_BYTES_MAX,
  QE_IDENTITY_BYTES_MAX,
  TCB_INFO_BYTES_MAX,
} from './limits.ts';

export interface CollateralParts {
  /** PEM: the PCK authority, the root. */
  readonly pckCrlIssuerChain: string;
  /** DER. */
  readonly rootCaCrl: Uint8Array;
  readonly pckCrl: Uint8Array;
  /** PEM: the TCB signing certificate, the root. */
  readonly tcbInfoIssuerChain: string;
  /** The exact signed text. */
  readonly tcbInfo: string;
  /** r||s. */
  readonly tcbInfoSignature: Uint8Array;
  readonly qeIdentityIssuerChain: string;
  readonly qeIdentity: string;
  readonly qeIdentitySignature: Uint8Array;
}

declare const made: unique symbol;

/** Made by `makeCollateral` only, so that `digest` is the digest of the rest. */
export interface Collateral extends CollateralParts {
  /** Names this collateral in caches: 64 hex digits. */
  readonly digest: string;
  readonly [made]: true;
}

/** Field names of the file, and of the JSON that other verifiers (dcap-qvl) read and write. */
const collateralFile = shape(
  closed({
    pck_crl_issuer_chain: text(PEM_CHAIN_BYTES_MAX),
    root_ca_crl: text(2 * CRL_BYTES_MAX),
    pck_crl: text(2 * CRL_BYTES_MAX),
    tcb_info_issuer_chain: text(PEM_CHAIN_BYTES_MAX),
    tcb_info: text(TCB_INFO_BYTES_MAX),
    tcb_info_signature: text(128),
    qe_identity_issuer_chain: text(PEM_CHAIN_BYTES_MAX),
    qe_identity: text(QE_IDENTITY_BYTES_MAX),
    qe_identity_signature: text(128),
  }),
);

const anyObject = shape(Type.Record(Type.String(), Type.Unknown()));

/** Collateral of these parts; their signatures are checked when a quote is. */
export function makeCollateral(parts: CollateralParts): Collateral {
  const pieces = [
    utf8(parts.pckCrlIssuerChain),
    parts.rootCaCrl,
    parts.pckCrl,
    utf8(parts.tcbInfoIssuerChain),
    utf8(parts.tcbInfo),
    parts.tcbInfoSignature,
    utf8(parts.qeIdentityIssuerChain),
    utf8(parts.qeIdentity),
    parts.qeIdentitySignature,
  ];
  const digest = toHex(sha256(concatBytes(...pieces.flatMap((piece) => [u32be(piece.length), piece]))));
  return Object.freeze({ ...parts, digest }) as Collateral;
}

/**
 * Collateral from the text of its file: JSON with PEM chains, hex CRLs (lower case), the exact signed texts and
 * hex signatures.
 * @throws KithError `collateral-malformed` or `crl-missing`.
 */
export function parseCollateral(json: string): Collateral {
  if (json.length > COLLATERAL_BYTES_MAX) {
    refuse('collateral-malformed', `${json.length} characters; at most ${COLLATERAL_BYTES_MAX} are accepted`);
  }
  const file = readAs('collateral-malformed', 'the collateral', () => {
    const object = anyObject.parse(parseJson(json, 'collateral'), 'collateral');
    for (const name of ['root_ca_crl', 'pck_crl']) {
      if (object[name] === undefined || object[name] === null || object[name] === '') return { lacks: name };
    }
    return collateralFile.parse(object, 'collateral');
  });
  if ('lacks' in file) refuse('crl-missing', `the collateral lacks ${file.lacks}`);
  return readAs('collateral-malformed', 'the collateral', () =>
    makeCollateral({
      pckCrlIssuerChain: file.pck_crl_issuer_chain,
      rootCaCrl: hexField('root_ca_crl', file.root_ca_crl),
      pckCrl: hexField('pck_crl', file.pck_crl),
      tcbInfoIssuerChain: file.tcb_info_issuer_chain,
      tcbInfo: file.tcb_info,
      tcbInfoSignature: hexField('tcb_info_signature', file.tcb_info_signature),
      qeIdentityIssuerChain: file.qe_identity_issuer_chain,
      qeIdentity: file.qe_identity,
      qeIdentitySignature: hexField('qe_identity_signature', file.qe_identity_signature),
    }),
  );
}

/** One text for one byte string: lower case only. */
function hexField(name: string, hex: string): Uint8Array {
  if (/[A-F]/.test(hex)) refuse('collateral-malformed', `${name} must be lower-case hex`);
  return readAs('collateral-malformed', name, () => fromHex(hex));
}

/** The text of a collateral file; `parseCollateral` reads it back. */
export function formatCollateral(collateral: CollateralParts): string {
  const file = {
    pck_crl_issuer_chain: collateral.pckCrlIssuerChain,
    root_ca_crl: toHex(collateral.rootCaCrl),
    pck_crl: toHex(collateral.pckCrl),
    tcb_info_issuer_chain: collateral.tcbInfoIssuerChain,
    tcb_info: collateral.tcbInfo,
    tcb_info_signature: toHex(collateral.tcbInfoSignature),
    qe_identity_issuer_chain: collateral.qeIdentityIssuerChain,
    qe_identity: collateral.qeIdentity,
    qe_identity_signature: toHex(collateral.qeIdentitySignature),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}
