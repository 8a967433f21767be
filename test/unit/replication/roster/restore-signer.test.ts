import { describe, expect, it } from 'vitest';
import { decodeRosterAnswer, encodeRosterRequest } from '../../../../src/replication/roster/messages.ts';
import { decodeStatement, encodeBody, type Restore } from '../../../../src/replication/roster/statements.ts';
import { createRosterWorld, type RosterNode, rosterIdentity } from '../../../support/roster.ts';

describe('a node asked to sign a restore', () => {
  /** Two of four are left, two are back; the one asked is the second to propose: for 15 s it does nothing by itself. */
  async function asked() {
    const world = createRosterWorld();
    const nodes: RosterNode[] = [];
    for (const n of [0, 1, 2, 3]) nodes.push(await world.add(rosterIdentity(String(n)), { mayFound: n === 0 }));
    await world.clock.advance(60_000);
    const [x, y, three, four] = nodes as [RosterNode, RosterNode, RosterNode, RosterNode];
    const [one, two] = [x, y].sort((p, q) => (p.identity.nodeId > q.identity.nodeId ? -1 : 1)) as [
      RosterNode,
      RosterNode,
    ];
    for (const lost of [three, four]) world.crash(lost);
    const view = one.keeper.view();
    const sources = [...one.stored.values()].map(({ id, statement }) => ({ id, ...decodeStatement(statement) }));
    const parents = new Set(sources.flatMap(({ body }) => ('after' in body ? body.after : [])));
    const after = sources.map(({ id }) => id).filter((id) => !parents.has(id));
    // Attested and connected, but its keeper runs no more: nobody but the test asks for anything.
    await two.keeper.stop();
    const fresh = [];
    for (const n of [3, 4]) {
      const member = n === 3 ? three : four;
      const number = nodes.indexOf(member);
      const node = await world.add(rosterIdentity(`${number} again`, String(number)));
      await node.keeper.stop();
      fresh.push(node);
    }
    const [c2, d2] = fresh as [RosterNode, RosterNode];
    const body = (more: Partial<Restore> = {}): Restore => ({
      kind: 'restore',
      clusterId: sources[0]!.body.clusterId,
      genesisId: view.genesisId!,
      after,
      rosterHash: view.rosterHash,
      replacements: [
        { nodeId: c2.identity.nodeId, replaces: three.identity.nodeId },
        { nodeId: d2.identity.nodeId, replaces: four.identity.nodeId },
      ].sort((p, q) => (p.nodeId < q.nodeId ? -1 : 1)),
      height: 500,
      ...more,
    });
    const ask = async (of: Restore, from = two.identity) =>
      decodeRosterAnswer(await world.ask(from, one, encodeRosterRequest({ kind: 'sign', body: encodeBody(of) })));
    return { world, one, two, three, four, c2, d2, body, ask };
  }
  const refused = (reason: string) => ({ kind: 'refused', reason });

  it('signs when it sees everybody, for one that is left, and the same again', async () => {
    const { world, c2, body, ask } = await asked();
    const first = await ask(body());
    expect(first.kind).toBe('signed');
    expect(await ask(body())).toEqual(first);
    expect(await ask(body(), c2.identity)).toEqual(refused('not-attested'));
    expect(await ask(body(), rosterIdentity('stranger'))).toEqual(refused('not-attested'));
    await world.stop();
  });

  it('refuses while it does not see one of them', async () => {
    const { world, one, two, d2, body, ask } = await asked();
    world.setCut(one, d2, true);
    expect(await ask(body())).toEqual(refused('not-all-attested'));
    world.setCut(one, d2, false);
    world.setCut(one, two, true);
    expect(await ask(body())).toEqual(refused('not-all-attested'));
    await world.stop();
  });

  it('refuses a fresh node that is attested on another platform than that of the one it replaces', async () => {
    const { world, three, four, c2, d2, body, ask } = await asked();
    const crossed = [
      { nodeId: c2.identity.nodeId, replaces: four.identity.nodeId },
      { nodeId: d2.identity.nodeId, replaces: three.identity.nodeId },
    ].sort((p, q) => (p.nodeId < q.nodeId ? -1 : 1));
    expect(await ask(body({ replacements: crossed }))).toEqual(refused('not-all-attested'));
    await world.stop();
  });

  it('refuses while a member that would be replaced is connected, and to be replaced itself', async () => {
    const { world, one, three, c2, d2, body, ask } = await asked();
    three.up = true;
    expect(await ask(body())).toEqual(refused('replaced-is-connected'));
    three.up = false;
    const itself = [
      { nodeId: c2.identity.nodeId, replaces: one.identity.nodeId },
      { nodeId: d2.identity.nodeId, replaces: three.identity.nodeId },
    ].sort((p, q) => (p.nodeId < q.nodeId ? -1 : 1));
    expect(await ask(body({ replacements: itself }))).toEqual(refused('signer-not-member'));
    await world.stop();
  });

  it('refuses what nobody would take: another basis, too few replaced, a far height', async () => {
    const { world, body, ask } = await asked();
    const one = { replacements: body().replacements.slice(0, 1) };
    expect(await ask(body(one))).toEqual(refused('join-suffices'));
    expect(await ask(body({ rosterHash: new Uint8Array(32) }))).toEqual(refused('wrong-roster'));
    expect(await ask(body({ after: ['11'.repeat(32)] }))).toEqual(refused('other-frontier'));
    expect(await ask(body({ height: 1_501 }))).toEqual(refused('height'));
    await world.stop();
  });

  it('signs one on a roster, another after ten seconds', async () => {
    const { world, body, ask } = await asked();
    expect((await ask(body())).kind).toBe('signed');
    expect(await ask(body({ height: 501 }))).toEqual(refused('signed-another'));
    await world.clock.advance(10_001);
    expect((await ask(body({ height: 501 }))).kind).toBe('signed');
    await world.stop();
  });
});
