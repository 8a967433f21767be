// From a seed to everything that will happen to a cluster: data alone. Each kind of fault draws from a stream of its own,
// so that a new kind leaves the others of a seed where they were.

import { createDraw, type Draw } from './draw.ts';
import { FAULT_KINDS } from './faults/all.ts';
import type { FaultKind, Frame, PlannedFault } from './faults/kind.ts';
import { USERS_MAX } from './people.ts';

export type ActKind = 'register' | 'renew' | 'revoke' | 'repeat' | 'retry' | 'look-up' | 'watch' | 'disappear';

/** Something a user does. */
export interface PlannedAct {
  readonly kind: ActKind;
  readonly atMs: number;
  readonly user: number;
  /** Number of the machine that is asked. */
  readonly host: number;
  /** From 0 to 1: of a register or renewal, how soon it expires. */
  readonly amount: number;
}

export interface Plan {
  readonly seed: number;
  readonly nodes: number;
  readonly users: number;
  readonly blockMs: number;
  /** Faults begin and end here; afterwards everything is healed, and has to become whole. */
  readonly fromMs: number;
  readonly calmMs: number;
  readonly fragile: readonly number[];
  readonly faults: readonly PlannedFault[];
  readonly acts: readonly PlannedAct[];
}

export interface PlanOptions {
  readonly seed: number;
  /** Machines at the beginning, 2 to 9; drawn if absent. */
  readonly nodes?: number | undefined;
  /** Minutes during which there are faults. */
  readonly minutes?: number | undefined;
  /** Kinds of faults: each of them occurs, up to three times, and no other. All, each by its own share, if absent. */
  readonly aim?: readonly string[] | undefined;
}

/** Small clusters more often: they have the narrow cases, and a run costs the square of their size. */
const SIZES: readonly (readonly [nodes: number, tickets: number])[] = [
  [2, 8],
  [3, 10],
  [4, 8],
  [5, 8],
  [6, 2],
  [7, 2],
  [8, 1],
  [9, 1],
];
const SIZE_TICKETS = SIZES.flatMap(([nodes, tickets]) => Array.from({ length: tickets }, () => nodes));
const MINUTES_DEFAULT = 1;
/** A cluster founds itself and deals its keys in this time when nobody disturbs it. */
const FOUNDING_MS = 15_000;
/** Of each kind that a plan aims at. */
const AIMED_MAX = 3;
/** One run in ten is disturbed from the first moment on. */
const EARLY_SHARE = 0.1;

/** How often users do what. A look-up costs least and shows most. */
const ACTS: readonly (readonly [ActKind, number])[] = [
  ['look-up', 6],
  ['renew', 3],
  ['repeat', 2],
  ['retry', 2],
  ['revoke', 2],
  ['register', 2],
  ['watch', 1],
  ['disappear', 1],
];
const ACT_TICKETS = ACTS.flatMap(([kind, tickets]) => Array.from({ length: tickets }, () => kind));
const ACTS_PER_USER_MINUTE = 6;

export function planFor({ seed, nodes: given, minutes = MINUTES_DEFAULT, aim }: PlanOptions): Plan {
  const draw = createDraw(`plan ${seed}`);
  const drawn = draw.pick(SIZE_TICKETS);
  const nodes = given ?? drawn;
  const fromMs = draw.chance(EARLY_SHARE) ? 500 : FOUNDING_MS;
  const calmMs = FOUNDING_MS + Math.round(minutes * 60_000);
  const users = draw.between(3, USERS_MAX);
  const blockMs = draw.between(2_000, 6_000);
  // Of any quorum, at least one member keeps what it holds.
  const fragile = draw.sample(
    Array.from({ length: nodes }, (_, i) => i),
    Math.max(1, Math.floor(nodes / 2)),
  );
  const frame: Frame = { nodes, fragile, fromMs, untilMs: calmMs };
  return {
    seed,
    nodes,
    users,
    blockMs,
    fromMs,
    calmMs,
    fragile,
    faults: FAULT_KINDS.filter(({ kind }) => !aim || aim.includes(kind))
      .flatMap((kind) => {
        const own = createDraw(`fault ${kind.kind} ${seed}`);
        const times = aim ? own.between(1, AIMED_MAX) : timesOf(kind, own);
        return faultsOf(kind, frame, own, times);
      })
      .sort((a, b) => a.atMs - b.atMs),
    acts: actsOf(createDraw(`acts ${seed}`), { nodes, users, calmMs }),
  };
}

function timesOf({ share }: FaultKind, draw: Draw): number {
  if (!draw.chance(share)) return 0;
  return draw.chance(0.25) ? 2 : 1;
}

function faultsOf(kind: FaultKind, frame: Frame, draw: Draw, times: number): PlannedFault[] {
  return Array.from({ length: times }).flatMap(() => {
    const shaped = kind.shape(draw, frame);
    if (!shaped) return [];
    const lastMs = Math.max(frame.fromMs, frame.untilMs - Math.max(shaped.forMs, 2_000));
    return [{ kind: kind.kind, atMs: draw.between(frame.fromMs, lastMs), ...shaped }];
  });
}

function actsOf(draw: Draw, { nodes, users, calmMs }: Pick<Plan, 'nodes' | 'users' | 'calmMs'>): PlannedAct[] {
  const acts: PlannedAct[] = [];
  const act = (kind: ActKind, atMs: number, user: number): void => {
    acts.push({ kind, atMs, user, host: draw.below(nodes), amount: draw.unit() });
  };
  for (let user = 0; user < users; user++) {
    const fromMs = draw.between(12_000, calmMs - 10_000);
    act('register', fromMs, user);
    const count = Math.round(((calmMs - fromMs) / 60_000) * ACTS_PER_USER_MINUTE);
    for (let i = 0; i < count; i++) act(draw.pick(ACT_TICKETS), draw.between(fromMs, calmMs), user);
  }
  return acts.sort((a, b) => a.atMs - b.atMs);
}
