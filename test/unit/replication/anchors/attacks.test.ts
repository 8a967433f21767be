// What a hostile chain endpoint, hostile senders and hostile members can and cannot do with anchors.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ed25519Sign, sha256 } from '#crypto';
import { compareBytes, toHex, utf8 } from '../../../../src/core/bytes.ts';
import { idBytes } from '../../../../src/core/ids.ts';
import { rosterHash } from '../../../../src/core/roster.ts';
import {
  type Anchor,
  anchorHash,
  anchorMessage,
  anchorPrefix,
  anchorText,
  epochOf,
  readAnchorText,
} from '../../../../src/replication/anchors/anchor.ts';
import { HEIGHT_APART_MAX } from '../../../../src/replication/anchors/limits.ts';
import { decodeLogKey, type LogKeyRecord } from '../../../../src/replication/anchors/log-key.ts';
import {
  type AnchorAnswer,
  type AnchorRequest,
  decodeAnswer,
  decodeRequest,
  encodeRequest,
  type SignRequest,
} from '../../../../src/replication/anchors/messages.ts';
import { bodyOf as anchorBody, proposerAt } from '../../../../src/replication/anchors/proposal.ts';
import { packRefs } from '../../../../src/replication/anchors/records.ts';
import { nextLogKey, tagKeyOf } from '../../../../src/replication/anchors/tags.ts';
import { type AnchorNode, type AnchorWorld, bodyOf, createAnchorWorld, told } from '../../../support/anchor-world.ts';
import { clusterId } from '../../../support/registration.ts';
import { entryOf, type RosterIdentity, rosterIdentity } from '../../../support/roster.ts';

let world: AnchorWorld;
let nodes: readonly [AnchorNode, AnchorNode, AnchorNode];
beforeEach(async () => {
  world = createAnchorWorld({ seed: 'attacks' });
  await world.begin();
  await world.mine(21);
  nodes = world.nodes as unknown as typeof nodes;
});
afterEach(() => world.end());

const onChain = (): Anchor[] => world.texts().map((text) => readAnchorText(clusterId, text)!);
const accepted = (node: AnchorNode) => told(node, 'accepted').map(({ epoch, seq }) => `${epoch}.${seq}`);

/** What a member knows: the tag key of an epoch. */
function tagKeyIn(epoch: number): Uint8Array {
  const record: LogKeyRecord = decodeLogKey(nodes[0].disk.get('6b0000000000000000')!);
  let { key } = record;
  for (let at = record.epoch; at < epoch; at++) key = nextLogKey(key);
  return tagKeyOf(key);
}

function certified(body: Omit<Anchor, 'certificate'>, signers: readonly RosterIdentity[]): Anchor {
  const message = anchorMessage(anchorHash(clusterId, body));
  const certificate = signers
    .map(({ nodeId, secret }) => ({ nodeId: idBytes(nodeId), signature: ed25519Sign(secret, message) }))
    .sort((a, b) => compareBytes(a.nodeId, b.nodeId));
  return { ...body, certificate };
}

/** The anchor that could come next, over these operations. */
function nextBody(numbers: readonly number[] = [], changes: Partial<Anchor> = {}) {
  const last = onChain().at(-1)!;
  const place = {
    epoch: last.epoch + 1,
    seq: 0,
    previous: anchorHash(clusterId, last),
    rosterHash: rosterHash(world.roster()),
  };
  const refs = numbers.map((number) => bodyOf(number).ref);
  return { ...anchorBody(place, tagKeyIn(place.epoch), refs), ...changes };
}

const allSigners = () => nodes.map(({ identity }) => identity);
async function untilNextEpoch(): Promise<void> {
  const epoch = epochOf(world.height());
  for (const node of nodes) node.mayAttest = false;
  while (epochOf(world.height()) === epoch) await world.mine(1);
}

describe('texts on the chain that are no anchors', () => {
  it('are ignored: forged, of a minority, of strangers, replayed, of an unknown roster', async () => {
    await untilNextEpoch();
    const [a, b] = allSigners();
    const before = nodes.map(accepted);
    const forged = certified(nextBody(), [a!, b!]);
    forged.certificate[1]!.signature.fill(3);
    const strangers = ['x', 'y', 'z'].map((name) => rosterIdentity(name));
    const unknown = sha256(utf8('nobody'));
    const old = onChain().at(-1)!;
    world.inject(
      anchorText(clusterId, forged),
      anchorText(clusterId, certified(nextBody(), [a!])),
      anchorText(clusterId, certified(nextBody(), strangers)),
      anchorText(clusterId, certified(nextBody([], { rosterHash: unknown }), allSigners())),
      anchorText(clusterId, old).replace(`${old.epoch}.`, `${old.epoch + 1}.`),
      anchorText(clusterId, certified({ ...nextBody(), epoch: old.epoch + 50 }, allSigners())),
      anchorText(clusterId, certified({ ...nextBody(), seq: 1 }, allSigners())),
      anchorText(clusterId, old),
    );
    await world.mine(1);
    expect(nodes.map(accepted)).toEqual(before);
    expect(nodes[0].anchors.status().reasons).toContain('unknown-roster');
    for (const node of nodes) node.mayAttest = true;
    await world.mine(40);
    // An anchor of nobody's roster does not wait for ever.
    await world.mine(80);
    expect(nodes[0].anchors.status().reasons).toEqual([]);
  });

  it('cost little in masses, and do not keep the anchor behind them from counting', async () => {
    await untilNextEpoch();
    const prefix = anchorPrefix(clusterId);
    const good = certified(nextBody(), allSigners());
    const garbage = Array.from({ length: 200 }, (_, i) => `${prefix}${i}.0=${'A'.repeat(1 + 300 * i)}`);
    const copies = Array.from({ length: 50 }, (_, i) => {
      const copy = structuredClone(good);
      (copy.certificate.at(-1)!.signature as Uint8Array).set([i]);
      return anchorText(clusterId, copy);
    });
    world.inject(...garbage, ...copies, anchorText(clusterId, good));
    await world.mine(1);
    for (const node of nodes) expect(accepted(node)).toContain(`${good.epoch}.0`);
    const told250 = nodes.map((node) => told(node, 'ignored').at(-1)!.texts);
    for (const texts of told250) expect(texts).toBeGreaterThanOrEqual(249);
  });

  it('count once: the first certified anchor of a place, and a loser changes nothing', async () => {
    for (const node of nodes) node.replica.give(bodyOf(1), bodyOf(2));
    await untilNextEpoch();
    const first = certified(nextBody([1]), allSigners());
    const loser = certified(nextBody([1, 2]), allSigners());
    world.inject(anchorText(clusterId, first), anchorText(clusterId, loser));
    await world.mine(1);
    expect(nodes.map((node) => node.anchors.status().pending)).toEqual([1, 1, 1]);
    for (const node of nodes) node.mayAttest = true;
    await world.mine(25);
    expect(nodes.map((node) => node.anchors.status().pending)).toEqual([0, 0, 0]);
    expect(nodes.flatMap((node) => told(node, 'abandoned'))).toEqual([]);
  });

  it('are told if a quorum signed a root that is not so', async () => {
    for (const node of nodes) node.replica.give(bodyOf(1));
    await untilNextEpoch();
    const lie = certified(nextBody([1], { root: sha256(utf8('wrong')) }), allSigners());
    world.inject(anchorText(clusterId, lie));
    await world.mine(1);
    for (const node of nodes)
      expect(told(node, 'wrong-root')).toEqual([{ kind: 'wrong-root', epoch: lie.epoch, seq: 0 }]);
  });

  it('in another order for one node only: it goes with the quorum when a later anchor says so', async () => {
    const [a, b, victim] = nodes;
    for (const node of nodes) node.replica.give(bodyOf(1), bodyOf(2));
    await untilNextEpoch();
    const winner = certified(nextBody([1]), allSigners());
    const loser = certified(nextBody([2]), allSigners());
    world.inject(anchorText(clusterId, winner), anchorText(clusterId, loser));
    victim.view = (block) => ({
      ...block,
      texts: block.texts.filter(({ text }) => text !== anchorText(clusterId, winner)),
    });
    for (const other of [a, b]) world.setCut(victim, other, true);
    await world.mine(1);
    const statusOf = (node: AnchorNode) => node.anchors.status();
    expect(statusOf(victim).pending).toBe(1);
    for (const node of [a, b]) node.mayAttest = true;
    for (const other of [a, b]) world.setCut(victim, other, false);
    await world.mine(45);
    expect(told(victim, 'abandoned')).toEqual([{ kind: 'abandoned', epoch: loser.epoch, seq: 0 }]);
    expect(statusOf(victim)).toMatchObject({ pending: 0, wanted: 0, epoch: statusOf(a).epoch });
    expect(statusOf(victim).reasons).not.toContain('gap');
  });

  it('held back from one node: members tell it, and it says that its chain lacks them', async () => {
    const [a, , victim] = nodes;
    victim.view = (block) => ({ ...block, texts: [] });
    await world.mine(120);
    expect(victim.anchors.status().epoch).toBeGreaterThanOrEqual(a.anchors.status().epoch! - 1);
    expect(victim.anchors.status().reasons).toContain('chain-lacks');
    expect(a.anchors.status().reasons).toEqual([]);
  });
});

describe('a member that asks for a signature', () => {
  /** Whose turn it is now, and a member that is to sign. */
  async function turn() {
    await untilNextEpoch();
    for (const node of nodes) node.mayAttest = true;
    const now = proposerAt(world.height(), rosterHash(world.roster()), world.roster());
    const proposer = nodes.find(({ identity }) => identity.nodeId === now)!;
    const others = nodes.filter((node) => node !== proposer);
    return { proposer, signer: others[0]!, other: others[1]! };
  }

  function requestOf(numbers: readonly number[], changes: Partial<SignRequest> = {}): SignRequest {
    const body = nextBody(numbers);
    const refs = numbers
      .map((number) => bodyOf(number).ref)
      .sort((x, y) => compareBytes(idBytes(x.opId), idBytes(y.opId)));
    const { lineage } = decodeLogKey(nodes[0].disk.get('6b0000000000000000')!);
    const { epoch, seq, previous, rosterHash: hash } = body;
    const made = anchorHash(clusterId, body);
    const place = { epoch, seq, previous, rosterHash: hash };
    return { kind: 'sign', lineage, ...place, operations: packRefs(refs), hash: made, ...changes };
  }

  const ask = async (
    from: AnchorNode | RosterIdentity,
    to: AnchorNode,
    request: AnchorRequest,
  ): Promise<AnchorAnswer> => {
    const identity = 'identity' in from ? from.identity : from;
    return decodeAnswer(await to.anchors.handle(entryOf(identity), encodeRequest(request)));
  };

  it('gets it for operations the signer holds, and a reason for everything else', async () => {
    const { proposer, signer, other } = await turn();
    for (const node of nodes) node.replica.give(bodyOf(1), bodyOf(2));
    expect(await ask(proposer, signer, requestOf([1, 2]))).toMatchObject({ kind: 'signed' });
    const wrong = sha256(utf8('wrong'));
    const good = requestOf([1, 2]);
    const refusals: [string, SignRequest][] = [
      ['other-log-key', { ...good, lineage: wrong }],
      ['other-roster', { ...good, rosterHash: wrong }],
      ['other-head', { ...good, previous: wrong }],
      ['not-now', { ...good, epoch: good.epoch + 9 }],
      ['not-needed', { ...good, seq: 1 }],
      ['other-anchor', { ...good, hash: wrong }],
      ['malformed', { ...good, operations: good.operations.slice(0, -1) }],
      ['malformed', { ...good, operations: packRefs([bodyOf(1).ref, bodyOf(1).ref]) }],
    ];
    for (const [reason, request] of refusals) {
      expect(await ask(proposer, signer, request)).toMatchObject({ kind: 'refused', reason });
    }
    expect(await ask(rosterIdentity('stranger'), signer, good)).toEqual({ kind: 'refused', reason: 'not-a-member' });
    signer.mayAttest = false;
    expect(await ask(proposer, signer, good)).toEqual({ kind: 'refused', reason: 'rollback' });
    expect(other.anchors.status().wanted).toBe(0);
  });

  it('gets none for operations that nobody holds', async () => {
    const { proposer, signer } = await turn();
    signer.replica.give(bodyOf(1));
    const answer = await ask(proposer, signer, requestOf([1, 77]));
    const position = requestOf([1, 77]).operations;
    const missing = toHex(position.slice(0, 32)) === toHex(idBytes(bodyOf(77).ref.opId)) ? [0] : [1];
    expect(answer).toEqual({ kind: 'refused', reason: 'not-held', missing });
  });

  it('gets none when it is not its turn', async () => {
    await turn();
    const turns = new Set<string>();
    for (let apart = -HEIGHT_APART_MAX; apart <= HEIGHT_APART_MAX; apart++) {
      const height = world.height() + apart;
      if (epochOf(height) !== epochOf(world.height())) continue;
      turns.add(proposerAt(height, rosterHash(world.roster()), world.roster())!);
    }
    const late = nodes.find(({ identity }) => !turns.has(identity.nodeId))!;
    const [one] = nodes.filter((node) => node !== late);
    expect(await ask(late, one!, requestOf([]))).toEqual({ kind: 'refused', reason: 'not-proposer' });
  });

  it('is not served without end', async () => {
    const { proposer, signer } = await turn();
    let last: AnchorAnswer | undefined;
    for (let i = 0; i < 300; i++) last = await ask(proposer, signer, requestOf([], { hash: new Uint8Array(32) }));
    expect(last).toEqual({ kind: 'refused', reason: 'too-many' });
  });
});

describe('what members say of anchors', () => {
  it('is answered to members only, and garbage with a reason', async () => {
    const [a] = nodes;
    const stranger = entryOf(rosterIdentity('stranger'));
    const request = encodeRequest({ kind: 'log-key', genesisId: world.genesisId });
    expect(decodeAnswer(await a.anchors.handle(stranger, request))).toEqual({
      kind: 'refused',
      reason: 'not-a-member',
    });
    for (const garbage of [new Uint8Array(0), new Uint8Array(300_000), utf8('garbage')]) {
      const answer = decodeAnswer(await a.anchors.handle(entryOf(nodes[1].identity), garbage));
      expect(answer).toEqual({ kind: 'refused', reason: 'malformed' });
    }
    const other = encodeRequest({ kind: 'log-key', genesisId: new Uint8Array(32) });
    expect(decodeAnswer(await a.anchors.handle(entryOf(nodes[1].identity), other))).toEqual({ kind: 'none' });
  });

  it('never shows the log key in what a node tells or says of itself', async () => {
    const record = decodeLogKey(nodes[0].disk.get('6b0000000000000000')!);
    const secret = toHex(record.key);
    for (const node of nodes) {
      const texts = [node.reports, node.anchors.status(), world.texts()].map((value) => JSON.stringify(value));
      for (const text of texts) expect(text).not.toContain(secret);
    }
  });

  it('about an operation is taken only if its id makes the tag', async () => {
    const [a, b, away] = nodes;
    await world.stop(away);
    for (const node of [a, b]) node.replica.give(bodyOf(1));
    await world.mine(41);
    // Both give another operation for every tag they are asked for.
    for (const liar of [a, b]) {
      const honest = liar.anchors.handle;
      liar.anchors = {
        ...liar.anchors,
        async handle(peer, payload) {
          const request = decodeRequest(payload);
          if (request.kind !== 'tags') return honest(peer, payload);
          const { encodeAnswer } = await import('../../../../src/replication/anchors/messages.ts');
          return encodeAnswer({ kind: 'refs', operations: packRefs([bodyOf(99).ref]), complete: false });
        },
      };
      liar.replica.give(bodyOf(99));
    }
    await world.start(away);
    await world.mine(10);
    expect(away.anchors.status().wanted).toBe(1);
    expect(away.replica.held.has(bodyOf(99).ref.opId)).toBe(false);
  });
});
