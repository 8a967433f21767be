import { describe, expect, it } from 'vitest';
import { type Cluster, createCluster } from '../../../src/attestation/index.ts';
import { judgeReceipts } from '../../../src/client/confirmation.ts';
import { registerWallet } from '../../../src/client/index.ts';
import { clusterIdFromBytes, type OpId } from '../../../src/core/ids.ts';
import { cluster, type Deviations } from '../../support/fake-node.ts';
import { operationNamed, receiptBytes, type Signer, signerNamed } from '../../support/receipts.ts';
import { createBench, wallet } from '../../support/wallet-client.ts';

const { signal } = new AbortController();
const [b, c, d, e] = ['b', 'c', 'd', 'e'].map((name) => signerNamed(name)) as [Signer, Signer, Signer, Signer];

async function registered(deviations: Deviations, how: { platformsMin?: number; waitMs?: number } = {}) {
  const { clock, node } = createBench();
  const on = node(deviations);
  return { made: await clock.settle(registerWallet(on, cluster, wallet, { signal, ...how })), ...on };
}
const valid = (opId: OpId, ...signers: readonly Signer[]) =>
  signers.map((signer) => receiptBytes(signer, opId, cluster.id));

describe('a client believes confirmed', () => {
  it('of receipts of a majority of the roster in the quote, and keeps them', async () => {
    const { made } = await registered({ members: [b, c], receipts: (opId, [own]) => valid(opId, own!, c) });
    expect(made).toMatchObject({ status: 'confirmed', unbacked: false, needed: 2 });
    expect(made.kept).toEqual({
      certificate: { clusterId: cluster.id, regId: made.id, opId: made.opId, receipts: made.receipts },
      type: 'register',
      expiryHeight: made.expiryHeight,
      birthday: wallet.birthday,
    });
    expect(made.receipts.length).toBe(2);
  });

  it('of a cluster of one that may be alone, said as unbacked, and not if asked for more', async () => {
    expect((await registered({})).made).toMatchObject({ status: 'confirmed', unbacked: true, needed: 1 });
    const strict = await registered({}, { platformsMin: 2 });
    expect(strict.made).toMatchObject({ status: 'pending', unbacked: false, kept: undefined });
  });

  it('of as many as it asks for itself, whatever the node says', async () => {
    const members = { members: [b, c], receipts: (opId: OpId, [own]: readonly Signer[]) => valid(opId, own!, b) };
    expect((await registered(members, { platformsMin: 3 })).made).toMatchObject({ status: 'pending', needed: 3 });
    const all = { members: [b, c] };
    expect((await registered(all, { platformsMin: 3 })).made).toMatchObject({ status: 'confirmed', needed: 3 });
  });

  it('of what several answers come to together', async () => {
    let answers = 0;
    const { made, node } = await registered(
      { members: [b, c], receipts: (opId, [own]) => (answers++ === 0 ? valid(opId, b) : valid(opId, own!)) },
      { waitMs: 30_000 },
    );
    expect([made.status, made.receipts.length, node.received.length]).toEqual(['confirmed', 2, 2]);
  });
});

describe('a client does not believe confirmed', () => {
  const own = (opId: OpId, signers: readonly Signer[]) => valid(opId, signers[0]!);
  const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length - 5 ? byte ^ 1 : byte));
  const attacks: [string, Deviations['receipts']][] = [
    ['no receipts', () => []],
    ['too few', own],
    ['forged ones', (opId, all) => [...own(opId, all), ...valid(opId, b, c, d).map(flipped)]],
    ['bytes that are none', (opId, all) => [...own(opId, all), Uint8Array.of(1, 2, 3)]],
    ['ones of somebody who is no member', (opId, all) => [...own(opId, all), ...valid(opId, e, signerNamed('f'))]],
    ['the same one several times', (opId, all) => [...own(opId, all), ...own(opId, all), ...own(opId, all)]],
    ['ones for another operation', (opId, all) => [...own(opId, all), ...valid(operationNamed('other'), b, c, d)]],
    [
      'ones of another cluster',
      (opId, all) => [
        ...own(opId, all),
        ...[b, c, d].map((signer) => receiptBytes(signer, opId, clusterIdFromBytes(new Uint8Array(32)))),
      ],
    ],
    [
      'ones of members under the key of another',
      (opId, all) => [...own(opId, all), ...valid(opId, { ...b, secret: e.secret })],
    ],
  ];
  it.each(attacks)('of %s', async (_name, receipts) => {
    const { made } = await registered({ members: [b, c, d], ...(receipts ? { receipts } : {}) });
    expect(made).toMatchObject({ status: 'pending', needed: 3, kept: undefined });
    expect(made.receipts.length).toBeLessThanOrEqual(1);
  });

  it('of one platform twice, or of one operator where there are three', async () => {
    const twins = [signerNamed('b'), signerNamed('twin 1', 'b'), signerNamed('twin 2', 'b')];
    const twice = await registered({ members: [...twins, c, d], receipts: (opId) => valid(opId, ...twins) });
    expect([twice.made.status, twice.made.receipts.length]).toEqual(['pending', 1]);
    const one = ['1', '2', '3'].map((name) => signerNamed(name, name, 'one'));
    const alone = await registered({ members: [...one, c], receipts: (opId) => valid(opId, ...one) });
    expect(alone.made).toMatchObject({ status: 'pending', needed: 3 });
    expect(alone.made.receipts.length).toBe(3);
  });

  it('of fewer than the cluster configuration asks for', async () => {
    const strict = createCluster({ ...cluster.configuration, confirmations: 3 });
    expect(judged(strict, [b, c])).toMatchObject({ status: 'pending', needed: 3 });
    expect(judged(strict, [b, c, d])).toMatchObject({ status: 'confirmed', needed: 3 });
    const backed = createCluster({ ...cluster.configuration, allowUnbacked: false });
    expect(judged(backed, [b], [b])).toMatchObject({ status: 'pending', unbacked: false, needed: 2 });
  });
});

function judged(under: Cluster, signers: readonly Signer[], roster: readonly Signer[] = [b, c, d]) {
  const opId = operationNamed('judged');
  const receipts = signers.map((signer) => receiptBytes(signer, opId, under.id));
  return judgeReceipts(receipts, opId, { cluster: under, roster }, undefined);
}
