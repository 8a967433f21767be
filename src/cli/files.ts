// Reading and writing the files users name: bounded, with errors that name the file.

import { createReadStream } from 'node:fs';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { toHex } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import { systemRandom } from '../core/system.ts';

function fileError(path: string, doing: string, error: unknown): KithError {
  const code = (error as NodeJS.ErrnoException).code;
  const reasons: Record<string, string> = {
    ENOENT: 'no such file or folder',
    EACCES: 'permission denied',
    EISDIR: 'it is a folder',
    ENOTDIR: 'a part of its path is not a folder',
    EEXIST: 'it exists already; remove it or name another',
    ENOSPC: 'the disk is full',
  };
  return new KithError('file', `cannot ${doing} ${path}: ${reasons[code ?? ''] ?? code ?? String(error)}`, {
    cause: error,
  });
}

/** The size of a regular file in bytes. @throws KithError `file`, `too-large`. */
export async function fileSize(path: string, bytesMax: number): Promise<number> {
  const found = await stat(path).catch((error: unknown) => {
    throw fileError(path, 'read', error);
  });
  if (!found.isFile()) throw new KithError('file', `cannot read ${path}: it is not a regular file`);
  if (found.size > bytesMax) {
    throw new KithError('too-large', `${path} has ${found.size} bytes; at most ${bytesMax} are accepted`);
  }
  return found.size;
}

/** The bytes of a file. @throws KithError `file`, `too-large`. */
export async function readBytesFile(path: string, bytesMax: number): Promise<Uint8Array> {
  await fileSize(path, bytesMax);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // A stream with an end, so that a file that grows meanwhile cannot exceed the limit either.
    for await (const chunk of createReadStream(path, { end: bytesMax })) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
    }
  } catch (error) {
    throw fileError(path, 'read', error);
  }
  if (length > bytesMax) throw new KithError('too-large', `${path} has more than ${bytesMax} bytes`);
  return Uint8Array.from(Buffer.concat(chunks));
}

/** The text of a file. @throws KithError `file`, `too-large`, `bad-text`. */
export async function readTextFile(path: string, bytesMax: number): Promise<string> {
  const bytes = await readBytesFile(path, bytesMax);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new KithError('bad-text', `${path} is not UTF-8 text`);
  }
}

export interface Line {
  readonly text: string;
  /** Position of the byte after the line, for progress. */
  readonly endOffset: number;
}

/**
 * The lines of a file, whatever its length, without their ends (LF or CRLF); a last line may lack its end.
 * @throws KithError `file`, `line-too-long`, `bad-text`.
 */
export async function* readLines(path: string, lineBytesMax: number): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let pending: Buffer[] = [];
  let pendingLength = 0;
  let offset = 0;
  let number = 1;
  const take = (tail: Buffer): string => {
    let bytes = Buffer.concat([...pending, tail]);
    if (bytes.at(-1) === 13) bytes = bytes.subarray(0, -1);
    pending = [];
    pendingLength = 0;
    try {
      return decoder.decode(bytes);
    } catch {
      throw new KithError('bad-text', `${path} line ${number}: not UTF-8 text`);
    } finally {
      number++;
    }
  };
  const stream = createReadStream(path);
  stream.on('error', () => undefined);
  try {
    for await (const read of stream) {
      const chunk = read as Buffer;
      let start = 0;
      for (let end = chunk.indexOf(10, start); end >= 0; end = chunk.indexOf(10, start)) {
        checkLineLength(path, number, pendingLength + end - start, lineBytesMax);
        yield { text: take(chunk.subarray(start, end)), endOffset: offset + end + 1 };
        start = end + 1;
      }
      pending.push(chunk.subarray(start));
      pendingLength += chunk.length - start;
      offset += chunk.length;
      checkLineLength(path, number, pendingLength, lineBytesMax);
    }
  } catch (error) {
    if (error instanceof KithError) throw error;
    throw fileError(path, 'read', error);
  }
  if (pendingLength > 0) yield { text: take(Buffer.alloc(0)), endOffset: offset };
}

function checkLineLength(path: string, number: number, length: number, max: number): void {
  if (length > max) {
    throw new KithError('line-too-long', `${path} line ${number}: longer than ${max} bytes`);
  }
}

/**
 * Writes a file of secrets: mode 0600, whole or not at all (written beside and renamed, synced first). With
 * `overwrite` false an existing file is an error. @throws KithError `file`.
 */
export function writeSecretFile(path: string, contents: string, options: { overwrite: boolean }): Promise<void> {
  return writeWhole(path, contents, { ...options, mode: 0o600 });
}

/** Writes a file that anybody may read, whole or not at all, as `writeSecretFile` does. @throws KithError `file`. */
export function writePublicFile(path: string, contents: string, options: { overwrite: boolean }): Promise<void> {
  return writeWhole(path, contents, { ...options, mode: 0o644 });
}

/** Says early what writing without `overwrite` would say in the end. @throws KithError `file`. */
export async function refuseExisting(path: string): Promise<void> {
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  if (exists) throw fileError(path, 'write', Object.assign(new Error('exists'), { code: 'EEXIST' }));
}

async function writeWhole(
  path: string,
  contents: string,
  { overwrite, mode }: { overwrite: boolean; mode: number },
): Promise<void> {
  const temporary = `${path}.${toHex(systemRandom.bytes(6))}.tmp`;
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(contents);
      await file.sync();
    } finally {
      await file.close();
    }
    if (overwrite) await rename(temporary, path);
    else await link(temporary, path);
  } catch (error) {
    throw fileError(path, 'write', error);
  } finally {
    await rm(temporary, { force: true });
  }
}
