// What a dealer does when not all goes well; crashes and restarts are in custody.test.ts.

import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../src/core/ids.ts';
import type { CustodyAnswer, CustodyRequest, RefusalReason } from '../../../src/keyserver/index.ts';
import { placeShares } from '../../../src/keyserver/placement.ts';
import { createCustodyWorld, opens, type TestMember } from '../../support/custody.ts';

/** Makes a member refuse requests of a kind. */
function refuseAt(member: TestMember, kind: CustodyRequest['kind'], reason: RefusalReason, known: object = {}): void {
  member.boot.alter = (answer, request): CustodyAnswer =>
    request.kind === kind ? { kind: 'refused', reason, ...known } : answer;
}

describe('a dealer', () => {
  it('does not write a header for a deal that fewer hold than the one in force', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    const before = owner.disk;
    refuseAt(world.members[1]!, 'deposit', 'bad-share');
    dealer.redeal();
    await world.clock.advance(20_000);
    expect(owner.disk).toBe(before);
    expect(dealer.state()).toMatchObject({ phase: 'dealing', keyEpoch: 1, failure: { kind: 'deposits' } });
    expect(dealer.state().failure).toMatchObject({
      words: expect.arrayContaining([{ nodeId: world.members[1]!.entry.nodeId, word: 'bad-share' }]),
    });
    // What was tried and given up stands in nobody's way.
    world.members[1]!.boot.alter = undefined;
    await world.clock.advance(40_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', warnings: [], failure: undefined });
    expect(dealer.state().keyEpoch).toBeGreaterThan(2);
    await dealer.stop();
  });

  it('takes fewer deposits than wanted when the deal in force is held by fewer still', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const [, gone, forgetful] = world.members as [TestMember, TestMember, TestMember];
    const dealer = await world.backed(owner);
    gone.boot.up = false;
    world.restart(forgetful);
    dealer.update(world.viewOf(owner));
    await world.clock.advance(20_000);
    expect(dealer.state()).toMatchObject({ threshold: 2, shares: 3, warnings: ['few-holders'] });
    expect(dealer.state().confirmed).toHaveLength(2);
    await dealer.stop();
    world.restart(owner);
    const recovered = await world.clock.settle(world.recover(owner));
    expect(recovered.kind === 'recovered' && opens(owner, recovered)).toBe(true);
  });

  it('knows of a lost share as soon as it is told, while other requests are under way', async () => {
    const world = createCustodyWorld({ nodes: 3 });
    const owner = world.members[0]!;
    const [, lost, other] = world.members as [TestMember, TestMember, TestMember];
    const dealer = world.dealerOf(owner);
    dealer.update(world.viewOf(owner));
    await dealer.start({});
    await world.clock.advance(3_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', warnings: [] });
    // A probe that waits in vain.
    world.setFaults({ loss: 1 });
    const before = dealer.calls();
    while (dealer.calls() === before) await world.clock.advance(100);
    world.restart(lost);
    dealer.update(world.viewOf(owner));
    const told = { phase: 'dealing', warnings: ['few-holders'], confirmed: [other.entry.nodeId] };
    expect(dealer.state()).toMatchObject(told);
    await world.clock.advance(1_000);
    expect(dealer.state()).toMatchObject(told);
    world.setFaults({});
    await world.clock.advance(20_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', warnings: [], keyEpoch: 2 });
    expect(lost.boot.custodian.owners()).toMatchObject([{ keyEpoch: 2 }]);
    dealer.redeal();
    expect(dealer.state().phase).toBe('dealing');
    await dealer.stop();
  });

  it('does not credit a restarted server with what its former boot answered to a probe', async () => {
    const world = createCustodyWorld({ nodes: 3 });
    const owner = world.members[0]!;
    const server = world.members[1]!;
    const dealer = await world.backed(owner);
    let restarted = false;
    server.boot.alter = (answer, request) => {
      if (request.kind === 'probe') {
        world.restart(server);
        dealer.update(world.viewOf(owner));
        restarted = true;
      }
      return answer;
    };
    while (!restarted) await world.clock.advance(100);
    // Well before the next probe.
    await world.clock.advance(5_000);
    expect(server.boot.custodian.owners()).toMatchObject([{ keyEpoch: 2 }]);
    expect(dealer.state()).toMatchObject({ phase: 'backed', warnings: [] });
    await dealer.stop();
  });

  it('deals to others at once when a key server says that it stops, and has it drop its share', async () => {
    const world = createCustodyWorld({ nodes: 5 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    const keeping = () => world.members.filter(({ boot }) => boot.custodian.owners().length > 0);
    const leaver = keeping()[0]!;
    const spare = world.members.find((member) => member !== owner && !keeping().includes(member))!;
    const view = world.viewOf(owner);
    const members = view.members.map((member) => ({ ...member, leaving: member.nodeId === leaver.entry.nodeId }));
    dealer.update({ ...view, members });
    expect(dealer.state().confirmed).not.toContain(leaver.entry.nodeId);
    await world.clock.advance(5_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', keyEpoch: 2, threshold: 2, shares: 3 });
    expect(keeping()).not.toContain(leaver);
    expect(keeping()).toContain(spare);
    await dealer.stop();
  });

  it('keeps its deal when a key server that nobody can take the place of says that it stops', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    const view = world.viewOf(owner);
    const [, leaver] = world.members;
    const members = view.members.map((member) => ({ ...member, leaving: member.nodeId === leaver!.entry.nodeId }));
    dealer.update({ ...view, members });
    await world.clock.advance(120_000);
    expect(dealer.state()).toMatchObject({ keyEpoch: 1, threshold: 2, shares: 3 });
    expect(leaver!.boot.custodian.owners()).toMatchObject([{ keyEpoch: 1 }]);
    await dealer.stop();
  });

  it('does not count a deposit whose server restarted before the header is written', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const [, away, forgetful] = world.members as [TestMember, TestMember, TestMember];
    const dealer = await world.backed(owner);
    world.setCut(owner, away, true);
    dealer.update(world.viewOf(owner));
    forgetful.boot.alter = (answer, request) => {
      if (request.kind === 'deposit') {
        world.restart(forgetful);
        dealer.update(world.viewOf(owner));
      }
      return answer;
    };
    dealer.redeal();
    await world.clock.advance(500);
    expect(dealer.state().failure).toMatchObject({ kind: 'deposits' });
    expect(owner.written).toHaveLength(1);
    await dealer.stop();
    // Two of three still hold the first deal.
    world.setCut(owner, away, false);
    world.restart(owner);
    const recovered = await world.clock.settle(world.recover(owner));
    expect(recovered.kind === 'recovered' && opens(owner, recovered)).toBe(true);
  });

  it('keeps the old deal in force when servers of the new one restart while its header is written', async () => {
    const world = createCustodyWorld({ nodes: 5 });
    const owner = world.members[0]!;
    let duringWrite: (() => void) | undefined;
    const dealer = world.dealerOf(owner, { beforeWrite: () => duringWrite?.() });
    dealer.update(world.viewOf(owner));
    await dealer.start({});
    await world.clock.advance(3_000);
    const first = dealer.state().confirmed;
    // A roster for which one of the three is another.
    const choiceOf = (n: number) => placeShares({ ...viewWith(n), owner: owner.entry }).keyServers;
    const viewWith = (n: number) => ({ ...world.viewOf(owner), rosterHash: new Uint8Array(32).fill(n) });
    let n = 1;
    while (choiceOf(n).every(({ nodeId }) => first.includes(nodeId))) n += 1;
    const chosen = choiceOf(n).map(({ nodeId }) => nodeId);
    const isNew = (nodeId: NodeId) => !first.includes(nodeId);
    const lost = [chosen.find(isNew), chosen.find((nodeId) => !isNew(nodeId))];
    duringWrite = () => {
      duringWrite = undefined;
      for (const member of world.members) if (lost.includes(member.entry.nodeId)) world.restart(member);
      dealer.update(viewWith(n));
    };
    dealer.update(viewWith(n));
    await world.clock.advance(200);
    expect(owner.written).toHaveLength(2);
    expect(dealer.state()).toMatchObject({ phase: 'dealing', keyEpoch: 1, failure: { kind: 'deposits' } });
    expect(dealer.state().confirmed).toEqual(first.filter((nodeId) => !lost.includes(nodeId)));
    await dealer.stop();
    // The disk has the header of a deal that one server is left of; two hold the deal before.
    world.restart(owner);
    const recovered = await world.clock.settle(world.recover(owner));
    expect(recovered.kind === 'recovered' && opens(owner, recovered)).toBe(true);
  });

  it('keeps the old deal when the header cannot be written, and tries again', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    await (await world.backed(owner)).stop();
    world.restart(owner);
    const recovered = await world.clock.settle(world.recover(owner));
    if (recovered.kind !== 'recovered') throw new Error('recoverable');
    owner.boot.incarnation = recovered.incarnation;
    let failing = true;
    const disk = owner.disk;
    const dealer = world.dealerOf(owner, {
      recovered,
      beforeWrite: () => {
        if (failing) throw new Error('the disk is full');
      },
    });
    dealer.update(world.viewOf(owner));
    await dealer.start({});
    await world.clock.advance(10_000);
    expect(dealer.state()).toMatchObject({
      phase: 'dealing',
      failure: { kind: 'header', message: 'the disk is full' },
    });
    expect(owner.disk).toBe(disk);
    failing = false;
    await world.clock.advance(40_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', failure: undefined });
    await dealer.stop();
  });

  it('says so when the store does not sign its header, and tries again', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    // An address no header takes.
    const view = world.viewOf(owner);
    const overlong = view.members.map((member) => ({ ...member, addresses: ['x'.repeat(600)] }));
    dealer.update({ ...view, members: overlong });
    dealer.redeal();
    await world.clock.advance(5_000);
    expect(dealer.state()).toMatchObject({ phase: 'dealing', keyEpoch: 1, failure: { kind: 'header' } });
    dealer.update(view);
    await world.clock.advance(40_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', failure: undefined });
    await dealer.stop();
  });

  it('goes above a key epoch that a server knows of, and not where a liar points', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    refuseAt(world.members[1]!, 'deposit', 'epoch-not-newer', { keyEpoch: 40 });
    dealer.redeal();
    await world.clock.advance(500);
    refuseAt(world.members[1]!, 'deposit', 'epoch-not-newer', { keyEpoch: Number.MAX_SAFE_INTEGER });
    await world.clock.advance(5_000);
    world.members[1]!.boot.alter = undefined;
    await world.clock.advance(40_000);
    expect(dealer.state().phase).toBe('backed');
    expect(dealer.state().keyEpoch).toBeGreaterThan(40);
    expect(dealer.state().keyEpoch).toBeLessThan(60);
    await dealer.stop();
  });

  it('passes over a member without room while there are others', async () => {
    const world = createCustodyWorld({ nodes: 5 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    const full = world.members.find(({ entry }) => dealer.state().confirmed.includes(entry.nodeId))!;
    refuseAt(full, 'deposit', 'too-many-owners');
    dealer.redeal();
    await world.clock.advance(20_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', warnings: [] });
    expect(dealer.state().confirmed).not.toContain(full.entry.nodeId);
    await dealer.stop();
  });

  it('coalesces what happens during a deal into one more', async () => {
    const world = createCustodyWorld({ nodes: 4, delayMsMax: 200 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    for (let i = 0; i < 50; i++) {
      dealer.redeal();
      dealer.update(world.viewOf(owner));
    }
    await world.clock.advance(10_000);
    expect(owner.written).toHaveLength(2);
    await dealer.stop();
  });

  it('asks for nothing when the roster changes and the choice does not', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const dealer = await world.backed(owner);
    dealer.update({ ...world.viewOf(owner), rosterHash: new Uint8Array(32) });
    await world.clock.advance(10_000);
    expect(owner.written).toHaveLength(1);
    await dealer.stop();
  });

  it('tells its owner who fenced it, and stops cleanly: no timers, no work', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    const words: unknown[] = [];
    const dealer = await world.backed(owner, { onFenced: (word) => words.push(word) });
    const old = owner.boot;
    owner.boot = world.bootOf(owner.entry);
    await world.clock.settle(world.recover(owner));
    old.up = true;
    dealer.redeal();
    await world.clock.advance(2_000);
    const server = world.members[1]!.entry.nodeId;
    expect(words).toContainEqual({ by: server, reason: 'fenced', last: 2 });
    expect(owner.written).toHaveLength(1);
    await world.clock.settle(dealer.stop());
    await dealer.stop();
    await world.clock.advance(10_000);
    expect(world.clock.pending).toBe(0);
  });

  it('says each change of state once', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const phases: string[] = [];
    const dealer = await world.backed(world.members[0]!, { onChange: ({ phase }) => phases.push(phase) });
    await world.clock.advance(120_000);
    expect(phases).toEqual(['dealing', 'backed']);
    await dealer.stop();
  });
});
