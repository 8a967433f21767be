// The real clock and the real randomness: the one place outside the adapters that touches them.
// Imported by entry points only (checked by dependency-cruiser); everybody else is handed the ports.

import type { Clock, Random } from './ports.ts';

/** setTimeout fires at once for anything above 2^31 - 1 ms; longer waits are made of several. */
const TIMER_MS_MAX = 0x7fffffff;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delayMs, callback) {
    let left = Math.max(0, delayMs);
    const arm = () => {
      const step = Math.min(left, TIMER_MS_MAX);
      left -= step;
      return setTimeout(() => {
        if (left > 0) handle = arm();
        else callback();
      }, step);
    };
    let handle = arm();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** The most getRandomValues hands out in one call (Web Cryptography, section 10.1.1). */
const RANDOM_CALL_BYTES_MAX = 65_536;

export const systemRandom: Random = {
  bytes(length) {
    const out = new Uint8Array(length);
    for (let offset = 0; offset < length; offset += RANDOM_CALL_BYTES_MAX) {
      crypto.getRandomValues(out.subarray(offset, Math.min(length, offset + RANDOM_CALL_BYTES_MAX)));
    }
    return out;
  },
};
