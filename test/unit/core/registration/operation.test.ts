import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concatBytes, toHex, utf8 } from '../../../../src/core/bytes.ts';
import { encodeCbor } from '../../../../src/core/cbor.ts';
import { idBytes, regIdFromBytes } from '../../../../src/core/ids.ts';
import { LIFETIME_BLOCKS, OPERATION_BYTES_MAX } from '../../../../src/core/registration/limits.ts';
import {
  checkOperation,
  decodeOperation,
  encodeOperation,
  type Operation,
  operationId,
} from '../../../../src/core/registration/operation.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { clusterId, otherCluster, testUser } from '../../../support/registration.ts';

const user = testUser(1);
const register = user.sign({ type: 'register', version: 1000, birthday: 900, expiryHeight: 5000 });
const renew = user.sign({ type: 'renew', version: 2000, expiryHeight: 9000 });
const revoke = user.sign({ type: 'revoke', version: 3000 });
const all = [register, renew, revoke];

describe('operations', () => {
  it('keep their bytes for ever: these values are part of the format', () => {
    expect(all.map((operation) => [operationId(operation), encodeOperation(operation).length])).toMatchInlineSnapshot(`
      [
        [
          "2F1K2KoVFwijmASUBY8LXINCursjCTsUpesS_v4dKuM",
          302,
        ],
        [
          "jmsQtRRGKtwmIpbx3hToUpVYiqupWaMGzrnR-_1qPj0",
          287,
        ],
        [
          "35h-LcWtj1I-oilJhiSsqSOW27G8P_OM45Ge9R0sHMk",
          290,
        ],
      ]
    `);
    expect(toHex(encodeOperation(register))).toMatchInlineSnapshot(
      `"a9647479706568726567697374657265696e6e657258205f48b3140ad1941f1f79b71b3454098757fcb6249a5b2930cc1c82869e35fb806572656749645820160d2b23afe9d058f00cb79e4d62c8286244d87a201736d363112ef274b3d2556776657273696f6e1903e868626972746864617919038469636c7573746572496458200101010101010101010101010101010101010101010101010101010101010101697369676e61747572655840a528e66ba61a26796e4ce542d64d0661d2d057540eac05793ac3613feaa8bd64bb85a40f3d4302f75ebed5bbdfacf7dccb9518ea04a30a2e51b790602f3191056c6578706972794865696768741913886d617574685075626c69634b65795820cbfd12a652e10c264150e9e8b899bb981ae8fb2ea2d3e7132954fcbde6c1fc40"`,
    );
    expect(user.regId).toBe(
      regIdFromBytes(
        sha256(
          concatBytes(
            utf8('kith/registration-id/v1'),
            sha256(concatBytes(utf8('kith/inner/v1'), user.keys.dataKey, user.keys.detectionKey)),
            user.authPublicKey,
          ),
        ),
      ),
    );
  });

  it('come back from their encoding and verify alone', () => {
    for (const operation of all) {
      expect(decodeOperation(encodeOperation(operation))).toEqual(operation);
      expect(checkOperation(decodeOperation(encodeOperation(operation)), clusterId)).toBeUndefined();
    }
    expect(revoke.expiryHeight).toBe(3000 + LIFETIME_BLOCKS);
  });

  it('are encoded anew when a decoded one is copied with another field', () => {
    const decoded = decodeOperation(encodeOperation(register));
    const altered = { ...decoded, version: decoded.version + 1 };
    expect(decodeOperation(encodeOperation(altered)).version).toBe(decoded.version + 1);
    expect(operationId(altered)).not.toBe(operationId(decoded));
    expect(encodeOperation(decoded)).toEqual(encodeOperation(register));
  });

  it('fit the limit even with the greatest numbers', () => {
    const version = 2 ** 48 - LIFETIME_BLOCKS;
    const largest = user.sign({ type: 'register', version, birthday: version, expiryHeight: 2 ** 48 });
    expect(encodeOperation(largest).length).toBeLessThanOrEqual(OPERATION_BYTES_MAX);
    expect(encodeOperation(largest).length).toBe(320);
  });

  it('are refused in another cluster, whether it is named or not', () => {
    for (const operation of all) {
      expect(checkOperation(operation, otherCluster)).toMatchObject({ reason: 'other-cluster' });
      const moved = { ...operation, clusterId: otherCluster };
      expect(checkOperation(moved, otherCluster)).toMatchObject({ reason: 'wrong-signature' });
    }
  });

  it('are refused when any one field is another: swapped types, ids, keys and numbers', () => {
    const other = testUser(2);
    const forgeries: [Operation, string][] = [
      [{ ...register, version: 1001 }, 'wrong-signature'],
      [{ ...register, birthday: 899 } as Operation, 'wrong-signature'],
      [{ ...register, expiryHeight: 5001 }, 'wrong-signature'],
      [{ ...renew, type: 'revoke', expiryHeight: 2000 + LIFETIME_BLOCKS }, 'wrong-signature'],
      [{ ...register, signature: renew.signature, version: 2000 }, 'wrong-signature'],
      [{ ...register, signature: renew.signature }, 'wrong-signature'],
      [{ ...register, regId: other.regId }, 'wrong-registration-id'],
      [{ ...register, inner: other.inner }, 'wrong-registration-id'],
      [{ ...register, authPublicKey: other.authPublicKey }, 'wrong-registration-id'],
      [{ ...register, inner: other.inner, authPublicKey: other.authPublicKey, regId: other.regId }, 'wrong-signature'],
    ];
    for (const [operation, reason] of forgeries) expect(checkOperation(operation, clusterId)).toMatchObject({ reason });
  });

  it('are refused with numbers that can never be right, however well signed', () => {
    const cases: [Operation, string][] = [
      [user.sign({ type: 'register', version: 10, birthday: 11, expiryHeight: 20 }), 'birthday-beyond-tip'],
      [user.sign({ type: 'register', version: 10, birthday: 5, expiryHeight: 10 }), 'expiry-in-past'],
      [user.sign({ type: 'renew', version: 10, expiryHeight: 11 + LIFETIME_BLOCKS }), 'expiry-too-far'],
      [{ ...revoke, expiryHeight: revoke.expiryHeight - 1 }, 'revoke-expiry'],
    ];
    for (const [operation, reason] of cases) expect(checkOperation(operation, clusterId)).toMatchObject({ reason });
    const longest = user.sign({ type: 'register', version: 10, birthday: 10, expiryHeight: 10 + LIFETIME_BLOCKS });
    expect(checkOperation(longest, clusterId)).toBeUndefined();
  });

  it('are not decoded from anything but their one encoding', () => {
    const wire = {
      type: 'renew',
      clusterId: idBytes(clusterId),
      regId: idBytes(user.regId),
      inner: user.inner,
      authPublicKey: user.authPublicKey,
      version: 2000,
      expiryHeight: 9000,
      signature: renew.signature,
    };
    expect(encodeCbor(wire)).toEqual(encodeOperation(renew));
    const broken = [
      { ...wire, payload: new Uint8Array(1) },
      { ...wire, birthday: 3 },
      { ...wire, type: 'register' },
      { ...wire, type: 'extend' },
      { ...wire, version: -1 },
      { ...wire, version: 2 ** 48 + 1 },
      { ...wire, inner: new Uint8Array(31) },
      { ...wire, signature: undefined },
    ];
    for (const value of broken) {
      expect(() => decodeOperation(encodeCbor(value))).toThrow(expect.objectContaining({ code: 'bad-shape' }));
    }
    const encoded = encodeOperation(renew);
    expect(() => decodeOperation(concatBytes(encoded, Uint8Array.of(0)))).toThrow(/after its end/);
    expect(() => decodeOperation(new Uint8Array(OPERATION_BYTES_MAX + 1))).toThrow(/at most/);
    for (let length = 0; length < encoded.length; length++) {
      expect(() => decodeOperation(encoded.subarray(0, length))).toThrow(
        expect.objectContaining({ name: 'KithError' }),
      );
    }
  });

  it('survive no change of a byte: it does not decode, or it does not verify', () => {
    const encoded = all.map(encodeOperation);
    fc.assert(
      fc.property(fc.constantFrom(...encoded), fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, flip) => {
        const changed = bytes.slice();
        const index = at % changed.length;
        changed[index] = changed[index]! ^ flip;
        let operation: Operation;
        try {
          operation = decodeOperation(changed);
        } catch (error) {
          expect(error).toMatchObject({ name: 'KithError' });
          return;
        }
        expect(checkOperation(operation, clusterId)).toMatchObject({ kind: 'refused' });
      }),
      { numRuns: fuzzRuns(1500) },
    );
  });

  it('answer arbitrary bytes with an error of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(() => decodeOperation(bytes)).toThrow(expect.objectContaining({ name: 'KithError' }));
      }),
      { numRuns: fuzzRuns(2000) },
    );
  });
});
