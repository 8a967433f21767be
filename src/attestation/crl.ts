// Certificate revocation lists, version 2, complete and direct (RFC 5280, section 5): delta and indirect lists
// announce themselves by critical extensions and are refused.

import { equalBytes } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import { type DerReader, derSmallNumber, derTime, derWhole, TAG } from './der.ts';
import { CRL_BYTES_MAX } from './limits.ts';
import { OID, readAuthorityKeyId, readExtensions, readSerial, readSignature, refuseUnknownCritical } from './x509.ts';

export interface RevocationList {
  readonly signed: Uint8Array;
  /** r||s. */
  readonly signature: Uint8Array;
  readonly issuer: Uint8Array;
  /** Unix seconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Serial numbers as hex, as in `Certificate.serial`. */
  readonly revoked: ReadonlySet<string>;
}

function bad(why: string): never {
  throw new KithError('bad-crl', why);
}

/** @throws KithError `bad-der`, `bad-time`, `bad-certificate` or `bad-crl`. */
export function parseRevocationList(der: Uint8Array): RevocationList {
  if (der.length > CRL_BYTES_MAX) bad(`${der.length} bytes, at most ${CRL_BYTES_MAX} are accepted`);
  const outer = derWhole(der, TAG.sequence, 'CRL');
  const body = outer.expect(TAG.sequence, 'CRL body');
  const { algorithm, signature } = readSignature(outer);
  const reader = body.enter();
  if (derSmallNumber(reader.expect(TAG.integer, 'version').content, 'version') !== 1) bad('expected version 2');
  if (!equalBytes(reader.expect(TAG.sequence, 'inner algorithm').whole, algorithm)) {
    bad('the inner and outer signature algorithms differ');
  }
  const issuer = reader.expect(TAG.sequence, 'issuer').whole;
  const thisUpdate = derTime(reader.next('thisUpdate'), 'thisUpdate');
  const nextUpdate = derTime(reader.next('nextUpdate'), 'nextUpdate');
  const entries = reader.optional(TAG.sequence, 'revoked certificates');
  const wrapped = reader.enter(TAG.context0, 'CRL extensions');
  const extensions = readExtensions(wrapped.enter(TAG.sequence, 'CRL extensions'));
  wrapped.end('CRL extensions');
  reader.end('CRL body');
  refuseUnknownCritical(extensions, [OID.crlNumber]);
  return {
    signed: body.whole,
    signature,
    issuer,
    thisUpdate,
    nextUpdate,
    authorityKeyId: readAuthorityKeyId(extensions.get(OID.authorityKeyId)),
    revoked: entries ? readEntries(entries.enter()) : new Set(),
  };
}

function readEntries(reader: DerReader): Set<string> {
  const revoked = new Set<string>();
  while (!reader.done) {
    const entry = reader.enter(TAG.sequence, 'revoked certificate');
    const serial = readSerial(entry);
    derTime(entry.next('revocation date'), 'revocation date');
    if (!entry.done) {
      refuseCritical(entry.enter(TAG.sequence, 'entry extensions'));
      entry.end('revoked certificate');
    }
    revoked.add(serial);
  }
  return revoked;
}

/** A certificateIssuer would make the entry speak of another authority; it is critical where it appears. */
function refuseCritical(reader: DerReader): void {
  while (!reader.done) {
    const extension = reader.enter(TAG.sequence, 'entry extension');
    extension.expect(TAG.oid, 'entry extension');
    if (extension.optional(TAG.boolean, 'entry extension')) bad('an entry with a critical extension');
    extension.expect(TAG.octetString, 'entry extension');
    extension.end('entry extension');
  }
}
