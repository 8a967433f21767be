// What a wallet seals to a node: a signed operation, with a register its payload; always of one size.

import { decodeCbor, encodeCbor } from '../cbor.ts';
import { KithError } from '../errors.ts';
import { pad, unpad } from '../padding.ts';
import { bytesUpTo, closed, type Static, shape, Type } from '../schema.ts';
import { OPERATION_BYTES_MAX, SUBMISSION_BYTES } from './limits.ts';
import { decodeOperation, encodeOperation, type Operation } from './operation.ts';
import { type Payload, payloadSchema } from './payload.ts';

export interface Submission {
  readonly operation: Operation;
  readonly payload: Payload | undefined;
}

/** The operation stands in it as a byte string, so that what is hashed and verified is what was sent. */
const submissionSchema = closed({
  operation: bytesUpTo(OPERATION_BYTES_MAX, 1),
  payload: Type.Optional(payloadSchema),
});
const submissionShape = shape(submissionSchema);

/** SUBMISSION_BYTES bytes in the clear: for HPKE at once, then to be wiped. */
export function encodeSubmission({ operation, payload }: Submission): Uint8Array {
  const encoded = encodeCbor({ operation: encodeOperation(operation), payload: payload && { ...payload } });
  try {
    return pad(encoded, SUBMISSION_BYTES);
  } finally {
    encoded.fill(0);
  }
}

/** @throws KithError `bad-length`, `bad-padding`, `malformed`, `bad-shape`, `non-canonical`. Verifies nothing. */
export function decodeSubmission(padded: Uint8Array): Submission {
  if (padded.length !== SUBMISSION_BYTES) {
    throw new KithError('bad-length', `a submission has ${SUBMISSION_BYTES} bytes, got ${padded.length}`);
  }
  const limits = { bytesMax: SUBMISSION_BYTES, where: 'submission' };
  const { operation, payload }: Static<typeof submissionSchema> = decodeCbor(unpad(padded), submissionShape, limits);
  return { operation: decodeOperation(operation, 'submission: operation'), payload };
}
