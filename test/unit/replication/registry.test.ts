import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { opIdFromBytes, type RegId, regIdFromBytes } from '../../../src/core/ids.ts';
import { LIFETIME_BLOCKS } from '../../../src/core/registration/limits.ts';
import type { Heights } from '../../../src/replication/heights.ts';
import { join, NO_OPERATIONS, operationsOf, stateOf } from '../../../src/replication/merge.ts';
import type { OperationSummary } from '../../../src/replication/order.ts';
import { createRegistry, type Registry } from '../../../src/replication/registry.ts';
import { fuzzRuns, longForm } from '../../support/fuzz.ts';

const regId = (number: number): RegId => regIdFromBytes(sha256(utf8(`registration ${number}`)));
const at = (height: number): Heights => ({ own: height, cluster: height });

function operation(type: OperationSummary['type'], version: number, lasts = 100): OperationSummary {
  const expiryHeight = version + (type === 'revoke' ? LIFETIME_BLOCKS : lasts);
  const opId = opIdFromBytes(sha256(utf8(`${type} ${version} ${lasts}`)));
  return { type, opId, version, expiryHeight, birthday: type === 'register' ? Math.floor(version / 2) : undefined };
}

const id = regId(0);
const fresh = () => createRegistry();

describe('the registry', () => {
  it('opens, extends, closes and opens again, and says what becomes superfluous', () => {
    const registry = fresh();
    const register = operation('register', 10);
    const opened = registry.apply(id, register, { keys: true, heights: at(10) });
    expect(opened).toMatchObject({ keysBefore: false, keysAfter: true, dropped: [] });
    expect(registry.standing(id, at(50))).toEqual({ kind: 'open', birthday: 5, expiryHeight: 110 });
    registry.apply(id, operation('renew', 50), { keys: false, heights: at(50) });
    expect(registry.standing(id, at(120))).toMatchObject({ kind: 'open', expiryHeight: 150 });
    expect(registry.keysHeld(id)).toBe(true);
    const closed = registry.apply(id, operation('revoke', 60), { keys: false, heights: at(60) });
    expect(closed).toMatchObject({ keysBefore: true, keysAfter: false });
    expect(new Set(closed.dropped)).toEqual(new Set([register.opId, operation('renew', 50).opId]));
    expect(registry.standing(id, at(60))).toEqual({ kind: 'revoked', expiryHeight: 60 + LIFETIME_BLOCKS });
    registry.apply(id, operation('register', 61), { keys: true, heights: at(61) });
    expect([registry.standing(id, at(61)).kind, registry.keysHeld(id)]).toEqual(['open', true]);
    expect([registry.size, [...registry.regIds]]).toEqual([1, [id]]);
  });

  it('stops serving at whichever height comes first and wipes when both are past', () => {
    const registry = fresh();
    registry.apply(id, operation('register', 10), { keys: true, heights: at(10) });
    const kinds = ([own, cluster]: number[]) => registry.standing(id, { own: own!, cluster: cluster! }).kind;
    expect(
      [
        [110, 110],
        [111, 110],
        [110, 111],
      ].map(kinds),
    ).toEqual(['open', 'expired', 'expired']);
    expect(registry.sweep({ own: 5000, cluster: 110 })).toEqual([]);
    expect(registry.sweep({ own: 110, cluster: 5000 })).toEqual([]);
    expect(registry.sweep({ own: 111, cluster: 111 })).toMatchObject([{ regId: id, keysAfter: false, dropped: [] }]);
    expect(registry.sweep(at(111))).toEqual([]);
    expect([registry.keysHeld(id), registry.size]).toEqual([false, 1]);
  });

  it('forgets after one lifetime, and never takes again what it forgot, though the heights fall back', () => {
    const registry = fresh();
    registry.apply(id, operation('register', 10), { keys: true, heights: at(10) });
    registry.apply(id, operation('revoke', 20), { keys: false, heights: at(20) });
    expect(registry.sweep({ own: 10 ** 9, cluster: 20 + LIFETIME_BLOCKS })).toEqual([]);
    const [forgotten] = registry.sweep(at(21 + LIFETIME_BLOCKS));
    expect(forgotten).toMatchObject({ regId: id, after: NO_OPERATIONS, dropped: [operation('revoke', 20).opId] });
    expect([registry.size, registry.versionFloor]).toEqual([0, 21]);
    registry.sweep(at(30));
    registry.apply(id, operation('register', 10), { keys: true, heights: at(30) });
    expect([registry.size, registry.versionFloor, registry.keysHeld(id)]).toEqual([0, 21, false]);
    const reopened = createRegistry({ versionFloor: registry.versionFloor });
    reopened.apply(id, operation('register', 20), { keys: true, heights: at(30) });
    expect(reopened.size).toBe(0);
  });

  it('keeps no keys for what is closed or over, and asks for keys it lacks', () => {
    const registry = fresh();
    registry.apply(id, operation('register', 10), { keys: true, heights: at(500) });
    expect(registry.keysHeld(id)).toBe(false);
    registry.apply(id, operation('renew', 90, 900), { keys: false, heights: at(500) });
    expect(registry.wanted(at(500))).toEqual([id]);
    expect(registry.wanted({ own: 500, cluster: 5000 })).toEqual([]);
    registry.apply(id, operation('register', 10), { keys: true, heights: at(500) });
    expect([registry.wanted(at(500)), registry.keysHeld(id)]).toEqual([[], true]);
    registry.apply(id, operation('revoke', 95), { keys: false, heights: at(500) });
    registry.apply(id, operation('register', 10), { keys: true, heights: at(500) });
    expect(registry.keysHeld(id)).toBe(false);
  });

  it('takes a change back whose write failed', () => {
    const registry = fresh();
    const first = registry.apply(id, operation('register', 10), { keys: true, heights: at(10) });
    const second = registry.apply(id, operation('revoke', 20), { keys: false, heights: at(20) });
    registry.restore(second);
    expect([registry.state(id), registry.keysHeld(id)]).toEqual([stateOf(operation('register', 10)), true]);
    registry.restore(first);
    expect([registry.size, registry.keysHeld(id)]).toEqual([0, false]);
  });

  it('answers as a map of states would, through any mixture of calls', () => {
    const step = fc.record({
      who: fc.nat(5),
      type: fc.constantFrom<OperationSummary['type'][]>('register', 'renew', 'revoke'),
      version: fc.integer({ min: 1, max: 40 }),
      undo: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const registry = fresh();
        const model = new Map<RegId, ReturnType<typeof stateOf>>();
        for (const { who, type, version, undo } of steps) {
          const change = registry.apply(regId(who), operation(type, version), { keys: true, heights: at(version) });
          if (undo) registry.restore(change);
          else model.set(regId(who), join(model.get(regId(who)) ?? NO_OPERATIONS, stateOf(operation(type, version))));
        }
        expect(new Map([...registry.regIds].map((one) => [one, registry.state(one)]))).toEqual(model);
      }),
      { numRuns: fuzzRuns(300) },
    );
  });

  it('holds many registrations in little memory and finds what is due', () => {
    const count = longForm ? 100_000 : 20_000;
    const registry = fresh();
    for (let i = 0; i < count; i++) {
      registry.apply(regId(i), operation('register', 10 + (i % 7)), { keys: true, heights: at(20) });
    }
    expect([registry.size, registry.wanted(at(20)).length]).toEqual([count, 0]);
    expect(registry.sweep(at(110)).length).toBe(0);
    expect(registry.sweep(at(113)).length).toBe([0, 1, 2].reduce((sum, r) => sum + Math.ceil((count - r) / 7), 0));
  });
});

/** Replicas hear of the same operations in any order, at heights of their own, lose disks and fall back. */
describe('replicas', () => {
  const LIFE = LIFETIME_BLOCKS;
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('hear'), operation: fc.nat(9), keys: fc.boolean() }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('grow'), own: fc.nat(60), cluster: fc.nat(60) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('leap'), own: fc.nat(LIFE), cluster: fc.nat(LIFE) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('sweep') }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('save') }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('old disk') }) },
  );
  const plan = fc.record({
    operations: fc.array(
      fc.tuple(
        fc.constantFrom<OperationSummary['type'][]>('register', 'renew', 'revoke'),
        fc.integer({ min: 1, max: 120 }),
        fc.integer({ min: 1, max: 150 }),
      ),
      { minLength: 10, maxLength: 10 },
    ),
    replicas: fc.array(fc.array(step, { maxLength: 40 }), { minLength: 2, maxLength: 4 }),
    beyond: fc.oneof(fc.nat(200), fc.nat(LIFE + 200)),
  });
  type Step = { kind: string; operation?: number; keys?: boolean; own?: number; cluster?: number };

  function run(steps: readonly Step[], operations: readonly OperationSummary[]) {
    let registry = fresh();
    let heights = at(0);
    let heard = new Set<OperationSummary>();
    let disk = { heard, versionFloor: 0 };
    /** After any step: open only by a register above every revoke heard, unless that was forgotten with it. */
    const check = () => {
      if (registry.standing(id, heights).kind !== 'open') return;
      const versions = (type: string) => [...heard].filter((one) => one.type === type).map(({ version }) => version);
      expect(Math.max(0, ...versions('register'))).toBeGreaterThan(Math.max(0, ...versions('revoke')));
    };
    for (const { kind, ...args } of steps) {
      if (kind === 'hear') {
        const one = operations[args.operation!]!;
        heard.add(one);
        registry.apply(id, one, { keys: args.keys === true && one.type === 'register', heights });
      } else if (kind === 'grow' || kind === 'leap') {
        heights = { own: heights.own + args.own!, cluster: heights.cluster + args.cluster! };
      } else if (kind === 'sweep') {
        registry.sweep(heights);
      } else if (kind === 'save') {
        disk = { heard: new Set(heard), versionFloor: registry.versionFloor };
      } else {
        // An older disk: what was heard since is lost, heights come from the chain again.
        registry = createRegistry({ versionFloor: disk.versionFloor });
        heard = new Set(disk.heard);
        for (const one of heard) registry.apply(id, one, { keys: true, heights });
      }
      check();
    }
    return { registry, heights };
  }

  it('agree once they have heard the same and their heights agree; nothing revoked, expired or forgotten is back', () => {
    fc.assert(
      fc.property(plan, ({ operations: recipes, replicas, beyond }) => {
        const operations = recipes.map(([type, version, lasts]) => operation(type, version, lasts));
        const ends = replicas.map((steps) => run(steps as Step[], operations));
        const height = beyond + Math.max(...ends.map(({ heights }) => Math.max(heights.own, heights.cluster)));
        const outcome = (registry: Registry, order: readonly OperationSummary[]) => {
          for (const one of order) registry.apply(id, one, { keys: one.type === 'register', heights: at(height) });
          registry.sweep(at(height));
          for (const one of order) registry.apply(id, one, { keys: one.type === 'register', heights: at(height) });
          return [registry.state(id), registry.standing(id, at(height)), registry.keysHeld(id), registry.versionFloor];
        };
        const [first, ...others] = ends.map(({ registry }, i) =>
          outcome(registry, i % 2 === 0 ? operations : [...operations].reverse()),
        );
        for (const other of others) expect(other).toEqual(first);
        const floor = Math.max(0, height - LIFE);
        const alive = operations.filter(({ version }) => version >= floor).map(stateOf);
        expect(first![0]).toEqual(alive.reduce(join, NO_OPERATIONS));
        expect(operationsOf(alive.reduce(join, NO_OPERATIONS)).length).toBeLessThanOrEqual(2);
      }),
      { numRuns: fuzzRuns(400) },
    );
  });
});
