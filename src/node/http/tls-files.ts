// The files an operator gives for TLS. Nothing but a date is read out of the certificate: Node serves it.

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { KithError } from '../../core/errors.ts';

/** @throws KithError `file`. */
export async function readTlsFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new KithError('file', `cannot read the TLS file ${path}`, { cause });
  }
}

/** Seconds since 1970 at which the first certificate of a PEM file ends. @throws KithError `file`. */
export function notAfterOf(cert: Uint8Array): number {
  try {
    return Date.parse(new X509Certificate(cert).validTo) / 1000;
  } catch (cause) {
    throw new KithError('file', 'the TLS file of the certificate holds none', { cause });
  }
}
