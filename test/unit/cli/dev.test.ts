import { describe, expect, it } from 'vitest';
import { staysUp } from '../../../src/cli/dev.ts';
import { childEnvironment } from '../../../src/cli/dev-child.ts';
import { nodePlaces } from '../../../src/cli/dev-nodes.ts';
import { compareSet, problemOf, reportOf, type Story } from '../../../src/cli/dev-report.ts';
import { createDevView, type LiveState, liveLines } from '../../../src/cli/dev-view.ts';
import { keyOf } from '../../../src/cli/dev-watch.ts';
import type { Entry } from '../../../src/client/index.ts';
import { createWallet } from '../../../src/client/index.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { createFakeTerminal } from '../../support/terminal.ts';

const wallet = createWallet({ random: seededRandom('dev') }, { n: 3 });
const expected: Entry[] = [
  [5, 0],
  [5, 2],
  [9, 1],
];
const sample = { name: 'receiver 1', wallet, n: 3, expected, own: [[9, 1]] as Entry[], late: false };

const state = (chain: number, phase = 'ready'): LiveState => ({
  nodes: [
    {
      ...{ name: 'node 1', phase, reason: undefined, chain, detected: chain, registrations: 2 },
      ...{ key: 'with others', quorum: { needed: 2, reachable: 3 }, incarnation: 4 },
    },
  ],
  wallets: [{ name: 'fresh', entries: 7, syncedTo: chain }],
});

describe('the comparison of index sets', () => {
  it('finds the expected set exact', () => {
    const row = compareSet(sample, 'node 1', expected);
    expect(row).toMatchObject({ exact: true, ownMissing: 0, entries: 3, expected: 3 });
    expect(problemOf(row)).toBeUndefined();
  });

  it.each<[string, Entry[], string]>([
    ['lacks a foreign entry', expected.slice(1), 'not the expected one'],
    ['lacks an own entry', expected.slice(0, 2), '1 of its own transactions'],
    ['has one more', [...expected, [10, 0]], 'not the expected one'],
    ['has one twice', [expected[0]!, ...expected], 'not the expected one'],
    ['is out of order', [expected[1]!, expected[0]!, expected[2]!], 'not the expected one'],
  ])('names a set that %s', (_what, entries, says) => {
    expect(problemOf(compareSet(sample, 'node 1', entries))).toContain(says);
  });
});

describe('the report', () => {
  const story = (problems: string[], second: Entry[] = expected): Story => ({
    chain: { first: 1, last: 9, url: 'http://127.0.0.1:1' },
    nodes: ['node 1', 'node 2'].map((name) => ({
      ...{ name, url: 'http://127.0.0.1:2', adminUrl: 'http://127.0.0.1:3', nodeId: name },
      ...{ operator: 'operator', tcbStatus: 'UpToDate', measurements: [] },
    })),
    wallets: ['node 1', 'node 2'].map((at) => compareSet(sample, at, at === 'node 1' ? expected : second)),
    outage: { node: 'node 1', meanwhile: 'receiver 1', keySeconds: 1.26, readySeconds: 2, incarnation: 2 },
    renewed: { name: 'receiver 1', node: 'node 2', expiryHeight: 99 },
    revoked: { name: 'fresh', node: 'node 3' },
    problems,
    seconds: 1,
  });

  it('ends with 0 if all was right', () => {
    const { exitCode, json, text } = reportOf(story([]));
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({ ok: true, simulated: true });
    expect(text).toContain('2 of 2 index sets are exact');
    expect(text).toContain('all 2 nodes');
    expect(text).toContain('node 1 was killed, and back with its own key 1.3 s later');
  });

  it('says at how many nodes a set is exact', () => {
    const { text } = reportOf(story([], expected.slice(1)));
    expect(text).toContain('ONLY 1 of 2');
    expect(text).toContain('1 of 2 index sets are exact');
  });

  it('ends with 1 and what was wrong else', () => {
    const { exitCode, json, text } = reportOf(story(['the moon']));
    expect(exitCode).toBe(1);
    expect(json).toMatchObject({ ok: false, problems: ['the moon'] });
    expect(text).toContain('WRONG: the moon');
  });
});

describe('kith dev', () => {
  const terminal = { once: false, json: false, isTTY: true, ci: undefined };

  it('stays up on a terminal, and only there', () => {
    expect(staysUp(terminal)).toBe(true);
    expect(staysUp({ ...terminal, ci: 'false' })).toBe(true);
    expect(staysUp({ ...terminal, ci: 'true' })).toBe(false);
    expect(staysUp({ ...terminal, once: true })).toBe(false);
    expect(staysUp({ ...terminal, json: true })).toBe(false);
    expect(staysUp({ ...terminal, isTTY: false })).toBe(false);
  });

  it("hands its children nothing that would configure a node in the user's environment", () => {
    const environment = childEnvironment({ PATH: '/bin', KITH_MASP_INDEXER: 'http://a.example', KITH_TLS_KEY: 'k' });
    expect(Object.keys(environment).sort()).toEqual(['KITH_END_WITH_PARENT', 'PATH']);
  });
});

describe('what is said of the key of a node', () => {
  it.each([
    ['recovering', ['waiting'], '-'],
    ['ready', [], 'with others'],
    ['ready', ['simulated'], 'with others'],
    ['ready', ['custody: the sealing key is being dealt anew'], 'being dealt'],
    ['catching-up', ['detected height 1 of 9', 'unbacked: too few members hold the key'], 'in memory'],
  ])('%s with the reasons %j: %s', (phase, reasons, says) => {
    expect(keyOf(phase, reasons)).toBe(says);
  });
});

describe('the places of the nodes', () => {
  const places = (count: number) =>
    nodePlaces({ count, clusterPath: 'c.json', chainUrl: 'http://127.0.0.1:1', dataDirOf: (n) => `node-${n}` });
  const valuesOf = (words: readonly string[], flag: string) =>
    words.flatMap((word, i) => (word === flag ? [words[i + 1]!] : []));

  it('are all different, known to all others, and one of them founds', async () => {
    const three = await places(3);
    const listen = three.map(({ words }) => valuesOf(words, '--listen')[0]!);
    const http = three.flatMap(({ words }) => [...valuesOf(words, '--http'), ...valuesOf(words, '--admin')]);
    expect(new Set([...listen, ...http]).size).toBe(9);
    for (const [i, { words }] of three.entries()) {
      expect(valuesOf(words, '--bootstrap').sort()).toEqual(listen.filter((_, j) => j !== i).sort());
    }
    expect(three.map(({ words }) => words.includes('--found'))).toEqual([true, false, false]);
  });

  it('of one alone need no founder: without bootstrap addresses it is one', async () => {
    const { words } = (await places(1))[0]!;
    expect(words).not.toContain('--found');
    expect(words).not.toContain('--bootstrap');
  });
});

describe('the view', () => {
  it('is a line for every few heights and each phase without a terminal', () => {
    const terminal = createFakeTerminal();
    const view = createDevView(terminal);
    for (let height = 100; height < 140; height++) view.show(state(height));
    view.show(state(139, 'draining'));
    view.say('the end');
    const lines = terminal.err().split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[0]).toContain('node 1 ready, chain 100');
    expect(lines[1]).toContain('chain 120');
    expect(lines[2]).toContain('draining');
    expect(lines[3]).toBe('the end');
  });

  it('is drawn over itself on a terminal, below the lines that stay, and taken away at the end', () => {
    const terminal = createFakeTerminal({ isTTY: true, columns: 60 });
    const view = createDevView(terminal);
    view.say('first');
    view.show(state(100));
    view.show(state(101));
    const lines = liveLines(state(100), 60).length;
    view.say('second');
    view.end();
    const up = `\u001b[${lines}A\u001b[0J`;
    const written = terminal.err();
    expect(written.split(up)).toHaveLength(4);
    expect(written.startsWith('first\n\n')).toBe(true);
    expect(written).toContain(`${up}second\n`);
    expect(written.endsWith(up)).toBe(true);
  });

  it('never writes a line wider than the terminal', () => {
    for (const line of liveLines(state(1_034_829), 30)) expect(line.length).toBeLessThan(30);
  });
});
