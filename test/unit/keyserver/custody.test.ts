// Owners and key servers together: dealing, crashing, recovering, over a network that may do what it likes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import type { CustodyState } from '../../../src/keyserver/index.ts';
import { type CustodyWorld, createCustodyWorld, opens, readHeader, type TestMember } from '../../support/custody.ts';
import { fuzzRuns } from '../../support/fuzz.ts';

const shapeOf = ({ threshold, shares }: CustodyState) => `${threshold}/${shares}`;

/** After its owner crashed or stopped: a new boot gets a key that opens the data; what it recovered. */
async function comesBack(world: CustodyWorld, owner: TestMember) {
  const boot = world.restart(owner);
  const recovered = await world.clock.settle(world.recover(owner));
  if (recovered.kind !== 'recovered') throw new Error(`not recoverable: ${JSON.stringify(recovered)}`);
  expect(opens(owner, recovered)).toBe(true);
  boot.incarnation = recovered.incarnation;
  owner.disk = recovered.header;
  return recovered;
}

describe('a sealing key', () => {
  it.each([
    [2, '1/1'],
    [3, '1/2'],
    [4, '2/3'],
    [5, '2/3'],
    [6, '3/5'],
  ])('of one of %i nodes is shared %s and comes back after a restart', async (nodes, shape) => {
    const world = createCustodyWorld({ nodes });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    expect(shapeOf(dealer.state())).toBe(shape);
    expect(dealer.state()).toMatchObject({ phase: 'backed', warnings: [], failure: undefined });
    expect(dealer.state().confirmed).toHaveLength(dealer.state().shares);
    await dealer.stop();
    const recovered = await comesBack(world, owner);
    expect(recovered).toMatchObject({ incarnation: 2, faulty: [] });
  });

  it('is dealt anew after each recovery, and the old shares are gone', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    await (await world.backed(owner)).stop();
    for (let boot = 2; boot < 5; boot++) {
      const recovered = await comesBack(world, owner);
      expect(recovered.incarnation).toBe(boot);
      const dealer = await world.backed(owner, { recovered });
      expect(dealer.state()).toMatchObject({ phase: 'backed', keyEpoch: boot });
      for (const { boot: server } of world.members.slice(1)) {
        expect(server.custodian.owners()).toMatchObject([{ keyEpoch: boot, committed: true }]);
      }
      await dealer.stop();
    }
  });

  it('waits for a second node', async () => {
    const world = createCustodyWorld({ nodes: 2 });
    const [owner, other] = world.members as [TestMember, TestMember];
    const dealer = world.dealerOf(owner);
    await dealer.start({});
    dealer.update(world.viewOf(owner, [owner]));
    await world.clock.advance(120_000);
    expect(dealer.state().phase).toBe('waiting');
    expect(owner.disk).toBeUndefined();
    dealer.update(world.viewOf(owner, [owner, other]));
    await world.clock.advance(3_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', threshold: 1, shares: 1 });
    await dealer.stop();
  });
});

describe('a crash of the owner at any port call', () => {
  /** Deals once, then again with a crash at `call`; false once the deal was over before it. */
  async function crashInSecondDeal(nodes: number, call: number, effect: 'none' | 'done'): Promise<boolean> {
    const world = createCustodyWorld({ nodes, seed: `${nodes} ${call} ${effect}`, delayMsMax: 20 });
    const owner = world.members[0]!;
    await (await world.backed(owner)).stop();
    const first = await comesBack(world, owner);
    const dealer = world.dealerOf(owner, { recovered: first, crash: { call, effect } });
    dealer.update(world.viewOf(owner));
    await dealer.start({});
    await world.clock.advance(4_000);
    // And as many servers forget what they keep as the sharing can stand.
    const { threshold, keyServers } = first.deal;
    for (let lost = 0; lost < keyServers.length - threshold; lost++) {
      world.restart(world.members.find(({ entry }) => entry.nodeId === keyServers[(call + lost) % keyServers.length])!);
    }
    await comesBack(world, owner);
    return dealer.crashed();
  }

  it.each([
    [2, 'none'],
    [2, 'done'],
    [3, 'none'],
    [3, 'done'],
    [4, 'none'],
    [4, 'done'],
    [6, 'none'],
    [6, 'done'],
  ] as const)('of %i nodes, with effect %s, leaves a deal that opens the store', async (nodes, effect) => {
    let call = 1;
    while (await crashInSecondDeal(nodes, call, effect)) call += 1;
    // Deposits, the header, commits and probes all were crash points.
    expect(call).toBeGreaterThan(3 * (nodes > 5 ? 5 : Math.min(3, nodes - 1)));
  });

  it('of the very first deal leaves nothing, or a header that opens', async () => {
    for (let call = 1; ; call++) {
      const world = createCustodyWorld({ nodes: 4, seed: `first ${call}` });
      const owner = world.members[0]!;
      const dealer = world.dealerOf(owner, { crash: { call, effect: 'done' } });
      dealer.update(world.viewOf(owner));
      await dealer.start({});
      await world.clock.advance(4_000);
      if (owner.disk) await comesBack(world, owner);
      if (!dealer.crashed()) break;
    }
  });

  it('twice in a row, between two deals that never got through, still leaves one', async () => {
    for (let call = 1; call <= 8; call++) {
      const world = createCustodyWorld({ nodes: 4, seed: `twice ${call}`, delayMsMax: 10 });
      const owner = world.members[0]!;
      await (await world.backed(owner)).stop();
      for (const effect of ['done', 'none'] as const) {
        const recovered = await comesBack(world, owner);
        const dealer = world.dealerOf(owner, { recovered, crash: { call, effect } });
        dealer.update(world.viewOf(owner));
        await dealer.start({});
        await world.clock.advance(4_000);
      }
      await comesBack(world, owner);
    }
  });
});

describe('key servers that restart', () => {
  it('one by one are dealt to again at once, and the key outlives them all', async () => {
    for (const nodes of [3, 4, 6]) {
      const world = createCustodyWorld({ nodes });
      const owner = world.members[0]!;
      const dealer = await world.backed(owner);
      for (const server of world.members.slice(1)) {
        world.restart(server);
        dealer.update(world.viewOf(owner));
        await world.clock.advance(2_000);
        expect(dealer.state()).toMatchObject({ phase: 'backed', warnings: [] });
      }
      await dealer.stop();
      await comesBack(world, owner);
    }
  });

  it('without anybody noticing are found by the next probe', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    const epoch = dealer.state().keyEpoch;
    const server = world.members[2]!;
    // The same boot key, but the share is gone: memory was lost behind the connection.
    server.boot.custodian.wipe();
    server.boot = { ...world.bootOf(server.entry), bootKey: server.boot.bootKey };
    await world.clock.advance(45_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', keyEpoch: epoch + 1 });
    expect(server.boot.custodian.owners()).toHaveLength(1);
    await dealer.stop();
  });

  it('all at once leave nothing to recover, which is said and not waited for', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    await (await world.backed(owner)).stop();
    for (const member of world.members) world.restart(member);
    const result = await world.clock.settle(world.recover(owner));
    expect(result).toMatchObject({ kind: 'not-recoverable', reachable: 3, shares: 0, needed: 2 });
    expect(result.kind === 'not-recoverable' && result.words.map(({ word }) => word)).toEqual(
      Array.from({ length: 3 }, () => 'unknown-owner'),
    );
  });

  it('that stay away are replaced when others can take their place', async () => {
    const world = createCustodyWorld({ nodes: 5 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    const gone = world.members.find(({ entry }) => dealer.state().confirmed.includes(entry.nodeId))!;
    gone.boot.up = false;
    dealer.update(world.viewOf(owner));
    await world.clock.advance(30_000);
    expect(dealer.state().keyEpoch).toBe(1);
    expect(dealer.state().warnings).toEqual(['few-holders']);
    await world.clock.advance(120_000);
    expect(dealer.state().confirmed).not.toContain(gone.entry.nodeId);
    expect(dealer.state()).toMatchObject({ phase: 'backed', shares: 3, warnings: [] });
    expect(dealer.state().confirmed).toHaveLength(3);
    await dealer.stop();
  });

  it('leave the choice: they are told to drop what they kept', async () => {
    const world = createCustodyWorld({ nodes: 6 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    expect(world.members.filter(({ boot }) => boot.custodian.owners().length > 0)).toHaveLength(5);
    dealer.update(world.viewOf(owner, world.members.slice(0, 4)));
    await world.clock.advance(3_000);
    expect(shapeOf(dealer.state())).toBe('2/3');
    dealer.update(world.viewOf(owner, world.members));
    await world.clock.advance(3_000);
    dealer.update({ ...world.viewOf(owner), rosterHash: sha256(new Uint8Array(1)) });
    await world.clock.advance(3_000);
    await dealer.stop();
    await comesBack(world, owner);
  });
});

describe('two boots of one disk at once', () => {
  it('cannot both collect a threshold of one incarnation, from disjoint sets of servers', async () => {
    for (const nodes of [4, 6]) {
      const world = createCustodyWorld({ nodes, seed: `clones ${nodes}` });
      const owner = world.members[0]!;
      await (await world.backed(owner)).stop();
      const servers = world.members.slice(1);
      const half = servers.length >> 1;
      const one = world.restart(owner);
      const two = world.bootOf(owner.entry);
      const ends = [new AbortController(), new AbortController()] as const;
      const reports: number[] = [];
      const outcome = (boot: typeof one, among: TestMember[], end: AbortController) =>
        world
          .recover(owner, {
            boot,
            among: [owner, ...among],
            signal: end.signal,
            onProgress: ({ needed }) => reports.push(needed),
          })
          .then(
            (result) => result,
            () => undefined,
          );
      const running = [
        outcome(one, servers.slice(0, half), ends[0]),
        outcome(two, servers.slice(half), ends[1]),
      ] as const;
      await world.clock.advance(20_000);
      for (const end of ends) end.abort();
      const [first, second] = await world.clock.settle(Promise.all(running));
      const winners = [first, second].filter((result) => result?.kind === 'recovered');
      expect(winners).toHaveLength(1);
      expect(reports.length).toBeGreaterThan(0);
    }
  });

  it('that both reach everybody end with different incarnations, and the lower one is fenced', async () => {
    for (let run = 0; run < 12; run++) {
      const world = createCustodyWorld({ nodes: 4, seed: `race ${run}`, delayMsMax: 30 });
      const owner = world.members[0]!;
      await (await world.backed(owner)).stop();
      const boots = [world.restart(owner), world.bootOf(owner.entry)] as const;
      const results = await world.clock.settle(Promise.all(boots.map((boot) => world.recover(owner, { boot }))));
      const [a, b] = results.map((result) => (result.kind === 'recovered' ? result.incarnation : 0)) as [
        number,
        number,
      ];
      expect(Math.min(a, b)).toBeGreaterThan(1);
      expect(a).not.toBe(b);
      const words: string[] = [];
      for (const [i, boot] of boots.entries()) {
        const recovered = results[i]!;
        if (recovered.kind !== 'recovered') throw new Error('unreachable');
        boot.incarnation = recovered.incarnation;
        owner.boot = boot;
        const dealer = await world.backed(owner, { recovered, onFenced: ({ reason }) => words.push(`${i} ${reason}`) });
        await dealer.stop();
      }
      const lower = a < b ? 0 : 1;
      expect(new Set(words)).toEqual(new Set([`${lower} fenced`]));
    }
  });

  it('with two key servers can both get the key, and then both are refused wherever they meet', async () => {
    const world = createCustodyWorld({ nodes: 3, seed: 'pair' });
    const owner = world.members[0]!;
    await (await world.backed(owner)).stop();
    const [, left, right] = world.members as [TestMember, TestMember, TestMember];
    const boots = [world.restart(owner), world.bootOf(owner.entry)] as const;
    const one = await world.clock.settle(world.recover(owner, { boot: boots[0], among: [left] }));
    const two = await world.clock.settle(world.recover(owner, { boot: boots[1], among: [right] }));
    if (one.kind !== 'recovered' || two.kind !== 'recovered') throw new Error('both get the key');
    expect([one.incarnation, two.incarnation]).toEqual([2, 2]);
    const words = new Set<string>();
    for (const [i, boot] of boots.entries()) {
      boot.incarnation = 2;
      owner.boot = boot;
      const dealer = await world.backed(owner, {
        recovered: i === 0 ? one : two,
        onFenced: ({ by, reason }) => words.add(`${i} ${reason} ${by === left.entry.nodeId ? 'left' : 'right'}`),
      });
      await dealer.stop();
    }
    expect(words).toContain('0 contested right');
    expect(words).toContain('1 contested left');
    // Either takes a higher number and is heard again.
    owner.boot = boots[0];
    const again = await world.clock.settle(world.recover(owner, { above: 2 }));
    expect(again).toMatchObject({ kind: 'recovered', incarnation: 3 });
  });
});

describe('random schedules', () => {
  /** Long enough for a deal to be over, or so short that one is under way. */
  const pauseMs = fc.oneof(fc.nat(400), fc.nat(4_000), fc.nat(40_000));
  const happenings = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('server' as const), which: fc.nat(5) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('owner' as const) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: pauseMs }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('redeal' as const) }) },
    ),
    { minLength: 1, maxLength: 8 },
  );
  type Happenings = typeof happenings extends fc.Arbitrary<infer T> ? T : never;

  async function run(nodes: number, seed: number, events: Happenings): Promise<void> {
    const world = createCustodyWorld({ nodes, seed: `random ${seed}`, loss: 0.05, repeat: 0.2, delayMsMax: 200 });
    const owner = world.members[0]!;
    let dealer = await world.backed(owner);
    const settleDown = async () => {
      for (let i = 0; i < 20 && (dealer.state().phase !== 'backed' || dealer.state().warnings.length > 0); i++) {
        await world.clock.advance(10_000);
      }
      expect(dealer.state()).toMatchObject({ phase: 'backed', warnings: [] });
    };
    /** What a state says: as long as a threshold of those it names keep their memory, the owner can restart. */
    const canLose = ({ entry }: TestMember) => {
      const { confirmed, threshold } = dealer.state();
      return threshold > 0 && confirmed.filter((nodeId) => nodeId !== entry.nodeId).length >= threshold;
    };
    const restartOwner = async () => {
      void dealer.stop();
      const recovered = await comesBack(world, owner);
      dealer = await world.backed(owner, { recovered });
    };
    await settleDown();
    for (const happening of events) {
      if (happening.kind === 'wait') await world.clock.advance(happening.ms);
      else if (happening.kind === 'redeal') dealer.redeal();
      else if (happening.kind === 'owner') await restartOwner();
      else {
        const server = world.members[1 + (happening.which % (nodes - 1))]!;
        if (!canLose(server)) await settleDown();
        // Without a warning there always is one to spare.
        expect(canLose(server)).toBe(true);
        world.restart(server);
        dealer.update(world.viewOf(owner));
      }
    }
    await restartOwner();
    await settleDown();
    await dealer.stop();
  }

  it('of restarts, crashes and losses: the owner can restart while a threshold of those confirmed is left', async () => {
    const schedules = fc.asyncProperty(fc.constantFrom(3, 4, 6), fc.nat(), happenings, run);
    await fc.assert(schedules, { numRuns: fuzzRuns(40) });
  });

  it('of servers that restart one after another, before the dealer is done with what it does', async () => {
    // Commits that were lost kept the dealer waiting, and it still called itself backed by the server that restarted.
    const server = (which: number) => ({ kind: 'server' as const, which });
    await run(3, 946818596, [server(0), { kind: 'wait', ms: 0 }, server(3), server(0)]);
  });
});

describe('headers that a host makes up', () => {
  it('of five key epochs ago still lead to the newest deal', async () => {
    const world = createCustodyWorld({ nodes: 6 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    for (let i = 0; i < 5; i++) {
      dealer.redeal();
      await world.clock.advance(3_000);
    }
    await dealer.stop();
    expect(owner.written).toHaveLength(6);
    owner.disk = owner.written[0]!;
    const recovered = await comesBack(world, owner);
    expect(readHeader(recovered.header)?.keyEpoch).toBe(6);
  });
});
