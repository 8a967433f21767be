// Commands of this machine, to their end.

import { execFile } from 'node:child_process';
import type { CommandResult } from './driver.ts';

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** @param timeoutMs after which it is killed; it then has no exit code. */
export function command(file: string, args: readonly string[], timeoutMs: number): Promise<CommandResult> {
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, maxBuffer: OUTPUT_BYTES_MAX, killSignal: 'SIGKILL' as const };
    execFile(file, [...args], options, (error, out, err) => {
      const code = error ? error.code : 0;
      resolve({ exitCode: typeof code === 'number' ? code : null, out, err: err || (error ? error.message : '') });
    });
  });
}

/** @throws with what the command said, unless it ends well. @returns its output. */
export async function must(file: string, args: readonly string[], timeoutMs: number): Promise<string> {
  const { exitCode, out, err } = await command(file, args, timeoutMs);
  if (exitCode === 0) return out;
  throw new Error(`${file} ${args.join(' ').slice(0, 300)} ended with ${exitCode}: ${(err || out).slice(-2_000)}`);
}
