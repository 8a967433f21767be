// Whole nodes in one thread on one clock that stands still until the test moves it: the real node.ts and mesh over
// in-process streams, disks in memory, one simulated chain.

import { createSimulatedCollateral, createSimulatedSource } from '../../src/attestation/index.ts';
import type { Clock, Timer } from '../../src/core/ports.ts';
import type { Devnet } from '../../src/devnet/index.ts';
import { createInlineExecutor, isDecodableFlag } from '../../src/fmd/index.ts';
import { createCometClient, createCometSource } from '../../src/indexer/index.ts';
import type { LogFields } from '../../src/node/log.ts';
import { createNode, type KithNode } from '../../src/node/node.ts';
import { createMemoryNetwork, type MemoryNetwork, type Transport } from '../../src/p2p/index.ts';
import { measurements, NOW, pki } from './attestation.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { seededRandom } from './seeded-random.ts';
import { createTestDisk, type LogLine, type TestDisk, testCluster } from './test-node.ts';

/** A machine: its disk and place survive the boots on it. */
export interface SimMachine {
  readonly name: string;
  readonly disk: TestDisk;
  readonly lines: LogLine[];
  /** The boot that runs, or ran last. */
  readonly node: KithNode;
  /** A new boot; resolves at once. */
  boot(options?: { bootstrap?: readonly string[] }): KithNode;
  /** The boot ends between two instructions: its timers and calls never come back. */
  crash(): void;
  /** Ends the running boot, if one is running. */
  stop(): Promise<void>;
}

export interface SimCluster {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  machine(name: string, options?: { operator?: string; disk?: TestDisk; address?: string }): SimMachine;
  /** Lets time pass until the condition holds; how long it took in milliseconds. */
  until(condition: () => boolean, seconds?: number): Promise<number>;
}

/** A clock whose timers end with the boot they belong to. */
function mortal(clock: Clock): Clock & { die(): void } {
  let alive = true;
  const timers = new Set<Timer>();
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    schedule(delayMs, callback) {
      const timer = clock.schedule(delayMs, () => {
        timers.delete(timer);
        if (alive) callback();
      });
      timers.add(timer);
      return timer;
    },
    die() {
      alive = false;
      for (const timer of timers) timer.cancel();
    },
  };
}

export function createSimCluster(devnet: Devnet, cluster = testCluster({ allowUnbacked: false })): SimCluster {
  const clock = createManualClock(NOW * 1000);
  const network = createMemoryNetwork({ clock });
  const addresses: string[] = [];

  function machine(name: string, given: { operator?: string; disk?: TestDisk; address?: string } = {}): SimMachine {
    const disk = given.disk ?? createTestDisk();
    const lines: LogLine[] = [];
    const platform = pki.platform({ operator: given.operator ?? `op-${name}`, name });
    let boots = 0;
    let crashed = false;
    let running:
      | { readonly node: KithNode; readonly clock: ReturnType<typeof mortal>; readonly transport: Transport }
      | undefined;
    const address = given.address ?? `/memory/${name}`;
    if (!addresses.includes(address)) addresses.push(address);

    return {
      name,
      disk,
      lines,
      get node() {
        return running!.node;
      },
      boot(options = {}) {
        const random = seededRandom(`${name} boot ${++boots}`);
        const own = mortal(clock);
        const log =
          (level: LogLine['level']) =>
          (event: string, fields: LogFields = {}) =>
            void lines.push({ level, event, fields });
        const transport = network.transport({ bootKey: random.bytes(32), address });
        const node = createNode(
          {
            clock: own,
            random,
            log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
            cluster,
            disk,
            sources: [
              createCometSource(
                { transport: devnet.transport(name), clock: own, decodable: isDecodableFlag },
                { textPrefix: 'kith/' },
              ),
            ],
            executor: createInlineExecutor({ clock: own }),
            chainClients: [
              createCometClient({ transport: devnet.transport(name), clock: own }, { textPrefix: 'kith/' }),
            ],
            custody: { kind: 'members', transport },
            quoteSource: createSimulatedSource({ clock: own }, platform, measurements),
            collateralSources: [createSimulatedCollateral(pki)],
          },
          {
            version: '0.0.0',
            bootstrap: options.bootstrap ?? addresses.filter((other) => other !== address),
            found: address === addresses[0],
          },
        );
        running = { node, clock: own, transport };
        crashed = false;
        node
          .start()
          .catch((error: unknown) =>
            lines.push({ level: 'error', event: 'start-failed', fields: { reason: String(error) } }),
          );
        return node;
      },
      crash() {
        running!.clock.die();
        void running!.transport.stop();
        disk.sealed.crash(0);
        disk.chain().crash(0);
        crashed = true;
      },
      async stop() {
        if (running && !crashed) await clock.settle(running.node.stop());
      },
    };
  }

  return {
    clock,
    network,
    machine,
    async until(condition, seconds = 120) {
      const began = clock.monotonic();
      while (!condition()) {
        if (clock.monotonic() - began > seconds * 1_000) throw new Error(`not within ${seconds} s`);
        await clock.advance(100);
      }
      return clock.monotonic() - began;
    },
  };
}
