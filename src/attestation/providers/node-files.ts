// The kernel's files through node:fs.

import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import type { TsmFiles } from './configfs.ts';

export const nodeTsmFiles: TsmFiles = {
  mkdir: (path) => mkdir(path),
  rmdir: (path) => rmdir(path),
  // One write call with the whole blob: the kernel takes no parts. The file exists, so nothing is created.
  write: (path, bytes) => writeFile(path, bytes, { flag: 'r+' }),
  read: async (path) => new Uint8Array(await readFile(path)),
};
