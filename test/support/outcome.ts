// What a call came to, so that failures can be compared like values.

import { KithError } from '../../src/core/errors.ts';

/** The code a call failed with; undefined if it did not. Anything but a KithError is a fault and thrown on. */
export function codeOf(call: () => unknown): string | undefined {
  return failureOf(call)?.code;
}

/** The KithError a call failed with; undefined if it did not. Anything else is a fault and thrown on. */
export function failureOf(call: () => unknown): KithError | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof KithError) return error;
    throw error;
  }
}

/** As `failureOf`, for a promise. */
export async function rejectionOf(work: Promise<unknown>): Promise<KithError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof KithError) return error;
    throw error;
  }
}
