import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  environmentName,
  OPTION_NAMES,
  type OptionTexts,
  parseConfigurationFile,
  readEnvironment,
  redact,
  resolveConfiguration,
} from '../../../src/node/configuration.ts';

const resolve = (flags: OptionTexts = {}, environment: OptionTexts = {}, file: OptionTexts = {}) =>
  resolveConfiguration({ flags, environment, file });

describe('the configuration of a node', () => {
  it('takes each option from the strongest source that sets it, and says which', () => {
    const { values, origins } = resolve(
      { http: ['127.0.0.1:1'] },
      { http: ['127.0.0.1:2'], admin: ['127.0.0.1:3'] },
      { http: ['127.0.0.1:4'], admin: ['127.0.0.1:5'], 'log-level': ['warn'] },
    );
    expect([values.http?.port, values.admin?.port, values['log-level'], values.quotes]).toEqual([
      1,
      3,
      'warn',
      'configfs',
    ]);
    expect([origins.http, origins.admin, origins['log-level'], origins.quotes, origins['tls-cert']]).toEqual([
      'flag',
      'environment',
      'file',
      'default',
      'unset',
    ]);
  });

  it('replaces a list as a whole: a flag does not add to the file', () => {
    const { values } = resolve({ 'comet-rpc': ['http://a'] }, {}, { 'comet-rpc': ['http://b', 'http://c'] });
    expect(values['comet-rpc']).toEqual(['http://a']);
  });

  it('reads variables of the environment, lists by commas', () => {
    const environment = readEnvironment({
      KITH_COMET_RPC: 'http://a:1,http://b:2',
      KITH_FOUND: 'on',
      KITH_DATA_DIR: '/data',
      HOME: '/x',
    });
    const { values } = resolve({}, environment);
    expect([values['comet-rpc'], values.found, values['data-dir']]).toEqual([
      ['http://a:1', 'http://b:2'],
      true,
      '/data',
    ]);
  });

  it('reads a file of options under the names of the flags', () => {
    const file = parseConfigurationFile('{"masp-indexer":["http://m"],"start-height":7,"found":true}', 'f.json');
    const { values } = resolve({}, {}, file);
    expect([values['masp-indexer'], values['start-height'], values.found]).toEqual([['http://m'], 7, true]);
  });

  it.each([
    ['an unknown option', '{"htpp":"x"}', /f.json: there is no option "htpp"/],
    ['an option twice', '{"http":"a:1","http":"b:2"}', /"http" appears twice/],
    ['an object for a text', '{"http":{}}', /f.json: http: expected a text/],
    ['a list in a list', '{"comet-rpc":[["x"]]}', /f.json: comet-rpc: expected a text/],
    ['no object', '[]', /f.json: expected an object/],
  ])('refuses a file with %s', (_name, text, message) => {
    expect(() => parseConfigurationFile(text, 'f.json')).toThrow(message);
  });

  it.each([
    [{ http: ['nonsense'] }, /--http: expected HOST:PORT/],
    [{ http: ['127.0.0.1:65536'] }, /--http: expected HOST:PORT/],
    [{ http: ['a:1', 'b:2'] }, /--http is given 2 times/],
    [{ 'comet-rpc': ['ftp://x'] }, /--comet-rpc: expected an http or https URL/],
    [{ 'start-height': ['0'] }, /--start-height: expected a whole number from 1/],
    [{ quotes: ['dstack'] }, /--quotes: expected one of configfs, simulated/],
    [{ 'trust-proxy': ['999.1.1.1'] }, /--trust-proxy: expected an IP address/],
    [{ 'trust-proxy': ['10.0.0.0/33'] }, /--trust-proxy: expected an IP address/],
    [{ 'rate-limit': ['yes'] }, /--rate-limit: expected on or off/],
    [{ quotes: ['simulated'], 'simulated-platform': ['noslash'] }, /--simulated-platform: expected OPERATOR\/NAME/],
    [{ 'simulated-platform': ['a/b'] }, /needs --quotes simulated/],
    [{ 'tls-cert': ['c'] }, /belong together/],
    [{ 'data-dir': [''] }, /--data-dir: expected a value/],
    [{ 'data-dir': ['a\u0000b'] }, /--data-dir: expected no control characters/],
  ] as [OptionTexts, RegExp][])('refuses %j', (flags, message) => {
    expect(() => resolve(flags)).toThrow(message);
  });

  it('names the variable or the file where a bad value came from', () => {
    expect(() => resolve({}, { http: ['x'] })).toThrow(/^KITH_HTTP: /);
    expect(() => resolve({}, {}, { http: ['x'] })).toThrow(/^http of the file: /);
    expect(environmentName('simulated-platform')).toBe('KITH_SIMULATED_PLATFORM');
  });

  it('answers any text for any option with a value or one line', () => {
    fc.assert(
      fc.property(fc.constantFrom(...OPTION_NAMES), fc.string(), (name, text) => {
        try {
          resolve({ [name]: [text] });
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-option', message: expect.not.stringContaining('\n') });
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('prints no password', () => {
    expect(redact('https://user:secret@rpc.example/path')).toBe('https://[redacted]@rpc.example/path');
    expect(redact('https://rpc.example/a@b')).toBe('https://rpc.example/a@b');
  });
});
