// `kith dev` as a process: the story to its end, and what is left when it ends otherwise.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folder.ts';
import { runKith } from '../support/processes.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = temporaryFolder();
/** The first lines of the recorded chain, as a chain of which no receiver is known. */
const shortReplay = join(folder, 'short.jsonl');
const recorded = readFileSync(new URL('../vectors/chain/chain.jsonl', import.meta.url), 'utf8');
writeFileSync(shortReplay, recorded.split('\n').slice(0, 40).join('\n'));
/** Between two looks at all processes: each takes a few milliseconds of theirs. */
const LOOK_MS = 50;

/** Every process of this machine: its id, its parent's, its words. Zombies have none. */
function processes(): { pid: number; parent: number; words: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return words === '' ? [] : [{ pid: Number(name), parent, words }];
      } catch {
        return [];
      }
    });
}

const alive = (pids: readonly number[]) => processes().filter(({ pid }) => pids.includes(pid));

interface Dev {
  readonly pid: number;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly ended: Promise<number | null>;
  readonly err: () => string;
  readonly temporary: string;
  /** Resolves once stderr has the text. */
  says(text: string): Promise<void>;
}

const started: { kill: (signal: NodeJS.Signals) => void }[] = [];
afterAll(() => {
  for (const one of started) one.kill('SIGKILL');
});

/** `kith dev --once` over a short chain, with a temporary folder of its own. */
function startDev(name: string): Dev {
  const temporary = join(folder, name);
  mkdirSync(temporary);
  const child = spawn(process.execPath, [main, 'dev', '--once', '--replay', shortReplay], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TMPDIR: temporary },
  });
  let err = '';
  const listeners: (() => void)[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
    for (const listener of listeners) listener();
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  started.push({ kill: (signal) => child.kill(signal) });
  const says = (text: string) =>
    Promise.race([
      new Promise<void>((resolve) => {
        const look = () => err.includes(text) && resolve();
        listeners.push(look);
        look();
      }),
      ended.then(() => {
        if (!err.includes(text)) throw new Error(`ended without "${text}": ${err}`);
      }),
    ]);
  return { pid: child.pid!, kill: (signal) => child.kill(signal), ended, err: () => err, temporary, says };
}

/** Resolves once none of the processes is there; the test's own deadline ends it. */
async function gone(pids: readonly number[]): Promise<void> {
  while (alive(pids).length > 0) await sleep(LOOK_MS);
}

const childrenOf = ({ pid }: Dev) => processes().filter(({ parent }) => parent === pid);

describe('kith dev', () => {
  it('plays the whole story and finds every index set as it was recorded', async () => {
    const { exitCode, out, err } = await runKith('dev', '--json');
    expect(exitCode, err).toBe(0);
    const story = JSON.parse(out) as {
      ok: boolean;
      problems: string[];
      simulated: boolean;
      wallets: { name: string; at: string; exact: boolean; ownMissing: number; own: number; late: boolean }[];
      nodes: { tcbStatus: string; operator: string }[];
      outage: { keySeconds: number; readySeconds: number; incarnation: number };
    };
    expect(story).toMatchObject({ ok: true, problems: [], simulated: true });
    expect(story).toMatchObject({ renewed: { node: 'node 2' }, revoked: { name: 'fresh', node: 'node 3' } });
    expect(story.nodes).toMatchObject(
      [1, 2, 3].map((number) => ({ tcbStatus: 'UpToDate', operator: `operator-${number}` })),
    );
    expect(story.outage).toMatchObject({ node: 'node 1', meanwhile: 'receiver 6' });
    expect(story.outage.incarnation).toBeGreaterThan(1);
    expect(story.outage.readySeconds).toBeGreaterThanOrEqual(story.outage.keySeconds);
    expect(story.wallets).toHaveLength(75);
    for (const at of ['node 1', 'node 2', 'node 3']) {
      expect(story.wallets.filter((wallet) => wallet.at === at && wallet.late)).toHaveLength(18);
    }
    expect(story.wallets.filter(({ exact, ownMissing }) => !exact || ownMissing > 0)).toEqual([]);
    expect(story.wallets.reduce((sum, { own }) => sum + own, 0)).toBeGreaterThan(3 * 900);
    expect(err).toContain('node 1 is killed');
    expect(err).toContain('registered while it was away, is read at node 1: exact');
    expect(err).toContain('SIMULATED: protects nobody');
    expect(err).toContain('a client that trusts another cluster refuses it');
    expect(err).not.toContain('Warning');
  });

  it('interrupted in the middle, leaves no process and no file behind and ends with 1', async () => {
    const dev = startDev('interrupted');
    await dev.says('notes arrive');
    const children = childrenOf(dev);
    expect(children.map(({ words }) => /main\.js (\w+)/.exec(words)?.[1]).sort()).toEqual([
      'devnet',
      ...['node', 'node', 'node'],
    ]);
    expect(readdirSync(dev.temporary)).toHaveLength(1);
    dev.kill('SIGTERM');
    expect(await dev.ended).toBe(1);
    expect(dev.err()).toContain('kith: interrupted before the story was over');
    expect(alive(children.map(({ pid }) => pid))).toEqual([]);
    expect(readdirSync(dev.temporary)).toEqual([]);
  });

  it('killed, takes its children with it', async () => {
    const dev = startDev('killed');
    await dev.says('is catching-up');
    const pids = childrenOf(dev).map(({ pid }) => pid);
    expect(pids).toHaveLength(4);
    dev.kill('SIGKILL');
    await dev.ended;
    await gone(pids);
  });

  it.each(['devnet', 'node'])('ends with 1 and the last log lines when its %s dies', async (which) => {
    const dev = startDev(`without-${which}`);
    await dev.says('verified');
    const children = childrenOf(dev);
    const victim = children.find(({ words }) => words.includes(which === 'node' ? '/node-1 ' : ' devnet '))!;
    process.kill(victim.pid, 'SIGKILL');
    expect(await dev.ended).toBe(1);
    const name = which === 'node' ? 'node 1' : 'the chain';
    expect(dev.err()).toContain(`kith: ${name} was ended by SIGKILL by itself`);
    // The chain says nothing; a node always does.
    if (which === 'node') expect(dev.err()).toMatch(/the last lines of node 1:\n.*"event":/);
    expect(alive(children.map(({ pid }) => pid))).toEqual([]);
    expect(readdirSync(dev.temporary)).toEqual([]);
  });

  it('checks another chain against offline detection', async () => {
    const { exitCode, out, err } = await runKith('dev', '--replay', shortReplay, '--json');
    expect(exitCode, err).toBe(0);
    const { wallets } = JSON.parse(out) as { wallets: { name: string; exact: boolean; entries: number }[] };
    const names = [1, 2, 3].map((i) => `fresh ${i}`);
    expect(wallets.map(({ name, exact }) => [name, exact])).toEqual(
      [...names, ...names, ...names].map((name) => [name, true]),
    );
    expect(wallets[0]!.entries).toBeGreaterThan(0);
  });

  it.each([
    ['a replay that is none', 'not a chain\n', 'bad-replay'],
    ['an empty replay', '', 'bad-replay'],
    ['a replay that is not there', undefined, 'file'],
  ])('refuses %s with 1, before anything is started', async (name, contents, code) => {
    const path = join(folder, `${name}.jsonl`);
    if (contents !== undefined) writeFileSync(path, contents);
    const { exitCode, out, err } = await runKith('dev', '--json', '--replay', path);
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ error: { code } });
    expect(err).toMatch(/^kith: [^\n]+\n$/);
  });

  it('runs one node as well, without an outage', async () => {
    const { exitCode, out, err } = await runKith('dev', '--nodes', '1', '--json', '--replay', shortReplay);
    expect(exitCode, err).toBe(0);
    const story = JSON.parse(out) as { nodes: unknown[]; outage?: unknown; problems: string[] };
    expect(story).toMatchObject({ problems: [], nodes: [{ name: 'node 1' }] });
    expect(story.outage).toBeUndefined();
  });

  it('runs seven nodes at most, and says so', async () => {
    const { exitCode, err } = await runKith('dev', '--nodes', '8');
    expect(exitCode).toBe(2);
    expect(err).toMatch(/^kith: .*--nodes.*1 to 7/);
  });
});
