import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createCluster, formatCluster } from '../../../src/attestation/index.ts';
import { keyPath, writeKey } from '../../../src/cli/cluster-keys.ts';
import { toBase64Url } from '../../../src/core/bytes.ts';
import { KithError } from '../../../src/core/errors.ts';
import { hpkeGenerateKeyPair } from '../../../src/core/hpke.ts';
import type { StoreHeader } from '../../../src/node/store/index.ts';
import { cluster, createFakeNode, type Deviations, listenFakeNode, listenTampered } from '../../support/fake-node.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { recoveryBench } from '../../support/recovery.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { kith } from '../../support/terminal.ts';

const folder = temporaryFolder();
const clusterFile = join(folder, 'cluster.json');
writeFileSync(clusterFile, formatCluster(cluster));
const opened: AsyncDisposable[] = [];
afterAll(async () => {
  for (const one of opened) await one[Symbol.asyncDispose]();
});

const bench = recoveryBench({ threshold: 2, keys: 3, clusterId: cluster.id });

const restart: StoreHeader = {
  clusterId: cluster.id,
  nodeId: bench.context.nodeId,
  storeId: bench.storeId,
  keyEpoch: 1,
  threshold: 0,
  keyServers: [],
  keyCommitment: new Uint8Array(32),
  wrappedDataKey: new Uint8Array(72),
  recoveryWrappedDataKey: bench.wrapped,
};

/** A key file as `kith cluster init` writes it. */
async function keyFile(name: string, secretKey: Uint8Array, publicKey: Uint8Array, clusterId: string = cluster.id) {
  const key = { kind: 'recovery', name, publicKey: toBase64Url(publicKey), secretKey } as const;
  const path = keyPath(clusterFile, key);
  await writeKey(path, key, clusterId);
  return path;
}

const shares = await Promise.all(
  bench.holders.map(({ secretKey, publicKey }, i) => keyFile(String(i + 1), secretKey, publicKey)),
);

async function serve(deviations: Deviations = {}, how: typeof listenFakeNode = listenFakeNode) {
  const node = createFakeNode({ restart, ...deviations });
  const listening = await how(node);
  opened.push(listening);
  return { node, url: listening.url };
}

async function recover(url: string, share = shares[0]!, ...more: string[]) {
  const words = ['recover', '--node', url, '--share', share, '--cluster', clusterFile, '--json', ...more];
  const { exitCode, out, err } = await kith(...words);
  return { exitCode, err, out, json: JSON.parse(out) as { error?: { code: string; message: string } } };
}

const failed = (code: string) => ({ exitCode: 1, json: { error: { code } } });

describe('kith recover', () => {
  it('asks for the configuration where a share was renamed, and takes none of another cluster', async () => {
    const { url } = await serve();
    const renamed = join(folder, 'my-share');
    writeFileSync(renamed, readFileSync(shares[0]!), { mode: 0o600 });
    expect(await kith('recover', '--node', url, '--share', renamed)).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('--cluster'),
    });
    const moved = join(folder, 'other.recovery-1.key');
    writeFileSync(moved, readFileSync(shares[0]!), { mode: 0o600 });
    const { configuration } = cluster;
    const another = createCluster({ ...configuration, chainId: 'another' });
    writeFileSync(join(folder, 'other.json'), formatCluster(another));
    const { exitCode, out } = await kith('recover', '--node', url, '--share', moved, '--json');
    expect({ exitCode, json: JSON.parse(out) }).toMatchObject(failed('key-file'));
  });

  it('enters one share after another until the store of an attested node opens', async () => {
    const { node, url } = await serve();
    expect(await recover(url, shares[1])).toMatchObject({
      exitCode: 0,
      err: expect.stringMatching(/^kith: THIS CLUSTER IS SIMULATED/),
      json: { entered: 1, needed: 2, status: 'waiting', simulated: true },
    });
    expect((await recover(url, shares[1])).json).toMatchObject({ entered: 1, status: 'waiting' });
    expect(node.recovered).toEqual([]);
    // The configuration is the one that was made with the share, unless another is named.
    const last = await kith('recover', '--node', url, '--share', shares[2]!);
    expect([last.exitCode, last.out]).toEqual([0, expect.stringMatching(/^opened: 2 of 2 shares entered/)]);
    expect(last.out).toContain(bench.context.nodeId);
    expect(node.recovered.map((key) => key.equals(bench.dataKey))).toEqual([true]);
    expect(await recover(url)).toMatchObject(failed('not-recovering'));
  });

  it('enters the share of the store that is named, where several wait', async () => {
    const other = recoveryBench({ threshold: 2, keys: 3, clusterId: cluster.id, seed: 'other store' });
    const { nodeId } = other.context;
    const later = { ...restart, nodeId, storeId: other.storeId, recoveryWrappedDataKey: other.wrapped };
    const { node, url } = await serve({ alsoWaiting: [later] }, listenTampered);
    expect((await recover(url, shares[0], `--store=${nodeId}`)).json).toMatchObject({ entered: 1 });
    expect((await recover(url)).json).toMatchObject({ entered: 1, status: 'waiting' });
    expect((await recover(url, shares[1], `--store=${nodeId}`)).json).toMatchObject({ status: 'opened' });
    expect(node.recovered.map((key) => key.equals(other.dataKey))).toEqual([true]);
    const before = node.posted.length;
    const gone = await recover(url, shares[2], `--store=${nodeId}`);
    expect(gone).toMatchObject(failed('not-recovering'));
    expect(gone.json.error?.message).toContain(bench.context.nodeId);
    expect(node.posted.length).toBe(before);
  });

  it('lets neither the recovery key nor the share in the clear leave the machine', async () => {
    const sent: string[] = [];
    const { node, url } = await serve({}, async (made) => {
      const { request } = made.transport;
      const watched = {
        ...made,
        transport: {
          request(asked: Parameters<typeof request>[0], options: Parameters<typeof request>[1]) {
            sent.push(`${asked.url} ${asked.body ?? ''}`);
            return request(asked, options);
          },
        },
      };
      return listenTampered(watched);
    });
    const { exitCode, out, err } = await recover(url);
    expect([exitCode, node.posted]).toEqual([0, ['/v1/recovery']]);
    const { secretKey } = JSON.parse(readFileSync(shares[0]!, 'utf8')) as { secretKey: string };
    const value = toBase64Url(bench.share(1).value.expose());
    const everything = [...sent, out, err].join('\n');
    expect(sent.length).toBe(3);
    for (const secret of [secretKey, value]) expect(everything).not.toContain(secret.slice(2, 30));
  });

  it('sends nothing to a node that is not believed', async () => {
    const { node, url } = await serve({ report: { reportData: new Uint8Array(64) } }, listenTampered);
    expect(await recover(url)).toMatchObject(failed('node-not-believed'));
    expect(node.asked).toEqual([expect.stringMatching(/^\/v1\/attestation/)]);
  });

  it('says that a node does not wait, and why a node refuses', async () => {
    const node = createFakeNode();
    const listening = await listenFakeNode(node);
    opened.push(listening);
    expect(await recover(listening.url)).toMatchObject(failed('not-recovering'));
    const refuse = (path: string) =>
      path.startsWith('/v1/attestation') ? new KithError('not-ready', 'it has no key yet') : undefined;
    const early = await serve({ refuse }, listenTampered);
    expect(await recover(early.url)).toMatchObject(failed('not-ready'));
    expect(await recover('http://127.0.0.1:1')).toMatchObject(failed('node-unreachable'));
  });

  it('opens no share for a store that somebody in between names in the place of the right one', async () => {
    const foreign = recoveryBench({ threshold: 2, keys: 3, clusterId: cluster.id, seed: 'another' });
    const swap = (over: object) => (path: string, answer: Record<string, unknown>) =>
      path === '/v1/recovery' && 'blob' in answer ? { ...answer, ...over } : answer;
    const onlyBlob = await serve({ tamper: swap({ blob: toBase64Url(foreign.wrapped) }) }, listenTampered);
    expect(await recover(onlyBlob.url)).toMatchObject(failed('bad-recovery-share'));
    expect(onlyBlob.node.posted).toEqual([]);
    const whole = {
      blob: toBase64Url(foreign.wrapped),
      nodeId: foreign.context.nodeId,
      storeIdHash: toBase64Url(foreign.context.storeIdHash),
    };
    const all = await serve({ tamper: swap(whole) }, listenTampered);
    expect(await recover(all.url)).toMatchObject(failed('wrong-store'));
    for (const over of [{ blob: 'AA' }, { blob: 'AA=' }, { state: 'maybe' }, { nodeId: '+'.repeat(43) }]) {
      const odd = await serve({ tamper: swap(over) }, listenTampered);
      const { json } = await recover(odd.url);
      expect(['bad-answer', 'bad-recovery-wrap']).toContain(json.error?.code);
    }
  });

  it('believes no progress but what the node itself sealed', async () => {
    const lie = (path: string, answer: Record<string, unknown>) =>
      path === '/v1/recovery' && 'sealed' in answer ? { ...answer, entered: 2, status: 'opened' } : answer;
    const { url } = await serve({ tamper: lie }, listenTampered);
    expect((await recover(url)).json).toMatchObject({ entered: 1, status: 'waiting' });
    const forge = (path: string, answer: Record<string, unknown>) =>
      path === '/v1/recovery' && 'sealed' in answer
        ? { ...answer, sealed: { nonce: 'A'.repeat(32), ciphertext: 'A'.repeat(1_400) } }
        : answer;
    const forged = await serve({ tamper: forge }, listenTampered);
    expect(await recover(forged.url)).toMatchObject(failed('forged-answer'));
  });

  it('refuses key files of other kinds, clusters and holders, and files that are none', async () => {
    const { node, url } = await serve({}, listenTampered);
    const stranger = hpkeGenerateKeyPair(seededRandom('stranger'));
    const strange = await keyFile('stranger', stranger.secretKey, stranger.publicKey);
    const foreign = await keyFile('foreign', stranger.secretKey, stranger.publicKey, 'A'.repeat(43));
    const written = JSON.parse(readFileSync(shares[0]!, 'utf8')) as Record<string, string>;
    const file = (name: string, contents: string) => {
      const path = join(folder, name);
      writeFileSync(path, contents);
      return path;
    };
    const operator = file('operator.key', JSON.stringify({ ...written, kind: 'operator' }));
    const unpaired = file('unpaired.key', JSON.stringify({ ...written, publicKey: toBase64Url(stranger.publicKey) }));
    const cut = file('cut.key', JSON.stringify(written).slice(0, 80));
    expect(await recover(url, strange)).toMatchObject(failed('not-a-holder'));
    expect(await recover(url, foreign)).toMatchObject(failed('key-file'));
    expect(await recover(url, operator)).toMatchObject(failed('key-file'));
    expect(await recover(url, unpaired)).toMatchObject(failed('key-file'));
    expect(await recover(url, join(folder, 'absent.key'))).toMatchObject(failed('file'));
    expect(await recover(url, clusterFile)).toMatchObject({ exitCode: 1 });
    expect(await recover(url, cut)).toMatchObject({ exitCode: 1 });
    // Only the stranger's key was of this cluster: nobody else asked anything.
    expect([node.asked.length, node.posted]).toEqual([2, []]);
  });

  it('is wrong usage without node or share, or with a URL that is none', async () => {
    expect((await kith('recover', '--share', shares[0]!)).exitCode).toBe(2);
    expect((await kith('recover', '--node', 'http://127.0.0.1:1')).exitCode).toBe(2);
    expect((await recover('ftp://node')).exitCode).toBe(2);
  });
});
