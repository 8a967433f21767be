import { beforeEach, describe, expect, it } from 'vitest';
import { ed25519PublicKey, ed25519Sign, sha256 } from '#crypto';
import { fromUtf8, utf8 } from '../../../src/core/bytes.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { Secret } from '../../../src/core/secret.ts';
import { commitToKey, dealIdOf, dealMessage, storeIdHashOf } from '../../../src/keyserver/deal.ts';
import {
  type Caller,
  type Custodian,
  createCustodian,
  createIncarnations,
  type MigrationPolicy,
  makeTicket,
  type RecoverContext,
} from '../../../src/keyserver/index.ts';
import {
  HEADER_BYTES_MAX,
  INCARNATION_STEP_MAX,
  OWNERS_MAX,
  OWNERS_PER_PLATFORM_MAX,
} from '../../../src/keyserver/limits.ts';
import type { CustodyAnswer, DepositRequest } from '../../../src/keyserver/messages.ts';
import { dropBelow, type Kept, newOwner, promote, replacePending, wipeOwner } from '../../../src/keyserver/owner.ts';
import type { HeaderView } from '../../../src/keyserver/ports.ts';
import { type OwnStore, prepareDeal } from '../../../src/keyserver/prepare-deal.ts';
import { seededRandom } from '../../support/seeded-random.ts';

/** A header as plain text: what is in it is what `readHeader` says. */
interface PlainHeader {
  nodeId: string;
  storeId: number[];
  keyEpoch: number;
  threshold: number;
  keyServers: string[];
  keyCommitment: number[];
  signatureValid: boolean;
}

const readHeader = (bytes: Uint8Array): HeaderView | undefined => {
  if (bytes[0] !== 0x7b) return undefined;
  const plain = JSON.parse(fromUtf8(bytes)) as PlainHeader;
  return {
    ...plain,
    nodeId: plain.nodeId as HeaderView['nodeId'],
    keyServers: plain.keyServers as unknown as HeaderView['keyServers'],
    storeId: Uint8Array.from(plain.storeId),
    keyCommitment: Uint8Array.from(plain.keyCommitment),
  };
};

const nodeOf = (seed: string) => {
  const secret = sha256(utf8(seed));
  return { secret, nodeId: nodeIdFromBytes(ed25519PublicKey(secret)) };
};
const owner = nodeOf('owner');
const self = nodeOf('self').nodeId;
const servers = [self, nodeOf('second').nodeId, nodeOf('third').nodeId];
const storeId = sha256(utf8('store'));
const storeIdHash = storeIdHashOf(storeId);
const bootKey = sha256(utf8('boot'));
const operatorSecret = Secret.own(sha256(utf8('operator')));

const caller = (over: Partial<Caller> = {}): Caller => ({
  nodeId: owner.nodeId,
  bootKey,
  incarnation: 1,
  platform: 'platform-a',
  operator: 'operator-a',
  ...over,
});

interface DealOptions {
  keyEpoch?: number;
  incarnation?: number;
  bootKey?: Uint8Array;
  base?: Uint8Array;
  by?: typeof owner;
  threshold?: number;
  keyServers?: readonly HeaderView['nodeId'][];
  seed?: string;
  header?: Partial<PlainHeader>;
  storeId?: Uint8Array;
  head?: { incarnation: number; sequence: number; hash: Uint8Array };
}

/** A deal and the deposit of its first share. */
function dealt(options: DealOptions = {}) {
  const { by = owner, keyEpoch = 1, threshold = 2, keyServers = servers } = options;
  const id = options.storeId ?? storeId;
  const store: OwnStore = {
    signHeader: (fields) =>
      utf8(
        JSON.stringify({
          nodeId: by.nodeId,
          storeId: [...id],
          keyEpoch: fields.keyEpoch,
          threshold: fields.threshold,
          keyServers: fields.keyServers.map(({ nodeId }) => nodeId),
          keyCommitment: [...commitToKey(fields.sealingKey)],
          signatureValid: true,
          ...options.header,
        } satisfies PlainHeader),
      ),
    sign: (message) => ed25519Sign(by.secret, message),
    writeHeader: async () => undefined,
    head: () => options.head,
  };
  const deal = prepareDeal(
    { random: seededRandom(options.seed ?? `deal ${keyEpoch}`), store },
    {
      owner: by.nodeId,
      storeId: id,
      incarnation: options.incarnation ?? 1,
      bootKey: options.bootKey ?? bootKey,
      keyEpoch,
      threshold,
      keyServers: keyServers.map((nodeId) => ({ nodeId, addresses: [] })),
      base: options.base,
    },
  );
  return { ...deal, deposit: deal.deposits[0]! };
}

let custodian: Custodian;
let height: number | undefined;
let free: boolean;
const migration: MigrationPolicy = {
  movesFreely: () => free,
  operatorKey: (operator) => (operator === 'operator-a' ? ed25519PublicKey(operatorSecret.expose()) : undefined),
  height: () => height,
};

beforeEach(() => {
  height = 100;
  free = false;
  custodian = createCustodian({ self, readHeader, incarnations: createIncarnations(), migration });
});

const deposit = (options: DealOptions = {}, over: Partial<Caller> = {}) =>
  custodian.answer(caller({ incarnation: options.incarnation ?? 1, ...over }), dealt(options).deposit);
const commit = (dealId: Uint8Array, over: Partial<Caller> = {}) =>
  custodian.answer(caller(over), { kind: 'commit', dealId });
const reasonOf = (answer: CustodyAnswer) => (answer.kind === 'refused' ? answer.reason : answer.kind);

function release(incarnation: number, over: Partial<RecoverContext> & { ticket?: Uint8Array } = {}) {
  const { ticket, ...rest } = over;
  const context: RecoverContext = { ...caller({ incarnation }), hpkeKey: bootKey, storeIdHash, ...rest };
  const { nodeId } = context;
  return custodian.release(context, {
    kind: 'release',
    nodeId,
    incarnation,
    storeIdHash: context.storeIdHash,
    ticket,
  });
}

const epochsOf = (answer: CustodyAnswer) =>
  answer.kind === 'released' ? answer.deals.map(({ header }) => readHeader(header)!.keyEpoch) : reasonOf(answer);

describe('deposits', () => {
  it('are pending until they are committed; repeating either changes nothing', () => {
    const { dealId } = dealt();
    expect(reasonOf(deposit())).toBe('deposited');
    expect(custodian.answer(caller(), { kind: 'probe' })).toEqual({
      kind: 'holding',
      current: undefined,
      pending: dealId,
    });
    expect(reasonOf(deposit())).toBe('deposited');
    expect(reasonOf(commit(dealId))).toBe('committed');
    expect(reasonOf(commit(dealId))).toBe('committed');
    expect(reasonOf(deposit())).toBe('deposited');
    expect(custodian.answer(caller(), { kind: 'probe' })).toEqual({
      kind: 'holding',
      current: dealId,
      pending: undefined,
    });
    expect(custodian.owners()).toEqual([
      { nodeId: owner.nodeId, keyEpoch: 1, threshold: 2, shares: 3, keyServers: servers, committed: true },
    ]);
  });

  it('keep the committed deal until the next is committed', () => {
    deposit();
    commit(dealt().dealId);
    deposit({ keyEpoch: 2 });
    expect(epochsOf(release(2))).toEqual([1, 2]);
    commit(dealt({ keyEpoch: 2 }).dealId, { incarnation: 2 });
    expect(epochsOf(release(3))).toEqual([2]);
  });

  it('commit the deal they are based on, whose commit got lost', () => {
    deposit();
    expect(reasonOf(deposit({ keyEpoch: 2, base: dealt().dealId }))).toBe('deposited');
    expect(epochsOf(release(2))).toEqual([1, 2]);
  });

  it('replace a pending deal they are not based on', () => {
    deposit();
    commit(dealt().dealId);
    deposit({ keyEpoch: 2 });
    deposit({ keyEpoch: 2, seed: 'again', base: dealt().dealId });
    expect(custodian.answer(caller(), { kind: 'probe' })).toEqual({
      kind: 'holding',
      current: dealt().dealId,
      pending: dealt({ keyEpoch: 2, seed: 'again' }).dealId,
    });
    expect(reasonOf(commit(dealt({ keyEpoch: 2 }).dealId))).toBe('unknown-deal');
  });

  it('of an earlier boot give way to those of a later one, whatever their epoch', () => {
    deposit();
    commit(dealt().dealId);
    deposit({ keyEpoch: 5 });
    expect(reasonOf(deposit({ keyEpoch: 3, incarnation: 2 }))).toBe('deposited');
    expect(epochsOf(release(3))).toEqual([1, 3]);
  });

  it('that arrive late are refused epoch-not-newer, with the epoch to exceed', () => {
    deposit({ keyEpoch: 3 });
    expect(deposit({ keyEpoch: 2 })).toEqual({ kind: 'refused', reason: 'epoch-not-newer', keyEpoch: 2 });
    commit(dealt({ keyEpoch: 3 }).dealId);
    expect(deposit({ keyEpoch: 3, seed: 'other' })).toEqual({
      kind: 'refused',
      reason: 'epoch-not-newer',
      keyEpoch: 3,
    });
  });

  it('are refused with what is wrong with them', () => {
    const { deposit: good, dealId } = dealt();
    const send = (over: Partial<DepositRequest>) => reasonOf(custodian.answer(caller(), { ...good, ...over }));
    expect(send({ header: utf8('no header') })).toBe('bad-header');
    expect(reasonOf(deposit({ header: { signatureValid: false } }))).toBe('bad-header');
    expect(send({ header: new Uint8Array(HEADER_BYTES_MAX + 1).fill(0x7b) })).toBe('too-large');
    expect(send({ index: 2 })).toBe('bad-shape');
    expect(send({ commitments: good.commitments.slice(1) })).toBe('bad-shape');
    expect(reasonOf(deposit({ threshold: 1 }))).toBe('bad-shape');
    expect(reasonOf(deposit({ threshold: 3 }))).toBe('bad-shape');
    expect(reasonOf(deposit({ keyServers: [self, servers[1]!, servers[1]!] }))).toBe('bad-shape');
    expect(reasonOf(deposit({ keyServers: [self, servers[1]!, owner.nodeId] }))).toBe('bad-shape');
    expect(reasonOf(deposit({ keyServers: [servers[1]!, self, servers[2]!] }))).toBe('bad-shape');
    expect(send({ signature: new Uint8Array(64) })).toBe('bad-signature');
    expect(send({ commitments: [good.commitments[0]!, good.commitments[0]!, good.commitments[2]!] })).toBe(
      'bad-signature',
    );
    expect(send({ share: Secret.own(new Uint8Array(32)) })).toBe('bad-share');
    expect(send({ head: { incarnation: 2, sequence: 1, hash: storeId } })).toBe('bad-head');
    expect(reasonOf(commit(dealId))).toBe('unknown-deal');
    expect(custodian.owners()).toEqual([]);
    expect(send({})).toBe('deposited');
  });

  it('of another node, boot or store are refused', () => {
    const stranger = nodeOf('stranger');
    expect(reasonOf(deposit({}, { nodeId: stranger.nodeId }))).toBe('not-your-header');
    // Recorded and sent again by a host for another boot or incarnation.
    expect(reasonOf(deposit({}, { bootKey: storeId }))).toBe('bad-signature');
    expect(reasonOf(deposit({}, { incarnation: 2 }))).toBe('bad-signature');
    deposit();
    expect(reasonOf(deposit({ keyEpoch: 2, storeId: sha256(utf8('another')) }))).toBe('wrong-store');
  });

  it('are bounded, as a whole and for each platform', () => {
    const from = (n: number, platform: string) =>
      reasonOf(deposit({ by: nodeOf(`owner ${n}`) }, { nodeId: nodeOf(`owner ${n}`).nodeId, platform }));
    for (let n = 0; n < OWNERS_PER_PLATFORM_MAX; n++) expect(from(n, 'one')).toBe('deposited');
    expect(from(90, 'one')).toBe('too-many-owners');
    for (let n = OWNERS_PER_PLATFORM_MAX; n < OWNERS_MAX; n++) from(n, `platform ${n}`);
    expect(custodian.owners()).toHaveLength(OWNERS_MAX);
    expect(from(1_000, 'new')).toBe('too-many-owners');
    expect(from(1, 'one')).toBe('deposited');
    custodian.forget(nodeOf('owner 2').nodeId);
    expect(from(90, 'one')).toBe('deposited');
  });
});

describe('releases', () => {
  beforeEach(() => {
    deposit({ head: { incarnation: 1, sequence: 7, hash: storeId } });
    commit(dealt().dealId);
  });

  it('go to any higher incarnation, once; the same attempt is answered alike', () => {
    const first = release(5);
    expect(first).toMatchObject({ kind: 'released', head: { incarnation: 1, sequence: 7 } });
    expect(epochsOf(first)).toEqual([1]);
    const again = release(5);
    expect(again.kind === 'released' && again.deals[0]!.share.equals(dealt().deposit.share)).toBe(true);
    expect(release(5, { hpkeKey: storeId })).toEqual({ kind: 'refused', reason: 'incarnation-taken', last: 5 });
    expect(release(5, { bootKey: storeId })).toEqual({ kind: 'refused', reason: 'incarnation-taken', last: 5 });
    expect(release(4)).toEqual({ kind: 'refused', reason: 'old-incarnation', last: 5 });
    expect(reasonOf(release(6, { bootKey: storeId }))).toBe('released');
  });

  it('give the incarnation of a running boot to nobody', () => {
    expect(release(1, { bootKey: storeId })).toEqual({ kind: 'refused', reason: 'incarnation-taken', last: 1 });
  });

  it('hand out copies: wiping one leaves the next whole', () => {
    const first = release(2);
    if (first.kind === 'released') first.deals[0]!.share.wipe();
    const second = release(2);
    expect(second.kind === 'released' && second.deals[0]!.share.wiped).toBe(false);
  });

  it('do not jump further than boots do', () => {
    expect(release(1 + INCARNATION_STEP_MAX + 1)).toEqual({ kind: 'refused', reason: 'incarnation-too-far', last: 1 });
    expect(reasonOf(release(1 + INCARNATION_STEP_MAX))).toBe('released');
  });

  it('need the store, the node and the request the quote was made for', () => {
    expect(reasonOf(release(2, { storeIdHash: sha256(utf8('a guess')) }))).toBe('wrong-store');
    expect(reasonOf(release(2, { nodeId: nodeOf('stranger').nodeId }))).toBe('unknown-owner');
    const context = { ...caller({ incarnation: 2 }), hpkeKey: bootKey, storeIdHash };
    const request = { kind: 'release', nodeId: owner.nodeId, incarnation: 2, storeIdHash } as const;
    expect(reasonOf(custodian.release(context, { ...request, incarnation: 3 }))).toBe('bad-request');
    expect(reasonOf(custodian.release(context, { ...request, storeIdHash: bootKey }))).toBe('bad-request');
    expect(reasonOf(custodian.release(context, { ...request, nodeId: self }))).toBe('bad-request');
    // Nothing of this fenced the owner.
    expect(reasonOf(commit(dealt().dealId))).toBe('committed');
  });

  it('stay on the platform, move freely within an operator that allows it, or need a ticket', () => {
    const moved = { platform: 'platform-b' };
    expect(reasonOf(release(2, moved))).toBe('platform');
    free = true;
    expect(reasonOf(release(2, { ...moved, operator: 'operator-b' }))).toBe('platform');
    expect(reasonOf(release(2, moved))).toBe('released');
    free = false;
    const ticketFor = (over: object, secret = operatorSecret) =>
      makeTicket(
        { nodeId: owner.nodeId, incarnation: 3, newPlatform: 'platform-b', expiryHeight: 100, ...over },
        secret,
      );
    const abroad = { platform: 'platform-b', operator: 'operator-b', bootKey: storeId };
    const tryTicket = (ticket: Uint8Array, over = {}) => reasonOf(release(3, { ...abroad, ticket, ...over }));
    expect(tryTicket(ticketFor({ incarnation: 2 }))).toBe('ticket');
    expect(tryTicket(ticketFor({ newPlatform: 'platform-c' }))).toBe('ticket');
    expect(tryTicket(ticketFor({ expiryHeight: 99 }))).toBe('ticket');
    expect(tryTicket(ticketFor({ nodeId: self }))).toBe('ticket');
    expect(tryTicket(ticketFor({}, Secret.own(sha256(utf8('another operator')))))).toBe('ticket');
    expect(tryTicket(utf8('no ticket'))).toBe('ticket');
    height = undefined;
    expect(tryTicket(ticketFor({}))).toBe('ticket');
    height = 100;
    expect(tryTicket(ticketFor({}))).toBe('released');
  });

  it('fence the boot before: its deposits, commits and probes are refused', () => {
    release(2, { bootKey: storeId });
    const fenced = { kind: 'refused', reason: 'fenced', last: 2 };
    expect(deposit({ keyEpoch: 2 })).toEqual(fenced);
    expect(commit(dealt().dealId)).toEqual(fenced);
    expect(custodian.answer(caller(), { kind: 'probe' })).toEqual(fenced);
    expect(custodian.answer(caller(), { kind: 'drop', keyEpoch: 9 })).toEqual(fenced);
    expect(epochsOf(release(2, { bootKey: storeId }))).toEqual([1]);
  });

  it('leave deposits to the boot they went to; a second boot of that number silences both', () => {
    release(2, { bootKey: storeId });
    const other = { keyEpoch: 2, incarnation: 2 };
    expect(reasonOf(deposit(other))).toBe('contested');
    expect(reasonOf(deposit({ ...other, bootKey: storeId }, { bootKey: storeId }))).toBe('contested');
    expect(reasonOf(release(2, { bootKey: storeId }))).toBe('incarnation-taken');
    expect(reasonOf(release(3, { bootKey: storeId }))).toBe('released');
    expect(reasonOf(deposit({ ...other, incarnation: 3, bootKey: storeId }, { bootKey: storeId }))).toBe('deposited');
  });
});

describe('the last incarnation', () => {
  it('is told to those who know the store', () => {
    const ask = (hash: Uint8Array, nodeId = owner.nodeId) =>
      custodian.answer(caller({ nodeId: self }), { kind: 'last', nodeId, storeIdHash: hash });
    expect(reasonOf(ask(storeIdHash))).toBe('unknown-owner');
    deposit();
    expect(ask(storeIdHash)).toEqual({ kind: 'last', incarnation: 1 });
    release(4);
    expect(ask(storeIdHash)).toEqual({ kind: 'last', incarnation: 4 });
    expect(reasonOf(ask(bootKey))).toBe('wrong-store');
  });
});

describe('heads', () => {
  it('only go up', () => {
    const probe = (sequence: number) =>
      custodian.answer(caller(), { kind: 'probe', head: { incarnation: 1, sequence, hash: bootKey } });
    deposit();
    for (const sequence of [5, 9, 7]) probe(sequence);
    expect(release(2)).toMatchObject({ head: { incarnation: 1, sequence: 9 } });
    expect(
      reasonOf(
        custodian.answer(caller({ incarnation: 2 }), {
          kind: 'probe',
          head: { incarnation: 3, sequence: 1, hash: bootKey },
        }),
      ),
    ).toBe('bad-head');
  });
});

describe('letting go', () => {
  it('drops deals below a key epoch, and the owner with the last', () => {
    deposit();
    commit(dealt().dealId);
    deposit({ keyEpoch: 3 });
    custodian.answer(caller(), { kind: 'drop', keyEpoch: 3 });
    expect(epochsOf(release(2))).toEqual([3]);
    expect(reasonOf(custodian.answer(caller({ incarnation: 2 }), { kind: 'drop', keyEpoch: 4 }))).toBe('dropped');
    expect(custodian.owners()).toEqual([]);
    expect(reasonOf(custodian.answer(caller({ incarnation: 2 }), { kind: 'drop', keyEpoch: 4 }))).toBe('dropped');
  });

  it('answers stopped once wiped, and probes of strangers with nothing', () => {
    expect(custodian.answer(caller(), { kind: 'probe' })).toEqual({ kind: 'holding' });
    deposit();
    custodian.wipe();
    custodian.wipe();
    expect(reasonOf(deposit())).toBe('stopped');
    expect(reasonOf(release(2))).toBe('stopped');
    expect(custodian.owners()).toEqual([]);
  });

  it('wipes every share that is replaced, dropped or given up', () => {
    const kept = (keyEpoch: number): Kept => ({
      ...dealt({ keyEpoch }).deposit,
      incarnation: 1,
      bootKey,
      dealId: bootKey,
      keyServers: servers,
      keyEpoch,
      threshold: 2,
    });
    const of = newOwner(caller(), storeIdHash);
    const deals = [1, 2, 3, 4, 5, 6].map(kept);
    const wiped = () => deals.filter(({ share }) => share.wiped).map(({ keyEpoch }) => keyEpoch);
    replacePending(of, deals[0]!);
    replacePending(of, deals[1]!);
    expect(wiped()).toEqual([1]);
    promote(of);
    replacePending(of, deals[2]!);
    expect(wiped()).toEqual([1]);
    promote(of);
    expect(wiped()).toEqual([1, 2]);
    replacePending(of, deals[3]!);
    dropBelow(of, 4);
    expect(wiped()).toEqual([1, 2, 3]);
    promote(of);
    replacePending(of, deals[4]!);
    wipeOwner(of);
    expect(wiped()).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('a deal', () => {
  it('is named by header and commitments, and signed for one boot', () => {
    const { header, commitments } = dealt().deposit;
    const id = dealIdOf(header, commitments);
    expect(dealIdOf(header, commitments.toReversed())).not.toEqual(id);
    expect(dealMessage(id, { incarnation: 1, bootKey })).not.toEqual(dealMessage(id, { incarnation: 2, bootKey }));
  });
});
