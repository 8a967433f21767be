import { describe, expect, it } from 'vitest';
import { type Wallet, walletKeys } from '../../../src/client/index.ts';
import type { Operation } from '../../../src/core/registration/operation.ts';
import { createDevnet } from '../../../src/devnet/index.ts';
import { TAKE_IN_MAX } from '../../../src/node/registrations/limits.ts';
import { registrationShape } from '../../../src/node/registrations/record.ts';
import type { Incoming } from '../../../src/node/registrations/registrations.ts';
import type { BatchFate } from '../../../src/node/store/index.ts';
import { seededUser, userOf } from '../../support/node-user.ts';
import { madeUpLines, replayOf } from '../../support/replay.ts';
import { codeOf } from '../../support/sealed-store.ts';
import { testCluster } from '../../support/test-cluster.ts';
import { createTestDisk } from '../../support/test-disk.ts';
import { createTestNode, type TestNodeOptions } from '../../support/test-node.ts';

const LINES = madeUpLines(100, 40).filter(({ flags }) => flags === null);
const anna = seededUser('anna', 3);
const boris = seededUser('boris', 3);

async function readyNode(options: Partial<TestNodeOptions> = {}) {
  const test = createTestNode({ devnet: createDevnet({ replay: replayOf(LINES) }), ...options });
  await test.ready();
  const running = test.node.running!;
  const { registrations, store, engine, indexSets } = running;
  const kept = async () => {
    const records: unknown[] = [];
    for await (const [, { base, renewal, keys }] of store.namespace('registrations', registrationShape).entries()) {
      records.push([base?.opId, renewal?.opId, keys?.dataKey]);
    }
    return records;
  };
  return {
    ...test,
    registrations,
    takeIn: (...items: Incoming[]) => test.clock.settle(registrations.takeIn(items)),
    batches: () => store.head.batchSeq,
    counts: () => [registrations.counts.held, registrations.counts.known, engine.stats.keys, indexSets.size],
    kept,
    tip: test.node.service.node().heights.chain,
  };
}

const keysPayload = (wallet: Wallet) => ({ kind: 'keys', ...walletKeys(wallet) }) as const;
const kinds = (answers: readonly { kind: string; reason?: string }[]) =>
  answers.map(({ kind, reason }) => reason ?? kind);

describe('operations from elsewhere', () => {
  it('are taken in one commit, each answered for itself, and known the second time', async () => {
    const test = await readyNode();
    const [a, b] = [userOf(test, anna), userOf(test, boris)];
    const { tip } = test;
    const items: Incoming[] = [
      {
        operation: a.sign({ type: 'register', version: tip - 5, birthday: 0, expiryHeight: tip + 100 }),
        payload: keysPayload(anna.wallet),
      },
      { operation: a.sign({ type: 'renew', version: tip - 4, expiryHeight: tip + 300 }) },
      {
        operation: b.sign({ type: 'register', version: tip - 5, birthday: 0, expiryHeight: tip + 100 }),
        payload: keysPayload(boris.wallet),
      },
      { operation: b.sign({ type: 'revoke', version: tip - 3 }) },
      { operation: a.sign({ type: 'renew', version: tip - 6, expiryHeight: tip + 50 }) },
    ];
    const before = test.batches();
    expect(kinds(await test.takeIn(...items))).toEqual(['taken', 'taken', 'taken', 'taken', 'known']);
    expect(test.batches()).toBe(before + 1);
    expect(await a.status()).toMatchObject({ status: 'confirmed', expiryHeight: tip + 300 });
    expect(await b.status()).toMatchObject({ status: 'revoked' });
    expect(test.counts()).toEqual([1, 2, 1, 1]);
    const kept = await test.kept();
    const again = await test.takeIn(...items);
    expect(kinds(again)).toContain('known');
    expect(await test.kept()).toEqual(kept);
    expect(test.counts()).toEqual([1, 2, 1, 1]);
    await test.until(() => test.node.running!.detector.detected === tip);
    for (let i = 0; ((await a.read())?.syncedTo ?? -1) < tip && i < 100; i++) await test.clock.advance(1_000);
    expect((await a.read())?.syncedTo).toBe(tip);
  });

  it('come to the same in whatever order and batches', async () => {
    const disks: unknown[] = [];
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [2, 0, 3, 1],
    ]) {
      const test = await readyNode();
      const a = userOf(test, anna);
      const { tip } = test;
      const items: Incoming[] = [
        {
          operation: a.sign({ type: 'register', version: tip - 9, birthday: 0, expiryHeight: tip + 100 }),
          payload: keysPayload(anna.wallet),
        },
        { operation: a.sign({ type: 'renew', version: tip - 5, expiryHeight: tip + 400 }) },
        {
          operation: a.sign({ type: 'register', version: tip - 7, birthday: 105, expiryHeight: tip + 100 }),
          payload: keysPayload(anna.wallet),
        },
        { operation: a.sign({ type: 'renew', version: tip - 6, expiryHeight: tip + 300 }) },
      ];
      const [first, ...rest] = order.map((i) => items[i]!);
      await test.takeIn(first!);
      await test.takeIn(...rest);
      expect(test.counts()).toEqual([1, 1, 1, 1]);
      expect(await a.status()).toMatchObject({ status: 'confirmed', expiryHeight: tip + 400 });
      expect(test.registrations.standing(a.id)).toMatchObject({ birthday: 105 });
      disks.push(await test.kept());
    }
    expect(disks[1]).toEqual(disks[0]);
    expect(disks[2]).toEqual(disks[0]);
  });

  it('are refused one by one, as those of any member', async () => {
    const cluster = testCluster({ limits: { registrationsMax: 100, lifetimeBlocksMax: 5_000 } });
    const test = await readyNode({ cluster });
    const [a, b] = [userOf(test, anna), userOf(test, boris)];
    const { tip } = test;
    const register = { type: 'register', version: tip, birthday: 0, expiryHeight: tip + 100 } as const;
    const good = a.sign(register);
    const forged: Operation = { ...good, signature: good.signature.map((byte, i) => (i ? byte : byte ^ 1)) };
    const answers = await test.takeIn(
      { operation: forged, payload: keysPayload(anna.wallet) },
      { operation: a.sign(register, testCluster({ confirmations: 2 }).id), payload: keysPayload(anna.wallet) },
      { operation: a.sign({ ...register, expiryHeight: tip + 5_001 }), payload: keysPayload(anna.wallet) },
      { operation: a.sign({ ...register, version: tip + 11 }), payload: keysPayload(anna.wallet) },
      { operation: good, payload: keysPayload(boris.wallet) },
      { operation: a.sign({ type: 'revoke', version: tip }), payload: keysPayload(anna.wallet) },
      { operation: b.sign(register), payload: keysPayload(boris.wallet) },
    );
    expect(kinds(answers)).toEqual([
      'wrong-signature',
      'other-cluster',
      'expiry-too-far',
      'version-in-future',
      'wrong-payload',
      'payload-unexpected',
      'taken',
    ]);
    expect(await a.status()).toBeUndefined();
    expect(test.counts()).toEqual([1, 1, 1, 1]);
  });

  it('count without their keys, are not served, and are once the keys come', async () => {
    const test = await readyNode();
    const a = userOf(test, anna);
    const { tip } = test;
    const operation = a.sign({ type: 'register', version: tip, birthday: 0, expiryHeight: tip + 100 });
    expect(kinds(await test.takeIn({ operation }))).toEqual(['taken']);
    expect(test.counts()).toEqual([0, 1, 0, 0]);
    expect(await a.ask()).toBeUndefined();
    expect(kinds(await test.takeIn({ operation, payload: keysPayload(anna.wallet) }))).toEqual(['taken']);
    expect(test.counts()).toEqual([1, 1, 1, 1]);
    expect(await a.ask()).toBeDefined();
    const older = a.sign({ type: 'register', version: tip + 1, birthday: 110, expiryHeight: tip + 100 });
    expect(kinds(await test.takeIn({ operation: older }))).toEqual(['taken']);
    expect(test.counts()).toEqual([1, 1, 1, 1]);
    await test.until(() => test.node.running!.detector.detected === tip);
    expect((await a.read())?.birthday).toBe(110);
  });

  it('do not bring back what was revoked, nor the keys of what has expired', async () => {
    const test = await readyNode();
    const [a, b] = [userOf(test, anna), userOf(test, boris)];
    const { tip } = test;
    await a.register({ version: tip - 2 });
    await a.revoke(tip);
    const answers = await test.takeIn(
      {
        operation: a.sign({ type: 'register', version: tip - 1, birthday: 0, expiryHeight: tip + 100 }),
        payload: keysPayload(anna.wallet),
      },
      {
        operation: b.sign({ type: 'register', version: tip - 9, birthday: 0, expiryHeight: tip - 5 }),
        payload: keysPayload(boris.wallet),
      },
    );
    expect(kinds(answers)).toEqual(['known', 'taken']);
    expect(await a.status()).toMatchObject({ status: 'revoked' });
    expect(await b.status()).toMatchObject({ status: 'expired' });
    expect(test.counts()).toEqual([0, 2, 0, 0]);
  });

  it('stop at what the cluster may hold; a revoke still counts', async () => {
    const cluster = testCluster({ limits: { registrationsMax: 1, lifetimeBlocksMax: 5_000 } });
    const test = await readyNode({ cluster });
    const { tip } = test;
    const users = Array.from({ length: 7 }, (_, i) => seededUser(`user ${i}`, 3));
    const of = (i: number) => userOf(test, users[i]!);
    const register = { type: 'register', version: tip, birthday: 0, expiryHeight: tip + 100 } as const;
    const brought = (i: number) => ({ operation: of(i).sign(register), payload: keysPayload(users[i]!.wallet) });
    expect(kinds(await test.takeIn(brought(0), brought(1)))).toEqual(['taken', 'full']);
    expect(await of(1).status()).toBeUndefined();
    const revokes = [1, 2, 3, 4, 5].map((i) => ({ operation: of(i).sign({ type: 'revoke', version: tip }) }));
    expect(kinds(await test.takeIn(...revokes))).toEqual(['taken', 'taken', 'taken', 'taken', 'full']);
    expect(test.counts()).toEqual([1, 5, 1, 1]);
  });

  it('have not happened, all of them, when the disk is full', async () => {
    let fate: BatchFate = 'written';
    const test = await readyNode({ disk: createTestDisk({ sealed: { onBatch: () => fate } }) });
    const [a, b] = [userOf(test, anna), userOf(test, boris)];
    const { tip } = test;
    await a.register({ version: tip - 3 });
    const items: Incoming[] = [
      { operation: a.sign({ type: 'revoke', version: tip - 2 }) },
      {
        operation: a.sign({ type: 'register', version: tip - 1, birthday: 107, expiryHeight: tip + 100 }),
        payload: keysPayload(anna.wallet),
      },
      {
        operation: b.sign({ type: 'register', version: tip, birthday: 0, expiryHeight: tip + 100 }),
        payload: keysPayload(boris.wallet),
      },
    ];
    fate = 'full';
    expect(await codeOf(test.takeIn(...items))).toBe('store-full');
    expect(await a.status()).toMatchObject({ status: 'confirmed', expiryHeight: tip - 3 + 1_000 });
    expect(await b.status()).toBeUndefined();
    expect(test.counts()).toEqual([1, 1, 1, 1]);
    expect(test.registrations.standing(a.id)).toMatchObject({ birthday: 0 });
    fate = 'written';
    expect(kinds(await test.takeIn(...items))).toEqual(['taken', 'taken', 'taken']);
    expect(test.registrations.standing(a.id)).toMatchObject({ birthday: 107 });
    expect(test.counts()).toEqual([2, 2, 2, 2]);
  });

  it('are not taken in crowds', async () => {
    const test = await readyNode();
    const operation = userOf(test, anna).sign({ type: 'revoke', version: test.tip });
    const crowd = Array.from({ length: TAKE_IN_MAX + 1 }, () => ({ operation }));
    expect(await codeOf(test.takeIn(...crowd))).toBe('too-many-operations');
    expect(test.counts()).toEqual([0, 0, 0, 0]);
  });
});
