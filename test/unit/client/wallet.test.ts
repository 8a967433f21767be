import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createWallet, formatWallet, parseWallet, walletRegistrationId } from '../../../src/client/wallet.ts';
import { isKithError } from '../../../src/core/errors.ts';
import { fuzzRuns } from '../../support/fuzz.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('wallet');
const wallet = createWallet({ random }, { n: 3, birthday: 7 });
const file = formatWallet(wallet);
const changed = (change: (json: Record<string, unknown>) => void): string => {
  const json = JSON.parse(file) as Record<string, unknown>;
  change(json);
  return JSON.stringify(json);
};

describe('a wallet', () => {
  it('has the registration id of its keys, and reads what it writes', () => {
    expect(parseWallet(file, 'wallet.json')).toEqual(wallet);
    expect(walletRegistrationId(parseWallet(file, 'wallet.json'))).toBe(walletRegistrationId(wallet));
  });

  it('is the same for the same seed, another for another number of subkeys', () => {
    const seed = random.bytes(32);
    const one = createWallet({ random }, { seed, n: 8 });
    expect(createWallet({ random }, { seed, n: 8 })).toEqual(one);
    expect(walletRegistrationId(createWallet({ random }, { seed, n: 9 }))).not.toBe(walletRegistrationId(one));
    expect(walletRegistrationId(createWallet({ random }, { n: 8 }))).not.toBe(walletRegistrationId(one));
  });

  it.each([
    ['another version', changed((json) => (json['version'] = 2)), /wallet.json: field version/],
    ['a missing key', changed((json) => delete json['dataKey']), /wallet.json: .*lacks the field dataKey/],
    ['an unknown field', changed((json) => (json['seed'] = 'x')), /wallet.json: .*unknown field seed/],
    ['a short key', changed((json) => (json['authKey'] = '00')), /wallet.json: field authKey must be 64 hex/],
    [
      'no scalar',
      changed((json) => (json['detectionKey'] = { indices: [0], subkeys: ['ff'.repeat(32)] })),
      /wallet.json: subkey of index 0/,
    ],
    [
      'uneven lists',
      changed((json) => (json['detectionKey'] = { indices: [0, 1], subkeys: ['00'.repeat(32)] })),
      /2 indices but 1 subkeys/,
    ],
    [
      'an index twice',
      changed((json) => (json['detectionKey'] = { indices: [1, 1], subkeys: ['00'.repeat(32), '00'.repeat(32)] })),
      /index 1 appears twice/,
    ],
    ['no JSON', '{', /wallet.json: not JSON/],
  ])('is refused with %s', (_name, text, message) => {
    expect(() => parseWallet(text, 'wallet.json')).toThrow(message);
    expect(() => parseWallet(text, 'wallet.json')).toThrow(expect.objectContaining({ code: 'bad-wallet' }));
  });

  it('answers every mutation of its file with a wallet or one line without its secrets', () => {
    const edit = fc.tuple(fc.nat(file.length - 1), fc.string({ maxLength: 3 }), fc.nat(4));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        const text = edits.reduce((all, [at, insert, drop]) => all.slice(0, at) + insert + all.slice(at + drop), file);
        try {
          parseWallet(text, 'wallet.json');
        } catch (error) {
          if (!isKithError(error, 'bad-wallet')) throw error;
          expect(error.message).toMatch(/^wallet\.json[^\n]*$/);
          for (const secret of text.match(/[0-9a-f]{16,}/g) ?? []) expect(error.message).not.toContain(secret);
        }
      }),
      { numRuns: fuzzRuns(3_000) },
    );
  });
});
