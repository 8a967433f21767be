// What `kith dev` plays on: a temporary folder, a simulated cluster, the simulated chain and nodes as child processes
// on loopback. All of it goes when `stop` is called, or with the process.

import { setMaxListeners } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Cluster } from '../attestation/index.ts';
import { abortError, sleep, throwIfAborted } from '../core/deadline.ts';
import { KithError } from '../core/errors.ts';
import { type Shape, shape, Type, text } from '../core/schema.ts';
import { systemClock } from '../core/system.ts';
import { CHAIN_ID_DEFAULT } from '../devnet/index.ts';
import { makeCluster, writeCluster } from './cluster-init.ts';
import type { Terminal } from './command.ts';
import { type DevChild, startChild } from './dev-child.ts';

export interface DevNode {
  readonly name: string;
  readonly url: string;
  readonly adminUrl: string;
}

export interface DevWorld {
  readonly folder: string;
  readonly cluster: Cluster;
  readonly clusterPath: string;
  readonly chainUrl: string;
  readonly nodes: readonly DevNode[];
  /** Aborts when the user interrupts or a process ends by itself; the reason says which. */
  readonly signal: AbortSignal;
  /** Why the world ended, if it did: then `error`, of whoever talked to a process, only followed from it. */
  causeOf(error: unknown): Promise<unknown>;
  /** Ends the processes and removes the folder. Idempotent. */
  stop(): Promise<void>;
}

export interface WorldOptions {
  readonly replayPath: string;
  /** Heights there are at once. */
  readonly startAfter: number;
  /** From one height to the next, after those. */
  readonly blockMs: number;
  readonly nodes: number;
}

/** A signal of the terminal reaches all its processes at once: who interrupts is not told that a child ended. */
const INTERRUPT_GRACE_MS = 250;
/** A process that died is known to have after the grace above; who talked to it hears of it at once. */
const CAUSE_MS = 2 * INTERRUPT_GRACE_MS;

/** All wallets wait for a height at once, with a few listeners each; above it Node warns of a leak. */
const LISTENERS_MAX = 256;

const LOOPBACK = '127.0.0.1:0';
const devnetFacts = shape(Type.Object({ url: text(256) }));
const nodeFacts = shape(Type.Object({ url: text(256), admin: text(256) }));

/** A cluster whose quotes are simulated and whose node may serve alone. */
export async function simulatedCluster(): ReturnType<typeof makeCluster> {
  return makeCluster({
    chainId: CHAIN_ID_DEFAULT,
    simulated: true,
    recovery: '0-of-0',
    governance: '1-of-1',
    confirmations: 1,
    allowUnbacked: true,
  });
}

/** @throws KithError `interrupted`, `child-ended`, `timeout`, or what a child says; nothing is left then. */
export async function startWorld(terminal: Terminal, options: WorldOptions): Promise<DevWorld> {
  const ending = new AbortController();
  const { signal } = ending;
  setMaxListeners(LISTENERS_MAX, signal);
  const children: DevChild[] = [];
  const removeFolderAtExit = () => rmSync(folder, { recursive: true, force: true });
  const onInterrupt = () => ending.abort(new KithError('interrupted', 'interrupted before the story was over'));

  const start = async <Facts>(name: string, words: readonly string[], facts: Shape<Facts>) => {
    const child = await startChild(name, words, facts, { signal, onFailure: (lines) => show(name, lines) });
    children.push(child);
    void child.ended.then((how) => setTimeout(() => died(child, how), INTERRUPT_GRACE_MS).unref());
    return child;
  };
  const show = (name: string, lines: readonly string[]) => {
    if (lines.length > 0) terminal.stderr.write(`the last lines of ${name}:\n${lines.join('\n')}\n`);
  };
  const died = ({ name, lastLines }: DevChild, how: string) => {
    if (signal.aborted) return;
    ending.abort(new KithError('child-ended', `${name} ${how} by itself`));
    show(name, lastLines());
  };

  let stopping: Promise<void> | undefined;
  const stopAll = async () => {
    if (!signal.aborted) ending.abort(new KithError('stopped', 'kith dev ends'));
    terminal.signal.removeEventListener('abort', onInterrupt);
    for (const child of children.reverse()) await child.stop();
    await rm(folder, { recursive: true, force: true });
    process.removeListener('exit', removeFolderAtExit);
  };
  const stop = () => {
    stopping ??= stopAll();
    return stopping;
  };

  const causeOf = async (error: unknown) => {
    await sleep(systemClock, CAUSE_MS, { signal }).catch(() => undefined);
    return signal.aborted ? abortError(signal) : error;
  };

  const folder = await mkdtemp(join(tmpdir(), 'kith-dev-'));
  process.once('exit', removeFolderAtExit);
  terminal.signal.addEventListener('abort', onInterrupt, { once: true });
  if (terminal.signal.aborted) onInterrupt();
  try {
    throwIfAborted(signal);
    const clusterPath = join(folder, 'cluster.json');
    const { cluster, keys } = await simulatedCluster();
    await writeCluster(clusterPath, cluster, keys);
    const devnet = await start('the chain', devnetWords(options), devnetFacts);
    const nodes: DevNode[] = [];
    for (let i = 1; i <= options.nodes; i++) {
      const name = `node ${i}`;
      const words = nodeWords({ clusterPath, dataDir: join(folder, `node-${i}`), chain: devnet.facts.url, number: i });
      const { url, admin } = (await start(name, words, nodeFacts)).facts;
      nodes.push({ name, url, adminUrl: admin });
    }
    return { folder, cluster, clusterPath, chainUrl: devnet.facts.url, nodes, signal, causeOf, stop };
  } catch (error) {
    const reason = signal.aborted ? abortError(signal) : error;
    await stop();
    throw reason;
  }
}

function devnetWords({ replayPath, startAfter, blockMs }: WorldOptions): string[] {
  const pace = ['--start-after', String(startAfter), '--block-ms', String(blockMs)];
  return ['devnet', '--replay', replayPath, '--http', LOOPBACK, ...pace];
}

function nodeWords(of: { clusterPath: string; dataDir: string; chain: string; number: number }): string[] {
  return [
    ...['node', '--cluster', of.clusterPath, '--data-dir', of.dataDir, '--comet-rpc', of.chain],
    ...['--http', LOOPBACK, '--admin', LOOPBACK, '--listen', '/ip4/127.0.0.1/tcp/0'],
    ...['--quotes', 'simulated', '--simulated-platform', `operator-${of.number}/platform-${of.number}`],
  ];
}
