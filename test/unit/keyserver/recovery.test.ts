// What hosts, networks and broken key servers can do to a node that wants its sealing key back.

import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { Secret } from '../../../src/core/secret.ts';
import { type CustodyAnswer, makeTicket, type RecoveryReport } from '../../../src/keyserver/index.ts';
import { nextIncarnation } from '../../../src/keyserver/next-incarnation.ts';
import { readHeader as readStoreHeader, signHeader } from '../../../src/node/store/index.ts';
import { type CustodyWorld, createCustodyWorld, opens, readHeader, type TestMember } from '../../support/custody.ts';
import { rejectionOf } from '../../support/outcome.ts';

/** A world whose first member has dealt and stopped. */
async function stopped(nodes: number, options: Partial<Parameters<typeof createCustodyWorld>[0]> = {}) {
  const world = createCustodyWorld({ nodes, ...options });
  const owner = world.members[0]!;
  await (await world.backed(owner)).stop();
  world.restart(owner);
  return { world, owner, servers: world.members.slice(1) };
}

const alterShare = (answer: CustodyAnswer): CustodyAnswer => {
  if (answer.kind !== 'released') return answer;
  for (const { share } of answer.deals) share.expose()[0]! ^= 1;
  return answer;
};

/** Runs a recovery for a while and gives up; what it last reported. */
async function triedFor(
  world: CustodyWorld,
  owner: TestMember,
  ms: number,
  given: Parameters<CustodyWorld['recover']>[1] = {},
) {
  const end = new AbortController();
  const reports: RecoveryReport[] = [];
  const running = world.recover(owner, { ...given, signal: end.signal, onProgress: (report) => reports.push(report) });
  const outcome = rejectionOf(running);
  await world.clock.advance(ms);
  end.abort();
  return { error: await world.clock.settle(outcome), reports, running };
}

describe('a broken key server', () => {
  it('that alters its share is named, and the others do without it', async () => {
    for (const nodes of [4, 6]) {
      const { world, owner, servers } = await stopped(nodes);
      const liars = servers.slice(0, nodes === 4 ? 1 : 2);
      for (const liar of liars) liar.boot.alter = alterShare;
      const recovered = await world.clock.settle(world.recover(owner));
      expect(recovered).toMatchObject({
        kind: 'recovered',
        faulty: liars.map(({ entry }) => ({ nodeId: entry.nodeId, fault: 'bad-share' })),
      });
      expect(recovered.kind === 'recovered' && opens(owner, recovered)).toBe(true);
    }
  });

  it('cannot pass for a loss of the others: with too many of them the report names them', async () => {
    const { world, owner, servers } = await stopped(4);
    for (const liar of servers.slice(0, 2)) liar.boot.alter = alterShare;
    const result = await world.clock.settle(world.recover(owner));
    expect(result).toMatchObject({ kind: 'not-recoverable', reachable: 3, shares: 1, needed: 2 });
    expect(result.kind === 'not-recoverable' && result.words.map(({ word }) => word).sort()).toEqual([
      'bad-share',
      'bad-share',
      'released',
    ]);
  });

  it('that claims another commitment list is caught by the signature of the node', async () => {
    const { world, owner, servers } = await stopped(4);
    servers[0]!.boot.alter = (answer) =>
      answer.kind === 'released'
        ? { ...answer, deals: answer.deals.map((deal) => ({ ...deal, commitments: deal.commitments.toReversed() })) }
        : answer;
    expect(await world.clock.settle(world.recover(owner))).toMatchObject({
      kind: 'recovered',
      faulty: [{ nodeId: servers[0]!.entry.nodeId, fault: 'bad-signature' }],
    });
  });

  it('that plays another server with a copy of its release adds no second share', async () => {
    const { world, owner, servers } = await stopped(4);
    let copied: CustodyAnswer | undefined;
    servers[0]!.boot.alter = (answer) => {
      if (answer.kind === 'released') {
        copied = {
          ...answer,
          deals: answer.deals.map((deal) => ({ ...deal, share: Secret.copy(deal.share.expose()) })),
        };
      }
      return answer;
    };
    servers[1]!.boot.alter = (answer) => (answer.kind === 'released' && copied ? copied : answer);
    world.setCut(owner, servers[2]!, true);
    const { error, reports } = await triedFor(world, owner, 60_000);
    expect(error?.code).toBe('aborted');
    expect(reports.at(-1)).toMatchObject({ shares: 1, needed: 2 });
    expect(reports.at(-1)!.words.map(({ word }) => word)).toContain('bad-shape');
  });

  it('that replays a release of the past is told apart by the attempt', async () => {
    const { world, owner, servers } = await stopped(4);
    let past: CustodyAnswer | undefined;
    const liar = servers[0]!;
    liar.boot.alter = (answer) => {
      if (answer.kind === 'released') {
        past ??= {
          ...answer,
          deals: answer.deals.map((deal) => ({ ...deal, share: Secret.copy(deal.share.expose()) })),
        };
      }
      return answer;
    };
    await world.clock.settle(world.recover(owner));
    world.restart(owner);
    liar.boot.alter = (answer) => (answer.kind === 'released' ? past! : answer);
    const recovered = await world.clock.settle(world.recover(owner));
    if (recovered.kind !== 'recovered') throw new Error('the others are enough');
    expect(opens(owner, recovered)).toBe(true);
    world.setCut(owner, servers[1]!, true);
    world.restart(owner);
    const { reports } = await triedFor(world, owner, 30_000);
    expect(reports.at(-1)!.words).toContainEqual({ nodeId: liar.entry.nodeId, word: 'stale-answer' });
  });

  it('that lies about the last incarnation does not send the node out of reach', async () => {
    for (const lie of [0, 2 ** 30, 2 ** 48]) {
      const { world, owner, servers } = await stopped(4);
      servers[1]!.boot.alter = (answer) => (answer.kind === 'last' ? { kind: 'last', incarnation: lie } : answer);
      expect(await world.clock.settle(world.recover(owner))).toMatchObject({ kind: 'recovered' });
    }
  });

  it('that is the only one there at first cannot keep its lie up', async () => {
    const { world, owner, servers } = await stopped(4);
    servers[0]!.boot.alter = (answer) => (answer.kind === 'last' ? { kind: 'last', incarnation: 2 ** 30 } : answer);
    for (const server of servers.slice(1)) world.setCut(owner, server, true);
    const running = world.recover(owner);
    await world.clock.advance(10_000);
    for (const server of servers.slice(1)) world.setCut(owner, server, false);
    const recovered = await world.clock.settle(running);
    expect(recovered.kind === 'recovered' && recovered.incarnation).toBeLessThan(10);
  });
});

describe('a host', () => {
  it('with a damaged or forged header gets nothing asked', async () => {
    const { world, owner } = await stopped(4);
    const damaged = owner.disk!.slice();
    damaged[damaged.length >> 1]! ^= 1;
    expect((await rejectionOf(world.recover(owner, { header: damaged })))?.code).toBe('bad-header');
    expect((await rejectionOf(world.recover(owner, { header: new Uint8Array(0) })))?.code).toBe('bad-header');
  });

  it('with a header it signed itself finds nobody who knows that node', async () => {
    const { world, owner } = await stopped(4);
    const secret = Secret.own(sha256(utf8('made by a host')));
    const header = signHeader(
      { ...readStoreHeader(owner.disk), nodeId: nodeIdFromBytes(ed25519PublicKey(secret.expose())) },
      secret,
    );
    const result = await world.clock.settle(world.recover(owner, { header }));
    expect(result).toMatchObject({ kind: 'not-recoverable', shares: 0 });
    expect(result.kind === 'not-recoverable' && new Set(result.words.map(({ word }) => word))).toEqual(
      new Set(['unknown-owner']),
    );
  });

  it('with the header of another node is stopped by the platform, and fences nobody', async () => {
    const { world, owner, servers } = await stopped(4);
    const victim = servers[0]!;
    const dealer = await world.backed(victim);
    // The thief asks in the name of the victim, from its own machine.
    const thief = world.bootOf(victim.entry);
    const result = await world.clock.settle(
      world.recover(victim, { header: victim.disk!, boot: thief, platform: owner.entry }),
    );
    expect(result).toMatchObject({ kind: 'not-recoverable' });
    expect(result.kind === 'not-recoverable' && new Set(result.words.map(({ word }) => word))).toEqual(
      new Set(['platform']),
    );
    dealer.redeal();
    await world.clock.advance(3_000);
    expect(dealer.state()).toMatchObject({ phase: 'backed', keyEpoch: 2, warnings: [] });
    await dealer.stop();
  });

  it('that moves the node elsewhere needs the ticket of its operator', async () => {
    const operator = Secret.own(sha256(utf8('operator')));
    const { world, owner } = await stopped(4, {
      migration: {
        movesFreely: () => false,
        operatorKey: () => ed25519PublicKey(operator.expose()),
        height: () => 10,
      },
    });
    const platform = { ...owner.entry, platform: 'f'.repeat(64) };
    expect(await world.clock.settle(world.recover(owner, { platform }))).toMatchObject({ kind: 'not-recoverable' });
    const ticket = makeTicket(
      { nodeId: owner.entry.nodeId, incarnation: 9, newPlatform: platform.platform, expiryHeight: 20 },
      operator,
    );
    const moved = await world.clock.settle(world.recover(owner, { platform, ticket }));
    expect(moved.kind === 'recovered' && opens(owner, moved)).toBe(true);
  });

  it('that puts back a store id nobody deposited learns that it is the wrong store', async () => {
    const { world, owner } = await stopped(4);
    const header = signHeader({ ...readStoreHeader(owner.disk), storeId: sha256(utf8('x')) }, owner.nodeSecret);
    const result = await world.clock.settle(world.recover(owner, { header }));
    expect(result.kind === 'not-recoverable' && result.words.map(({ word }) => word)).toEqual(
      Array.from({ length: 3 }, () => 'wrong-store'),
    );
  });
});

describe('a recovery', () => {
  it('does not wait for key servers that are known to have restarted under other names', async () => {
    const { world, owner, servers } = await stopped(4);
    const [here, ...gone] = servers as [TestMember, ...TestMember[]];
    world.restart(here);
    const { error, reports } = await triedFor(world, owner, 60_000, { among: [here] });
    expect([error?.code, reports.at(-1)]).toMatchObject(['aborted', { shares: 0, needed: 2 }]);
    const one = await triedFor(world, owner, 60_000, {
      among: [here],
      hasRestarted: (nodeId) => nodeId === gone[0]!.entry.nodeId,
    });
    // One share may still be out there, and it takes two.
    expect(one.error).toBeUndefined();
    expect(await one.running).toMatchObject({ kind: 'not-recoverable', shares: 0, needed: 2 });
  });

  it('goes on while servers are silent, says what is missing, and ends when they come back', async () => {
    const { world, owner, servers } = await stopped(4);
    for (const server of servers.slice(1)) server.boot.up = false;
    const reports: RecoveryReport[] = [];
    const running = world.recover(owner, { onProgress: (report) => reports.push(report) });
    await world.clock.advance(90_000);
    expect(reports.length).toBeGreaterThan(3);
    expect(reports.at(-1)).toMatchObject({ reachable: 1, shares: 1, needed: 2 });
    servers[1]!.boot.up = true;
    const recovered = await world.clock.settle(running);
    // The share from the first round counted; nobody had to give up an incarnation meanwhile.
    expect(recovered).toMatchObject({ kind: 'recovered', incarnation: 2 });
  });

  it('with nobody there waits until it is told to stop, and leaves no timer', async () => {
    const { world, owner } = await stopped(3);
    const { error, reports } = await triedFor(world, owner, 100_000, { among: [owner] });
    expect(error?.code).toBe('aborted');
    expect(reports.at(-1)).toMatchObject({ reachable: 0, shares: 0, needed: 1, words: [] });
    expect(world.clock.pending).toBe(0);
  });

  it('does not wait for the earlier boots of nodes that are recovering too', async () => {
    const { world, owner, servers } = await stopped(4);
    const others = servers.slice(1);
    for (const server of others) server.boot.up = false;
    const restarted = new Set<string>();
    const hasRestarted = (nodeId: string) => restarted.has(nodeId);
    const ended = world.recover(owner, { hasRestarted });
    let outcome: Awaited<typeof ended> | undefined;
    void ended.then((result) => {
      outcome = result;
    });
    restarted.add(others[0]!.entry.nodeId);
    await world.clock.advance(90_000);
    // The second may still come, and its share would do.
    expect(outcome).toBeUndefined();
    restarted.add(others[1]!.entry.nodeId);
    await world.clock.advance(45_000);
    expect(outcome).toMatchObject({ kind: 'not-recoverable', reachable: 1, shares: 1, needed: 2 });
  });

  it('asks a node that is there, whoever else says that it restarted', async () => {
    const { world, owner } = await stopped(4);
    const recovered = await world.clock.settle(world.recover(owner, { hasRestarted: () => true }));
    expect(recovered.kind === 'recovered' && opens(owner, recovered)).toBe(true);
  });

  it('reports the newest heads that servers saw', async () => {
    const world = createCustodyWorld({ nodes: 4 });
    const owner = world.members[0]!;
    owner.head = { incarnation: 1, sequence: 3, hash: sha256(utf8('head')) };
    const dealer = await world.backed(owner);
    world.setCut(owner, world.members[1]!, true);
    owner.head = { incarnation: 1, sequence: 8, hash: sha256(utf8('later')) };
    await world.clock.advance(45_000);
    await dealer.stop();
    world.setCut(owner, world.members[1]!, false);
    world.restart(owner);
    const recovered = await world.clock.settle(world.recover(owner));
    if (recovered.kind !== 'recovered') throw new Error('recoverable');
    expect(recovered.heads.map(({ head }) => head.sequence).sort()).toEqual([3, 8, 8]);
  });

  it('survives a network that loses, repeats and reorders', async () => {
    for (let run = 0; run < 10; run++) {
      const { world, owner } = await stopped(6, { seed: `lossy ${run}` });
      world.setFaults({ loss: 0.4, repeat: 0.4, delayMsMax: 255 });
      const recovered = await world.clock.settle(world.recover(owner));
      expect(recovered.kind === 'recovered' && opens(owner, recovered)).toBe(true);
      expect(readHeader(recovered.kind === 'recovered' ? recovered.header : new Uint8Array(0))?.keyEpoch).toBe(1);
    }
  });
});

describe('the next incarnation', () => {
  const lasts = (...values: number[]) =>
    new Map(values.map((value, n) => [nodeIdFromBytes(sha256(utf8(`${n}`))), value] as const));

  it('is one above the highest that can be true', () => {
    expect(nextIncarnation(lasts(), 0)).toBeUndefined();
    expect(nextIncarnation(lasts(3), 0)).toBe(4);
    expect(nextIncarnation(lasts(3, 7, 5), 0)).toBe(8);
    expect(nextIncarnation(lasts(3, 2 ** 40, 5), 0)).toBe(6);
    expect(nextIncarnation(lasts(3, 2 ** 40), 0)).toBe(4);
  });

  it('does not go down', () => {
    expect(nextIncarnation(lasts(3, 5), 9)).toBe(9);
  });
});
