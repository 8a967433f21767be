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
import { shape, Type, text } from '../core/schema.ts';
import { systemClock } from '../core/system.ts';
import { CHAIN_ID_DEFAULT } from '../devnet/index.ts';
import { makeCluster, writeCluster } from './cluster-init.ts';
import type { Terminal } from './command.ts';
import { createDevChildren, INTERRUPT_GRACE_MS } from './dev-children.ts';
import { type NodePlace, nodePlaces } from './dev-nodes.ts';

export interface DevNode {
  readonly name: string;
  readonly url: string;
  readonly adminUrl: string;
}

export interface DevWorld {
  /** Ends a node at once, as a crash would. That it ended is then no reason for the world to end. */
  kill(node: DevNode): Promise<void>;
  /** Starts a killed node again, at its old place with its old disk. @throws KithError `child-ended`, `timeout`. */
  boot(node: DevNode): Promise<void>;
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

/** A process that died is known to have after the grace above; who talked to it hears of it at once. */
const CAUSE_MS = 2 * INTERRUPT_GRACE_MS;

/** All wallets wait for a height at once, with a few listeners each; above it Node warns of a leak. */
const LISTENERS_MAX = 256;

const CHAIN = 'the chain';
const LOOPBACK = '127.0.0.1:0';
const devnetFacts = shape(Type.Object({ url: text(256) }));
const nodeFacts = shape(Type.Object({ url: text(256), admin: text(256) }));

/** A cluster whose quotes are simulated; of one node, one that may serve alone. */
export async function simulatedCluster(nodes: number): ReturnType<typeof makeCluster> {
  return makeCluster({
    chainId: CHAIN_ID_DEFAULT,
    simulated: true,
    recovery: '0-of-0',
    governance: '1-of-1',
    confirmations: 1,
    allowUnbacked: nodes === 1,
  });
}

/** @throws KithError `interrupted`, `child-ended`, `timeout`, or what a child says; nothing is left then. */
export async function startWorld(terminal: Terminal, options: WorldOptions): Promise<DevWorld> {
  const ending = new AbortController();
  const { signal } = ending;
  setMaxListeners(LISTENERS_MAX, signal);
  const children = createDevChildren(terminal, ending);
  const removeFolderAtExit = () => rmSync(folder, { recursive: true, force: true });
  const onInterrupt = () => ending.abort(new KithError('interrupted', 'interrupted before the story was over'));

  let stopping: Promise<void> | undefined;
  const stopAll = async () => {
    if (!signal.aborted) ending.abort(new KithError('stopped', 'kith dev ends'));
    terminal.signal.removeEventListener('abort', onInterrupt);
    await children.stop(CHAIN);
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
    const { cluster, keys } = await simulatedCluster(options.nodes);
    await writeCluster(clusterPath, cluster, keys);
    const { url: chainUrl } = await children.start(CHAIN, devnetWords(options), devnetFacts);
    const dataDirOf = (number: number) => join(folder, `node-${number}`);
    const places = await nodePlaces({ count: options.nodes, clusterPath, chainUrl, dataDirOf });
    const boot = async ({ name, words }: NodePlace): Promise<DevNode> => {
      const { url, admin } = await children.start(name, words, nodeFacts);
      return { name, url, adminUrl: admin };
    };
    return {
      ...{ folder, cluster, clusterPath, chainUrl, signal, causeOf, stop },
      nodes: await Promise.all(places.map(boot)),
      kill: ({ name }) => children.kill(name),
      async boot({ name }) {
        await boot(places.find((place) => place.name === name)!);
      },
    };
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
