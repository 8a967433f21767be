// Time and chance as ports. The host owns the real ones; the simulator brings its own.

/** A pending call of `Clock.schedule`. */
export interface Timer {
  /** Idempotent; after it the callback is not called. */
  cancel(): void;
}

/** The host's clocks: a hint about the world, never an authority on it. */
export interface Clock {
  /** Milliseconds since the Unix epoch, as the host says. It may jump and go backwards. */
  now(): number;
  /** Milliseconds since some fixed moment; does not go backwards. */
  monotonic(): number;
  /** Calls `callback` once, not before `delayMs` have passed and never synchronously. */
  schedule(delayMs: number, callback: () => void): Timer;
}

/** Bytes nobody can predict. In a trust domain they come from the CPU. */
export interface Random {
  /** `length` fresh random bytes, owned by the caller. */
  bytes(length: number): Uint8Array;
}
