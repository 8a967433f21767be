// The one error class of the project. Code matches on `code`, people read `message`,
// `cause` keeps what was caught. Each module has its own union of codes.

/** An expected failure with a stable code. `message` is one line: what was wrong and what is expected. */
export class KithError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'KithError';
    this.code = code;
  }
}

/** Whether `error` is a `KithError`, and, if codes are given, one with any of them. */
export function isKithError<Code extends string>(error: unknown, ...codes: Code[]): error is KithError<Code> {
  return error instanceof KithError && (codes.length === 0 || (codes as string[]).includes(error.code));
}

/** The text of whatever was thrown, without its stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Control characters, line separators and direction marks: what could forge lines or steer a terminal. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Surrogate}]/gu;

/** `text` on one line, what does not print written as \\uXXXX, cut after `charsMax` characters. */
export function printable(text: string, charsMax: number): string {
  const cut = text.length > charsMax ? `${text.slice(0, charsMax)}...` : text;
  return cut.replaceAll(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * For the `default` of an exhaustive switch: a compile error if a case is missing. Of an object only its kind is
 * named: the rest may be a secret.
 */
export function unreachable(value: never): never {
  const unexpected: unknown = value;
  const kind = typeof unexpected === 'object' && unexpected !== null && 'kind' in unexpected ? unexpected.kind : value;
  throw new KithError('internal', `unexpected case ${typeof kind === 'object' ? 'of no kind' : String(kind)}`);
}
