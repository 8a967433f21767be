// Material that must stay outside the project (licences): found beside it, or where KITH_FIXTURES says.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = process.env['KITH_FIXTURES'] ?? fileURLToPath(new URL('../../../shared/fixtures', import.meta.url));

/** The path of a fixture, or undefined, said aloud, where it is absent: the tests that need it are then skipped. */
export function fixture(...path: string[]): string | undefined {
  const full = join(root, ...path);
  if (existsSync(full)) return full;
  console.warn(`fixture ${path.join('/')} is absent: the tests that need it are skipped (set KITH_FIXTURES)`);
  return undefined;
}

/** Says aloud which tests are skipped for want of what. */
export function saySkipped(what: string, why: string): void {
  console.warn(`SKIPPED: ${what}: ${why}`);
}
