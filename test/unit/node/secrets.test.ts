// What leaves a node: nothing of any secret in it, whatever is done with the node.

import { expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/core/bytes.ts';
import { createDevnet } from '../../../src/devnet/index.ts';
import { indexSetKey } from '../../../src/fmd/index-sets/blob.ts';
import { buildApp } from '../../../src/node/http/server.ts';
import type { KeyValueOp } from '../../../src/node/store/index.ts';
import { createMetrics } from '../../../src/node/telemetry/index.ts';
import { fakeProcess } from '../../support/node-service.ts';
import { type Seeded, seededUser, userOf } from '../../support/node-user.ts';
import { replayOf } from '../../support/replay.ts';
import { createSecretScan } from '../../support/secret-scan.ts';
import { createTestDisk } from '../../support/test-disk.ts';
import { createKeptKeys, createTestNode, type TestNode } from '../../support/test-node.ts';

const FIRST = 1_000;
const byKeys = seededUser('registers keys', 5);
const bySeed = seededUser('registers a seed', 3);
const revoked = seededUser('revokes', 2);
const users = [byKeys, bySeed, revoked];

const devnet = createDevnet({
  replay: replayOf(
    Array.from({ length: 24 }, (_, i) => ({
      height: FIRST + i,
      block_index: 0,
      flags: i % 5 === 0 ? null : [users[i % 3]!.flag(`${i}`)],
    })),
  ),
  startAfter: 12,
});

function secretsOf(name: string, { seed, wallet }: Seeded): [string, Uint8Array][] {
  return [
    [`seed of ${name}`, seed],
    [`data key of ${name}`, wallet.dataKey],
    [`index-set key of ${name}`, indexSetKey(wallet.dataKey)],
    [`auth secret of ${name}`, wallet.authSecret],
    ...wallet.detectionKey.subkeys.map((subkey, i): [string, Uint8Array] => [`subkey ${i} of ${name}`, subkey]),
  ];
}

/** Everything that ever left: by where it was seen. */
function createWitness() {
  const seen = new Map<string, Uint8Array[]>();
  const add = (where: string, ...parts: readonly Uint8Array[]) => {
    const known = seen.get(where) ?? [];
    known.push(...parts.map((part) => part.slice()));
    seen.set(where, known);
  };
  const onBatch = (where: string) => ({
    onBatch(ops: readonly KeyValueOp[]) {
      for (const op of ops) add(where, op.key, ...(op.kind === 'put' ? [op.value] : []));
      return 'written' as const;
    },
  });
  return { seen, add, onBatch };
}

type Witness = ReturnType<typeof createWitness>;

/** Asks a node everything there is to ask, over HTTP. */
async function askAll({ node, clock, lines }: TestNode, witness: Witness): Promise<void> {
  const { log } = {
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  };
  const options = { host: '127.0.0.1', port: 0, version: '0.0.0', simulated: true, rateLimit: false };
  const app = await buildApp({ service: node.service, log }, options);
  const ids = users.map((_, i) => userOf({ node, clock } as TestNode, users[i]!).id);
  const paths = ['/v1/node', '/v1/members', '/readyz', `/v1/attestation?nonce=${'ab'.repeat(32)}`, '/openapi.json'];
  for (const id of ids)
    paths.push(`/v1/registrations/${id}`, `/v1/index-sets/${id}`, `/v1/index-sets/${id}?since=1005`);
  for (const path of paths) {
    const answer = await clock.settle(app.inject(path));
    witness.add('answers', utf8(JSON.stringify(answer.headers)), answer.rawPayload);
  }
  await app.close();
  const metrics = createMetrics({ stats: () => node.stats(), runtime: () => fakeProcess });
  witness.add('metrics', utf8(await metrics.text()));
  witness.add('log', utf8(JSON.stringify(lines)));
}

it('shows no eight bytes of a secret on disk, in the header, in the log, in metrics or in answers', async () => {
  const witness = createWitness();
  const disk = createTestDisk({ sealed: witness.onBatch('sealed disk'), chain: witness.onBatch('chain disk') });
  const keys = createKeptKeys(disk);
  const secrets = new Map(users.flatMap((user, i) => secretsOf(`user ${i}`, user)));
  const keep = (life: string, { node: { running } }: TestNode) => {
    const dataKey = running!.store.copyDataKey();
    secrets.set(`node secret, ${life} life`, running!.identity.nodeSecret.expose().slice());
    secrets.set(`log key, ${life} life`, running!.identity.logKey.expose().slice());
    secrets.set(`data key of the store, ${life} life`, dataKey.expose().slice());
  };

  const first = createTestNode({ devnet, disk, keys });
  await first.ready();
  keep('first', first);
  const [anna, boris, clara] = users.map((user) => userOf(first, user));
  const answers: unknown[] = [await anna!.register(), await clara!.register()];
  const { seed, n } = bySeed;
  const register = boris!.sign({ type: 'register', version: devnet.tip, birthday: 0, expiryHeight: devnet.tip + 900 });
  answers.push(await boris!.send('register', register, { payload: { kind: 'seed', seed, n } }));
  answers.push(await anna!.renew(devnet.tip + 500, devnet.tip + 1));
  devnet.advance(6);
  await first.until(() => first.node.service.node().heights.detected === devnet.tip);
  await first.clock.advance(5_000);
  await askAll(first, witness);
  answers.push(await clara!.revoke(devnet.tip));
  await expect(clara!.renew(devnet.tip + 50)).rejects.toThrow();
  await first.clock.settle(first.node.stop());

  const second = createTestNode({ devnet, disk, keys, seed: 'second life' });
  await second.ready();
  keep('second', second);
  devnet.advance(6);
  await second.until(() => second.node.service.node().heights.detected === devnet.tip);
  await second.clock.advance(5_000);
  await askAll(second, witness);
  witness.add('answers', utf8(JSON.stringify(answers)));
  witness.add('header', (await disk.header.read())!);
  for (const [where, image] of [
    ['sealed disk', disk.sealed.image()],
    ['chain disk', disk.chain().image()],
  ] as const) {
    for (const value of image.values()) witness.add(where, value);
  }
  for (const key of keys.kept.values()) secrets.set('sealing key', key.expose().slice());

  // Both lives had the same secrets, every user was served, and there is something to search in.
  expect(second.node.running!.registrations.counts.held).toBe(2);
  expect((await userOf(second, bySeed).read())!.entries.length).toBeGreaterThan(0);
  expect(secrets.get('node secret, second life')).toEqual(secrets.get('node secret, first life'));
  expect(secrets.size).toBe(3 * 4 + 5 + 3 + 2 + 7);
  expect([...witness.seen.keys()].sort()).toEqual(['answers', 'chain disk', 'header', 'log', 'metrics', 'sealed disk']);

  const scan = createSecretScan(secrets);
  for (const [where, parts] of witness.seen) {
    const whole = concatBytes(...parts);
    expect(whole.length, where).toBeGreaterThan(200);
    expect(scan.find(whole), where).toEqual([]);
  }
  // The scan finds any of them where it does stand.
  for (const [name, secret] of secrets) {
    const planted = concatBytes(witness.seen.get('header')![0]!, secret.slice(3, 11));
    expect(scan.find(planted)).toContain(name);
  }
});
