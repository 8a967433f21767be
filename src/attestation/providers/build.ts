// A digest over the files of the running program: what a simulated trust domain measures in place of its image.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder this program was loaded from: dist, or src in a checkout that runs its sources. */
const PROGRAM = fileURLToPath(new URL('../../', import.meta.url));

/** 32 bytes over paths and contents of all files below `folder`, in the order of their paths. */
export function digestOfBuild(folder: string = PROGRAM): Uint8Array {
  const digest = createHash('sha256');
  for (const path of filesBelow(folder, '').sort()) {
    const content = createHash('sha256')
      .update(readFileSync(join(folder, path)))
      .digest();
    // Lengths are fixed or given, so no two trees have the same input.
    digest.update(`${path.length}:${path}`).update(content);
  }
  return Uint8Array.from(digest.digest());
}

function filesBelow(folder: string, prefix: string): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) return filesBelow(folder, path);
    return entry.isFile() ? [path] : [];
  });
}
