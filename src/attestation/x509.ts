// X.509 certificates of the profile Intel issues (RFC 5280; "Intel SGX PCK Certificate and Certificate Revocation
// List Profile Specification"): version 3, ECDSA P-256 with SHA-256, extensions known to us or not critical.

import { p256PublicKey } from '#crypto';
import { equalBytes, fromUtf8, toHex } from '../core/bytes.ts';
import type { P256PublicKey } from '../core/crypto/door.ts';
import { KithError } from '../core/errors.ts';
import {
  DerReader,
  derBoolean,
  derBytesOfBits,
  derEcdsaSignature,
  derNamedBits,
  derOid,
  derSmallNumber,
  derTime,
  derUnsigned,
  derWhole,
  TAG,
} from './der.ts';

export interface Certificate {
  readonly der: Uint8Array;
  /** What the signature is over. */
  readonly signed: Uint8Array;
  /** r||s. */
  readonly signature: Uint8Array;
  /** Serial number as hex, without sign byte. */
  readonly serial: string;
  /** The DER of the names: compared byte for byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly subjectCommonName: string;
  /** Unix seconds, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** x||y. */
  readonly publicKey: Uint8Array;
  readonly key: P256PublicKey;
  readonly ca: boolean;
  /** How many CAs may follow below this one; undefined: any number. */
  readonly pathLength: number | undefined;
  /** Bits of KEY_USAGE. */
  readonly keyUsage: number;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Content of the extension 1.2.840.113741.1.13.1. */
  readonly sgxExtension: Uint8Array | undefined;
}

/** RFC 5280, section 4.2.1.3. */
export const KEY_USAGE = { digitalSignature: 1, keyCertSign: 1 << 5, crlSign: 1 << 6 } as const;

export const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecPublicKey: '1.2.840.10045.2.1',
  prime256v1: '1.2.840.10045.3.1.7',
  commonName: '2.5.4.3',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  authorityKeyId: '2.5.29.35',
  sgx: '1.2.840.113741.1.13.1',
} as const;

/** RFC 5280, section 4.1.2.2: no serial number is longer. */
const SERIAL_BYTES_MAX = 20;

function bad(why: string): never {
  throw new KithError('bad-certificate', why);
}

/** @throws KithError `bad-der`, `bad-time`, `bad-text` or `bad-certificate`. */
export function parseCertificate(der: Uint8Array): Certificate {
  const outer = derWhole(der, TAG.sequence, 'certificate');
  const body = outer.expect(TAG.sequence, 'certificate body');
  const { algorithm, signature } = readSignature(outer);
  const reader = body.enter();

  const version = reader.enter(TAG.context0, 'version');
  if (derSmallNumber(version.expect(TAG.integer, 'version').content, 'version') !== 2) bad('expected version 3');
  version.end('version');
  const serial = readSerial(reader);
  if (!equalBytes(reader.expect(TAG.sequence, 'inner algorithm').whole, algorithm)) {
    bad('the inner and outer signature algorithms differ');
  }
  const issuer = reader.expect(TAG.sequence, 'issuer').whole;
  const validity = reader.enter(TAG.sequence, 'validity');
  const notBefore = derTime(validity.next('notBefore'), 'notBefore');
  const notAfter = derTime(validity.next('notAfter'), 'notAfter');
  validity.end('validity');
  const subject = reader.expect(TAG.sequence, 'subject').whole;
  const publicKey = readPublicKey(reader.enter(TAG.sequence, 'public key'));
  const key = p256PublicKey(publicKey);
  if (!key) bad('the public key is no point of the curve');
  // Unique identifiers ([1], [2]) are not of this profile and fail here.
  const wrapped = reader.enter(TAG.context3, 'extensions');
  const extensions = readExtensions(wrapped.enter(TAG.sequence, 'extensions'));
  wrapped.end('extensions');
  reader.end('certificate body');

  return {
    der,
    signed: body.whole,
    signature,
    serial,
    issuer,
    subject,
    subjectCommonName: commonName(subject),
    notBefore,
    notAfter,
    publicKey,
    key,
    ...readKnown(extensions),
  };
}

/** The signature algorithm (as DER) and signature that end a certificate or CRL. */
export function readSignature(outer: DerReader): { algorithm: Uint8Array; signature: Uint8Array } {
  const element = outer.expect(TAG.sequence, 'signature algorithm');
  const parameters = element.enter();
  // No parameters, not even NULL (RFC 5758, section 3.2).
  const oid = derOid(parameters.expect(TAG.oid, 'signature algorithm').content, 'signature algorithm');
  parameters.end('signature algorithm');
  if (oid !== OID.ecdsaWithSha256) bad('expected ECDSA with SHA-256');
  const bits = outer.expect(TAG.bitString, 'signature').content;
  outer.end('certificate');
  return { algorithm: element.whole, signature: derEcdsaSignature(derBytesOfBits(bits, 'signature'), 'signature') };
}

/** A serial number: positive, at most 20 bytes. */
export function readSerial(reader: DerReader): string {
  const bytes = derUnsigned(reader.expect(TAG.integer, 'serial number').content, 'serial number');
  if (bytes.length > SERIAL_BYTES_MAX) bad(`a serial number of ${bytes.length} bytes`);
  return toHex(bytes);
}

function readPublicKey(reader: DerReader): Uint8Array {
  const algorithm = reader.enter(TAG.sequence, 'key algorithm');
  const kind = derOid(algorithm.expect(TAG.oid, 'key algorithm').content, 'key algorithm');
  const curve = derOid(algorithm.expect(TAG.oid, 'curve').content, 'curve');
  algorithm.end('key algorithm');
  if (kind !== OID.ecPublicKey || curve !== OID.prime256v1) bad('expected a key on the curve P-256');
  const point = derBytesOfBits(reader.expect(TAG.bitString, 'public key').content, 'public key');
  reader.end('public key');
  if (point.length !== 65 || point[0] !== 4) bad('expected an uncompressed point');
  return point.subarray(1);
}

/** The common name of a Name; exactly one must be there. */
function commonName(name: Uint8Array): string {
  const names: string[] = [];
  const sequence = derWhole(name, TAG.sequence, 'name');
  while (!sequence.done) {
    const set = sequence.enter(TAG.set, 'name');
    while (!set.done) {
      const pair = set.enter(TAG.sequence, 'name');
      const oid = derOid(pair.expect(TAG.oid, 'name').content, 'name');
      const value = pair.next('name');
      pair.end('name');
      if (oid !== OID.commonName) continue;
      if (value.tag !== TAG.utf8String && value.tag !== TAG.printableString) bad('a common name of another type');
      names.push(fromUtf8(value.content));
    }
  }
  if (names.length !== 1) bad(`a name with ${names.length} common names`);
  return names[0]!;
}

export interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Extensions by OID; none may appear twice (RFC 5280, section 4.2). */
export function readExtensions(reader: DerReader): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  while (!reader.done) {
    const extension = reader.enter(TAG.sequence, 'extension');
    const oid = derOid(extension.expect(TAG.oid, 'extension').content, 'extension');
    const flag = extension.optional(TAG.boolean, 'extension');
    // A default value is not encoded (X.690, section 11.5).
    if (flag && !derBoolean(flag.content, 'extension')) bad('an extension spells out that it is not critical');
    const value = extension.expect(TAG.octetString, 'extension').content;
    extension.end('extension');
    if (extensions.has(oid)) bad(`the extension ${oid} appears twice`);
    extensions.set(oid, { critical: flag !== undefined, value });
  }
  return extensions;
}

/** @throws KithError `bad-certificate` for a critical extension that is not among `known`. */
export function refuseUnknownCritical(extensions: Map<string, Extension>, known: readonly string[]): void {
  for (const [oid, { critical }] of extensions) {
    if (critical && !known.includes(oid)) bad(`unknown critical extension ${oid}`);
  }
}

/** keyIdentifier of an AuthorityKeyIdentifier (RFC 5280, section 4.2.1.1). */
export function readAuthorityKeyId(extension: Extension | undefined): Uint8Array | undefined {
  if (!extension) return undefined;
  const keyIdentifier = 0x80;
  const reader = derWhole(extension.value, TAG.sequence, 'authority key identifier');
  return reader.optional(keyIdentifier, 'authority key identifier')?.content;
}

type Known = Pick<Certificate, 'ca' | 'pathLength' | 'keyUsage' | 'subjectKeyId' | 'authorityKeyId' | 'sgxExtension'>;

function readKnown(extensions: Map<string, Extension>): Known {
  refuseUnknownCritical(extensions, [OID.keyUsage, OID.basicConstraints, OID.sgx]);
  const subjectKeyId = extensions.get(OID.subjectKeyId);
  const usage = extensions.get(OID.keyUsage);
  return {
    ...readBasicConstraints(extensions.get(OID.basicConstraints)),
    keyUsage: usage ? derNamedBits(only(usage.value, TAG.bitString, 'key usage'), 'key usage') : 0,
    subjectKeyId: subjectKeyId && only(subjectKeyId.value, TAG.octetString, 'subject key identifier'),
    authorityKeyId: readAuthorityKeyId(extensions.get(OID.authorityKeyId)),
    sgxExtension: extensions.get(OID.sgx)?.value,
  };
}

function only(bytes: Uint8Array, tag: number, what: string): Uint8Array {
  const reader = new DerReader(bytes);
  const { content } = reader.expect(tag, what);
  reader.end(what);
  return content;
}

/** RFC 5280, section 4.2.1.9. */
function readBasicConstraints(extension: Extension | undefined): Pick<Certificate, 'ca' | 'pathLength'> {
  if (!extension) return { ca: false, pathLength: undefined };
  const reader = derWhole(extension.value, TAG.sequence, 'basic constraints');
  const flag = reader.optional(TAG.boolean, 'basic constraints');
  if (flag && !derBoolean(flag.content, 'basic constraints')) bad('basic constraints spell out the default');
  const length = reader.optional(TAG.integer, 'path length');
  reader.end('basic constraints');
  if (length && !flag) bad('a path length without CA');
  return {
    ca: flag !== undefined,
    pathLength: length && derSmallNumber(length.content, 'path length'),
  };
}
