// A node of a simulated cluster as far as clients see it: real quotes of a development PKI, real sealed requests, real
// index sets of a chain the test makes up. What stands between may be changed by the test.

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ed25519PublicKey } from '#crypto';
import {
  batchNonces,
  createCluster,
  DEFAULT_LIMITS,
  defaultPolicy,
  reportDataOf,
} from '../../src/attestation/index.ts';
import { formatCollateral } from '../../src/attestation/quote-collateral.ts';
import { type SimulatedReport, simulatedQuote } from '../../src/attestation/simulated/quote.ts';
import type { ClientResponse, ClientTransport } from '../../src/client/transport.ts';
import { toBase64Url, utf8 } from '../../src/core/bytes.ts';
import { encodeCbor } from '../../src/core/cbor.ts';
import { sleep } from '../../src/core/deadline.ts';
import { KithError } from '../../src/core/errors.ts';
import { HPKE_SUITE, hpkeGenerateKeyPair } from '../../src/core/hpke.ts';
import { idBytes, nodeIdFromBytes, type OpId, type RegId } from '../../src/core/ids.ts';
import type { Clock } from '../../src/core/ports.ts';
import { checkOperation, operationId } from '../../src/core/registration/operation.ts';
import { decodeSubmission, type Submission } from '../../src/core/registration/submission.ts';
import { rosterHash } from '../../src/core/roster.ts';
import { fromSealedBox, openRequest, type RequestKind, type SealedBox } from '../../src/core/sealed-request.ts';
import type { Secret } from '../../src/core/secret.ts';
import { createIndexSets, indexSetTag } from '../../src/fmd/index.ts';
import { presentCertificate } from '../../src/node/certificates.ts';
import { createHttpServer } from '../../src/node/http/server.ts';
import type { NodeService, OperationAnswer, Readiness } from '../../src/node/service.ts';
import type { StoreHeader } from '../../src/node/store/index.ts';
import { createTotalRestart } from '../../src/node/total-restart.ts';
import type { OperationRef } from '../../src/replication/index.ts';
import { measurements, pki, platform } from './attestation.ts';
import { requestOf } from './fake-node-routes.ts';
import { createImmediateClock } from './immediate-clock.ts';
import { entriesOf, receiptBytes, type Signer } from './receipts.ts';
import { seededRandom } from './seeded-random.ts';

export const cluster = createCluster({
  version: 1,
  chainId: 'kith-test',
  trustAnchor: { development: toBase64Url(pki.root) },
  policy: defaultPolicy([measurements]),
  allowSimulated: true,
  allowUnbacked: true,
  confirmations: 1,
  operators: [],
  governance: { threshold: 1, publicKeys: [toBase64Url(new Uint8Array(32).fill(2))] },
  recovery: { threshold: 0, publicKeys: [] },
  limits: DEFAULT_LIMITS,
});

export interface FakeNode {
  readonly transport: ClientTransport;
  readonly service: NodeService;
  /** Paths asked for, in order. */
  readonly asked: readonly string[];
  /** Those asked for with POST. */
  readonly posted: readonly string[];
  /** Submissions that were opened and found valid. */
  readonly received: readonly Submission[];
  /** What certificates made the node want, with the holders they name. */
  readonly wanted: readonly (OperationRef & { readonly holders: readonly string[] })[];
  /** Takes a submission as if it had come from another member. */
  accept(submission: Submission): void;
  /** Forgets all registrations. */
  forget(): void;
  /** Data keys put together from recovery shares. */
  readonly recovered: readonly Secret[];
  /** Scans heights `from` to `to` for all registrations; these transactions match every wallet. */
  scan(from: number, to: number, entries?: readonly (readonly [number, number])[]): void;
}

/** What the node is like, and how a hostile node or somebody in between may differ from an honest one. */
export interface Deviations {
  readonly report?: Partial<SimulatedReport>;
  /** Changes an answer on its way; a `Response`-like {status, body} stands for itself. */
  readonly tamper?: (path: string, answer: Record<string, unknown>) => unknown;
  readonly answerAbout?: Uint8Array;
  /** Thrown instead of an answer to this path, if it returns something. */
  readonly refuse?: (path: string) => KithError | undefined;
  readonly clock?: Clock;
  /** Of the chain; 1,000 unless given. */
  readonly height?: number;
  /** First height indexed. */
  readonly first?: number;
  /** Answers to operations that say `pending` before any says `confirmed`. */
  readonly pendingAnswers?: number;
  /** Others on the roster; all of them confirm, unless `receipts` says otherwise. */
  readonly members?: readonly Signer[];
  /** The receipts in a sealed answer, instead of the honest ones; the node itself is the first signer. */
  readonly receipts?: (opId: OpId, signers: readonly Signer[]) => readonly Uint8Array[];
  readonly readiness?: Readiness;
  /** A header whose store waits for recovery shares. */
  readonly restart?: StoreHeader;
  /** Others, set aside later. */
  readonly alsoWaiting?: readonly StoreHeader[];
}

export function createFakeNode(deviations: Deviations = {}): FakeNode {
  const random = seededRandom('fake node');
  const { clock = createImmediateClock(), height = 1_000, first = 0, pendingAnswers = 0 } = deviations;
  const keyPair = hpkeGenerateKeyPair(random);
  const secret = random.bytes(32);
  const nodeId = nodeIdFromBytes(ed25519PublicKey(secret));
  const signers: Signer[] = [
    { nodeId, platform: 'ab'.repeat(32), operator: 'op-a', secret },
    ...(deviations.members ?? []),
  ];
  const roster = entriesOf(signers);
  const asked: string[] = [];
  const posted: string[] = [];
  const received: Submission[] = [];
  const recovered: Secret[] = [];
  const wanted: FakeNode['wanted'][number][] = [];
  const scans: Parameters<FakeNode['scan']>[] = [];
  const registrations = new Map<RegId, { serial: number; expiryHeight: number; revoked: boolean }>();
  const sets = createIndexSets();
  sets.begin(first);
  let waiting: (() => void)[] = [];
  let answered = 0;

  const quiet = () => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const restart = createTotalRestart({
    random,
    log,
    clusterId: cluster.id,
    nodeId: () => nodeId,
    hpkeKeyPair: keyPair,
  });
  for (const header of [deviations.restart, ...(deviations.alsoWaiting ?? [])]) {
    const { signal } = new AbortController();
    if (header) void restart.waitForKey(header, { signal }).then((dataKey) => dataKey && recovered.push(dataKey));
  }

  /** Of one nonce at once: what keeps a crowd waiting in a real node is no matter of clients. */
  function evidence(nonce: Uint8Array) {
    const { root, paths } = batchNonces([nonce]);
    const claim = {
      purpose: 'client' as const,
      clusterId: cluster.id,
      configurationHash: cluster.hash,
      nodeId,
      hpkeKey: keyPair.publicKey,
      rosterHash: rosterHash(roster),
      noncesRoot: root,
    };
    const report = { reportData: reportDataOf(claim), measurements, ...deviations.report };
    return { quote: simulatedQuote(platform, report, 'v4'), path: paths[0]! };
  }

  function applyScan(from: number, to: number, entries: readonly (readonly [number, number])[] = []): void {
    if (sets.size === 0) return;
    const serials: [number, number][] = [[0, sets.nextSerial - 1]];
    sets.apply({ spans: [{ from, to, serials }], everybody: entries, matches: [] });
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  }

  function take({ operation, payload }: Submission): void {
    const { regId, expiryHeight } = operation;
    const held = registrations.get(regId);
    if (operation.type === 'register') {
      if (held) sets.remove(held.serial);
      if (payload?.kind !== 'keys') throw new KithError('payload-missing', 'a register needs its payload');
      const serial = sets.nextSerial;
      sets.add(serial, { dataKey: payload.dataKey, birthday: operation.birthday, n: payload.detectionKey[0]! });
      registrations.set(regId, { serial, expiryHeight, revoked: false });
      for (const scan of scans) applyScan(...scan);
      return;
    }
    if (!held) throw new KithError('unknown-registration', 'not registered here');
    if (operation.type === 'revoke') sets.remove(held.serial);
    registrations.set(regId, { ...held, expiryHeight, revoked: operation.type === 'revoke' });
  }

  function operate(kind: RequestKind, box: SealedBox): OperationAnswer {
    const context = { clusterId: cluster.id, nodeId, kind };
    const { plaintext, sealAnswer } = openRequest({ random }, keyPair, context, fromSealedBox(box));
    const submission = decodeSubmission(plaintext);
    const refusal = checkOperation(submission.operation, cluster.id);
    if (refusal) throw new KithError(refusal.reason, refusal.detail);
    take(submission);
    received.push(submission);
    const { regId, expiryHeight } = submission.operation;
    const status = answered++ < pendingAnswers ? 'pending' : 'confirmed';
    const opId = operationId(submission.operation);
    const honest = () => (status === 'pending' ? [] : signers.map((signer) => receiptBytes(signer, opId, cluster.id)));
    const receipts = [...(deviations.receipts?.(opId, signers) ?? honest())];
    const about = deviations.answerAbout ?? idBytes(regId);
    const sealed = sealAnswer(encodeCbor({ regId: about, status, expiryHeight, receipts }));
    const shown = { nonce: toBase64Url(sealed.nonce), ciphertext: toBase64Url(sealed.ciphertext) };
    return { id: regId, status, expiryHeight, receipts: receipts.map(toBase64Url), sealed: shown };
  }

  const service: NodeService = {
    readiness: () => deviations.readiness ?? { ready: true, phase: 'ready', reasons: [] },
    node: () => ({
      nodeId,
      clusterId: cluster.id,
      configVersion: 1,
      version: '0.1.0',
      phase: service.readiness().phase,
      simulated: true,
      heights: { chain: height, indexed: height, detected: height, anchored: 0, cluster: height, first: 1 },
      members: 1,
      quorum: { needed: 1, reachable: 1 },
      incarnation: 1,
      roster: [{ nodeId, operator: 'op-a', standing: 'self' }],
    }),
    members: () => [{ nodeId, operator: 'op-a', tcbStatus: 'UpToDate', phase: 'ready', lag: 0, lastSeenSeconds: 1.5 }],
    roster: () => {
      throw new KithError('not-ready', 'alone');
    },
    takeOff: async () => service.roster() as never,
    async attestation(nonce) {
      const { quote, path } = evidence(nonce);
      return {
        quote: toBase64Url(quote),
        collateral: toBase64Url(utf8(formatCollateral(pki.collateral()))),
        nodeId,
        hpke: [{ suite: HPKE_SUITE, publicKey: toBase64Url(keyPair.publicKey) }],
        roster,
        configurationHash: toBase64Url(cluster.hash),
        noncePath: { ...path, root: toBase64Url(path.root), path: path.path.map(toBase64Url) },
      };
    },
    register: async (box) => operate('register', box),
    renew: async (_id, box) => operate('renew', box),
    revoke: async (_id, box) => operate('revoke', box),
    async registration(id) {
      const held = registrations.get(id);
      if (!held) return undefined;
      const status = held.revoked ? 'revoked' : 'confirmed';
      return { id, status, expiryHeight: held.expiryHeight, confirmations: 1 };
    },
    presentCertificate: (id, encoded) =>
      presentCertificate(
        {
          clusterId: cluster.id,
          roster: () => roster,
          knows: (regId) => registrations.has(regId),
          want: (ref, holders) => wanted.push({ ...ref, holders }) > 0,
        },
        id,
        encoded,
      ),
    async indexSet(id, { since, waitMs }, { signal }) {
      const serial = registrations.get(id)?.serial;
      if (serial === undefined || !sets.has(serial)) return undefined;
      if (waitMs > 0 && sets.syncedTo(serial, since)! <= since) {
        const scanned = new AbortController();
        waiting.push(() => scanned.abort());
        const either = AbortSignal.any([signal, scanned.signal]);
        await sleep(clock, waitMs, { signal: either }).catch(() => undefined);
      }
      const answer = sets.seal({ random }, serial, { clusterId: cluster.id, regId: id, since });
      if (!answer) return undefined;
      const { nonce, ciphertext, syncedTo } = answer;
      const etag = indexSetTag(id, since, syncedTo);
      return { id, since, nonce: toBase64Url(nonce), ciphertext: toBase64Url(ciphertext), etag };
    },
    recovery: restart.recovery,
    enterRecoveryShare: restart.enterRecoveryShare,
  };

  return {
    asked,
    posted,
    received,
    recovered,
    wanted,
    accept: take,
    forget: () => registrations.clear(),
    service,
    scan(...scan) {
      scans.push(scan);
      applyScan(...scan);
    },
    transport: {
      async request({ method, url, body }, { signal }): Promise<ClientResponse> {
        const { pathname, search } = new URL(url);
        const path = pathname + search;
        asked.push(path);
        if (method === 'POST') posted.push(path);
        const { status, answer, retryAfterSeconds } = await requestOf(
          service,
          { path, body, signal },
          deviations.refuse?.(path),
        );
        const shown = deviations.tamper ? deviations.tamper(path, answer) : answer;
        const text = typeof shown === 'string' ? shown : JSON.stringify(shown);
        return { status, body: text, retryAfterSeconds };
      },
    },
  };
}

export interface Listening extends AsyncDisposable {
  readonly url: string;
}

/** The node behind the HTTP server of real nodes, on loopback. */
export async function listenFakeNode({ service }: FakeNode): Promise<Listening> {
  const quiet = () => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const options = { host: '127.0.0.1', port: 0, version: '0.1.0', simulated: true, rateLimit: false };
  const server = createHttpServer({ service, log }, options);
  await server.start();
  return { url: `http://127.0.0.1:${server.address!.port}`, [Symbol.asyncDispose]: () => server.stop() };
}

/** The node with its deviations, on loopback: what a hostile node answers, byte by byte. */
export async function listenTampered({ transport }: FakeNode): Promise<Listening> {
  const server = createServer((request, response) => {
    void (async () => {
      const body = request.method === 'POST' ? await textOf(request) : undefined;
      const method = request.method === 'POST' ? 'POST' : 'GET';
      const options = { signal: new AbortController().signal, bytesMax: Number.POSITIVE_INFINITY };
      const asked = { method, url: `http://node.test${request.url}`, ...(body === undefined ? {} : { body }) } as const;
      const answer = await transport.request(asked, options);
      response.statusCode = answer.status;
      if (answer.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(answer.retryAfterSeconds));
      response.end(answer.body);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
