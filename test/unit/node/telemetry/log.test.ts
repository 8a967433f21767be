import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { toBase64Url, toHex } from '../../../../src/core/bytes.ts';
import { regIdFromBytes } from '../../../../src/core/ids.ts';
import { Secret } from '../../../../src/core/secret.ts';
import type { LogFields } from '../../../../src/node/log.ts';
import { createPinoLog, createPseudonyms, type LogLevel } from '../../../../src/node/telemetry/index.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const bytes = Uint8Array.from({ length: 32 }, (_, i) => 255 - 7 * i);
const id = regIdFromBytes(bytes);

function recorder(options: { level?: LogLevel; simulated?: boolean } = {}) {
  const lines: string[] = [];
  const { level = 'debug', simulated = false } = options;
  const log = createPinoLog({ level, simulated, destination: { write: (line) => void lines.push(line) } });
  return { log, lines };
}

function written(fields: LogFields): Record<string, unknown> {
  const { log, lines } = recorder();
  log.info('event', fields);
  expect(lines.length).toBe(1);
  return JSON.parse(lines[0]!) as Record<string, unknown>;
}

describe('the log', () => {
  it('writes one JSON object a line with time, level and event', () => {
    const { log, lines } = recorder();
    log.warn('upstream-failed', { upstream: 'http://a', failures: 2, dropped: false, error: undefined });
    const { time, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>;
    expect(lines[0]).toMatch(/^[^\n]+\n$/);
    expect(time).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
    const expected = { level: 'warn', event: 'upstream-failed', upstream: 'http://a', failures: 2, dropped: false };
    expect(rest).toEqual(expected);
  });

  it('says on every line of a simulated cluster that it is one, and on no other', () => {
    for (const simulated of [true, false]) {
      const { log, lines } = recorder({ simulated });
      for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level]('event', { simulated: !simulated });
      expect(lines.map((line) => JSON.parse(line).simulated)).toEqual(Array(4).fill(simulated ? true : undefined));
    }
  });

  it('writes nothing below its level', () => {
    const { log, lines } = recorder({ level: 'warn' });
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['c', 'd']);
  });

  it('goes to stderr, and stdout stays empty', () => {
    const url = JSON.stringify(new URL('../../../../src/node/telemetry/pino-log.ts', import.meta.url).href);
    const source = `import(${url}).then(({ createPinoLog: c }) => c({ level: 'info', simulated: true }).info('up'))`;
    const words = ['--conditions=kith-source', '--import', 'tsx', '--eval', source];
    const { stdout, stderr } = spawnSync(process.execPath, words, { cwd: ROOT, encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(JSON.parse(stderr)).toMatchObject({ event: 'up', simulated: true });
  });

  it.each([
    ['level', 'error'],
    ['time', 'never'],
    ['event', 'another'],
  ])('keeps its own %s when a field has that name', (name, value) => {
    const line = written({ [name]: value });
    expect(line[name]).not.toBe(value);
    expect(line[`${name}_`]).toBe(value);
  });

  it('holds what hostile text says to one line of bounded length', () => {
    const line = written({ error: `bad\r\n{"level":"info"}\u202e\u0085${'x '.repeat(5_000)}`, 'a\nb': 1 });
    const error = line['error'] as string;
    expect(error).toMatch(/^bad \| \{"level":"info"\}\\u202e\\u0085x x /);
    expect(error.length).toBeLessThan(2_100);
    expect(line['a\\u000ab']).toBe(1);
  });

  it('holds an event to as many fields as one of ours may have', () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`f${i}`, i]));
    expect(Object.keys(written(many)).length).toBeLessThan(30);
  });
});

describe('ids of registrations in the log', () => {
  it.each([
    ['alone', id],
    ['in a sentence', `the registration ${id} is unknown`],
    ['in a path', `GET /v1/index-sets/${id}?since=1`],
    ['with something stuck to it', `reg_${id}-x`],
    ['as hex', `inner ${toHex(bytes)}`],
    ['after text that is cut short', `${'y'.repeat(1_000)} ${'z'.repeat(950)} ${id}`],
    ['across the cut', `${'y '.repeat(990)}${id}${id}`],
  ])('are redacted %s', (_name, value) => {
    const line = JSON.stringify(written({ error: value, [`n${id}`]: 1 }));
    for (let at = 0; at + 12 <= id.length; at++) expect(line).not.toContain(id.slice(at, at + 12));
    expect(line).not.toContain(toHex(bytes).slice(0, 16));
  });

  it('are redacted wherever they stand in whatever text', () => {
    const part = fc.string({ unit: 'binary', maxLength: 1_500 });
    const random = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toBase64Url);
    fc.assert(
      fc.property(part, random, part, (before, secret, after) => {
        expect(JSON.stringify(written({ error: before + secret + after }))).not.toContain(secret);
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('stand only in the fields that say which node or cluster, and there only alone', () => {
    const line = written({ nodeId: id, clusterId: id, peer: id, writer: id, id, regId: id, node: id });
    expect(line).toMatchObject({ nodeId: id, clusterId: id, peer: id, writer: id });
    for (const name of ['id', 'regId', 'node']) expect(line[name]).toBe('[redacted]');
    expect(written({ peer: `${id} ${id}` })['peer']).toBe('[redacted] [redacted]');
  });

  it('are not seen in what operators need: addresses with peer ids, pseudonyms, hashes cut short', () => {
    const address = '/ip4/10.0.0.1/tcp/9000/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA';
    expect(written({ address })['address']).toBe(address);
    expect(written({ registration: '00ff00ff00ff00ff' })['registration']).toBe('00ff00ff00ff00ff');
  });

  it('are handed to no log call by name: no field of src/node is called after one', () => {
    const found = sources(join(ROOT, 'src/node')).flatMap((file) =>
      logFieldsOf(readFileSync(file, 'utf8')).filter((name) =>
        /^(id|regId|registrationId|wallet|since|match)/.test(name),
      ),
    );
    expect(found).toEqual([]);
    expect(logFieldsOf("deps.log.info('x', { regId, wallet: 1, ...more });")).toEqual(['regId', 'wallet']);
  });
});

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

/** The names of the fields that log calls in a source hand over. */
function logFieldsOf(source: string): string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    ts.forEachChild(node, visit);
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
    const { expression, name } = node.expression;
    if (!/(^|\.)#?log$/.test(expression.getText()) || !/^(debug|info|warn|error)$/.test(name.text)) return;
    const [, fields] = node.arguments;
    if (!fields || !ts.isObjectLiteralExpression(fields)) return;
    names.push(...fields.properties.flatMap((property) => (property.name ? [property.name.getText()] : [])));
  };
  visit(ts.createSourceFile('a.ts', source, ts.ScriptTarget.ES2023, true));
  return names;
}

describe('pseudonyms', () => {
  const key = () => Secret.own(new Uint8Array(32).fill(7));

  it('are 16 hex digits: the first 8 bytes of HMAC-SHA-256 under the key', () => {
    // Of 32 zero bytes, by OpenSSL.
    const name = createPseudonyms(key())(regIdFromBytes(new Uint8Array(32)));
    expect(name).toBe('2218b7858ad25437');
  });

  it('are the same for the same registration, others for another or under another key', () => {
    const other = regIdFromBytes(bytes.slice().reverse());
    const names = createPseudonyms(key());
    expect(names(id)).toBe(names(id));
    const otherKey = createPseudonyms(Secret.own(new Uint8Array(32).fill(8)));
    expect(new Set([names(id), names(other), otherKey(id)]).size).toBe(3);
  });

  it('end with their key', () => {
    const secret = key();
    const names = createPseudonyms(secret);
    secret.wipe();
    expect(() => names(id)).toThrow('wiped');
  });
});
