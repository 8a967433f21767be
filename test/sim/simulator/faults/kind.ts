// What a kind of fault is: data for the plan, and what it does to the world. Adding one is adding one record.

import type { Draw } from '../draw.ts';
import type { World } from '../world.ts';

/** A fault of a plan: nothing but data, so that plans can be printed, compared and shrunk. */
export interface PlannedFault {
  readonly kind: string;
  /** Since the beginning of the run. */
  readonly atMs: number;
  /** How long until it is lifted; 0 if there is nothing to lift. */
  readonly forMs: number;
  /** Numbers of the machines it befalls, the first one first. */
  readonly hosts: readonly number[];
  /** From 0 to 1: how hard it is, as the kind means it. */
  readonly amount: number;
}

/** What a plan is made for. */
export interface Frame {
  /** Machines at the beginning. */
  readonly nodes: number;
  /** Numbers of the machines that may lose what they hold: fewer than any quorum. */
  readonly fragile: readonly number[];
  /** When faults may begin, and when all of them are over. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What befalls, and for how long; when is drawn by the plan. */
export type Shaped = Pick<PlannedFault, 'forMs' | 'hosts' | 'amount'>;

export interface FaultKind {
  readonly kind: string;
  /** Share of the plans in which it occurs, where it can. */
  readonly share: number;
  /** Undefined where the frame has no room for it. */
  shape(draw: Draw, frame: Frame): Shaped | undefined;
  /** @returns whether anything was done: a machine that is down cannot crash. */
  inject(world: World, fault: PlannedFault): boolean;
  lift?(world: World, fault: PlannedFault): void;
}

/** All machines of the beginning. */
export const allHosts = ({ nodes }: Frame): number[] => Array.from({ length: nodes }, (_, i) => i);
