// Keys, certificates and CRLs of the development PKI. Everything is a function of a seed and of constants, with
// signatures by RFC 6979, so that every process makes the same root and the same chains.

import { p256 } from '@noble/curves/nist.js';
import { sha256, sha384 } from '#crypto';
import { concatBytes, equalBytes, utf8 } from '../../core/bytes.ts';
import { LABEL_DEVELOPMENT_KEY } from '../../core/labels.ts';
import { TAG } from '../der.ts';
import { KEY_USAGE, OID } from '../x509.ts';
import { bits, der, ecdsaSignature, octets, oid, sequence, small, time, trueValue, unsigned } from './der-writer.ts';

export interface SigningKey {
  /** x||y. */
  readonly publicKey: Uint8Array;
  /** r||s over SHA-256 of the message. */
  sign(message: Uint8Array): Uint8Array;
}

/** The P-256 key with this name under a seed. */
export function deriveKey(seed: Uint8Array, name: string): SigningKey {
  // 48 bytes reduced to a scalar: no bias, and never out of range.
  const secret = p256.utils.randomSecretKey(sha384(concatBytes(utf8(LABEL_DEVELOPMENT_KEY), seed, utf8(name))));
  // The same bytes are signed the same way: those of a quoting enclave come with every quote.
  let last: { readonly message: Uint8Array; readonly signature: Uint8Array } | undefined;
  return {
    publicKey: p256.getPublicKey(secret, false).slice(1),
    sign(message) {
      if (!last || !equalBytes(last.message, message)) {
        last = { message: message.slice(), signature: p256.sign(message, secret, { prehash: true, lowS: false }) };
      }
      return last.signature.slice();
    },
  };
}

/** The moments of the development PKI are constants: 2024-01-01 and the end of 2049, the last with UTCTime. */
export const NOT_BEFORE = 1_704_067_200;
export const NOT_AFTER = 2_524_607_999;

const ALGORITHM = sequence(oid(OID.ecdsaWithSha256));

export interface Issuer {
  readonly commonName: string;
  readonly key: SigningKey;
}

export interface CertificateSpec {
  readonly commonName: string;
  readonly publicKey: Uint8Array;
  readonly issuer: Issuer;
  /** undefined: no CA. */
  readonly pathLength?: number | undefined;
  readonly ca?: boolean;
  readonly keyUsage: number;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly sgxExtension?: Uint8Array;
  /** Taken from the name and key if absent. */
  readonly serial?: Uint8Array;
}

function name(commonName: string): Uint8Array {
  const part = (attribute: string, value: string) =>
    der(TAG.set, sequence(oid(attribute), der(TAG.utf8String, utf8(value))));
  return sequence(part(OID.commonName, commonName), part('2.5.4.10', 'kith development'));
}

const keyId = (publicKey: Uint8Array): Uint8Array => sha256(publicKey).slice(0, 20);

/** 20 bytes, positive, the same for the same certificate. */
export function serialOf(commonName: string, publicKey: Uint8Array): Uint8Array {
  const serial = sha256(concatBytes(utf8(commonName), publicKey)).slice(0, 20);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial;
}

function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  return sequence(oid(id), ...(critical ? [trueValue()] : []), octets(value));
}

function keyUsageBits(usage: number): Uint8Array {
  let byte = 0;
  for (let i = 0; i < 8; i++) if ((usage & (1 << i)) !== 0) byte |= 0x80 >> i;
  const unused = Math.clz32(byte & -byte) === 32 ? 0 : 31 - Math.clz32(byte & -byte);
  return der(TAG.bitString, Uint8Array.of(unused, byte));
}

/** The DER of a certificate. */
export function issueCertificate(spec: CertificateSpec): Uint8Array {
  const { issuer, publicKey } = spec;
  const ca = spec.ca ?? spec.pathLength !== undefined;
  const authorityKeyId = sequence(der(0x80, keyId(issuer.key.publicKey)));
  const constraints = [
    ...(ca ? [trueValue()] : []),
    ...(spec.pathLength === undefined ? [] : [small(spec.pathLength)]),
  ];
  const extensions = [
    extension(OID.authorityKeyId, false, authorityKeyId),
    extension(OID.subjectKeyId, false, octets(keyId(publicKey))),
    extension(OID.keyUsage, true, keyUsageBits(spec.keyUsage)),
    extension(OID.basicConstraints, true, sequence(...constraints)),
    ...(spec.sgxExtension ? [extension(OID.sgx, false, spec.sgxExtension)] : []),
  ];
  const body = sequence(
    der(TAG.context0, small(2)),
    unsigned(spec.serial ?? serialOf(spec.commonName, publicKey)),
    ALGORITHM,
    name(issuer.commonName),
    sequence(time(spec.notBefore ?? NOT_BEFORE), time(spec.notAfter ?? NOT_AFTER)),
    name(spec.commonName),
    sequence(sequence(oid(OID.ecPublicKey), oid(OID.prime256v1)), bits(concatBytes(Uint8Array.of(4), publicKey))),
    der(TAG.context3, sequence(...extensions)),
  );
  return sequence(body, ALGORITHM, bits(ecdsaSignature(issuer.key.sign(body))));
}

export interface CrlSpec {
  readonly issuer: Issuer;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly revoked: readonly Uint8Array[];
}

/** The DER of a CRL. */
export function issueCrl({ issuer, thisUpdate, nextUpdate, revoked }: CrlSpec): Uint8Array {
  const entries = revoked.map((serial) => sequence(unsigned(serial), time(thisUpdate)));
  const body = sequence(
    small(1),
    ALGORITHM,
    name(issuer.commonName),
    time(thisUpdate),
    time(nextUpdate),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    der(
      TAG.context0,
      sequence(
        extension(OID.crlNumber, false, small(1)),
        extension(OID.authorityKeyId, false, sequence(der(0x80, keyId(issuer.key.publicKey)))),
      ),
    ),
  );
  return sequence(body, ALGORITHM, bits(ecdsaSignature(issuer.key.sign(body))));
}

export const CA_USAGE = KEY_USAGE.keyCertSign | KEY_USAGE.crlSign;
export const LEAF_USAGE = KEY_USAGE.digitalSignature;
