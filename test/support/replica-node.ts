// The replica of a node over a sealed store of its own, without mesh, chain or detection: real registrations, real
// logs, heights that a test sets. Boots of one node share its disk.

import { ed25519Signer } from '#crypto';
import { createWallet, type Wallet, walletKeys, walletPayload } from '../../src/client/index.ts';
import { KithError } from '../../src/core/errors.ts';
import type { ClusterId } from '../../src/core/ids.ts';
import type { Clock } from '../../src/core/ports.ts';
import { type Operation, type OperationRequest, signOperation } from '../../src/core/registration/operation.ts';
import { innerHash } from '../../src/core/registration/payload.ts';
import type { Submission } from '../../src/core/registration/submission.ts';
import { createDetectionEngine, createIndexSets, createInlineExecutor, registrationKeys } from '../../src/fmd/index.ts';
import { createBatchWriter } from '../../src/node/registrations/batch-writer.ts';
import { createRegistrations, type Submitted } from '../../src/node/registrations/registrations.ts';
import { openLogs } from '../../src/node/replica/logs.ts';
import { createReplica } from '../../src/node/replica/replica.ts';
import type { KeyValueStore, SealedStore } from '../../src/node/store/index.ts';
import type { EntryWithBodies, Heights, OperationBody } from '../../src/replication/index.ts';
import { createImmediateClock } from './immediate-clock.ts';
import { makeStore, reopenStore, testNode } from './sealed-store.ts';
import { seededRandom } from './seeded-random.ts';

/** The cluster of every node made here. */
export const replicaCluster: ClusterId = testNode('replica cluster').identity.clusterId;

type WithoutIds<T> = T extends unknown ? Omit<T, 'clusterId' | 'inner'> : never;

/** A user with real keys, all from a name. */
export function replicaUser(name: string, n = 2) {
  const wallet: Wallet = createWallet({ random: seededRandom(name) }, { n });
  const keys = walletKeys(wallet);
  const sign = (request: WithoutIds<OperationRequest>, clusterId = replicaCluster): Operation =>
    signOperation(wallet.authSecret, { clusterId, inner: innerHash(keys), ...request } as OperationRequest);
  const register = (version = 1_000, expiryHeight = version + 1_000, birthday = 0): Operation =>
    sign({ type: 'register', version, birthday, expiryHeight });
  return {
    keys,
    sign,
    register,
    renew: (version: number, expiryHeight: number) => sign({ type: 'renew', version, expiryHeight }),
    revoke: (version: number) => sign({ type: 'revoke', version }),
    submission: (operation: Operation): Submission => ({
      operation,
      payload: operation.type === 'register' ? walletPayload(wallet) : undefined,
    }),
    body: (operation: Operation): OperationBody => ({
      operation,
      keys: operation.type === 'register' ? keys : undefined,
    }),
  };
}
export type ReplicaUser = ReturnType<typeof replicaUser>;

export interface BootOptions {
  readonly incarnation?: number;
  readonly registrationsMax?: number;
  readonly clock?: Clock;
  /** As a first boot left it. */
  readonly header?: Uint8Array;
  readonly boot?: string;
}

/** Boots a node on a disk. @param name its keys follow from it. */
export async function bootReplica(name: string, kv: KeyValueStore, options: BootOptions = {}) {
  const { incarnation = 1, registrationsMax = 1_000_000, clock = createImmediateClock() } = options;
  const who = testNode(name);
  const node = { ...who, identity: { ...who.identity, clusterId: replicaCluster } };
  let header = options.header;
  let store: SealedStore;
  if (header) store = await reopenStore(kv, header, node);
  else ({ store, header } = await makeStore(kv, node, name));

  const heights = { own: 1_000, cluster: 1_000 };
  const state = { mayConfirm: true };
  const lines: { event: string; fields: unknown }[] = [];
  const say = (event: string, fields?: unknown) => void lines.push({ event, fields });
  const log = { debug: say, info: say, warn: say, error: say };
  const writer = createBatchWriter({ clock, store });
  const own = {
    clusterId: replicaCluster,
    nodeId: who.identity.nodeId,
    sign: ed25519Signer(who.nodeSecret.expose()),
    incarnation,
    bootKey: seededRandom(`${name} boot ${options.boot ?? incarnation}`).bytes(32),
  };
  const logs = await openLogs({ store, writer }, own);
  const engine = createDetectionEngine({ executor: createInlineExecutor({ clock }) });
  const indexSets = createIndexSets();
  const deps = {
    store,
    writer,
    heights: (): Heights => ({ ...heights }),
    settled: (): Heights => ({ ...heights }),
    deriveKeys: registrationKeys,
  };
  const registrations = createRegistrations(
    { ...deps, engine, indexSets, enter: logs.own.enter, ending: logs.book.ending },
    { clusterId: replicaCluster, registrationsMax, lifetimeBlocksMax: 1_600_000, versionFloor: 0 },
  );
  await registrations.load();
  const replica = createReplica({ ...deps, registrations, logs, log }, { ...own, mayConfirm: () => state.mayConfirm });
  return {
    ...own,
    header,
    store,
    engine,
    indexSets,
    registrations,
    replica,
    heights,
    state,
    lines,
    /** As a user of this node. @throws KithError with the reason of a refusal. */
    async submit(user: ReplicaUser, operation: Operation): Promise<Extract<Submitted, { kind: 'taken' }>> {
      const done = await registrations.submit(user.submission(operation));
      if (done.kind === 'taken') return done;
      throw new KithError(done.kind === 'full' ? 'full' : done.reason, done.detail);
    },
    /** Lets heights pass as a detected block does. */
    async pass(height: number): Promise<void> {
      heights.own = height;
      heights.cluster = height;
      await registrations.passHeights({ ...heights }, (writes) => store.commit(writes));
    },
    /** Everything of the own log. */
    ownEntries: (from = 1): Promise<EntryWithBodies[]> => replica.read(replica.ownLog, from, Number.MAX_SAFE_INTEGER),
  };
}
export type ReplicaNode = Awaited<ReturnType<typeof bootReplica>>;
