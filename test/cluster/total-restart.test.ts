// Two node processes that are killed at once, and `kith recover` at both.

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folder.ts';
import { freePorts } from '../support/free-port.ts';
import { kill, runKith, startKith } from '../support/processes.ts';
import { madeUpLines } from '../support/replay.ts';

const folder = temporaryFolder();
const cluster = join(folder, 'cluster.json');
const replay = join(folder, 'chain.jsonl');

interface Info {
  readonly nodeId: string;
  readonly phase: string;
  readonly members: number;
}

async function get<T>(url: string): Promise<T | undefined> {
  try {
    return (await (await fetch(url)).json()) as T;
  } catch {
    return undefined;
  }
}

async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const began = performance.now();
  while (!(await condition())) {
    if (performance.now() - began > timeoutMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function json<T>(...words: string[]): Promise<T> {
  const { exitCode, out, err } = await runKith(...words, '--json');
  if (exitCode !== 0) throw new Error(`${words.join(' ')}: ${out}${err}`);
  return JSON.parse(out) as T;
}

/** Two nodes, ready and backed by one another. */
async function started() {
  const lines = madeUpLines(1_000, 60).filter(({ flags }) => flags === null);
  writeFileSync(replay, lines.map((line) => JSON.stringify(line)).join('\n'));
  await json('cluster', 'init', '--out', cluster, '--chain-id', 'kith-devnet', '--simulated', '--recovery', '2-of-3');
  const devnet = await startKith('devnet', '--replay', replay, '--http', '127.0.0.1:0', '--json');
  const { url: chain } = JSON.parse(devnet.first) as { url: string };
  const ports = await freePorts(4);
  const machines = await Promise.all(
    ['a', 'b'].map(async (name, i) => {
      const [http, listen, other] = [ports[i]!, ports[2 + i]!, ports[3 - i]!];
      const words = ['node', '--cluster', cluster, '--data-dir', join(folder, name), '--http', `127.0.0.1:${http}`];
      words.push('--listen', `/ip4/127.0.0.1/tcp/${listen}`, '--bootstrap', `/ip4/127.0.0.1/tcp/${other}`);
      words.push('--comet-rpc', chain, '--quotes', 'simulated', '--simulated-platform', `op-${name}/m`, '--json');
      if (i === 0) words.push('--found');
      const boot = () => startKith(...words);
      return { name, url: `http://127.0.0.1:${http}`, boot, running: await boot() };
    }),
  );
  const info = (at: { url: string }) => get<Info>(`${at.url}/v1/node`);
  const ready = () =>
    until('two nodes ready', async () => {
      const infos = await Promise.all(machines.map(info));
      return infos.every((one) => one?.phase === 'ready' && one.members === 2);
    });
  await ready();
  return { machines, info, ready };
}

describe('two node processes killed at once', () => {
  it('go on under new ids, and have the registrations of before once two shares are entered', async () => {
    const { machines, info, ready } = await started();
    const [a, b] = machines as [(typeof machines)[number], (typeof machines)[number]];
    const before = (await info(a))!.nodeId;
    await until('backed', async () => {
      const states = await Promise.all(machines.map(({ url }) => get<{ reasons: string[] }>(`${url}/readyz`)));
      return states.every((state) => state?.reasons.every((reason) => !/^(unbacked|custody)/.test(reason)));
    });
    const wallet = join(folder, 'wallet.json');
    const at = ['--node', a.url, '--cluster', cluster, '--wallet', wallet];
    await json('client', 'keygen', '--out', wallet);
    const { id } = await json<{ id: string }>('client', 'register', ...at);
    for (const { running } of machines) await kill(running);
    for (const machine of machines) machine.running = await machine.boot();
    await ready();
    expect((await info(a))!.nodeId).not.toBe(before);
    expect(readdirSync(join(folder, 'a', 'set-aside'))).toEqual(['1']);
    expect((await fetch(`${a.url}/v1/registrations/${id}`)).status).toBe(404);
    for (const [share, status] of [
      [1, 'waiting'],
      [3, 'opened'],
    ] as const) {
      const key = join(folder, `cluster.recovery-${share}.key`);
      const words = ['recover', '--node', a.url, '--share', key, '--cluster', cluster, `--store=${before}`];
      expect(await json(...words)).toMatchObject({ status });
    }
    await until('the registration is back', async () => {
      const answer = await get<{ status?: string }>(`${a.url}/v1/registrations/${id}`);
      return answer?.status === 'confirmed';
    });
    expect(readdirSync(join(folder, 'a', 'set-aside', '1')).sort()).toEqual(['header', 'imported', 'sealed']);
    expect(await get<{ state: string }>(`${a.url}/v1/recovery`)).toMatchObject({ state: 'none' });
    expect(await get<{ state: string }>(`${b.url}/v1/recovery`)).toMatchObject({ state: 'total-restart' });
    for (const { running } of machines) await kill(running, 'SIGTERM');
    for (const { running } of machines) expect(await running.ended).toBe(0);
  });
});
