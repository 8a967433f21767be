// The cluster configuration in force: the file the operator gave, or a signed successor of it that a member showed or
// the sealed store remembers. The newest one seen counts: a host that gives an older file changes nothing for a node
// whose store has a newer version.

import {
  adopt as adoptCluster,
  type Cluster,
  type ConfigurationVersion,
  compareClusters,
  configurationProposalShape,
  createCluster,
  succeed,
} from '../attestation/index.ts';
import { fromUtf8, toHex, u32be, utf8 } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { bytesUpTo, closed, shape } from '../core/schema.ts';
import type { Log } from './log.ts';
import type { SealedStore, StoreWrite } from './store/index.ts';

export interface ClusterInForce {
  /** The configuration of this moment; it does not change. */
  now(): Cluster;
  /** The same as an object that follows what is in force: for whoever reads single fields when they are needed. */
  readonly cluster: Cluster;
  /**
   * Takes a successor, whose signatures were checked, in place of the one in force: on disk first, if the store is open.
   * @throws KithError `successor-number` for an older one, `other-genesis`, `successor-fork`; what the store throws.
   */
  adopt(successor: Cluster): Promise<void>;
  /**
   * The store is open: the newer of what it remembers and what is in force counts from here on, and is remembered.
   * @throws KithError `successor-fork` if neither follows the other; what the store throws.
   */
  remember(store: SealedStore): Promise<void>;
  /** Calls back after each change; returns what ends that. */
  onChange(listener: (before: Cluster) => void): () => void;
}

/** As much as a handshake carries of one version. */
const VERSION_BYTES_MAX = 262_144;
const versionShape = shape(closed({ proposal: bytesUpTo(VERSION_BYTES_MAX, 1) }));
/** Hex digits of a hash in the log: enough to tell two versions apart, too few to look like an id. */
const HASH_DIGITS = 16;

/** @param given what the operator started this node with. */
export function createClusterInForce({ log }: { readonly log: Log }, given: Cluster): ClusterInForce {
  let current = given;
  let store: SealedStore | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const listeners = new Set<(before: Cluster) => void>();

  /** One change at a time, each on top of the one before. */
  function inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  }

  function putInForce(next: Cluster): void {
    const before = current;
    current = next;
    const { version } = next.configuration;
    log.info('configuration', { version, hash: toHex(next.hash).slice(0, HASH_DIGITS) });
    for (const listener of [...listeners]) listener(before);
  }

  return {
    now: () => current,
    cluster: {
      get id() {
        return current.id;
      },
      get configuration() {
        return current.configuration;
      },
      get hash() {
        return current.hash;
      },
      get anchor() {
        return current.anchor;
      },
      get simulated() {
        return current.simulated;
      },
      get versions() {
        return current.versions;
      },
    },
    adopt: (successor) =>
      inOrder(async () => {
        const next = adoptCluster(current, successor);
        const added = next.versions.slice(current.versions.length);
        if (added.length === 0) return;
        if (store) await store.commit(writesOf(store, added));
        putInForce(next);
      }),
    remember: (opened) =>
      inOrder(async () => {
        const stored = await storedCluster(opened, current);
        const succession = compareClusters(current, stored);
        if (succession.kind === 'refused') throw new KithError(succession.code, `the store: ${succession.message}`);
        if (succession.kind === 'older') {
          await opened.commit(writesOf(opened, current.versions.slice(stored.versions.length)));
        }
        store = opened;
        if (succession.kind !== 'newer') return;
        log.warn('configuration-outdated', {
          given: current.configuration.version,
          remembered: stored.configuration.version,
        });
        putInForce(stored);
      }),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const namespaceOf = (store: SealedStore) => store.namespace('configuration', versionShape);
const keyOf = (version: number): Uint8Array => u32be(version);

function writesOf(store: SealedStore, versions: readonly ConfigurationVersion[]): StoreWrite[] {
  return versions.map(({ configuration, signatures }) =>
    namespaceOf(store).put(keyOf(configuration.version), {
      proposal: utf8(JSON.stringify({ configuration, signatures })),
    }),
  );
}

/** What the store remembers, on the genesis that both must have; every signature is checked again. */
async function storedCluster(store: SealedStore, { versions }: Cluster): Promise<Cluster> {
  const records = namespaceOf(store);
  let cluster = createCluster(versions[0]!.configuration);
  for (let version = 2; ; version++) {
    const record = await records.get(keyOf(version));
    if (!record) return cluster;
    const where = `version ${version} in the store`;
    const { configuration, signatures } = configurationProposalShape.parse(
      parseJson(fromUtf8(record.proposal), where),
      where,
    );
    cluster = succeed(cluster, configuration, signatures);
  }
}
