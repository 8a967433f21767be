// Collateral from a PCCS or from Intel's PCS itself ("Intel SGX and TDX Provisioning Certification Service" API,
// version 4): four requests. Sizes are bounded while reading; redirects are not followed.

import { fromHex, fromUtf8 } from '../../core/bytes.ts';
import { KithError, messageOf } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { shape, Type } from '../../core/schema.ts';
import { CRL_BYTES_MAX, PEM_CHAIN_BYTES_MAX, TCB_INFO_BYTES_MAX } from '../limits.ts';
import { type Collateral, makeCollateral } from '../quote-collateral.ts';
import { rawMember } from './raw-member.ts';
import type { CollateralErrorCode, CollateralSource } from './source.ts';

export interface HttpCollateralOptions {
  /** Up to, and without, `/sgx/certification`: "https://api.trustedservices.intel.com" or a PCCS. */
  readonly baseUrl: string;
  /** A PCCS serves the root's CRL itself; Intel's PCS has it at another address. */
  readonly rootCrlUrl?: string;
  readonly fetch?: typeof fetch;
}

function fail(code: CollateralErrorCode, message: string, cause?: unknown): never {
  throw new KithError<CollateralErrorCode>(code, message, cause === undefined ? undefined : { cause });
}

interface Answer {
  readonly body: Uint8Array;
  readonly headers: Headers;
}

export function createHttpCollateral(options: HttpCollateralOptions): CollateralSource {
  const base = options.baseUrl.replace(/\/+$/, '');
  const get = options.fetch ?? fetch;

  async function ask(url: string, bytesMax: number, signal: AbortSignal): Promise<Answer | undefined> {
    let response: Response;
    try {
      response = await get(url, { signal, redirect: 'error' });
    } catch (cause) {
      return fail('collateral-unavailable', `${url}: ${messageOf(cause)}`, cause);
    }
    if (response.status === 404) return undefined;
    if (response.status !== 200) fail('collateral-unavailable', `${url}: HTTP status ${response.status}`);
    return { body: await readBody(url, response, bytesMax), headers: response.headers };
  }

  return {
    name: base,
    async fetch({ fmspc, authority, update }, { signal }): Promise<Collateral | undefined> {
      const early = update === 'early' ? '&update=early' : '';
      const tcb = `${base}/tdx/certification/v4/tcb?fmspc=${fmspc.toLowerCase()}${early}`;
      const qe = `${base}/tdx/certification/v4/qe/identity${early.replace('&', '?')}`;
      const crl = `${base}/sgx/certification/v4/pckcrl?ca=${authority}&encoding=der`;
      const rootCrl = options.rootCrlUrl ?? `${base}/sgx/certification/v4/rootcacrl`;
      const answers = await Promise.all([
        ask(tcb, 2 * TCB_INFO_BYTES_MAX, signal),
        ask(qe, 2 * TCB_INFO_BYTES_MAX, signal),
        ask(crl, 2 * CRL_BYTES_MAX, signal),
        ask(rootCrl, 2 * CRL_BYTES_MAX, signal),
      ]);
      const [tcbAnswer, qeAnswer, crlAnswer, rootCrlAnswer] = answers;
      if (!tcbAnswer || !qeAnswer || !crlAnswer || !rootCrlAnswer) return undefined;
      const tcbInfo = readSigned(tcb, tcbAnswer, 'tcbInfo');
      const qeIdentity = readSigned(qe, qeAnswer, 'enclaveIdentity');
      return makeCollateral({
        pckCrlIssuerChain: readChain(crl, crlAnswer, ['SGX-PCK-CRL-Issuer-Chain']),
        rootCaCrl: readCrl(rootCrl, rootCrlAnswer),
        pckCrl: readCrl(crl, crlAnswer),
        tcbInfoIssuerChain: readChain(tcb, tcbAnswer, ['TCB-Info-Issuer-Chain', 'SGX-TCB-Info-Issuer-Chain']),
        tcbInfo: tcbInfo.text,
        tcbInfoSignature: tcbInfo.signature,
        qeIdentityIssuerChain: readChain(qe, qeAnswer, ['SGX-Enclave-Identity-Issuer-Chain']),
        qeIdentity: qeIdentity.text,
        qeIdentitySignature: qeIdentity.signature,
      });
    },
  };
}

async function readBody(url: string, response: Response, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > bytesMax) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    fail('collateral-unavailable', `${url}: ${messageOf(cause)}`, cause);
  }
  if (length > bytesMax) fail('collateral-answer', `${url}: more than ${bytesMax} bytes`);
  return Uint8Array.from(Buffer.concat(chunks));
}

const signedShape = shape(Type.Object({ signature: Type.String({ minLength: 128, maxLength: 128 }) }));

/** The signed document, to the byte as it was sent, and its signature. */
function readSigned(url: string, { body }: Answer, member: string): { text: string; signature: Uint8Array } {
  try {
    const json = fromUtf8(body);
    const { signature } = signedShape.parse(parseJson(json, url), url);
    const text = rawMember(json, member);
    if (text === undefined) fail('collateral-answer', `${url}: the answer lacks ${member}`);
    return { text, signature: fromHex(signature) };
  } catch (cause) {
    if (!(cause instanceof KithError)) throw cause;
    return fail('collateral-answer', `${url}: ${cause.message}`, cause);
  }
}

/** Issuer chains travel in a header, percent-encoded. */
function readChain(url: string, { headers }: Answer, names: readonly string[]): string {
  const value = names.map((name) => headers.get(name)).find((found) => found !== null);
  if (value === undefined || value === null) fail('collateral-answer', `${url}: the answer lacks ${names[0]}`);
  if (value.length > 2 * PEM_CHAIN_BYTES_MAX) fail('collateral-answer', `${url}: ${names[0]} is too long`);
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    return fail('collateral-answer', `${url}: ${names[0]} is not percent-encoded`, cause);
  }
}

/** A PCCS may answer with hex where Intel sends DER. DER of a CRL begins with 0x30 0x8., hex of it with "308". */
function readCrl(url: string, { body }: Answer): Uint8Array {
  if (body[0] === 0x30 && body[1]! >= 0x80) return body;
  try {
    return fromHex(fromUtf8(body).trim());
  } catch (cause) {
    if (!(cause instanceof KithError)) throw cause;
    return fail('collateral-answer', `${url}: neither DER nor hex`, cause);
  }
}
