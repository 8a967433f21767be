// The simulator itself: its runs repeat, every fault it knows has an effect, and a few seeds pass with every test run.
// `npm run sim` runs as many as there is time for (docs/SIMULATION.md).

import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createDraw } from './simulator/draw.ts';
import { FAULT_KINDS } from './simulator/faults/all.ts';
import type { PlannedFault } from './simulator/faults/kind.ts';
import { type Plan, planFor } from './simulator/plan.ts';
import { type RunResult, runSeed } from './simulator/run.ts';

const MAIN = fileURLToPath(new URL('simulator/main.ts', import.meta.url));
/** Small clusters: what a test run can afford. */
const SEEDS = [1, 2, 3, 4, 5, 6];
const NODES = [2, 3, 3, 2, 4, 3];

const failureOf = ({ seed, nodes, violation, last }: RunResult): string | undefined =>
  violation && `seed ${seed}, --nodes ${nodes}: ${violation.invariant}: ${violation.message}\n${last.join('\n')}`;

describe('a simulated cluster', () => {
  it.each(SEEDS.map((seed, i) => [seed, NODES[i]!]))(
    'keeps every invariant with seed %i and %i nodes',
    async (seed, nodes) => {
      const result = await runSeed({ seed, nodes, minutes: 0.75 });
      expect(failureOf(result)).toBeUndefined();
      // One for each machine in the end, at least.
      expect(result.confirmed).toBeGreaterThanOrEqual(1);
      expect(result.healedMs).toBeGreaterThanOrEqual(0);
    },
  );

  it('does the same with the same seed in another process', async () => {
    const words = [
      '--import',
      'tsx',
      '--conditions=kith-source',
      MAIN,
      '--json',
      '--from',
      '77',
      '--nodes',
      '3',
      '--minutes',
      '0.5',
    ];
    const elsewhere = promisify(execFile)(process.execPath, words);
    const here = await runSeed({ seed: 77, nodes: 3, minutes: 0.5 });
    const there = JSON.parse((await elsewhere).stdout) as RunResult;
    expect(there.traceHash).toBe(here.traceHash);
    expect(there.events).toBe(here.events);
    expect(here.events).toBeGreaterThan(1_000);
  });

  it('does something else with another seed', async () => {
    const [one, other] = [
      await runSeed({ seed: 8, nodes: 2, minutes: 0.2 }),
      await runSeed({ seed: 9, nodes: 2, minutes: 0.2 }),
    ];
    expect(one.traceHash).not.toBe(other.traceHash);
  });
});

describe('every kind of fault', () => {
  /** Enough for a disk to be copied, or a machine to be told of what it lacks. */
  const LASTS_MS = 3_000;
  const GAP_MS = 7_000;
  const FIRST_MS = 20_000;
  const REST_MS = 60_000;

  /** Each once, one after the other, in a cluster of four that is whole in between as far as it can be. */
  function planOfAll(): Plan {
    const base = planFor({ seed: 4, nodes: 4 });
    const draw = createDraw('every kind');
    const frame = { nodes: 4, fragile: [3], fromMs: 0, untilMs: 1_000_000 };
    // What takes a machine away for good comes last, each time another one.
    const last = ['member-leaves', 'disk-clone'];
    const kinds = [...FAULT_KINDS].sort((one, other) => last.indexOf(one.kind) - last.indexOf(other.kind));
    // Rolling restarts are over by then.
    const atMs = (kind: string, i: number) => FIRST_MS + i * GAP_MS + (last.includes(kind) ? REST_MS : 0);
    const faults = kinds.map(({ kind, shape }, i): PlannedFault => {
      const { forMs, hosts, amount } = shape(draw, frame)!;
      const on = kind === 'disk-clone' ? [2] : hosts;
      return { kind, atMs: atMs(kind, i), forMs: Math.min(forMs, LASTS_MS), hosts: on, amount };
    });
    return {
      ...base,
      fragile: [3],
      faults,
      calmMs: FIRST_MS + faults.length * GAP_MS + REST_MS,
      acts: base.acts.slice(0, 20),
    };
  }

  it('is injected when its time comes, and the cluster becomes whole after all of them', async () => {
    const result = await runSeed({ seed: 4, plan: planOfAll() });
    expect(failureOf(result)).toBeUndefined();
    const never = FAULT_KINDS.map(({ kind }) => kind).filter((kind) => !result.faults[kind]);
    expect(never).toEqual([]);
  });
});
