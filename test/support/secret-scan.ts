// Looks for secrets in what a host can see: any eight bytes in a row of any of them, raw, as hex, or as base64 of
// either alphabet at any alignment.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../src/core/bytes.ts';

const RUN_BYTES = 8;
/** Nine bytes are twelve digits of base64, of which the inner ones do not depend on what stands around. */
const BASE64_BYTES = 9;

/** Every form of every run of a secret. */
function formsOf(secret: Uint8Array): Buffer[] {
  const forms: Buffer[] = [];
  for (let at = 0; at + RUN_BYTES <= secret.length; at++) {
    const run = secret.subarray(at, at + RUN_BYTES);
    const hex = toHex(run);
    forms.push(Buffer.from(run), Buffer.from(hex), Buffer.from(hex.toUpperCase()));
  }
  for (let at = 0; at + BASE64_BYTES <= secret.length; at++) {
    const text = Buffer.from(secret.subarray(at, at + BASE64_BYTES)).toString('base64');
    forms.push(Buffer.from(text), Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_')));
  }
  return forms;
}

export interface SecretScan {
  /** Looks for another one from now on. */
  add(name: string, secret: Uint8Array): void;
  /** Names of the secrets of which something was found in `bytes`. */
  find(bytes: Uint8Array): string[];
  /** The same over all files below a folder. */
  findInFolder(folder: string): string[];
}

export function createSecretScan(secrets: ReadonlyMap<string, Uint8Array>): SecretScan {
  const byStart = new Map<number, { readonly name: string; readonly form: Buffer }[]>();
  /** Most places are settled by the first two bytes. */
  const filter = new Uint8Array(65_536);

  function add(name: string, secret: Uint8Array): void {
    if (secret.length < RUN_BYTES) throw new Error(`${name} is too short to be looked for`);
    for (const form of formsOf(secret)) {
      const start = form.readUInt32LE(0);
      const known = byStart.get(start);
      if (known) known.push({ name, form });
      else byStart.set(start, [{ name, form }]);
      filter[start & 0xffff] = 1;
    }
  }
  for (const [name, secret] of secrets) add(name, secret);

  function find(bytes: Uint8Array): string[] {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const found = new Set<string>();
    for (let at = 0; at + RUN_BYTES <= buffer.length; at++) {
      if (!filter[buffer[at]! | (buffer[at + 1]! << 8)]) continue;
      for (const { name, form } of byStart.get(buffer.readUInt32LE(at)) ?? []) {
        if (form.equals(buffer.subarray(at, at + form.length))) found.add(name);
      }
    }
    return [...found];
  }

  return {
    add,
    find,
    findInFolder(folder) {
      return readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((name) => join(folder, name))
        .filter((path) => statSync(path).isFile())
        .flatMap((path) => find(readFileSync(path)).map((name) => `${name} in ${path}`));
    },
  };
}
