import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ed25519PublicKey, ed25519Verify } from '#crypto';
import { formatCluster } from '../../../src/attestation/index.ts';
import { makeKey, writeKey } from '../../../src/cli/cluster-keys.ts';
import { fromBase64Url, toBase64Url } from '../../../src/core/bytes.ts';
import { KithError } from '../../../src/core/errors.ts';
import { nodeIdFromBytes } from '../../../src/core/ids.ts';
import { createHttpServer, type HttpServer } from '../../../src/node/http/index.ts';
import type { NodeService } from '../../../src/node/service.ts';
import { decodeStatement, statementMessage } from '../../../src/replication/index.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { fakeService, recordingLog } from '../../support/node-service.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { kith } from '../../support/terminal.ts';
import { testCluster } from '../../support/test-cluster.ts';

const folder = temporaryFolder();
const cluster = testCluster();
const clusterFile = join(folder, 'cluster.json');
writeFileSync(clusterFile, formatCluster(cluster));
const random = seededRandom('leave lost');
const idOf = (value: number) => nodeIdFromBytes(ed25519PublicKey(new Uint8Array(32).fill(value)));
const [lost, connected] = [idOf(1), idOf(2)];
const genesisId = random.bytes(32);
const joinId = random.bytes(32);

async function keyFile(name: string, kind: 'operator' | 'governance' = 'operator', clusterId: string = cluster.id) {
  const key = makeKey(random, kind, name);
  const path = join(folder, `${name}-${toBase64Url(random.bytes(6))}.key`);
  const secret = toBase64Url(key.secretKey);
  await writeKey(path, key, clusterId);
  return { path, publicKey: fromBase64Url(key.publicKey), secret };
}
const keyOfA = await keyFile('a');

const open: HttpServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.stop();
});

/** A member that has both on its roster, and keeps the statements it is handed. */
async function listening(changes: Partial<NodeService> = {}) {
  const statements: string[] = [];
  const { service } = fakeService({
    roster: () => ({
      genesisId: toBase64Url(genesisId),
      members: [
        { nodeId: lost, operator: 'a', standing: 'away', joinId: toBase64Url(joinId) },
        { nodeId: connected, operator: 'a', standing: 'connected', joinId: toBase64Url(joinId) },
      ],
    }),
    async takeOff(encoded) {
      statements.push(encoded);
      return { nodeId: lost, left: true };
    },
    ...changes,
  });
  const options = { host: '127.0.0.1', port: 0, version: '0.1.0', simulated: true, rateLimit: false };
  const server = createHttpServer({ service, log: recordingLog().log }, options);
  open.push(server);
  await server.start();
  const url = `http://127.0.0.1:${server.address!.port}`;
  const leave = async (key = keyOfA.path, nodeId: string = lost) => {
    const words = ['leave', '--lost', nodeId, '--node', url, '--key', key, '--cluster', clusterFile, '--json'];
    const { exitCode, out, err } = await kith(...words);
    return { exitCode, out, err, json: JSON.parse(out) as { error?: { code: string } } };
  };
  return { statements, leave, url };
}

describe('kith leave --lost', () => {
  it('hands a member the leave that the operator signed here, and nothing of its key', async () => {
    const { statements, leave } = await listening();
    const { exitCode, out, err, json } = await leave();
    expect([exitCode, json]).toEqual([0, { nodeId: lost, left: true }]);
    expect(statements).toHaveLength(1);
    const { body, signatures } = decodeStatement(fromBase64Url(statements[0]!));
    expect(body).toEqual({
      ...{ kind: 'leave', clusterId: cluster.id, genesisId, nodeId: lost },
      ...{ joinId: Buffer.from(joinId).toString('hex'), reason: 'operator' },
    });
    expect(signatures.map(({ signer }) => toBase64Url(signer))).toEqual([toBase64Url(keyOfA.publicKey)]);
    expect(ed25519Verify(keyOfA.publicKey, statementMessage(body), signatures[0]!.signature)).toBe(true);
    expect(err).toMatch(/^kith: THIS CLUSTER IS SIMULATED/);
    expect([...statements, out, err].join()).not.toContain(keyOfA.secret.slice(2, 30));
  });

  it('sends nothing about a node that lives, that is not there, or that is of another operator', async () => {
    const { statements, leave } = await listening();
    expect(await leave(keyOfA.path, connected)).toMatchObject({
      exitCode: 1,
      json: { error: { code: 'still-connected' } },
    });
    expect(await leave(keyOfA.path, idOf(3))).toMatchObject({ exitCode: 1, json: { error: { code: 'not-a-member' } } });
    const wrong = [await keyFile('b'), await keyFile('a', 'governance'), await keyFile('a', 'operator', idOf(4))];
    for (const { path } of wrong) {
      expect(await leave(path)).toMatchObject({ exitCode: 1, json: { error: { code: 'key-file' } } });
    }
    expect(statements).toEqual([]);
  });

  it('ends with 1 and the reason of the member', async () => {
    const { leave } = await listening({
      takeOff: async () => {
        throw new KithError('leave-refused', 'wrong-signer: it is signed by somebody who may not.');
      },
    });
    expect(await leave()).toMatchObject({
      exitCode: 1,
      json: { error: { code: 'leave-refused' } },
      err: expect.stringContaining('wrong-signer'),
    });
  });

  it('ends with 2 unless all is said, and for what is no node id', async () => {
    const { leave, url } = await listening();
    expect((await kith('leave', '--lost', lost, '--node', url)).exitCode).toBe(2);
    expect((await kith('leave', '--key', keyOfA.path)).exitCode).toBe(2);
    expect(await leave(keyOfA.path, 'node-1')).toMatchObject({ exitCode: 2 });
  });
});
