// Which table of multiples of u to build for a flag: wide windows make each multiplication cheap and the table dear.

import { RECODED_BITS, WINDOW_BITS_MAX, WINDOW_BITS_MIN } from './layout.ts';

/** A fixed-base table. With stride 1 no doublings are left; with as many as there are windows, it is one window. */
export interface TablePlan {
  /** Bits of a digit, 4 to 8. */
  readonly windowBits: number;
  /** The table holds every `stride`-th window; the others are reached by doublings, shared by all windows. */
  readonly stride: number;
}

/**
 * Costs in nanoseconds, measured on one core of a 2.7 GHz EPYC (Node 20); only their ratios matter. A quad is four
 * points or scalars side by side. `add`: one addition with its look-up, by window width.
 */
const COST = {
  add: [500, 503, 514, 539, 585],
  double: 500,
  tableEntryQuad: 1120,
  tableInversion: 14_000,
  flagDoubling: 500,
} as const;

/** Entry quads whose inversion is shared (assembly/table.ts). */
const TABLE_ROOM = 384;
/** Doublings a flag needs in any case, for w. */
const FLAG_DOUBLINGS_MIN = 128;

export const windowCount = (windowBits: number): number => Math.ceil(RECODED_BITS / windowBits);

/** Estimated nanoseconds per flag of a plan, for the table and for `quads` quads of multiplications. */
export function planCost({ windowBits, stride }: TablePlan, quads: number): number {
  const windows = windowCount(windowBits);
  const tableWindows = Math.ceil(windows / stride);
  const entries = 2 ** (windowBits - 1);
  const windowQuads = Math.ceil(tableWindows / 4);
  const doublings = Math.max(FLAG_DOUBLINGS_MIN, (tableWindows - 1) * windowBits * stride);
  const inversions = Math.ceil((windowQuads * entries) / TABLE_ROOM);
  const table = windowQuads * entries * COST.tableEntryQuad + inversions * COST.tableInversion;
  const add = COST.add[windowBits - WINDOW_BITS_MIN]!;
  return doublings * COST.flagDoubling + table + quads * (windows * add + windowBits * (stride - 1) * COST.double);
}

/** All plans worth trying: every width, strides that divide the windows into even shares, and one window alone. */
function* plans(): Generator<TablePlan> {
  for (let windowBits = WINDOW_BITS_MIN; windowBits <= WINDOW_BITS_MAX; windowBits++) {
    const windows = windowCount(windowBits);
    for (const stride of new Set([1, 2, 3, 4, 8, 16, windows])) yield { windowBits, stride };
  }
}

/** The cheapest table for flags against `quads` quads of multiplications (public: it depends on numbers of keys only). */
export function choosePlan(quads: number): TablePlan {
  let best: TablePlan = { windowBits: WINDOW_BITS_MIN, stride: windowCount(WINDOW_BITS_MIN) };
  for (const plan of plans()) if (planCost(plan, quads) < planCost(best, quads)) best = plan;
  return best;
}
