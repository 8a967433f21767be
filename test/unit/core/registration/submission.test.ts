import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../../../src/core/cbor.ts';
import { pad } from '../../../../src/core/padding.ts';
import { DETECTION_KEY_BYTES_MAX, SUBMISSION_BYTES } from '../../../../src/core/registration/limits.ts';
import { encodeOperation } from '../../../../src/core/registration/operation.ts';
import { checkPayload, type Payload } from '../../../../src/core/registration/payload.ts';
import { decodeSubmission, encodeSubmission } from '../../../../src/core/registration/submission.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { testUser } from '../../../support/registration.ts';

const user = testUser(3);
const version = 2 ** 47;
const register = user.sign({ type: 'register', version, birthday: version, expiryHeight: version + 1 });
const seed: Payload = { kind: 'seed', seed: new Uint8Array(32).fill(7), n: 3 };
const largest: Payload = {
  kind: 'keys',
  dataKey: new Uint8Array(32),
  detectionKey: new Uint8Array(DETECTION_KEY_BYTES_MAX).fill(20),
};
const wire = { operation: encodeOperation(register), payload: { ...seed } };
const padded = (value: Parameters<typeof encodeCbor>[0]) => pad(encodeCbor(value), SUBMISSION_BYTES);

describe('submissions', () => {
  it('come back as they were sent and all have one size', () => {
    const renew = user.sign({ type: 'renew', version, expiryHeight: version + 1 });
    for (const submission of [
      { operation: register, payload: seed },
      { operation: register, payload: largest },
      { operation: renew, payload: undefined },
    ]) {
      const encoded = encodeSubmission(submission);
      expect(encoded.length).toBe(SUBMISSION_BYTES);
      expect(decodeSubmission(encoded)).toEqual(submission);
    }
  });

  it('are refused in any other form', () => {
    const broken = [
      padded({ ...wire, extra: 1 }),
      padded({ payload: wire.payload }),
      padded({ ...wire, payload: { kind: 'seed', seed: new Uint8Array(31), n: 3 } }),
      padded({ ...wire, payload: { kind: 'seed', seed: new Uint8Array(32), n: 3, dataKey: new Uint8Array(32) } }),
      padded({ ...wire, payload: { kind: 'keys', dataKey: new Uint8Array(32), detectionKey: new Uint8Array(0) } }),
      padded({ ...wire, payload: { kind: 'other' } }),
      padded({ ...wire, payload: null }),
      padded({ ...wire, operation: new Uint8Array(600) }),
      padded({ ...wire, operation: Uint8Array.of(0xa0) }),
      padded(wire).subarray(1),
      new Uint8Array(SUBMISSION_BYTES),
    ];
    for (const bytes of broken) {
      expect(() => decodeSubmission(bytes)).toThrow(expect.objectContaining({ name: 'KithError' }));
    }
  });

  it('name n out of range as such', () => {
    const n = (value: number): Payload => ({ ...seed, n: value });
    const keys = (value: number): Payload => ({ ...largest, detectionKey: Uint8Array.of(value) });
    for (const value of [0, 21, 255]) {
      expect(checkPayload(n(value))).toMatchObject({ reason: 'n-out-of-range' });
      expect(checkPayload(keys(value))).toMatchObject({ reason: 'n-out-of-range' });
    }
    for (const value of [1, 20]) expect(checkPayload(n(value))).toBeUndefined();
    expect(decodeSubmission(padded({ ...wire, payload: { ...n(21) } })).payload).toEqual(n(21));
  });

  it('answer hostile bytes of the right size with an error of ours', () => {
    const valid = padded(wire);
    const mutated = fc
      .array(fc.tuple(fc.nat(SUBMISSION_BYTES - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
      .map((edits) => {
        const bytes = valid.slice();
        for (const [at, value] of edits) bytes[at] = value;
        return bytes;
      });
    fc.assert(
      fc.property(
        fc.oneof(mutated, fc.uint8Array({ minLength: SUBMISSION_BYTES, maxLength: SUBMISSION_BYTES })),
        (bytes) => {
          try {
            decodeSubmission(bytes);
          } catch (error) {
            expect(error).toMatchObject({ name: 'KithError' });
          }
        },
      ),
      { numRuns: fuzzRuns(1500) },
    );
  });
});
