// One run of the simulator is the same on every machine and version of Node, and the same as when it was recorded.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { expect, it } from 'vitest';
import { planFor } from '../../sim/simulator/plan.ts';
import { runSeed } from '../../sim/simulator/run.ts';

/** Trace hashes by major version of Node. */
const FILE = new URL('../../sim/simulator/traces.json', import.meta.url);
const OPTIONS = { seed: 77, nodes: 3, minutes: 0.2 };
/** Seconds of processor time, on a machine that may have other work. */
const PATIENCE_MS = 120_000;

it(
  'a run has the trace that was recorded for this version of Node',
  async () => {
    const recorded = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, string>;
    const major = process.versions.node.split('.')[0]!;
    const { traceHash, violation, events } = await runSeed({ ...OPTIONS, plan: planFor(OPTIONS) });
    expect(violation).toBeUndefined();
    expect(events).toBeGreaterThan(1_000);
    // A change of what nodes do changes it: then docs/SIMULATION.md says how it is recorded anew. Nothing else may.
    expect({ [major]: traceHash }).toEqual({ [major]: recorded[major] });
  },
  PATIENCE_MS,
);
