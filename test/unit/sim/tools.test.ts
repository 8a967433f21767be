import { describe, expect, it } from 'vitest';
import { createDraw } from '../../sim/simulator/draw.ts';
import type { PlannedFault } from '../../sim/simulator/faults/kind.ts';
import { type Plan, planFor } from '../../sim/simulator/plan.ts';
import type { RunResult } from '../../sim/simulator/run.ts';
import { shrink } from '../../sim/simulator/shrink.ts';
import { addUp, emptySummary, formatSummary } from '../../sim/simulator/summary.ts';
import { createTrace } from '../../sim/simulator/trace.ts';

const resultOf = (plan: Plan, invariant?: string): RunResult => ({
  seed: plan.seed,
  nodes: plan.nodes,
  violation: invariant === undefined ? undefined : { invariant, atMs: 1, message: '' },
  traceHash: '',
  faults: { crash: 2 },
  virtualMs: 60_000,
  events: 1,
  signed: 0,
  confirmed: 3,
  healedMs: 4_000,
  scannedBytes: 0,
  last: [],
});

describe('chance', () => {
  it('is the same for the same text, and spread over its range', () => {
    const [a, b] = [createDraw('x'), createDraw('x')];
    const drawn = Array.from({ length: 6_000 }, () => a.below(6));
    expect(drawn).toEqual(Array.from({ length: 6_000 }, () => b.below(6)));
    for (let face = 0; face < 6; face++) expect(drawn.filter((one) => one === face).length).toBeGreaterThan(850);
    expect(createDraw('y').unit()).not.toBe(createDraw('x').unit());
  });

  it('takes samples without repetition', () => {
    const draw = createDraw('samples');
    for (let i = 0; i < 50; i++) {
      const taken = draw.sample([1, 2, 3, 4, 5], 3);
      expect(new Set(taken).size).toBe(3);
    }
    expect(draw.sample([1, 2], 9).sort()).toEqual([1, 2]);
  });
});

describe('the trace', () => {
  it('has a hash of everything that was said and counted, in order', () => {
    const hashOf = (...steps: readonly ('a' | 'b' | 1 | 2)[]) => {
      const trace = createTrace();
      for (const step of steps) {
        if (typeof step === 'number') trace.mix(step);
        else trace.say(0, 'n0', step);
      }
      return trace.hash();
    };
    expect(hashOf('a', 1, 'b', 2)).toBe(hashOf('a', 1, 'b', 2));
    const others = [hashOf('a', 'b', 1, 2), hashOf('a', 1, 'b', 1), hashOf('b', 1, 'a', 2), hashOf('a', 1, 'b')];
    expect(new Set([...others, hashOf('a', 1, 'b', 2)]).size).toBe(5);
  });

  it('keeps the last lines and gives all of them away', () => {
    const lines: string[] = [];
    const trace = createTrace((line) => lines.push(line));
    for (let i = 0; i < 500; i++) trace.say(i, 'n1', `line ${i}`);
    expect(lines).toHaveLength(500);
    expect(trace.last().at(-1)).toBe(lines.at(-1));
    expect(trace.last().length).toBeLessThan(100);
  });
});

describe('shrinking', () => {
  it('ends with the faults without which the invariant holds', async () => {
    const plan = [...Array(200).keys()].map((seed) => planFor({ seed })).find(({ faults }) => faults.length > 8)!;
    const guilty = [plan.faults[2]!, plan.faults[6]!];
    const run = async (tried: Plan) => {
      const isThere = guilty.every((fault: PlannedFault) => tried.faults.includes(fault));
      return resultOf(tried, isThere ? 'heals' : undefined);
    };
    const shrunk = await shrink(plan, 'heals', run);
    expect(shrunk.faults).toEqual(guilty);
    expect(shrunk.acts).toEqual([]);
  });

  it('keeps what only another invariant needs', async () => {
    const plan = planFor({ seed: 3 });
    const shrunk = await shrink(plan, 'heals', async (tried) => resultOf(tried, 'quorum'));
    expect(shrunk.faults).toEqual(plan.faults);
  });
});

describe('the summary', () => {
  it('names what never occurred, which seeds failed, and the rates', () => {
    const summary = emptySummary();
    const plan = planFor({ seed: 5 });
    addUp(summary, resultOf(plan), 2_000);
    addUp(summary, { ...resultOf(plan, 'heals'), seed: 6 }, 4_000);
    const text = formatSummary(summary, ['crash', 'disk-full']);
    expect(text).toMatch(/crash +4 times, in 100\.0 % of the runs/);
    expect(text).toMatch(/disk-full +0 times, in +0\.0 % of the runs/);
    expect(text).toContain('2 runs, 1 with a violation: seeds 6');
    expect(text).toContain('20.0 seeds a minute of processor time, 3000 ms each');
  });
});
