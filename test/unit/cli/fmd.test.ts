import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/folder.ts';
import { FAMILY_RUNS, fuzzRuns } from '../../support/fuzz.ts';
import { kith } from '../../support/terminal.ts';

const folder = temporaryFolder();
let files = 0;

function file(contents: string | Uint8Array, name = 'file'): string {
  const path = join(folder, `${name}-${files++}`);
  writeFileSync(path, contents);
  return path;
}

interface Keygen {
  readonly out: string;
  readonly receivers: { readonly id: number; readonly n: number; readonly publicKey: string }[];
}

interface Detected {
  readonly receivers: { readonly id: number | string; readonly index_set: [number, number][] }[];
  readonly transactions: number;
  readonly unflagged: number;
  readonly undecodable: number;
  readonly stats: Record<string, unknown>;
}

async function json<T>(...words: string[]): Promise<T> {
  const { exitCode, out, err } = await kith(...words, '--json');
  expect([exitCode, err]).toEqual([0, '']);
  return JSON.parse(out) as T;
}

const flagsFor = async (publicKey: string, count: number, ...more: string[]): Promise<string[]> =>
  (await json<{ flags: string[] }>('fmd', 'flag', '--public-key', publicKey, '--count', String(count), ...more)).flags;

const line = (height: number, blockIndex: number, flags: string[] | null): string =>
  `${JSON.stringify({ height, block_index: blockIndex, flags })}\n`;

describe('kith fmd', () => {
  it('makes keys, flags for them, and finds these again', async () => {
    const keys = join(folder, 'round-trip.json');
    const made = await json<Keygen>('fmd', 'keygen', '--out', keys, '-n', '20', '--count', '2');
    expect(made.receivers.map(({ id, n }) => [id, n])).toEqual([
      [0, 20],
      [1, 20],
    ]);
    expect(statSync(keys).mode & 0o777).toBe(0o600);
    const [first, second] = await Promise.all(made.receivers.map(({ publicKey }) => flagsFor(publicKey, 3)));
    const chain = file(
      line(10, 0, [first![0]!]) +
        line(10, 1, null) +
        line(11, 0, [second![0]!, first![1]!]) +
        line(12, 5, [second![1]!]),
    );
    const found = await json<Detected>('fmd', 'detect', '--keys', keys, '--chain', chain);
    // A flag for somebody else is a match by chance once in 2^20.
    expect(found.receivers).toEqual([
      {
        id: 0,
        index_set: [
          [10, 0],
          [10, 1],
          [11, 0],
        ],
      },
      {
        id: 1,
        index_set: [
          [10, 1],
          [11, 0],
          [12, 5],
        ],
      },
    ]);
    const counts = { transactions: 4, unflagged: 1, undecodable: 0, stats: { flags: 4, keys: 2, pairs: 8 } };
    expect(found).toMatchObject(counts);
    const text = await kith('fmd', 'detect', '--keys', keys, '--chain', chain);
    expect(text).toMatchObject({ exitCode: 0, err: '' });
    expect(text.out).toContain('4 transactions, 1 without flags, 0 undecodable');
  });

  it('prints no secret, and keeps those it wrote', async () => {
    const keys = join(folder, 'kept.json');
    const { out } = await kith('fmd', 'keygen', '--out', keys);
    const contents = readFileSync(keys, 'utf8');
    const secrets = contents.match(/[0-9a-f]{64}/g)!;
    expect(secrets.length).toBe(10);
    for (const secret of secrets) expect(out).not.toContain(secret);
    const again = await kith('fmd', 'keygen', '--out', keys);
    expect(again).toEqual({
      exitCode: 1,
      out: '',
      err: `kith: cannot write ${keys}: it exists already; remove it or name another\n`,
    });
    expect(readFileSync(keys, 'utf8')).toBe(contents);
  });

  it('derives the same receiver from the same seed, and writes nothing when the seed is wrong', async () => {
    const seed = '0123456789abcdef'.repeat(4);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, `seed-${name}.json`));
    const one = await json<Keygen>('fmd', 'keygen', '--out', a!, '--seed', seed);
    const two = await json<Keygen>('fmd', 'keygen', '--out', b!, '--seed', seed.toUpperCase());
    expect(two.receivers).toEqual(one.receivers);
    expect(readFileSync(b!, 'utf8')).toBe(readFileSync(a!, 'utf8'));
    expect((await kith('fmd', 'keygen', '--out', c!, '--seed', seed.slice(2))).exitCode).toBe(2);
    expect(existsSync(c!)).toBe(false);
  });

  it('finds flags for diversified keys', async () => {
    const keys = join(folder, 'tagged.json');
    const made = await json<Keygen>('fmd', 'keygen', '--out', keys, '-n', '20', '--tag', 'tnam1');
    const flags = await flagsFor(made.receivers[0]!.publicKey, 1, '--tag', 'tnam1');
    const { receivers } = await json<Detected>('fmd', 'detect', '--keys', keys, '--chain', file(line(1, 0, flags)));
    expect(receivers[0]!.index_set).toEqual([[1, 0]]);
  });
});

interface Keys {
  gamma?: unknown;
  receivers?: { id?: unknown; detection_key: { indices: unknown[]; subkeys: unknown[] } }[];
}
type Receiver = NonNullable<Keys['receivers']>[number];

/** Sets something in the second receiver. */
const inSecond =
  (change: (receiver: Receiver) => void) =>
  (keys: Keys): void =>
    change(keys.receivers![1]!);

/** The order of the group, the smallest number that is no canonical scalar, little-endian. */
const ORDER = 'edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010';

const BAD_KEYS: [string, (keys: Keys) => void, RegExp][] = [
  ['no gamma', (keys) => void delete keys.gamma, /lacks the field gamma/],
  ['gamma as text', (keys) => void Object.assign(keys, { gamma: '20' }), /field gamma must be integer/],
  ['gamma zero', (keys) => void Object.assign(keys, { gamma: 0 }), /field gamma must be >= 1/],
  ['gamma 65', (keys) => void Object.assign(keys, { gamma: 65 }), /field gamma must be <= 64/],
  ['another gamma than the chain has', (keys) => void Object.assign(keys, { gamma: 24 }), /gamma.* 20 .*24/],
  ['no receivers', (keys) => void delete keys.receivers, /lacks the field receivers/],
  ['a null receiver', (keys) => void keys.receivers!.splice(1, 1, null as never), /receivers\.1 must be object/],
  ['no id', inSecond((receiver) => void delete receiver.id), /receivers\.1 lacks the field id/],
  ['a list as id', inSecond((r) => void Object.assign(r, { id: [] })), /receivers\.1\.id must be one of/],
  ['an empty id', inSecond((r) => void Object.assign(r, { id: '' })), /receivers\.1\.id/],
  ['an id twice', inSecond((r) => void Object.assign(r, { id: 0 })), /receivers\.1\.id: 0 appears twice/],
  ['no indices', inSecond((r) => void r.detection_key.indices.splice(0)), /receivers\.1\.detection_key\.indices/],
  ['an index as text', inSecond((r) => void r.detection_key.indices.splice(1, 1, '1')), /indices\.1 must be integer/],
  ['an index of 20', inSecond((r) => void r.detection_key.indices.splice(1, 1, 20)), /detection_key: .*0 to 19/],
  ['an index twice', inSecond((r) => void r.detection_key.indices.splice(1, 1, 0)), /detection_key: index 0 .*twice/],
  ['a subkey too few', inSecond((r) => void r.detection_key.subkeys.pop()), /2 indices but 1 subkeys/],
  ['a subkey of z', inSecond((r) => void r.detection_key.subkeys.splice(1, 1, 'z'.repeat(64))), /s\.1 .*64 hex digits/],
  ['a short subkey', inSecond((r) => void r.detection_key.subkeys.splice(1, 1, 'beef')), /subkeys\.1 .*64 hex digits/],
  ['a subkey too large', inSecond((r) => void r.detection_key.subkeys.splice(1, 1, ORDER)), /of index 1.*canonical/],
];

const BAD_LINES: [string, string, RegExp][] = [
  ['an empty line', '', /not JSON/],
  ['no JSON', 'height 6', /not JSON/],
  ['JSON cut off', '{"height":6,"block_index":0', /not JSON/],
  ['a list', '[]', /the whole must be object, got a list of 0/],
  ['null', 'null', /the whole must be object, got null/],
  ['a missing height', '{"block_index":0,"flags":null}', /lacks the field height/],
  ['a missing index', '{"height":6,"flags":null}', /lacks the field block_index/],
  ['missing flags', '{"height":6,"block_index":0}', /lacks the field flags/],
  ['an unknown field', '{"height":6,"block_index":0,"flags":null,"x":1}', /unknown field x/],
  ['a repeated field', '{"height":6,"height":7,"block_index":0,"flags":null}', /"height" appears twice/],
  ['a height as text', '{"height":"6","block_index":0,"flags":null}', /field height must be integer/],
  ['height zero', '{"height":0,"block_index":0,"flags":null}', /field height must be >= 1/],
  ['a huge height', '{"height":1e300,"block_index":0,"flags":null}', /field height must be/],
  ['a fraction', '{"height":6.5,"block_index":0,"flags":null}', /field height must be integer/],
  ['a negative index', '{"height":6,"block_index":-1,"flags":null}', /field block_index must be >= 0/],
  ['a huge index', '{"height":6,"block_index":4294967296,"flags":null}', /field block_index must be <= 4294967295/],
  ['flags as text', '{"height":6,"block_index":0,"flags":"00"}', /field flags must be one of array, null/],
  ['a flag that is a number', '{"height":6,"block_index":0,"flags":[1]}', /field flags\.0 must be string/],
  ['a short flag', '{"height":6,"block_index":0,"flags":["00"]}', /field flags\.0 .*222 hex digits \(111 bytes\)/],
  ['a flag of g', `{"height":6,"block_index":0,"flags":["${'g'.repeat(222)}"]}`, /field flags\.0 .*hex/],
  ['a line that comes too late', '{"height":4,"block_index":0,"flags":null}', /must come after \(5, 0\)/],
  ['a transaction twice', '{"height":5,"block_index":0,"flags":null}', /must come after \(5, 0\)/],
  ['deep nesting', `{"height":6,"block_index":0,"flags":${'['.repeat(99)}${']'.repeat(99)}}`, /deeper than 32/],
];

const edits = fc.array(
  fc.record({
    at: fc.nat(),
    length: fc.nat({ max: 3 }),
    text: fc.constantFrom(
      '',
      '"',
      '{',
      ']',
      ',',
      '0',
      '-1',
      'f',
      'null',
      '\n',
      '\\',
      'e9',
      ' ',
      'é',
      '\u0000',
      '\u001b',
    ),
  }),
  { minLength: 1, maxLength: 3 },
);

function mutate(text: string, changes: readonly { at: number; length: number; text: string }[]): string {
  let out = text;
  for (const change of changes) {
    const at = change.at % (out.length + 1);
    out = out.slice(0, at) + change.text + out.slice(at + change.length);
  }
  return out;
}

describe('kith fmd detect, on bad input', () => {
  let keys: string;
  let keysText: string;
  let flag: string;
  let chain: string;

  beforeAll(async () => {
    keys = join(folder, 'good.json');
    const made = await json<Keygen>('fmd', 'keygen', '--out', keys, '-n', '2', '--count', '2');
    keysText = readFileSync(keys, 'utf8');
    flag = (await flagsFor(made.receivers[0]!.publicKey, 1))[0]!;
    chain = file(line(5, 0, [flag]), 'chain');
  });

  /** The one line on stderr, after checking that it is one and the exit code is 1. */
  async function refusal(keysPath: string, chainPath: string): Promise<string> {
    const { exitCode, out, err } = await kith('fmd', 'detect', '--keys', keysPath, '--chain', chainPath);
    expect(exitCode).toBe(1);
    expect(out).toBe('');
    expect(err).toMatch(/^kith: [^\p{Cc}]{10,400}\n$/u);
    return err.slice('kith: '.length, -1);
  }

  it.each(BAD_LINES)('names file, line and field of %s', async (_what, bad, says) => {
    const path = file(`${line(5, 0, null)}${bad}\n${line(9, 0, null)}`, 'chain');
    const message = await refusal(keys, path);
    expect(message.startsWith(`${path} line 2: `)).toBe(true);
    expect(message).toMatch(says);
  });

  it('refuses a line that never ends, and bytes that are no text', async () => {
    const long = file(`${line(5, 0, null)}${' '.repeat(2_000_000)}`, 'chain');
    expect(await refusal(keys, long)).toMatch(/ line 2: longer than \d+ bytes$/);
    const bytes = file(Buffer.concat([Buffer.from(line(5, 0, null)), Buffer.from([0xff, 0xfe, 10])]), 'chain');
    expect(await refusal(keys, bytes)).toBe(`${bytes} line 2: not UTF-8 text`);
  });

  it('takes a flag that does not decode for one that may concern everybody', async () => {
    const path = file(line(5, 0, ['ff'.repeat(111)]), 'chain');
    const found = await json<Detected>('fmd', 'detect', '--keys', keys, '--chain', path);
    expect(found.undecodable).toBe(1);
    expect(found.receivers.map((receiver) => receiver.index_set)).toEqual([[[5, 0]], [[5, 0]]]);
  });

  it('finds nothing in an empty chain, for nobody in an empty list', async () => {
    const found = await json<Detected>('fmd', 'detect', '--keys', keys, '--chain', file('', 'chain'));
    expect(found.transactions).toBe(0);
    expect(found.receivers).toEqual([
      { id: 0, index_set: [] },
      { id: 1, index_set: [] },
    ]);
    const nobody = file('{"gamma":20,"receivers":[]}', 'keys');
    expect((await json<Detected>('fmd', 'detect', '--keys', nobody, '--chain', chain)).receivers).toEqual([]);
  });

  it.each(BAD_KEYS)('names file and field of a keys file with %s', async (_what, change, says) => {
    const changed = JSON.parse(keysText) as Keys;
    change(changed);
    const path = file(JSON.stringify(changed), 'keys');
    const message = await refusal(path, chain);
    expect(message.startsWith(`${path}: `)).toBe(true);
    expect(message).toMatch(says);
    for (const secret of keysText.match(/[0-9a-f]{64}/g)!) expect(message).not.toContain(secret);
  });

  it('quotes nothing of a keys file that is no JSON', async () => {
    const secret = keysText.match(/[0-9a-f]{64}/)![0];
    for (const broken of [
      keysText.slice(0, -20),
      keysText.replace(`"${secret}"`, `x${secret}`),
      `${keysText}"${secret}`,
    ]) {
      const path = file(broken, 'keys');
      const message = await refusal(path, chain);
      expect(message.startsWith(`${path}: not JSON`)).toBe(true);
      for (let i = 0; i + 8 <= secret.length; i += 4) expect(message).not.toContain(secret.slice(i, i + 8));
    }
  });

  /** Altered input may be fine after all; else it is refused in one line that names the place, by a code of its own. */
  async function survives(keysPath: string, chainPath: string, place: string): Promise<void> {
    const { exitCode, out, err } = await kith('fmd', 'detect', '--keys', keysPath, '--chain', chainPath, '--json');
    const answer = JSON.parse(out) as { error?: { code: string; message: string } };
    expect(exitCode).toBe(answer.error ? 1 : 0);
    if (!answer.error) return;
    expect(answer.error.code).not.toBe('internal');
    expect(err).toMatch(/^kith: [^\p{Cc}]{10,400}\n$/u);
    expect(answer.error.message).toContain(place);
  }

  it('survives any change to a line of the chain', async () => {
    const path = join(folder, 'fuzzed-chain');
    const short = line(5, 0, null) + line(6, 1, []);
    await fc.assert(
      fc.asyncProperty(fc.boolean(), edits, async (withFlag, changes) => {
        writeFileSync(path, mutate(withFlag ? line(5, 0, [flag]) : short, changes));
        await survives(keys, path, `${path} line `);
      }),
      { numRuns: fuzzRuns(FAMILY_RUNS / 40) },
    );
  });

  it('survives any change to a keys file', async () => {
    const path = join(folder, 'fuzzed-keys');
    const empty = file('', 'chain');
    await fc.assert(
      fc.asyncProperty(edits, async (changes) => {
        writeFileSync(path, mutate(keysText, changes));
        await survives(path, empty, path);
      }),
      { numRuns: fuzzRuns(FAMILY_RUNS / 40) },
    );
  });
});
