// The cluster a plan happens to: machines with their hosts, the network between them, the chain, and what is known of all
// of it from outside. Faults change it, invariants look at it.

import type { Cluster } from '../../../src/attestation/index.ts';
import { createDevnet, type Devnet } from '../../../src/devnet/index.ts';
import type { Transport } from '../../../src/p2p/index.ts';
import { watchFrames } from '../../support/frame-watch.ts';
import { recoveryOfThree } from '../../support/recovery-holders.ts';
import { createSimCluster, type SimCluster } from '../../support/sim-cluster.ts';
import { testCluster } from '../../support/test-cluster.ts';
import { createRememberingExecutor } from './detection.ts';
import { createDraw, type Draw } from './draw.ts';
import type { PlannedFault } from './faults/kind.ts';
import { createHost, type Host, type HostOptions } from './host.ts';
import { checkLine } from './invariants/never-said.ts';
import { createMarks, type Marks } from './marks.ts';
import { createSimNetwork, type SimNetwork } from './network.ts';
import { createOracle, type Oracle } from './oracle.ts';
import { chainOfAll } from './people.ts';
import type { Plan } from './plan.ts';
import type { Trace } from './trace.ts';

export interface Violation {
  readonly invariant: string;
  readonly atMs: number;
  readonly message: string;
}

export interface World {
  readonly plan: Plan;
  readonly sim: SimCluster;
  readonly network: SimNetwork;
  readonly devnet: Devnet;
  readonly oracle: Oracle;
  readonly hosts: readonly Host[];
  readonly marks: Marks;
  /** What befalls by chance while faults are at work. */
  readonly draw: Draw;
  /** Since the beginning. */
  readonly nowMs: number;
  /** The newest version of the configuration that the operators have agreed on. */
  cluster: Cluster;
  /** Whether faults are over. */
  calm: boolean;
  /** The first invariant that was found not to hold. */
  readonly violation: Violation | undefined;
  /** Whether no blocks are made. */
  halted: boolean;
  /** The newest block there ever was: endpoints may hide it again. */
  readonly highest: number;
  /** A chain of the same name with other blocks. */
  fork(): Devnet;
  addHost(options: Omit<HostOptions, 'index'>): Host;
  say(who: string, text: string): void;
  violate(invariant: string, message: string): void;
  /** What a fault keeps from its injection to its lifting. */
  keep(fault: PlannedFault, lift: () => void): void;
  lift(fault: PlannedFault): void;
  /** Runs what may take virtual time and whose end nobody waits for; what it throws is a fault of the simulator. */
  detach(what: string, work: () => Promise<void>): void;
  makeBlocks(count: number): void;
}

const START_AFTER = 18;

export function createWorld(plan: Plan, trace: Trace): World {
  const cluster = testCluster({ allowUnbacked: false, recovery: recoveryOfThree });
  const devnet = createDevnet({ replay: chainOfAll(), startAfter: START_AFTER, seed: plan.seed });
  const hosts: Host[] = [];
  const lifts = new Map<PlannedFault, (() => void)[]>();
  let violation: Violation | undefined;
  let forked: Devnet | undefined;
  let highest = devnet.tip;
  const say = (who: string, text: string): void => trace.say(world.nowMs, who, text.replaceAll('\n', ' '));
  const sim = createSimCluster(devnet, cluster, {
    seed: `simulator ${plan.seed}`,
    executor: createRememberingExecutor,
    onLine(machine, line) {
      const { level, event, fields } = line;
      say(machine, `${level} ${event} ${JSON.stringify(fields)}`);
      checkLine(world, machine, line);
    },
  });
  const marks = createMarks((where, names) => {
    world.violate('secrets', `${names.join(', ')} in the clear ${where}`);
  });
  const network = createSimNetwork(sim.network, ({ from, to, protocol, bytes }) => {
    trace.mix(sim.clock.monotonic(), bytes.length, bytes[bytes.length >> 1] ?? 0, bytes[bytes.length - 1] ?? 0);
    marks.scan(bytes, () => `on the way from ${from} to ${to} (${protocol})`);
  });
  const transport = (host: string, genuine: Transport): Transport =>
    watchFrames(genuine, (what) => world.violate('numbers-once', `${host} sends ${what}`));
  const witness = (host: string, bytes: Uint8Array): void => {
    trace.mix(sim.clock.monotonic(), bytes.length, bytes[bytes.length - 1] ?? 0);
    marks.scan(bytes, () => `on the disk of ${host}`);
  };
  const onSealingKey = (host: string, key: Uint8Array): void => {
    world.marks.mark(`a sealing key of ${host} (${world.nowMs} ms)`, key);
  };

  const world: World = {
    plan,
    sim,
    network,
    devnet,
    oracle: createOracle(),
    hosts,
    marks,
    draw: createDraw(`world ${plan.seed}`),
    cluster,
    calm: false,
    halted: false,
    get highest() {
      return highest;
    },
    get nowMs() {
      return sim.clock.monotonic();
    },
    get violation() {
      return violation;
    },
    fork() {
      if (forked) return forked;
      forked = createDevnet({ replay: chainOfAll(), startAfter: 0, seed: plan.seed });
      forked.fault({ reset: true });
      forked.advance(devnet.tip - devnet.first + 1);
      return forked;
    },
    addHost(options) {
      const host = createHost({ sim, transport, witness, onSealingKey }, { ...options, index: hosts.length });
      hosts.push(host);
      return host;
    },
    say,
    violate(invariant, message) {
      if (violation) return;
      violation = { invariant, atMs: world.nowMs, message };
      say('VIOLATED', `${invariant}: ${message}`);
    },
    keep(fault, lift) {
      lifts.set(fault, [...(lifts.get(fault) ?? []), lift]);
    },
    lift(fault) {
      for (const lift of lifts.get(fault) ?? []) lift();
      lifts.delete(fault);
    },
    detach(what, work) {
      work().catch((error: unknown) => {
        world.violate('simulator', `${what}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
      });
    },
    makeBlocks(count) {
      devnet.advance(count);
      forked?.advance(count);
      highest = Math.max(highest, devnet.tip);
      say('chain', `tip ${devnet.tip}`);
    },
  };
  return world;
}

/** Machines that run a node now. */
export const upHosts = ({ hosts }: World): Host[] => hosts.filter(({ standing }) => standing === 'up');

/** Those whose node serves. */
export const readyHosts = (world: World): Host[] => upHosts(world).filter(({ machine }) => machine.ready);
