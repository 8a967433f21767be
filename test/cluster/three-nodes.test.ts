// Three node processes over real libp2p on loopback that keep one another's sealing keys.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/folder.ts';
import { freePorts } from '../support/free-port.ts';
import { longForm } from '../support/fuzz.ts';
import { kill, runKith, type Started, startKith } from '../support/processes.ts';
import { madeUpLines } from '../support/replay.ts';

const folder = temporaryFolder();
/** Short: the nodes are about keys here. */
const replay = join(folder, 'chain.jsonl');
const LINES = madeUpLines(1_000, 60).filter(({ flags }) => flags === null);
const cluster = join(folder, 'cluster.json');
const KILLS = longForm ? 50 : 3;

interface Machine {
  readonly name: string;
  readonly url: string;
  boot(): Promise<Started>;
  running: Started;
}

interface Info {
  readonly nodeId: string;
  readonly phase: string;
  readonly incarnation: number;
  readonly members: number;
}

let machines: Machine[];

async function get<T>(url: string): Promise<T | undefined> {
  try {
    const response = await fetch(url);
    return (await response.json()) as T;
  } catch {
    return undefined;
  }
}
const info = ({ url }: Machine) => get<Info>(`${url}/v1/node`);

/** Asks until the condition holds; how long that took in milliseconds. */
async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 60_000): Promise<number> {
  const began = performance.now();
  while (!(await condition())) {
    if (performance.now() - began > timeoutMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return performance.now() - began;
}

const isReady = async (machine: Machine) => (await info(machine))?.phase === 'ready';

beforeAll(async () => {
  writeFileSync(replay, LINES.map((line) => JSON.stringify(line)).join('\n'));
  const init = await runKith('cluster', 'init', '--out', cluster, '--chain-id', 'kith-devnet', '--simulated');
  if (init.exitCode !== 0) throw new Error(init.err);
  const devnet = await startKith('devnet', '--replay', replay, '--http', '127.0.0.1:0', '--json');
  const { url: chain } = JSON.parse(devnet.first) as { url: string };
  const ports = await freePorts(6);
  machines = await Promise.all(
    ['a', 'b', 'c'].map(async (name, i) => {
      const [http, listen] = [ports[i]!, ports[3 + i]!];
      const bootstrap = ports.slice(3).filter((port) => port !== listen);
      const words = ['node', '--cluster', cluster, '--data-dir', join(folder, name), '--http', `127.0.0.1:${http}`];
      words.push('--listen', `/ip4/127.0.0.1/tcp/${listen}`, '--comet-rpc', chain, '--quotes', 'simulated');
      words.push('--simulated-platform', `op-${name}/m`, '--json');
      if (i === 0) words.push('--found');
      for (const port of bootstrap) words.push('--bootstrap', `/ip4/127.0.0.1/tcp/${port}`);
      const boot = () => startKith(...words);
      return { name, url: `http://127.0.0.1:${http}`, boot, running: await boot() };
    }),
  );
  for (const machine of machines) await until(`${machine.name} ready`, () => isReady(machine));
});

describe('three node processes', () => {
  it('come back under their own ids when they are killed, whichever it is', async () => {
    await until('a roster of three', async () => (await info(machines[0]!))?.members === 3);
    await until('everybody is backed', async () => {
      const states = await Promise.all(machines.map(({ url }) => get<{ reasons: string[] }>(`${url}/readyz`)));
      return states.every((state) => state?.reasons.every((reason) => !/^(unbacked|custody)/.test(reason)));
    });
    for (let i = 0; i < KILLS; i++) {
      const machine = machines[i % machines.length]!;
      const before = (await info(machine))!;
      await kill(machine.running);
      machine.running = await machine.boot();
      const tookMs = await until(`${machine.name} back`, () => isReady(machine), 30_000);
      const after = (await info(machine))!;
      expect(after.nodeId).toBe(before.nodeId);
      expect(after.incarnation).toBeGreaterThan(before.incarnation);
      expect(tookMs).toBeLessThan(15_000);
      await until('backed again', async () => {
        const state = await get<{ reasons: string[] }>(`${machine.url}/readyz`);
        return state?.reasons.every((reason) => !/^(unbacked|custody)/.test(reason)) ?? false;
      });
    }
    for (const { running } of machines) await kill(running, 'SIGTERM');
    for (const { running } of machines) expect(await running.ended).toBe(0);
  });
});
