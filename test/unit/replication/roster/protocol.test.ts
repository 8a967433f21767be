import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ed25519Sign, sha256 } from '#crypto';
import { fromHex, toHex, utf8 } from '../../../../src/core/bytes.ts';
import { type CborValue, encodeCbor } from '../../../../src/core/cbor.ts';
import { MEMBERS_MAX, MESSAGE_BYTES_MAX, STATEMENT_BYTES_MAX } from '../../../../src/replication/roster/limits.ts';
import {
  decodeRosterAnswer,
  encodeRosterRequest,
  type RosterRequest,
} from '../../../../src/replication/roster/messages.ts';
import {
  decodeBody,
  decodeStatement,
  type Eviction,
  encodeBody,
  encodeStatement,
  type Genesis,
  type Join,
  type StatementBody,
  statementMessage,
} from '../../../../src/replication/roster/statements.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import {
  clusterId,
  createRosterWorld,
  entryOf,
  type RosterIdentity,
  rosterIdentity,
  rosterOf,
  signedBy,
} from '../../../support/roster.ts';

/** Three members, and a stranger that is connected and attested but whose keeper never runs. */
async function three() {
  const world = createRosterWorld();
  const identities = ['a', 'b', 'c'].map((name) => rosterIdentity(name));
  for (const identity of identities) await world.add(identity, { mayFound: identity === identities[0] });
  await world.clock.advance(60_000);
  const stranger = rosterIdentity('stranger');
  const node = await world.add(stranger);
  await node.keeper.stop();
  const [one] = world.nodes;
  const view = one!.keeper.view();
  const join = (who: RosterIdentity, more: Partial<Join> = {}): Join => ({
    kind: 'join',
    clusterId,
    genesisId: view.genesisId!,
    ...entryOf(who),
    after: headsIn(one!.stored),
    rosterHash: view.rosterHash,
    height: 500,
    ...more,
  });
  const ask = async (from: RosterIdentity, request: RosterRequest) =>
    decodeRosterAnswer(await world.ask(from, one!, encodeRosterRequest(request)));
  const sign = async (from: RosterIdentity, body: StatementBody) => ask(from, { kind: 'sign', body: encodeBody(body) });
  return { world, one: one!, identities, stranger, join, ask, sign };
}

function headsIn(stored: Map<string, { id: string; statement: Uint8Array }>): string[] {
  const heads = new Set(stored.keys());
  for (const { statement } of stored.values()) {
    const { body } = decodeStatement(statement);
    for (const parent of 'after' in body ? body.after : 'joinId' in body ? [body.joinId] : []) heads.delete(parent);
  }
  return [...heads].sort();
}

const refused = (reason: string) => ({ kind: 'refused', reason });

describe('a member asked for its signature', () => {
  it('signs the join of a connected node as it is attested, again if asked again', async () => {
    const { world, stranger, join, sign } = await three();
    const first = await sign(stranger, join(stranger));
    expect(first.kind).toBe('signed');
    expect(await sign(stranger, join(stranger))).toEqual(first);
    await world.stop();
  });

  it('refuses a platform or an operator that is not attested, and a join of somebody else', async () => {
    const { world, stranger, identities, join, sign } = await three();
    const elsewhere = rosterIdentity('stranger', 'other platform', stranger.operator);
    expect(await sign(stranger, join(elsewhere))).toEqual(refused('not-attested'));
    expect(await sign(stranger, join({ ...stranger, operator: 'bigger' }))).toEqual(refused('not-attested'));
    expect(await sign(identities[1]!, join(stranger))).toEqual(refused('not-attested'));
    const absent = rosterIdentity('absent');
    expect(await sign(absent, join(absent))).toEqual(refused('not-attested'));
    await world.stop();
  });

  it('signs one statement on a roster, and another after ten seconds', async () => {
    const { world, stranger, join, sign } = await three();
    const other = rosterIdentity('other');
    const node = await world.add(other);
    await node.keeper.stop();
    expect((await sign(stranger, join(stranger))).kind).toBe('signed');
    expect(await sign(other, join(other))).toEqual(refused('signed-another'));
    await world.clock.advance(10_001);
    expect((await sign(other, join(other))).kind).toBe('signed');
    await world.stop();
  });

  it('refuses another roster than its own, and a height far from its own', async () => {
    const { world, one, stranger, join, sign } = await three();
    const genesis = [...one.stored.keys()][0]!;
    expect(await sign(stranger, join(stranger, { after: [genesis] }))).toEqual(refused('wrong-roster'));
    expect(await sign(stranger, join(stranger, { after: ['11'.repeat(32)] }))).toEqual(refused('other-frontier'));
    expect(await sign(stranger, join(stranger, { rosterHash: sha256(utf8('x')) }))).toEqual(refused('wrong-roster'));
    expect(await sign(stranger, join(stranger, { height: 1_501 }))).toEqual(refused('height'));
    expect(await sign(stranger, join(stranger, { genesisId: sha256(utf8('x')) }))).toEqual(refused('other-genesis'));
    await world.stop();
  });

  it('refuses evictions nobody here agreed to, and anything that is not for signing', async () => {
    const { world, one, stranger, identities, join, sign, ask } = await three();
    const [target] = one.keeper.view().members;
    const { after, rosterHash, genesisId } = join(stranger);
    const { nodeId, joinId } = target!;
    const eviction: Eviction = {
      kind: 'eviction',
      clusterId,
      genesisId,
      after,
      rosterHash,
      nodeId,
      joinId,
      height: 500,
    };
    expect(await sign(identities[1]!, eviction)).toEqual(refused('not-approved'));
    const leave = { kind: 'leave', clusterId, genesisId, nodeId, joinId, reason: 'left' } as const;
    expect(await sign(identities[1]!, leave)).toEqual(refused('malformed'));
    expect(await ask(stranger, { kind: 'sign', body: new Uint8Array([0xff]) })).toEqual(refused('malformed'));
    await world.stop();
  });

  it('signs nothing when it is no member itself', async () => {
    const { world, stranger, join } = await three();
    const outsider = await world.add(rosterIdentity('outsider', 'a'));
    await world.clock.advance(5_000);
    const request = encodeRosterRequest({ kind: 'sign', body: encodeBody(join(stranger)) });
    const answer = decodeRosterAnswer(await world.ask(stranger, outsider, request));
    expect(answer).toEqual(refused('signer-not-member'));
    await world.stop();
  });
});

describe('a node asked to found', () => {
  const founder = rosterIdentity('founder');
  const second = rosterIdentity('second');
  const body = (more: Partial<Genesis> = {}): Genesis => ({
    kind: 'genesis',
    clusterId,
    genesisId: sha256(utf8('g')),
    founders: [founder, second].map(entryOf).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
    height: 500,
    ...more,
  });

  async function propose(of: StatementBody, by = founder, from = founder) {
    const world = createRosterWorld();
    const node = await world.add(second);
    const signature = ed25519Sign(by.secret, statementMessage(of));
    const request = { kind: 'found', body: encodeBody(of), signature } as const;
    const ask = async () => decodeRosterAnswer(await world.ask(from, node, encodeRosterRequest(request)));
    return { world, node, ask };
  }

  it('stores the whole genesis before it answers, and answers the same again', async () => {
    const { world, node, ask } = await propose(body());
    const first = await ask();
    expect(first.kind).toBe('signed');
    expect(node.stored.size).toBe(1);
    expect(await ask()).toEqual(first);
    await world.stop();
  });

  it('takes no forged signature, no other founders than the two, no far height', async () => {
    const tried = async (...given: Parameters<typeof propose>) => {
      const { world, node, ask } = await propose(...given);
      const answer = await ask();
      expect(rosterOf(node)).toEqual([]);
      await world.stop();
      return answer;
    };
    expect(await tried(body(), second)).toEqual(refused('bad-signature'));
    expect(await tried(body(), founder, rosterIdentity('third'))).toEqual(refused('not-attested'));
    expect(await tried(body({ founders: [entryOf(founder)] }))).toEqual(refused('not-attested'));
    expect(await tried(body({ height: 5_000 }))).toEqual(refused('height'));
    const liar = { ...founder, platform: second.platform };
    expect(await tried(body({ founders: [entryOf(liar), entryOf(second)] }))).toEqual(refused('not-attested'));
  });

  it('takes no second genesis', async () => {
    const { world, node, ask } = await propose(body());
    await ask();
    const other = body({ genesisId: sha256(utf8('h')) });
    const signature = ed25519Sign(founder.secret, statementMessage(other));
    const request = encodeRosterRequest({ kind: 'found', body: encodeBody(other), signature });
    expect(decodeRosterAnswer(await world.ask(founder, node, request))).toEqual(refused('has-genesis'));
    await world.stop();
  });
});

describe('messages of the roster protocol', () => {
  it('answer anything whatever with a refusal, and change nothing', async () => {
    const { world, one, stranger } = await three();
    const before = one.stored.size;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        expect(decodeRosterAnswer(await world.ask(stranger, one, bytes))).toEqual(refused('malformed'));
      }),
      { numRuns: fuzzRuns(200) },
    );
    const long = decodeRosterAnswer(await world.ask(stranger, one, new Uint8Array(MESSAGE_BYTES_MAX + 1)));
    expect(long).toEqual(refused('malformed'));
    expect(one.stored.size).toBe(before);
    await world.stop();
  });

  it('say why an offered statement was not taken, and take the others', async () => {
    const { world, one, stranger, identities, join, ask } = await three();
    const minority = encodeStatement(signedBy(join(stranger), identities[0]!, stranger));
    expect(await ask(stranger, { kind: 'offer', statements: [minority] })).toEqual({
      kind: 'taken',
      reason: 'no-majority',
    });
    const good = encodeStatement(signedBy(join(stranger), identities[0]!, identities[1]!, stranger));
    const mixed = [new Uint8Array([1]), minority, good];
    expect(await ask(stranger, { kind: 'offer', statements: mixed })).toMatchObject({ reason: 'no-majority' });
    expect(rosterOf(one)).toContain(stranger.nodeId);
    expect(await ask(stranger, { kind: 'offer', statements: [good] })).toEqual({ kind: 'taken' });
    await world.stop();
  });

  it('list and hand out what is held', async () => {
    const { world, one, stranger, ask } = await three();
    const listed = await ask(stranger, { kind: 'list', from: 0 });
    expect(listed).toEqual({ kind: 'ids', ids: [...one.stored.keys()].map(fromHex), more: false });
    const ids = [...one.stored.keys()].map(fromHex);
    const handed = await ask(stranger, { kind: 'fetch', ids: [new Uint8Array(32), ...ids] });
    expect(handed).toEqual({ kind: 'statements', statements: [...one.stored.values()].map((s) => s.statement) });
    await world.stop();
  });

  it('are refused before the store was read', async () => {
    const world = createRosterWorld();
    const node = await world.add(rosterIdentity('a'));
    world.crash(node);
    const { createRosterKeeper } = await import('../../../../src/replication/index.ts');
    const idle = createRosterKeeper(
      {
        clock: world.clock,
        random: world.random,
        self: entryOf(node.identity),
        store: { load: async () => [], put: async () => undefined, drop: async () => undefined },
        sign: () => new Uint8Array(64),
        connected: () => [],
        height: () => 0,
        operatorKeys: () => [],
        request: async () => new Uint8Array(),
      },
      { clusterId, mayFound: false, allowUnbacked: false },
    );
    const answer = await idle.handle(entryOf(node.identity), encodeRosterRequest({ kind: 'list', from: 0 }));
    expect(decodeRosterAnswer(answer)).toEqual(refused('not-started'));
    await idle.stop();
  });
});

describe('a statement in bytes', () => {
  const who = rosterIdentity('who');
  const hash = (text: string) => sha256(utf8(text));
  const common = { clusterId, genesisId: hash('genesis') };
  const bodies: StatementBody[] = [
    { kind: 'genesis', ...common, founders: [entryOf(who)], height: 7 },
    { kind: 'join', ...common, ...entryOf(who), after: [toHex(hash('x'))], rosterHash: hash('r'), height: 9 },
    { kind: 'leave', ...common, nodeId: who.nodeId, joinId: toHex(hash('x')), reason: 'operator' },
    {
      kind: 'eviction',
      ...common,
      nodeId: who.nodeId,
      joinId: toHex(hash('x')),
      after: [toHex(hash('x'))],
      rosterHash: hash('r'),
      height: 9,
    },
  ];

  it('comes back as it was', () => {
    for (const body of bodies) {
      expect(decodeBody(encodeBody(body))).toEqual(body);
      expect(decodeStatement(encodeStatement(signedBy(body, who)))).toEqual(signedBy(body, who));
    }
  });

  it('fits its limit with the largest roster, and so does a message with it', () => {
    const ids = Array.from({ length: 128 }, (_, n) => toHex(hash(String(n)))).sort();
    const join = { ...(bodies[1] as Join), after: ids, operator: 'o'.repeat(128), replaces: who.nodeId };
    const signers = Array.from({ length: MEMBERS_MAX + 1 }, (_, n) => rosterIdentity(String(n)));
    const encoded = encodeStatement(signedBy(join, ...signers));
    expect(encoded.length).toBeLessThanOrEqual(STATEMENT_BYTES_MAX);
    expect(decodeStatement(encoded).body).toEqual(join);
  });

  it('is refused with unknown fields, unordered or doubled ids, upper-case platforms, too many bytes', () => {
    const plain = (more: Record<string, CborValue>): CborValue => ({
      kind: 'join',
      clusterId: hash('c'),
      genesisId: hash('g'),
      nodeId: hash('n'),
      platform: '0'.repeat(64),
      operator: 'o',
      after: [hash('x')],
      rosterHash: hash('r'),
      height: 1,
      ...more,
    });
    const [low, high] = [hash('x'), hash('y')].sort((x, y) => (toHex(x) < toHex(y) ? -1 : 1)) as [
      Uint8Array,
      Uint8Array,
    ];
    expect(decodeBody(encodeCbor(plain({ after: [low, high] }))).kind).toBe('join');
    for (const more of [
      { extra: 1 },
      { after: [high, low] },
      { after: [low, low] },
      { after: [] },
      { platform: 'A'.repeat(64) },
      { platform: '0'.repeat(63) },
      { operator: '' },
      { operator: 'o'.repeat(129) },
      { height: -1 },
      { nodeId: new Uint8Array(31) },
    ]) {
      expect(() => decodeBody(encodeCbor(plain(more)))).toThrow(expect.objectContaining({ code: 'bad-shape' }));
    }
    const long = new Uint8Array(STATEMENT_BYTES_MAX + 1);
    expect(() => decodeStatement(long)).toThrow(expect.objectContaining({ code: 'too-large' }));
  });
});
