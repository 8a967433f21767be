import { describe, expect, it } from 'vitest';
import { FAULT_KINDS } from '../../sim/simulator/faults/all.ts';
import { type Plan, planFor } from '../../sim/simulator/plan.ts';

const PLANS = 2_000;
/** Wanted of every kind of fault. */
const SHARE_MIN = 0.05;

const plans: Plan[] = Array.from({ length: PLANS }, (_, seed) => planFor({ seed }));

describe('a plan', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(planFor({ seed: 7 })).toEqual(planFor({ seed: 7 }));
    expect(planFor({ seed: 8 })).not.toEqual({ ...planFor({ seed: 7 }), seed: 8 });
    expect(new Set(plans.map((plan) => JSON.stringify({ ...plan, seed: 0 }))).size).toBe(PLANS);
  });

  it('is data alone: it survives being written down', () => {
    const plan = planFor({ seed: 11 });
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });

  it('has every kind of fault in at least one run of twenty', () => {
    for (const { kind } of FAULT_KINDS) {
      const runs = plans.filter(({ faults }) => faults.some((fault) => fault.kind === kind)).length;
      expect(runs / PLANS, kind).toBeGreaterThanOrEqual(SHARE_MIN);
    }
  });

  it('has each kind it aims at, some times, and no other', () => {
    const aim = ['disk-full', 'crash'];
    for (let seed = 0; seed < 200; seed++) {
      const { faults } = planFor({ seed, nodes: 3, aim });
      const counts = aim.map((kind) => faults.filter((fault) => fault.kind === kind).length);
      for (const count of counts) expect([1, 2, 3]).toContain(count);
      expect(faults.length).toBe(counts[0]! + counts[1]!);
    }
  });

  it('has every size of a cluster, and everything that users do in at least one run of twenty', () => {
    expect([...new Set(plans.map(({ nodes }) => nodes))].sort()).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    for (const kind of ['register', 'renew', 'revoke', 'repeat', 'retry', 'look-up', 'watch', 'disappear']) {
      const runs = plans.filter(({ acts }) => acts.some((act) => act.kind === kind)).length;
      expect(runs / PLANS, kind).toBeGreaterThanOrEqual(SHARE_MIN);
    }
  });

  it('begins no fault before its time, and lifts each before the cluster has to become whole', () => {
    for (const { faults, fromMs, calmMs } of plans.slice(0, 300)) {
      for (const fault of faults) {
        expect(fault.atMs, fault.kind).toBeGreaterThanOrEqual(fromMs);
        expect(fault.atMs, fault.kind).toBeLessThanOrEqual(calmMs);
      }
    }
  });

  it('leaves, of every quorum, a member that keeps what it holds', () => {
    for (const { nodes, fragile } of plans) {
      const quorum = Math.floor(nodes / 2) + 1;
      expect(fragile.length).toBeLessThan(quorum);
    }
  });

  it('has the nodes that are asked for', () => {
    for (let seed = 0; seed < 50; seed++) {
      const plan = planFor({ seed, nodes: 2 });
      expect(plan.nodes).toBe(2);
      for (const { hosts } of plan.faults) expect(Math.max(-1, ...hosts)).toBeLessThan(2);
    }
  });
});
