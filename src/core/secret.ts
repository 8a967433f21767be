// A byte string that must not leak by accident: it redacts itself wherever it is printed and can be wiped.
// What JavaScript cannot promise (copies made by the garbage collector or by callers) stands in docs/THREAT-MODEL.md.

import { equalBytes } from './bytes.ts';
import { KithError } from './errors.ts';

const REDACTED = '[secret]';

/** Owns its bytes. Use `using secret = ...` or `wipe()` when it has served. */
export class Secret implements Disposable {
  #bytes: Uint8Array | undefined;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Takes ownership: the caller must not use or keep `bytes` afterwards. */
  static own(bytes: Uint8Array): Secret {
    return new Secret(bytes);
  }

  /** Copies `bytes`; the caller remains responsible for wiping its own. */
  static copy(bytes: Uint8Array): Secret {
    return new Secret(bytes.slice());
  }

  /**
   * The live bytes, for immediate use; never to be kept, converted to text or put into a message in the clear.
   * @throws KithError `secret-wiped`.
   */
  expose(): Uint8Array {
    if (this.#bytes === undefined) throw new KithError('secret-wiped', 'this secret was wiped and cannot be used');
    return this.#bytes;
  }

  get length(): number {
    return this.expose().length;
  }

  get wiped(): boolean {
    return this.#bytes === undefined;
  }

  /** In constant time. */
  equals(other: Secret): boolean {
    return equalBytes(this.expose(), other.expose());
  }

  /** Overwrites the bytes with zeros. Idempotent. */
  wipe(): void {
    this.#bytes?.fill(0);
    this.#bytes = undefined;
  }

  [Symbol.dispose](): void {
    this.wipe();
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  /** What console.log and util.inspect show in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }
}
