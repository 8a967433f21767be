// What a client keeps of a registration so that it can be brought back: the certificate and what was registered. Public
// data, in a file beside the wallet's.

import { fromBase64Url, toBase64Url } from '../core/bytes.ts';
import { CERTIFICATE_RECEIPTS_MAX, type Certificate } from '../core/certificate.ts';
import { isKithError } from '../core/errors.ts';
import { parseClusterId, parseOpId, parseRegId } from '../core/ids.ts';
import { parseJson } from '../core/json.ts';
import { RECEIPT_BYTES_MAX } from '../core/receipt.ts';
import { HEIGHT_MAX } from '../core/registration/limits.ts';
import { closed, list, shape, Type, text, uint } from '../core/schema.ts';
import { clientError } from './errors.ts';

/** 32 receipts in base64url. */
export const KEPT_FILE_BYTES_MAX = 65_536;

export interface KeptRegistration {
  readonly certificate: Certificate;
  readonly type: 'register' | 'renew' | 'revoke';
  readonly expiryHeight: number;
  /** As registered; undefined if the operation did not say. */
  readonly birthday: number | undefined;
}

const keptShape = shape(
  closed({
    version: Type.Literal(1),
    clusterId: text(43, 43),
    id: text(43, 43),
    opId: text(43, 43),
    type: Type.Union([Type.Literal('register'), Type.Literal('renew'), Type.Literal('revoke')]),
    expiryHeight: uint(HEIGHT_MAX),
    birthday: Type.Optional(uint(HEIGHT_MAX)),
    receipts: list(text(Math.ceil((4 * RECEIPT_BYTES_MAX) / 3), 1), CERTIFICATE_RECEIPTS_MAX, 1),
  }),
);

/** The text of a certificate file. */
export function formatKept({ certificate, type, expiryHeight, birthday }: KeptRegistration): string {
  const { clusterId, regId, opId, receipts } = certificate;
  const file = {
    version: 1,
    clusterId,
    id: regId,
    opId,
    type,
    expiryHeight,
    ...(birthday === undefined ? {} : { birthday }),
    receipts: receipts.map(toBase64Url),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** @param source name of the file, for errors. @throws KithError `bad-certificate`. Verifies no signature. */
export function parseKept(contents: string, source: string): KeptRegistration {
  try {
    const { clusterId, id, opId, type, expiryHeight, birthday, receipts } = keptShape.parse(
      parseJson(contents, source),
      source,
    );
    const certificate = {
      clusterId: parseClusterId(clusterId),
      regId: parseRegId(id),
      opId: parseOpId(opId),
      receipts: receipts.map(fromBase64Url),
    };
    return { certificate, type, expiryHeight, birthday };
  } catch (cause) {
    if (!isKithError(cause)) throw cause;
    const where = cause.message.startsWith(source) ? '' : `${source}: `;
    throw clientError('bad-certificate', `${where}${cause.message}`, cause);
  }
}
