// One unit of work on a kernel: load the keys, test the flags, wipe the keys.

import { isKithError } from '../../core/errors.ts';
import { FLAG_BORSH_BYTES, readFlagBorsh } from '../flag.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { WorkRequest } from './protocol.ts';

/** Tests every flag of a request against every row; the keys are gone from the kernel afterwards, whatever happens. */
export function testUnit(
  kernel: Kernel,
  { flags, tiles }: Pick<WorkRequest, 'flags' | 'tiles'>,
): { undecodable: Uint8Array; matches: Uint8Array } {
  const count = flags.length / FLAG_BORSH_BYTES;
  kernel.load(tiles.map(({ memory, rowBytes, rows }) => ({ bytes: new Uint8Array(memory), rowBytes, rows })));
  try {
    const matchBytes = Math.ceil(kernel.keys / 8);
    const undecodable = new Uint8Array(count);
    const matches = new Uint8Array(count * matchBytes);
    for (let f = 0; f < count; f++) {
      const bytes = flags.subarray(f * FLAG_BORSH_BYTES, (f + 1) * FLAG_BORSH_BYTES);
      const bits = matches.subarray(f * matchBytes, (f + 1) * matchBytes);
      undecodable[f] = Number(!detectBytes(kernel, bytes, bits));
    }
    return { undecodable, matches };
  } finally {
    kernel.wipe();
  }
}

/** False if the bytes are no canonical flag. */
function detectBytes(kernel: Kernel, bytes: Uint8Array, matches: Uint8Array): boolean {
  try {
    return kernel.detect(readFlagBorsh(bytes), matches);
  } catch (error) {
    if (isKithError(error, 'bad-encoding')) return false;
    throw error;
  }
}
