// Nonces for releases: single use, thirty seconds, a few for each boot.

import { toBase64Url } from '../../core/bytes.ts';
import { KithError } from '../../core/errors.ts';
import type { Clock, Random } from '../../core/ports.ts';

const NONCE_BYTES = 32;
/** From the nonce to the request: a quote may take seconds. */
const VALID_MS = 30_000;
/** One attempt needs one; the others are for answers that got lost. */
const PER_BOOT_MAX = 4;
/** As many boots as there may be connections, and as many again that went away. */
const BOOTS_MAX = 64;

export interface Nonces {
  /** @throws KithError `too-many-nonces`. */
  issue(bootKey: Uint8Array): Uint8Array;
  /** Those that are valid for this boot, newest first; from then on they are not. */
  take(bootKey: Uint8Array): Uint8Array[];
}

export function createNonces({ clock, random }: { clock: Clock; random: Random }): Nonces {
  const issued = new Map<string, { readonly nonce: Uint8Array; readonly untilMs: number }[]>();

  function forgetOld(): void {
    const now = clock.monotonic();
    for (const [boot, nonces] of issued) {
      const left = nonces.filter(({ untilMs }) => untilMs > now);
      if (left.length === 0) issued.delete(boot);
      else issued.set(boot, left);
    }
  }

  return {
    issue(bootKey) {
      forgetOld();
      const boot = toBase64Url(bootKey);
      const mine = issued.get(boot) ?? [];
      if (mine.length >= PER_BOOT_MAX || (mine.length === 0 && issued.size >= BOOTS_MAX)) {
        throw new KithError('too-many-nonces', 'too many nonces wait for their requests; try again in a minute');
      }
      const nonce = random.bytes(NONCE_BYTES);
      issued.set(boot, [{ nonce, untilMs: clock.monotonic() + VALID_MS }, ...mine]);
      return nonce;
    },
    take(bootKey) {
      forgetOld();
      const boot = toBase64Url(bootKey);
      const mine = issued.get(boot) ?? [];
      issued.delete(boot);
      return mine.map(({ nonce }) => nonce);
    },
  };
}
