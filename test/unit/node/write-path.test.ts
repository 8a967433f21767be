import { describe, expect, it } from 'vitest';
import { ed25519PublicKey } from '#crypto';
import {
  createWallet,
  type Wallet,
  walletKeys,
  walletPayload,
  walletRegistrationId,
} from '../../../src/client/index.ts';
import { fromBase64Url, toBase64Url } from '../../../src/core/bytes.ts';
import { confirmationBy, decodeCertificate, encodeCertificate } from '../../../src/core/certificate.ts';
import { hpkeGenerateKeyPair } from '../../../src/core/hpke.ts';
import { clusterIdFromBytes, type NodeId, nodeIdFromBytes, type OpId, regIdFromBytes } from '../../../src/core/ids.ts';
import { type Operation, operationId, signOperation } from '../../../src/core/registration/operation.ts';
import { innerHash } from '../../../src/core/registration/payload.ts';
import { encodeSubmission } from '../../../src/core/registration/submission.ts';
import { sealRequest, toSealedBox } from '../../../src/core/sealed-request.ts';
import { createOwnReceipts } from '../../../src/node/own-receipts.ts';
import type { Submitted } from '../../../src/node/registrations/registrations.ts';
import { createWritePath } from '../../../src/node/write-path.ts';
import type { OperationRef, Standing } from '../../../src/replication/index.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { codeOf, rejectionOf } from '../../support/outcome.ts';
import {
  batchReceiptOf,
  entriesOf,
  operationNamed,
  receiptBytes,
  type Signer,
  signerNamed,
} from '../../support/receipts.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { testCluster } from '../../support/test-cluster.ts';

const cluster = testCluster();
const [me, b, c] = ['me', 'b', 'c'].map((name) => signerNamed(name)) as [Signer, Signer, Signer];
const random = seededRandom('write path');
const wallet: Wallet = createWallet({ random }, { n: 2 });
const id = walletRegistrationId(wallet);
const operation: Operation = signOperation(wallet.authSecret, {
  type: 'register',
  clusterId: cluster.id,
  inner: innerHash(walletKeys(wallet)),
  version: 100,
  birthday: 0,
  expiryHeight: 500,
});
const ref: OperationRef = { regId: id, opId: operationId(operation) };

function bench(
  given: {
    members?: readonly Signer[];
    outcome?: Submitted;
    standing?: Standing;
    holding?: NodeId[];
    rollback?: boolean;
    full?: boolean;
  } = {},
) {
  const { members = [me, b, c], holding = [me.nodeId] } = given;
  const clock = createManualClock();
  const hpkeKeyPair = hpkeGenerateKeyPair(random);
  const asked: OperationRef[] = [];
  const wanted: [OperationRef, readonly NodeId[]][] = [];
  const answered: [string, number][] = [];
  const path = createWritePath({
    clock,
    random,
    cluster,
    nodeId: me.nodeId,
    hpkeKeyPair,
    registrations: {
      submit: async () =>
        given.outcome ?? { kind: 'taken', ...ref, expiryHeight: 500, repeated: false, origin: undefined },
      standing: () => given.standing ?? { kind: 'unknown' },
    },
    roster: () => entriesOf(members),
    receipt: (opIds) => (given.rollback ? undefined : batchReceiptOf(me, opIds, cluster.id)),
    holding: async () => holding,
    ask: (refs) => void asked.push(...refs),
    want: (what, holders) => !given.full && wanted.push([what, holders]) > 0,
    onAnswered: (outcome, afterMs) => void answered.push([outcome, afterMs]),
  });
  const give = (signer: Signer) =>
    path.confirmations.noteReceipts(signer.nodeId, [ref], batchReceiptOf(signer, [ref.opId], cluster.id));
  const send = (call = new AbortController().signal) => {
    const context = { clusterId: cluster.id, nodeId: me.nodeId, kind: 'register' } as const;
    const submission = encodeSubmission({ operation, payload: walletPayload(wallet) });
    const { request } = sealRequest({ random }, hpkeKeyPair.publicKey, context, submission);
    return path.operations.carryOut('register', undefined, toSealedBox(request), { signal: call });
  };
  return { clock, path, give, send, asked, wanted, answered };
}

const shows = (receipts: readonly string[], members = [me, b, c]) =>
  confirmationBy(receipts.map(fromBase64Url), { clusterId: cluster.id, opId: ref.opId }, entriesOf(members), 0);

describe('an operation of a user', () => {
  it('is confirmed, with a certificate, as soon as a quorum has it', async () => {
    const { clock, give, send, answered } = bench();
    const answer = send();
    await clock.advance(30);
    give(c);
    const { status, receipts, certificate } = await answer;
    expect([status, clock.monotonic()]).toEqual(['confirmed', 30]);
    expect(answered).toEqual([['confirmed', 30]]);
    expect(shows(receipts)).toMatchObject({ filled: true, nodeIds: [me.nodeId, c.nodeId] });
    const read = decodeCertificate(fromBase64Url(certificate!));
    expect({ ...read, receipts: read.receipts.map(toBase64Url) }).toEqual({ clusterId: cluster.id, ...ref, receipts });
  });

  it('is pending with the receipts so far after five seconds, and nothing else', async () => {
    const { clock, send, answered } = bench();
    const answer = await clock.settle(send());
    expect(answered).toEqual([['pending', 5_000]]);
    expect(answer).toMatchObject({ id, status: 'pending', expiryHeight: 500 });
    expect([answer.certificate, clock.monotonic()]).toEqual([undefined, 5_000]);
    expect(shows(answer.receipts)).toMatchObject({ filled: false, nodeIds: [me.nodeId] });
  });

  it('has no receipt of a node that may give none', async () => {
    const { clock, give, send } = bench({ rollback: true });
    const answer = send();
    await clock.advance(10);
    give(b);
    const { status, receipts } = await clock.settle(answer);
    expect([status, shows(receipts).nodeIds]).toEqual(['pending', [b.nodeId]]);
  });

  it('asks the others again if it was held before', async () => {
    const { clock, give, send, asked } = bench({
      outcome: { kind: 'taken', ...ref, expiryHeight: 500, repeated: true, origin: undefined },
    });
    const answer = send();
    await clock.advance(100);
    expect(asked).toEqual([ref]);
    give(b);
    expect((await answer).status).toBe('confirmed');
  });

  it('that is refused, or does not fit, is answered at once', async () => {
    const refused = bench({ outcome: { kind: 'refused', reason: 'superseded', detail: 'x' } });
    expect((await rejectionOf(refused.send()))?.code).toBe('superseded');
    const full = bench({ outcome: { kind: 'full', detail: 'x' } });
    expect((await rejectionOf(full.send()))?.code).toBe('registrations-full');
    expect(full.clock.monotonic()).toBe(0);
  });

  it('is not waited for any longer when its user is gone, or the node stops', async () => {
    const { path, send } = bench();
    const user = new AbortController();
    const gone = rejectionOf(send(user.signal));
    await Promise.resolve();
    user.abort();
    expect((await gone)?.code).toBe('aborted');
    const left = send();
    path.confirmations.end();
    expect((await left).status).toBe('pending');
  });
});

describe('the own receipts', () => {
  it('of all that one sync made durable have one signature', async () => {
    const batches: number[] = [];
    const receipts = createOwnReceipts((opIds) => {
      batches.push(opIds.length);
      return batchReceiptOf(me, opIds, cluster.id);
    });
    const synced = Promise.resolve();
    const names = Array.from({ length: 1_100 }, (_, i) => operationNamed(`${i}`));
    const given = await Promise.all(names.map((opId) => synced.then(() => receipts.of(opId))));
    expect(batches).toEqual([1_024, 76]);
    expect(given.every((receipt) => receipt !== undefined)).toBe(true);
    expect([given[5]!.index, given[1_024 + 3]!.index]).toEqual([5, 3]);
  });

  it('fail one and all if they cannot be signed, and are given again afterwards', async () => {
    let broken = true;
    const receipts = createOwnReceipts((opIds: readonly OpId[]) => {
      if (broken) throw new Error('no key');
      return batchReceiptOf(me, opIds, cluster.id);
    });
    const [first, second] = await Promise.allSettled(['1', '2'].map((name) => receipts.of(operationNamed(name))));
    expect([first?.status, second?.status]).toEqual(['rejected', 'rejected']);
    broken = false;
    expect(await receipts.of(operationNamed('3'))).toMatchObject({ count: 1 });
  });
});

describe('the state of a registration', () => {
  const open: Standing = { kind: 'open', birthday: 0, expiryHeight: 500 };
  it.each<[string, NodeId[], string, number]>([
    ['this node alone', [me.nodeId], 'pending', 1],
    ['a majority', [me.nodeId, b.nodeId], 'confirmed', 2],
    [
      'somebody who is no member besides',
      [me.nodeId, nodeIdFromBytes(ed25519PublicKey(new Uint8Array(32)))],
      'pending',
      1,
    ],
    ['nobody that counts', [], 'pending', 0],
  ])('with %s having it', async (_name, holding, status, confirmations) => {
    expect(await bench({ standing: open, holding }).path.status(id)).toEqual({
      id,
      status,
      expiryHeight: 500,
      confirmations,
    });
  });

  it('that ended, or is unknown, is not pending', async () => {
    const statusOf = async (given: Parameters<typeof bench>[0]) => (await bench(given).path.status(id))?.status;
    expect(await statusOf({ standing: { kind: 'expired', birthday: 0, expiryHeight: 9 } })).toBe('expired');
    expect(await statusOf({ standing: { kind: 'revoked', expiryHeight: 9 } })).toBe('revoked');
    expect(await statusOf({})).toBeUndefined();
    expect(await statusOf({ standing: open, members: [me] })).toBe('confirmed');
  });
});

describe('a certificate shown to a node', () => {
  const receiptOf = (signer: Signer, opId = ref.opId, of = cluster.id) => receiptBytes(signer, opId, of);
  const certificateOf = (over: Partial<Parameters<typeof encodeCertificate>[0]> = {}) =>
    toBase64Url(encodeCertificate({ clusterId: cluster.id, ...ref, receipts: [receiptOf(c), receiptOf(b)], ...over }));

  it('has the registration fetched from the holders it names, in its order', () => {
    const { path, wanted } = bench();
    expect(path.presentCertificate(id, certificateOf())).toEqual({ id, status: 'wanted' });
    expect(wanted).toEqual([[ref, [c.nodeId, b.nodeId]]]);
  });

  it('changes nothing where the registration is known, also if it has ended', () => {
    const { path, wanted } = bench({ standing: { kind: 'revoked', expiryHeight: 9 } });
    expect(path.presentCertificate(id, certificateOf({ receipts: [new Uint8Array(3)] }))).toEqual({
      id,
      status: 'known',
    });
    expect(wanted).toEqual([]);
  });

  it('counts for nothing when forged, foreign, for something else, or when too much is wanted', () => {
    const { path, wanted } = bench();
    const refusal = (encoded: string) => codeOf(() => path.presentCertificate(id, encoded));
    const elsewhere = clusterIdFromBytes(new Uint8Array(32));
    expect(refusal('AAAA')).toBe('bad-certificate');
    expect(refusal('!')).toBe('bad-certificate');
    expect(refusal(certificateOf({ clusterId: elsewhere }))).toBe('other-cluster');
    expect(refusal(certificateOf({ regId: regIdFromBytes(new Uint8Array(32)) }))).toBe('wrong-registration');
    expect(refusal(certificateOf({ opId: operationNamed('other') }))).toBe('no-holder');
    expect(refusal(certificateOf({ receipts: [receiptOf(signerNamed('stranger'))] }))).toBe('no-holder');
    expect(refusal(certificateOf({ receipts: [receiptOf(b, ref.opId, elsewhere)] }))).toBe('no-holder');
    expect(refusal(certificateOf({ receipts: [receiptOf({ ...b, secret: c.secret })] }))).toBe('no-holder');
    expect(wanted).toEqual([]);
    expect(codeOf(() => bench({ full: true }).path.presentCertificate(id, certificateOf()))).toBe('wants-full');
  });
});
