// A digest over the files of the running program: what a simulated trust domain measures in place of its image.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from '#crypto';
import { concatBytes, utf8 } from '../../core/bytes.ts';

/** The folder this program was loaded from: dist, or src in a checkout that runs its sources. */
const PROGRAM = fileURLToPath(new URL('../../', import.meta.url));

/** 32 bytes over paths and contents of all files below `folder`, in the order of their paths. */
export function digestOfBuild(folder: string = PROGRAM): Uint8Array {
  // Every file is two digests of a fixed length, so no two trees have the same input.
  const parts = filesBelow(folder, '')
    .sort()
    .flatMap((path) => [sha256(utf8(path)), sha256(readFileSync(join(folder, path)))]);
  return sha256(concatBytes(...parts));
}

function filesBelow(folder: string, prefix: string): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) return filesBelow(folder, path);
    return entry.isFile() ? [path] : [];
  });
}
