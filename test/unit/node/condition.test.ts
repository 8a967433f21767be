import { describe, expect, it } from 'vitest';
import { createCondition } from '../../../src/node/condition.ts';
import type { Phase } from '../../../src/node/service.ts';

function recorded() {
  const told: Phase[] = [];
  const logged: unknown[] = [];
  const log = {
    debug: () => undefined,
    info: (_event: string, fields?: { phase?: unknown }) => void logged.push(fields?.phase),
    warn: () => undefined,
    error: () => undefined,
  };
  const condition = createCondition({ log, onPhase: () => void told.push(condition.phase) });
  return { condition, told, logged };
}

describe('the condition of a node', () => {
  it('tells of a change of phase once it is there, and of new reasons alone nobody', () => {
    const { condition, told, logged } = recorded();
    condition.enter('attesting', ['a']);
    condition.enter('attesting', ['b']);
    condition.enter('recovering', ['c']);
    expect(told).toEqual(['attesting', 'recovering']);
    expect(logged).toEqual(told);
    expect(condition.reasons).toEqual(['c']);
  });

  it.each(['draining', 'fenced'] as const)('stays %s, whatever work that is not over yet says of itself', (last) => {
    const { condition, told } = recorded();
    condition.enter('recovering', ['a']);
    condition.enter(last, ['the end']);
    for (const phase of ['recovering', 'catching-up', 'ready', 'draining', 'fenced'] as const) {
      condition.enter(phase, ['more']);
    }
    expect([condition.phase, condition.reasons, told]).toEqual([last, ['the end'], ['recovering', last]]);
  });
});
