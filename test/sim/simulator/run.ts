// One run: a plan happens to a world, faults stop, everything is healed, and the cluster has to become whole. Whatever
// the seed, the same seed gives the same run.

import { FAULT_KINDS } from './faults/all.ts';
import type { PlannedFault } from './faults/kind.ts';
import { createBoots } from './invariants/boots.ts';
import { checkBounds } from './invariants/bounds.ts';
import { checkOwnWord } from './invariants/own-word.ts';
import { checkServed, createShown } from './invariants/registrations.ts';
import { createSharesWatch } from './invariants/shares.ts';
import { notYetWhole } from './invariants/whole.ts';
import { createOperator } from './operator.ts';
import { type Plan, type PlanOptions, planFor } from './plan.ts';
import { createTrace } from './trace.ts';
import { createUsers, type Users } from './users.ts';
import { createWorld, upHosts, type Violation, type World } from './world.ts';

export interface RunOptions extends PlanOptions {
  /** In place of the seed's own. */
  readonly plan?: Plan;
  /** Is given each line of the trace. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  readonly seed: number;
  readonly nodes: number;
  readonly violation: Violation | undefined;
  readonly traceHash: string;
  /** Faults that were injected, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  readonly virtualMs: number;
  readonly events: number;
  /** What users did and got: operations signed and confirmed. */
  readonly signed: number;
  readonly confirmed: number;
  /** From the end of the faults until the cluster was whole. */
  readonly healedMs: number | undefined;
  readonly scannedBytes: number;
  /** The last lines of the trace. */
  readonly last: readonly string[];
}

/** How often everything is looked at. */
const CHECK_MS = 1_000;
/** Counters are asked for less often: they cost more than the rest. */
const BOUNDS_EVERY = 10;
/**
 * Within it a cluster must be whole again: attestations, deals and retries with their longest pauses one after the other,
 * and an operator who comes once.
 */
const HEAL_MS_MAX = 300_000;
/** Machines are switched on one after the other. */
const BOOT_GAP_MS = 700;
/** A cluster that is whole stays so, at least while this lasts. */
const REST_MS = 5_000;

const TRY_AGAIN_MS = 2_000;

interface Moment {
  readonly atMs: number;
  readonly happen: () => void;
}

export async function runSeed(options: RunOptions): Promise<RunResult> {
  const plan = options.plan ?? planFor(options);
  const trace = createTrace(options.onLine);
  const world = createWorld(plan, trace);
  const counts: Record<string, number> = {};
  const kinds = new Map(FAULT_KINDS.map((kind) => [kind.kind, kind]));
  const users = createUsers(world);

  function inject(fault: PlannedFault): void {
    const kind = kinds.get(fault.kind)!;
    const { hosts, forMs, amount } = fault;
    const names = hosts.map((index) => world.hosts[index]?.name).join(' ');
    const done = kind.inject(world, fault);
    world.say('fault', `${fault.kind} ${names} ${amount.toFixed(3)} for ${forMs} ms${done ? '' : ': nothing to do'}`);
    if (done) counts[fault.kind] = (counts[fault.kind] ?? 0) + 1;
  }
  function lift(fault: PlannedFault): void {
    kinds.get(fault.kind)!.lift?.(world, fault);
    world.lift(fault);
    world.say('lifted', fault.kind);
  }

  const moments: Moment[] = [
    ...Array.from({ length: plan.nodes }, (_, i) => ({
      atMs: i * BOOT_GAP_MS,
      happen: () => void world.hosts[i]!.boot(),
    })),
    ...plan.acts.map((act) => ({
      atMs: act.atMs,
      happen: () => {
        counts[`client-${act.kind}`] = (counts[`client-${act.kind}`] ?? 0) + 1;
        world.detach(`user ${act.user}`, () => users.act(act));
      },
    })),
    ...plan.faults.flatMap((fault): Moment[] => [
      { atMs: fault.atMs, happen: () => inject(fault) },
      ...(fault.forMs > 0
        ? [{ atMs: Math.min(fault.atMs + fault.forMs, plan.calmMs), happen: () => lift(fault) }]
        : []),
    ]),
  ];
  for (let i = 0; i < plan.nodes; i++) world.addHost({ name: `n${i}` });
  const healedMs = await pass(world, moments, users);
  return {
    seed: plan.seed,
    nodes: plan.nodes,
    violation: world.violation,
    traceHash: trace.hash(),
    faults: counts,
    virtualMs: world.nowMs,
    events: trace.events,
    signed: plan.acts.length,
    confirmed: world.oracle.acknowledged.length,
    healedMs,
    scannedBytes: world.marks.scannedBytes,
    last: trace.last(),
  };
}

/** @returns how long it took to become whole. */
async function pass(world: World, moments: readonly Moment[], users: Users): Promise<number | undefined> {
  const { plan, sim } = world;
  const queue = [...moments].sort((a, b) => a.atMs - b.atMs);
  const look = createLook(world);
  let nextBlockMs = plan.blockMs;
  let wholeSince: number | undefined;
  let trial: Trial | undefined;
  for (let next = 0, tick = 0; world.violation === undefined; ) {
    const tickMs = tick * CHECK_MS;
    const atMs = Math.min(queue[next]?.atMs ?? Number.POSITIVE_INFINITY, nextBlockMs, tickMs);
    if (atMs > world.nowMs) await sim.clock.advance(atMs - world.nowMs);
    while (queue[next] && queue[next]!.atMs <= atMs) queue[next++]!.happen();
    if (nextBlockMs <= atMs) {
      nextBlockMs += plan.blockMs;
      if (!world.halted) world.makeBlocks(1);
    }
    if (tickMs > atMs) continue;
    tick += 1;
    look(tick);
    if (atMs < plan.calmMs) continue;
    if (!world.calm) calmDown(world);
    const why = notYetWhole(world);
    wholeSince = why === undefined ? (wholeSince ?? atMs) : undefined;
    if (wholeSince !== undefined) trial ??= tryOut(world, users);
    const rested = wholeSince !== undefined && atMs - wholeSince >= REST_MS;
    if (rested && trial?.left === 0) return wholeSince! - plan.calmMs;
    if (atMs - plan.calmMs > HEAL_MS_MAX) world.violate('heals', why ?? trial?.why ?? 'it does not stay whole');
  }
  return undefined;
}

interface Trial {
  /** Machines that have not shown that they serve. */
  left: number;
  why: string | undefined;
}

/** Users go to each machine of a cluster that looks whole; they try again until it serves them. */
function tryOut(world: World, users: Users): Trial {
  const hosts = upHosts(world);
  const trial: Trial = { left: hosts.length, why: undefined };
  for (const host of hosts) {
    world.detach('a trial', async () => {
      for (let why = await users.tryOut(host); why !== undefined; why = await users.tryOut(host)) {
        trial.why = why;
        if (world.violation || host.standing === 'gone') break;
        await new Promise<void>((resolve) => void world.sim.clock.schedule(TRY_AGAIN_MS, resolve));
      }
      trial.left -= 1;
    });
  }
  return trial;
}

/** Nothing is done to the cluster any more, and what was switched off is switched on. */
function calmDown(world: World): void {
  world.calm = true;
  world.say('calm', 'faults are over');
  for (const host of world.hosts) {
    host.skewMs = 0;
    host.diskMode = 'well';
    host.quoteMode = 'well';
    host.onCall = undefined;
    host.endpoint.mode = { kind: 'well' };
    if (host.paused) host.resume();
    if (host.standing === 'down') host.boot({ cluster: world.cluster });
  }
}

/** What is looked at once a second. */
function createLook(world: World): (tick: number) => void {
  const operator = createOperator();
  const shown = createShown();
  const boots = createBoots();
  const checkShares = createSharesWatch();
  return (tick) => {
    for (const { name, boots: boot, machine } of upHosts(world)) {
      const { running } = machine.node;
      const { phase } = machine.node.service.readiness();
      if (!running || phase === 'draining' || phase === 'fenced') continue;
      world.marks.mark(`the node secret of ${name}, boot ${boot}`, running.identity.nodeSecret.expose());
      using dataKey = running.store.copyDataKey();
      world.marks.mark(`the data key of the store of ${name}, boot ${boot}`, dataKey.expose());
      world.marks.mark(`the log key of ${name}, boot ${boot}`, running.identity.logKey.expose());
    }
    operator.step(world);
    shown.check(world);
    checkServed(world);
    boots.check(world);
    checkOwnWord(world);
    checkShares(world);
    if (tick % BOUNDS_EVERY === 0) checkBounds(world);
  };
}
