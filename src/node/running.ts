// What a node has once its store is open: the parts that do its work, and how they hang together.

import { ed25519Signer } from '#crypto';
import type { Cluster } from '../attestation/index.ts';
import type { Ed25519Signer } from '../core/crypto/door.ts';
import { KithError } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import {
  createDetectionEngine,
  createIndexSets,
  type DetectionEngine,
  type DetectionExecutor,
  type IndexSets,
  registrationKeys,
} from '../fmd/index.ts';
import {
  type ChainClient,
  type ChainSource,
  createIndexer,
  type Indexer,
  type NoteStore,
  openNoteStore,
} from '../indexer/index.ts';
import type { ClusterHeight, Heights } from '../replication/index.ts';
import { createDetector, type Detector } from './detection/detector.ts';
import { createMatchLog, type MatchLog } from './detection/match-log.ts';
import { readProgress } from './detection/progress.ts';
import type { Disk } from './disk.ts';
import { logIndexerEvent } from './indexer-events.ts';
import type { Launched, NodeIdentity } from './launched.ts';
import type { Log } from './log.ts';
import { createLookUps, type LookUps } from './look-ups.ts';
import { createBatchWriter } from './registrations/batch-writer.ts';
import { createRegistrations, type Registrations } from './registrations/registrations.ts';
import { openLogs } from './replica/logs.ts';
import { createReplica, type NodeReplica } from './replica/replica.ts';
import type { KeyValueStore, SealedStore } from './store/index.ts';

export interface RunningDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly disk: Disk;
  /** In order of preference. */
  readonly sources: readonly ChainSource[];
  readonly executor: DetectionExecutor;
  /** Endpoints of the chain that take transactions, in order of preference. */
  readonly chainClients: readonly Pick<ChainClient, 'send'>[];
}

export interface RunningOptions {
  readonly startHeight?: number | undefined;
  readonly pollMs?: number | undefined;
}

export interface AssembleOptions {
  /** A key that only this boot has, 32 bytes: names its log. */
  readonly bootKey: Uint8Array;
  /** Whether the store is known to be the newest this node had. */
  readonly mayConfirm: () => boolean;
  readonly onSynced: () => void;
  /** What the members say of heights; undefined where there is no company. */
  readonly clusterHeight: () => Pick<ClusterHeight, 'height' | 'settledHeight' | 'disagreement'> | undefined;
}

export interface Running {
  /** Ed25519 by the node key. */
  readonly sign: Ed25519Signer;
  readonly store: SealedStore;
  readonly identity: NodeIdentity;
  readonly rows: KeyValueStore;
  readonly notes: NoteStore;
  readonly engine: DetectionEngine;
  readonly indexSets: IndexSets;
  readonly indexer: Indexer;
  readonly registrations: Registrations;
  readonly replica: NodeReplica;
  readonly matches: MatchLog;
  readonly detector: Detector;
  readonly lookUps: LookUps;
  /** The newest height any upstream or the own index knows; 0 before the first. */
  tip(): number;
}

/**
 * Loads everything the store holds; nothing runs yet.
 * @throws KithError of store and indexer: the caller closes the store then.
 */
export async function assemble(
  deps: RunningDeps,
  { store, identity, incarnation }: Launched,
  options: RunningOptions & AssembleOptions,
): Promise<Running> {
  const { clock, random, log, cluster } = deps;
  const { chainId } = cluster.configuration;
  const progress = await readProgress({ store, checkpoint: () => notes.checkpoint! });
  const rows = await deps.disk.openChain({ fresh: progress.checkpoint === undefined });
  const notes = await openNoteStore(rows, { sealed: progress.checkpoint }).catch(async (error: unknown) => {
    await rows.close();
    throw error;
  });
  const report = logIndexerEvent(log);
  const indexer = createIndexer(
    { clock, random, notes, sources: deps.sources, report },
    { chainId, startHeight: options.startHeight, pollMs: options.pollMs },
  );
  const tip = () => Math.max(indexer.status().tip ?? 0, notes.checkpoint?.cursor ?? 0);
  const indexed = () => notes.checkpoint?.cursor ?? 0;
  // What an upstream only claims ends services early, at most; what is final waits for blocks, and for the members.
  const heights = (): Heights => ({
    own: tip(),
    cluster: Math.max(indexed(), options.clusterHeight()?.height() ?? 0),
  });
  const settled = (): Heights => ({ own: tip(), cluster: options.clusterHeight()?.settledHeight() ?? indexed() });

  const engine = createDetectionEngine({ executor: deps.executor });
  const indexSets = createIndexSets();
  const writer = createBatchWriter({ clock, store });
  const { nodeId, nodeSecret } = identity;
  const sign = ed25519Signer(nodeSecret.expose());
  const ownLog = { clusterId: cluster.id, nodeId, sign, incarnation, bootKey: options.bootKey };
  const logs = await openLogs({ store, writer }, ownLog);
  const registrations = createRegistrations(
    {
      store,
      writer,
      engine,
      indexSets,
      deriveKeys: registrationKeys,
      heights,
      settled,
      enter: logs.own.enter,
      ending: logs.book.ending,
      onAdded: () => detector.wake(),
    },
    {
      clusterId: cluster.id,
      versionFloor: progress.versionFloor,
      get registrationsMax() {
        return cluster.configuration.limits.registrationsMax;
      },
      get lifetimeBlocksMax() {
        return cluster.configuration.limits.lifetimeBlocksMax;
      },
    },
  );
  const replica = createReplica(
    { store, writer, registrations, logs, deriveKeys: registrationKeys, heights, log },
    { ...ownLog, mayConfirm: options.mayConfirm },
  );
  const matches = createMatchLog({ store });
  await registrations.load();
  await matches.load(indexSets.apply);
  const lookUps = createLookUps({ clock, random, clusterId: cluster.id, registrations, indexSets, tip });
  const onSynced = () => {
    lookUps.synced();
    options.onSynced();
  };
  const detector = createDetector({
    clock,
    log,
    store,
    engine,
    indexSets,
    indexer,
    notes,
    registrations,
    matches,
    progress,
    settled,
    hold: () => chainDisagreement(options.clusterHeight()?.disagreement()),
    onSynced,
  });
  return {
    sign,
    store,
    identity,
    rows,
    notes,
    engine,
    indexSets,
    indexer,
    registrations,
    replica,
    matches,
    detector,
    lookUps,
    tip,
  };
}

const chainDisagreement = (height: number | undefined): KithError | undefined =>
  height === undefined
    ? undefined
    : new KithError('chain-disagreement', `most operators have another block at height ${height} than this node`);
