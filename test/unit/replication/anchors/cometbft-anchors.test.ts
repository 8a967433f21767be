// Anchors on an unmodified CometBFT node: two members send, one that was away crawls and finds what it misses.

import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ed25519Sign } from '#crypto';
import { fromHex, toHex } from '../../../../src/core/bytes.ts';
import { rosterHash } from '../../../../src/core/roster.ts';
import { systemClock as clock, systemRandom as random } from '../../../../src/core/system.ts';
import {
  createCometClient,
  createCometSource,
  createHttpTransport,
  createIndexer,
  createMemoryStore,
  type Indexer,
  openNoteStore,
} from '../../../../src/indexer/index.ts';
import { type AnchorReport, type Anchors, anchorPrefix, createAnchors } from '../../../../src/replication/index.ts';
import { bodyOf, type FakeReplica, fakeReplica } from '../../../support/anchor-world.ts';
import { type CometNode, findCometBft, startCometBft } from '../../../support/cometbft.ts';
import { clusterId } from '../../../support/registration.ts';
import { entryOf, rosterIdentity } from '../../../support/roster.ts';

const found = findCometBft();
if ('missing' in found) console.warn(`anchors on a real CometBFT node are not tested: ${found.missing}`);

interface Member {
  readonly anchors: Anchors;
  readonly replica: FakeReplica;
  readonly indexer: Indexer;
  readonly reports: AnchorReport[];
}

describe.skipIf('missing' in found)('anchors on an unmodified CometBFT node', () => {
  let node: CometNode;
  beforeAll(async () => {
    if ('program' in found) node = await startCometBft(found.program);
  });
  afterAll(() => node?.stop());

  const identities = ['a', 'b', 'c'].map((name) => rosterIdentity(name));
  const roster = identities.map(entryOf);
  const members = new Map<string, Member>();
  const disks = new Map(identities.map(({ nodeId }) => [nodeId, new Map<string, Uint8Array>()]));
  let cut: string | undefined;

  async function start(identity: (typeof identities)[number]): Promise<Member> {
    const textPrefix = anchorPrefix(clusterId);
    const transport = () => createHttpTransport(node.url);
    const client = createCometClient({ transport: transport(), clock }, { textPrefix });
    const source = createCometSource({ transport: transport(), clock }, { textPrefix });
    const notes = await openNoteStore(createMemoryStore());
    const options = { chainId: node.chainId, pollMs: 100, startHeight: 1 };
    const indexer = createIndexer({ clock, random, notes, sources: [source] }, options);
    await indexer.start();
    const disk = disks.get(identity.nodeId)!;
    const replica = fakeReplica();
    const reports: AnchorReport[] = [];
    const anchors = createAnchors({
      clock,
      random,
      clusterId,
      nodeId: identity.nodeId,
      replica,
      store: {
        async *entries() {
          for (const [key, value] of disk) yield [fromHex(key), Uint8Array.from(value)] as const;
        },
        get: async (key) => disk.get(toHex(key)),
        async commit(writes) {
          for (const { key, value } of writes) {
            if (value) disk.set(toHex(key), Uint8Array.from(value));
            else disk.delete(toHex(key));
          }
        },
      },
      peers: {
        list: () =>
          identities
            .filter((other) => other !== identity && members.has(other.nodeId))
            .filter((other) => cut !== other.nodeId && cut !== identity.nodeId)
            .map((other) => ({
              nodeId: other.nodeId,
              request: async (payload) =>
                Uint8Array.from(
                  await members.get(other.nodeId)!.anchors.handle(entryOf(identity), Uint8Array.from(payload)),
                ),
            })),
        onChange: () => () => undefined,
      },
      rosters: {
        now: () => ({ genesisId: new Uint8Array(32), rosterHash: rosterHash(roster), members: roster }),
        byHash: () => ({ members: roster, untilHeight: undefined }),
      },
      chain: {
        send: async (text, { signal }) => void (await client.send(text, { signal })),
        blocks: (from, { signal }) => indexer.blocks(Math.max(1, from), { signal }),
      },
      height: () => indexer.status().cursor ?? 0,
      sign: (message) => ed25519Sign(identity.secret, message),
      mayAttest: () => true,
      report: (event) => void reports.push(event),
    });
    const member = { anchors, replica, indexer, reports };
    members.set(identity.nodeId, member);
    await anchors.start({});
    return member;
  }

  /** The chain is another process: it is asked again and again. */
  async function until(reached: () => boolean): Promise<void> {
    for (let i = 0; i < 600 && !reached(); i++) await wait(100);
    expect(reached()).toBe(true);
  }

  async function stop(member: Member): Promise<void> {
    await member.anchors.stop();
    await member.indexer.stop();
  }

  it('are sent, found by crawling, accepted, and lead to what a member misses', async () => {
    const [first, second, third] = identities;
    const [a, b] = [await start(first!), await start(second!)];
    const before = await start(third!);
    await until(() => [a, b, before].every(({ anchors }) => anchors.status().anchored !== undefined));
    await stop(before);
    members.delete(third!.nodeId);
    const bodies = [1, 2, 3].map(bodyOf);
    for (const member of [a, b]) member.replica.give(...bodies);
    await until(() => [a, b].every(({ anchors }) => anchors.status().pending === 0));
    // Nobody tells it anything: what it misses, it learns from the chain.
    cut = third!.nodeId;
    const away = await start(third!);
    await until(() => away.anchors.wantedTags().length === 3);
    expect(away.reports.some((event) => event.kind === 'accepted' && event.fromChain)).toBe(true);
    cut = undefined;
    await until(() => away.replica.held.size === 3 && away.anchors.status().wanted === 0);
    expect(away.reports.filter(({ kind }) => kind === 'wrong-root' || kind === 'failed')).toEqual([]);
    for (const member of [a, b, away]) await stop(member);
  });
});
