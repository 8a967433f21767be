import { describe, expect, it } from 'vitest';
import { fromBase64Url, utf8 } from '../../../src/core/bytes.ts';
import { encodeCbor } from '../../../src/core/cbor.ts';
import { hpkeGenerateKeyPair } from '../../../src/core/hpke.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { type RequestContext, sealRequest, toSealedBox } from '../../../src/core/sealed-request.ts';
import { Secret } from '../../../src/core/secret.ts';
import {
  encodeRecoveryShare,
  openRecoveryShare,
  type RecoveryShare,
  storeIdHashOf,
  wrapToRecoveryKeys,
} from '../../../src/keyserver/index.ts';
import { PROBLEMS } from '../../../src/node/http/problems.ts';
import {
  createMemoryDisk,
  openSealedStoreWithDataKey,
  readHeader,
  type StoreHeader,
  signHeader,
} from '../../../src/node/store/index.ts';
import { createTotalRestart } from '../../../src/node/total-restart.ts';
import { recordingLog } from '../../support/node-service.ts';
import { rejectionOf } from '../../support/outcome.ts';
import { forgeKeyCommitment, recoveryBench } from '../../support/recovery.ts';
import { headerFor, itemShape, makeStore, testDeps, testNode } from '../../support/sealed-store.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom('total restart');
const call = { signal: new AbortController().signal };

function headerOf(bench: Pick<ReturnType<typeof recoveryBench>, 'context' | 'storeId' | 'wrapped'>): StoreHeader {
  const { clusterId, nodeId } = bench.context;
  return {
    clusterId,
    nodeId,
    storeId: bench.storeId,
    keyEpoch: 1,
    threshold: 0,
    keyServers: [],
    keyCommitment: new Uint8Array(32),
    wrappedDataKey: new Uint8Array(72),
    recoveryWrappedDataKey: bench.wrapped,
  };
}

/** A node that waits for the key of the bench's store, and holders who send to it. */
function restarting(bench = recoveryBench({ threshold: 2, keys: 3 }), header = headerOf(bench)) {
  const hpkeKeyPair = hpkeGenerateKeyPair(random);
  const nodeId = nodeIdFromBytes(random.bytes(32));
  const { clusterId } = bench.context;
  const { log, lines } = recordingLog();
  const restart = createTotalRestart({ random, log, clusterId, nodeId: () => nodeId, hpkeKeyPair });
  const controller = new AbortController();
  const key = restart.waitForKey(header, { signal: controller.signal });
  async function send(plaintext: Uint8Array, over: Partial<RequestContext> = {}) {
    const context = { clusterId, nodeId, kind: 'recover', ...over } as const;
    const { request, openAnswer } = sealRequest({ random }, hpkeKeyPair.publicKey, context, plaintext);
    const { sealed, ...answer } = await restart.enterRecoveryShare(toSealedBox(request), call);
    const opened = openAnswer({ nonce: fromBase64Url(sealed.nonce), ciphertext: fromBase64Url(sealed.ciphertext) });
    expect(opened).toEqual(encodeCbor({ ...answer }));
    return answer;
  }
  const enter = (share: RecoveryShare) => send(encodeRecoveryShare(share));
  return { bench, restart, key, controller, send, enter, lines };
}

const refusalOf = async (work: Promise<unknown>) => (await rejectionOf(work))?.code;

describe('total restart', () => {
  it('says what it waits for, takes shares of any k holders, and gives the data key', async () => {
    const { bench, restart, key, enter, lines } = restarting();
    const { nodeId, storeIdHash } = bench.context;
    const first = restart.recovery();
    expect(first).toMatchObject({ state: 'total-restart', nodeId, threshold: 2, entered: 0, needed: 2 });
    if (first.state === 'none') throw new Error('it should wait');
    expect(fromBase64Url(first.storeIdHash)).toEqual(storeIdHash);
    expect(fromBase64Url(first.blob)).toEqual(bench.wrapped);
    expect(await enter(bench.share(3))).toEqual({ entered: 1, needed: 2, status: 'waiting' });
    expect(restart.recovery()).toMatchObject({ entered: 1, needed: 2 });
    expect(await enter(bench.share(1))).toEqual({ entered: 2, needed: 2, status: 'opened' });
    expect((await key)!.equals(bench.dataKey)).toBe(true);
    expect(restart.recovery()).toEqual({ state: 'none' });
    expect(await refusalOf(enter(bench.share(2)))).toBe('not-recovering');
    expect(lines.map(({ event }) => event)).toEqual(['total-restart', 'recovery-share', 'recovery-share']);
  });

  it('takes a repeated share as said before, so that a lost answer can be asked for again', async () => {
    const { bench, enter } = restarting();
    await enter(bench.share(1));
    expect(await enter(bench.share(1))).toEqual({ entered: 1, needed: 2, status: 'waiting' });
  });

  it('refuses shares of another store, of another wrapping, altered ones, and says so in the log', async () => {
    const { restart, bench, enter, lines } = restarting();
    const foreign = recoveryBench({ threshold: 2, keys: 3, seed: 'another' });
    const older = recoveryBench({ threshold: 2, keys: 3, wrapping: 'older' });
    const altered = bench.share(1);
    altered.value.expose()[0]! ^= 1;
    expect(await refusalOf(enter(foreign.share(1)))).toBe('wrong-store');
    expect(await refusalOf(enter(older.share(1)))).toBe('other-wrap');
    expect(await refusalOf(enter(altered))).toBe('bad-share');
    expect(restart.recovery()).toMatchObject({ entered: 0 });
    const refused = lines.filter(({ event }) => event === 'recovery-share-refused');
    expect(refused.map(({ fields }) => [fields?.['reason'], fields?.['share']])).toEqual([
      ['wrong-store', 1],
      ['other-wrap', 1],
      ['bad-share', 1],
    ]);
  });

  it('names a wrapping that does not hold the key it commits to', async () => {
    const honest = recoveryBench({ threshold: 1, keys: 1 });
    const forged = forgeKeyCommitment(honest);
    const { enter } = restarting(honest, { ...headerOf(honest), recoveryWrappedDataKey: forged.wrapped });
    expect(await refusalOf(enter(forged.share()))).toBe('bad-wrap');
  });

  it('opens nothing that was sealed for another purpose, node or cluster, or is no share', async () => {
    const { bench, send, restart } = restarting();
    const share = () => encodeRecoveryShare(bench.share(1));
    expect(await refusalOf(send(share(), { kind: 'register' }))).toBe('hpke-open');
    expect(await refusalOf(send(share(), { nodeId: bench.context.nodeId }))).toBe('hpke-open');
    expect(await refusalOf(send(utf8('no share')))).toBe('malformed');
    expect(await refusalOf(send(new Uint8Array(2_000)))).toBe('too-large');
    expect(await refusalOf(send(encodeCbor({ index: 1 })))).toBe('bad-shape');
    const box = { suite: 'rot13', enc: 'A'.repeat(43), ciphertext: 'AAAA' };
    expect(await refusalOf(restart.enterRecoveryShare(box, call))).toBe('unknown-suite');
    expect(restart.recovery()).toMatchObject({ entered: 0 });
  });

  it('ends with the launch that waits: shares are forgotten, and the next wait begins anew', async () => {
    const { bench, restart, key, controller, enter } = restarting();
    await enter(bench.share(1));
    controller.abort();
    expect(await refusalOf(key)).toBe('aborted');
    expect(restart.recovery()).toEqual({ state: 'none' });
    const again = restart.waitForKey(headerOf(bench), call);
    expect(await enter(bench.share(2))).toEqual({ entered: 1, needed: 2, status: 'waiting' });
    expect((await enter(bench.share(3))).status).toBe('opened');
    expect((await again)!.equals(bench.dataKey)).toBe(true);
    expect(await refusalOf(restart.waitForKey(headerOf(bench), { signal: controller.signal }))).toBe('aborted');
  });

  it('does not wait for a store without recovery keys, with a damaged wrapping, or twice at once', async () => {
    const { bench, restart, controller, key } = restarting();
    expect(await refusalOf(restart.waitForKey(headerOf(bench), call))).toBe('internal');
    controller.abort();
    await rejectionOf(key);
    const without = { ...headerOf(bench), recoveryWrappedDataKey: undefined };
    expect(await restart.waitForKey(without, call)).toBeUndefined();
    const damaged = { ...headerOf(bench), recoveryWrappedDataKey: bench.wrapped.slice(1) };
    expect(await refusalOf(restart.waitForKey(damaged, call))).toBe('bad-recovery-wrap');
    expect(restart.recovery()).toEqual({ state: 'none' });
  });

  it('answers each refusal with a problem that the API has words for', () => {
    const codes = ['not-recovering', 'wrong-store', 'other-wrap', 'bad-share', 'bad-wrap'];
    expect(codes.map((code) => PROBLEMS[code]?.status)).toEqual([409, 409, 409, 422, 422]);
  });

  it('reopens a real store from its header and two of three recovery keys', async () => {
    const disk = createMemoryDisk();
    const node = testNode();
    const { store } = await makeStore(disk.open(), node);
    const items = store.namespace('items', itemShape);
    await store.commit([items.put(utf8('a'), { count: 7, data: utf8('x') })]);
    const holders = [1, 2, 3].map(() => hpkeGenerateKeyPair(random));
    using dataKey = store.copyDataKey();
    const publicKeys = holders.map(({ publicKey }) => publicKey);
    const wrapped = wrapToRecoveryKeys({ random }, { ...node.identity, dataKey, publicKeys, threshold: 2 });
    const onDisk = signHeader({ ...headerFor(store, node), recoveryWrappedDataKey: wrapped }, node.nodeSecret);
    await store.close();

    const header = readHeader(onDisk);
    const { clusterId, nodeId, storeId } = header;
    const context = { clusterId, nodeId, storeIdHash: storeIdHashOf(storeId) };
    const { enter, key } = restarting({ ...recoveryBench({ threshold: 2, keys: 3 }), context }, header);
    for (const { secretKey } of [holders[2]!, holders[0]!]) {
      await enter(openRecoveryShare(Secret.copy(secretKey), header.recoveryWrappedDataKey!, context));
    }
    using recovered = await key;
    const again = await openSealedStoreWithDataKey(testDeps(disk.open()), { header, dataKey: recovered! });
    expect((await again.namespace('items', itemShape).get(utf8('a')))?.count).toBe(7);
    await again.close();
  });
});
