// Disks of machines that do not run, as folders: the same for containers and processes.

import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './command.ts';
import { ACT_MS } from './driver.ts';

/** The folder stays: it may be where a file system is mounted. */
export async function emptyFolder(path: string): Promise<void> {
  for (const entry of readdirSync(path)) rmSync(join(path, entry), { recursive: true, force: true });
}

/** Owners and modes too; what was in `to` is gone. */
export async function copyFolder(from: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true });
  await emptyFolder(to);
  await must('cp', ['-a', `${from}/.`, to], ACT_MS);
}
