import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { codeOf } from '../../support/outcome.ts';

const BYTES = Uint8Array.of(222, 173, 190, 239, 17, 42);
/** Every form in which these bytes could slip out. */
const LEAKS = ['222', '173', '190', 'dead', 'DEAD', '3q2-7', '3q2+7', '\u00de\u00ad'];

function printed(show: (console: Console) => void): string {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  show(new Console({ stdout: stream, stderr: stream }));
  return text;
}

describe('a secret', () => {
  const secret = Secret.copy(BYTES);
  const holder = { name: 'key', nested: { secret, list: [secret] } };
  const forms: [string, () => string][] = [
    ['String()', () => String(secret)],
    ['a template', () => `${secret}`],
    ['joining', () => [secret, secret].join(' ')],
    ['concatenation', () => 'x'.concat(secret as unknown as string)],
    ['JSON', () => JSON.stringify(holder)],
    ['util.inspect', () => inspect(holder, { depth: 10, showHidden: true, getters: true })],
    ['util.inspect without custom forms', () => inspect(holder, { depth: 10, customInspect: false, showHidden: true })],
    ['console.log', () => printed((console) => console.log(secret, holder))],
    ['console.error with %s', () => printed((console) => console.error('%s', secret))],
    ['console.error with %o and %j', () => printed((console) => console.error('%o %O %j', secret, holder, holder))],
    ['console.dir', () => printed((console) => console.dir(holder, { depth: 10 }))],
    ['console.table', () => printed((console) => console.table([secret]))],
    ['an error', () => inspect(Object.assign(new Error(`failed with ${secret}`, { cause: secret }), { stack: '' }))],
    ['a copy of its fields', () => JSON.stringify({ ...secret, entries: Object.entries(secret) })],
    ['a structured clone', () => inspect(structuredClone({ ...holder.nested, list: [] }))],
  ];

  it.each(forms)('does not show in %s', (_name, form) => {
    const text = form();
    for (const leak of LEAKS) expect(text).not.toContain(leak);
  });

  it('says that it is one', () => {
    expect(String(secret)).toBe('[secret]');
    expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}');
    expect(inspect(secret)).toBe('[secret]');
  });

  it('exposes its bytes to whoever asks for them by name', () => {
    expect(secret.expose()).toEqual(BYTES);
    expect(secret.length).toBe(BYTES.length);
  });

  it('overwrites its bytes when wiped, and is of no use afterwards', () => {
    const bytes = BYTES.slice();
    const owned = Secret.own(bytes);
    const exposed = owned.expose();
    expect(owned.wiped).toBe(false);
    owned.wipe();
    owned.wipe();
    expect(owned.wiped).toBe(true);
    expect(exposed).toEqual(new Uint8Array(BYTES.length));
    expect(bytes).toEqual(new Uint8Array(BYTES.length));
    expect(codeOf(() => owned.expose())).toBe('secret-wiped');
    expect(codeOf(() => owned.length)).toBe('secret-wiped');
    expect(codeOf(() => owned.equals(secret))).toBe('secret-wiped');
    expect(codeOf(() => secret.equals(owned))).toBe('secret-wiped');
    expect(String(owned)).toBe('[secret]');
  });

  it('leaves the bytes it copied alone', () => {
    const bytes = BYTES.slice();
    Secret.copy(bytes).wipe();
    expect(bytes).toEqual(BYTES);
  });

  it('is wiped at the end of a using block, also when the block throws', () => {
    const bytes = BYTES.slice();
    expect(() => {
      using held = Secret.own(bytes);
      expect(held.expose()[0]).toBe(222);
      throw new Error('half way');
    }).toThrow('half way');
    expect(bytes).toEqual(new Uint8Array(BYTES.length));
  });

  it('equals another with the same bytes only', () => {
    expect(secret.equals(Secret.copy(BYTES))).toBe(true);
    expect(secret.equals(Secret.copy(BYTES.subarray(1)))).toBe(false);
    expect(secret.equals(Secret.copy(BYTES.toReversed()))).toBe(false);
  });
});
