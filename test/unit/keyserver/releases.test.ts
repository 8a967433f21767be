import { describe, expect, it } from 'vitest';
import { ed25519PublicKey, ed25519Sign, sha256 } from '#crypto';
import { utf8 } from '../../../src/core/bytes.ts';
import { type NodeId, nodeIdFromBytes } from '../../../src/core/ids.ts';
import { Secret } from '../../../src/core/secret.ts';
import { ask } from '../../../src/keyserver/ask.ts';
import { commitToShare, dealIdOf, dealMessage } from '../../../src/keyserver/deal.ts';
import type { CustodyAnswer, DealtShare } from '../../../src/keyserver/messages.ts';
import { createReleases } from '../../../src/keyserver/releases.ts';
import { splitKey } from '../../../src/keyserver/shares.ts';
import { signHeader } from '../../../src/node/store/index.ts';
import { commitToSealingKey, wrapDataKey } from '../../../src/node/store/keys.ts';
import { clusterId, readHeader } from '../../support/custody.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('releases');
const nodeSecret = Secret.own(random.bytes(32));
const nodeId = nodeIdFromBytes(ed25519PublicKey(nodeSecret.expose()));
const storeId = random.bytes(32);
const servers = ['a', 'b', 'c'].map((name) => nodeIdFromBytes(sha256(utf8(name))));
const bootKey = random.bytes(32);

/** A deal signed by the node whose header commits to one key and whose shares are of another, if `of` says so. */
function dealOf({ keyEpoch, of = 'itself', incarnation = 1 }: { keyEpoch: number; of?: string; incarnation?: number }) {
  const key = Secret.own(random.bytes(32));
  const header = signHeader(
    {
      clusterId,
      nodeId,
      storeId,
      keyEpoch,
      threshold: 2,
      keyServers: servers.map((server) => ({ nodeId: server, addresses: [] })),
      keyCommitment: commitToSealingKey(key),
      wrappedDataKey: wrapDataKey({ random }, Secret.own(random.bytes(32)), key, keyEpoch),
      recoveryWrappedDataKey: undefined,
    },
    nodeSecret,
  );
  const view = readHeader(header)!;
  const shared = of === 'itself' ? key : Secret.own(random.bytes(32));
  const shares = splitKey({ random }, shared, { threshold: 2, shares: 3 });
  const commitments = shares.map((share) => commitToShare(view, share));
  const boot = { incarnation, bootKey };
  const signature = ed25519Sign(nodeSecret.expose(), dealMessage(dealIdOf(header, commitments), boot));
  const dealt = shares.map(
    ({ index, value }): DealtShare => ({ header, index, share: value, commitments, signature, ...boot }),
  );
  return { key, view, header, dealt };
}

type Deal = ReturnType<typeof dealOf>;

/** What each of some servers gives back of some deals. */
function collected(deals: readonly Deal[], from: readonly number[] = [0, 1, 2]) {
  const releases = createReleases({ readHeader }, deals[0]!.view);
  for (const n of from) {
    const given = deals.map(({ dealt }) => ({ ...dealt[n]!, share: Secret.copy(dealt[n]!.share.expose()) }));
    releases.add(servers[n] as NodeId, { kind: 'released', attemptId: bootKey, deals: given });
  }
  return releases;
}

describe('combining releases', () => {
  it('takes the newest deal with enough shares', () => {
    const old = dealOf({ keyEpoch: 1 });
    const next = dealOf({ keyEpoch: 2 });
    expect(collected([old, next]).combine()).toMatchObject({ header: next.header, keyEpochMax: 2 });
    const one = createReleases({ readHeader }, old.view);
    for (const n of [0, 1]) one.add(servers[n]!, { kind: 'released', attemptId: bootKey, deals: [old.dealt[n]!] });
    one.add(servers[2]!, { kind: 'released', attemptId: bootKey, deals: [next.dealt[2]!] });
    expect(one.combine()).toMatchObject({ header: old.header, keyEpochMax: 2 });
  });

  it('prefers the deal of the later boot among those of one epoch, and never mixes them', () => {
    const early = dealOf({ keyEpoch: 2, incarnation: 1 });
    const late = dealOf({ keyEpoch: 2, incarnation: 4 });
    expect(collected([early, late]).combine()?.header).toEqual(late.header);
    const mixed = createReleases({ readHeader }, early.view);
    mixed.add(servers[0]!, { kind: 'released', attemptId: bootKey, deals: [early.dealt[0]!] });
    mixed.add(servers[1]!, { kind: 'released', attemptId: bootKey, deals: [late.dealt[1]!] });
    expect(mixed.combine()).toBeUndefined();
    expect(mixed.missing()).toBe(1);
  });

  it('gives no key that the header does not commit to, and falls back to an older deal', () => {
    const broken = dealOf({ keyEpoch: 3, of: 'another key' });
    expect(collected([broken]).combine()).toBeUndefined();
    const good = dealOf({ keyEpoch: 2 });
    const combined = collected([good, broken]).combine();
    expect(combined?.header).toEqual(good.header);
    expect(combined?.key.equals(good.key)).toBe(true);
  });

  it('counts a share once, however often it is given', () => {
    const deal = dealOf({ keyEpoch: 1 });
    const releases = collected([deal, deal], [0]);
    expect(releases.combine()).toBeUndefined();
    expect(releases.missing()).toBe(1);
  });

  it('wipes the shares it gives up', () => {
    const { view, dealt } = dealOf({ keyEpoch: 1 });
    const releases = createReleases({ readHeader }, view);
    const altered = { ...dealt[1]!, share: Secret.own(new Uint8Array(32)) };
    expect(releases.add(servers[1]!, { kind: 'released', attemptId: bootKey, deals: [altered] })).toBe('bad-share');
    releases.add(servers[0]!, { kind: 'released', attemptId: bootKey, deals: [dealt[0]!] });
    expect([altered.share.wiped, dealt[0]!.share.wiped]).toEqual([true, false]);
    releases.clear();
    expect(dealt[0]!.share.wiped).toBe(true);
    expect(releases.missing()).toBeUndefined();
  });
});

describe('an answer with shares that comes too late', () => {
  it('is wiped', async () => {
    const clock = createManualClock();
    const { dealt } = dealOf({ keyEpoch: 1 });
    const late: CustodyAnswer = { kind: 'released', attemptId: bootKey, deals: [dealt[0]!] };
    const peer = {
      request: () => new Promise<CustodyAnswer>((resolve) => void clock.schedule(60_000, () => resolve(late))),
    };
    const { signal } = new AbortController();
    const answer = await clock.settle(ask({ clock }, peer, { kind: 'probe' }, { signal }));
    expect(answer.kind).toBe('silent');
    await clock.advance(60_000);
    expect(dealt[0]!.share.wiped).toBe(true);
  });
});
