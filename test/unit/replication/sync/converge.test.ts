import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIFETIME_BLOCKS } from '../../../../src/core/registration/limits.ts';
import type { Operation } from '../../../../src/core/registration/operation.ts';
import type { RegistrationKeys } from '../../../../src/core/registration/payload.ts';
import { createRegistry, operationsOf, summarise } from '../../../../src/replication/index.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { createMemoryReplica } from '../../../support/memory-replica.ts';
import { createSyncWorld, register, renew, revoke, type SyncNode, same } from '../../../support/sync-network.ts';

const USERS = 4;

type Made = { readonly operation: Operation; readonly keys?: RegistrationKeys };

/** Few users, so that operations of one meet; few versions, so that ranks tie. */
const madeOf = (what: number, user: number, version: number): Made => {
  const made = [register, revoke, renew][what % 3]!;
  return made === register
    ? register(user, { version: 900 + version })
    : made === revoke
      ? revoke(user, 900 + version)
      : renew(user, 900 + version);
};

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      node: fc.nat(3),
      what: fc.nat(2),
      user: fc.nat(USERS - 1),
      version: fc.nat(3),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 5_000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('cut' as const), node: fc.nat(3), other: fc.nat(3), isCut: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), node: fc.nat(3), wiped: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('disk' as const), node: fc.nat(3), failing: fc.boolean() }) },
);

/** What all these operations come to, in whatever order. */
function expected(operations: readonly Operation[]): string[] {
  const registry = createRegistry();
  const heights = { own: 1_000, cluster: 1_000 };
  for (const operation of operations) registry.apply(operation.regId, summarise(operation), { keys: true, heights });
  return [...registry.regIds]
    .map(
      (regId) =>
        `${regId} ${operationsOf(registry.state(regId))
          .map(({ opId }) => opId)
          .sort()
          .join()}`,
    )
    .sort();
}

const statesOf = ({ replica }: SyncNode) =>
  [...replica.states()].map(({ regId, opIds }) => `${regId} ${[...opIds].sort().join()}`).sort();

describe('sync in a troubled network', () => {
  it('comes to the same states after any schedule, which are those of all operations', async () => {
    let seed = 0;
    const schedule = fc.array(step, { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(schedule, fc.nat(3), async (steps, trouble) => {
        const faults = { loss: trouble * 0.1, delayMsMax: 1 + trouble * 80, doubled: trouble * 0.1 };
        const world = createSyncWorld({ ...faults, seed: `converge ${seed++}` });
        const nodes: SyncNode[] = [];
        for (const name of ['a', 'b', 'c', 'd']) nodes.push(await world.join(name));
        const made: Operation[] = [];
        let boots = 0;
        for (const move of steps) {
          if (move.kind === 'wait') await world.clock.advance(move.ms);
          else if (move.kind === 'append') {
            const one = madeOf(move.what, move.user, move.version);
            nodes[move.node]!.replica.append([one]);
            made.push(one.operation);
          } else if (move.kind === 'cut') {
            if (move.node !== move.other) world.setCut(nodes[move.node]!, nodes[move.other]!, move.isCut);
          } else if (move.kind === 'disk') nodes[move.node]!.replica.failing = move.failing;
          else {
            const node = nodes[move.node]!;
            // A wiped node may be the only one that had something; without a disk it is lost by right.
            const others = nodes.filter((other) => other !== node);
            const safe = statesOf(node).every((line) => others.some((other) => statesOf(other).includes(line)));
            if (!(move.wiped && safe)) continue;
            world.crash(node);
            boots += 1;
            await world.start(node, { replica: createMemoryReplica(node.identity, { incarnation: 1 + boots }) });
          }
        }
        for (const { replica } of nodes) replica.failing = false;
        world.heal();
        await world.clock.advance(180_000);
        const outcome = nodes.map(statesOf);
        for (const states of outcome) expect(states).toEqual(outcome[0]);
        expect(same(...nodes)).toBe(true);
        const whole = expected(made);
        for (const line of outcome[0]!) expect(whole).toContain(line);
        if (boots === 0) expect(outcome[0]).toEqual(whole);
        await world.stop();
      }),
      { numRuns: fuzzRuns(25) },
    );
  }, 300_000);

  it('brings nothing back that was forgotten', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    world.setCut(a, b, true);
    a.replica.append([register(1)]);
    a.replica.append([register(2, { version: 1_000 })]);
    for (const { replica } of [b]) {
      replica.heights.own = replica.heights.cluster = LIFETIME_BLOCKS + 950;
      replica.sweep();
    }
    world.setCut(a, b, false);
    await world.clock.advance(20_000);
    // The first is too old for b, and its entry counts all the same.
    expect(b.replica.position(a.replica.writerId)?.seq).toBe(2);
    expect(statesOf(b)).toHaveLength(1);
    await world.stop();
  });

  it('waits with what is signed above the height it knows', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    b.replica.heights.cluster = b.replica.heights.own = 100;
    await world.clock.advance(1_000);
    a.replica.append([register(1)]);
    await world.clock.advance(20_000);
    expect(statesOf(b)).toEqual([]);
    b.replica.heights.cluster = b.replica.heights.own = 1_000;
    await world.clock.advance(60_000);
    expect(same(a, b)).toBe(true);
    await world.stop();
  });

  it('does not take a snapshot for whole that holds what is signed above the height it knows', async () => {
    const world = createSyncWorld();
    const [a, b] = [await world.join('a'), await world.join('b')];
    for (let i = 0; i < 5; i++) a.replica.append([register(i)]);
    await world.clock.advance(3_000);
    for (const { replica } of [a, b]) replica.forgetEntries(a.replica.writerId, 3);
    const replica = createMemoryReplica(world.add('c').identity, { heights: { own: 100, cluster: 100 } });
    const late = world.nodes[2]!;
    await world.start(late, { replica });
    await world.clock.advance(10_000);
    expect(replica.positions()).toEqual([]);
    // However often that was tried, it is nobody's fault and no reason to be ready.
    expect(late.sync.missing()).not.toEqual([]);
    replica.heights.cluster = replica.heights.own = 1_000;
    await world.clock.advance(90_000);
    expect(same(a, b, late)).toBe(true);
    await world.stop();
  });
});
