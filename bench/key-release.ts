// A node that deals its sealing key to key servers and boots again and again: what `src/node` does of it (peering,
// dealer, recovery), without store and chain.

import { ed25519PublicKey, ed25519Sign } from '#crypto';
import { equalBytes } from '../src/core/bytes.ts';
import { hpkeGenerateKeyPair } from '../src/core/hpke.ts';
import { nodeIdFromBytes } from '../src/core/ids.ts';
import type { Clock } from '../src/core/ports.ts';
import { type RosterEntry, rosterHash } from '../src/core/roster.ts';
import { Secret } from '../src/core/secret.ts';
import { systemRandom as random } from '../src/core/system.ts';
import { createDealer, type OwnStore, recoverSealingKey } from '../src/keyserver/index.ts';
import { createClusterInForce } from '../src/node/cluster-in-force.ts';
import { headerReader } from '../src/node/custody/read-header.ts';
import { createPeering, type Peering } from '../src/node/peering.ts';
import { readHeader as readStoreHeader, signHeader } from '../src/node/store/index.ts';
import { commitToSealingKey, unwrapDataKey, wrapDataKey } from '../src/node/store/keys.ts';
import { createLibp2pTransport, createMemoryNetwork, type MemoryNetwork, type Transport } from '../src/p2p/index.ts';
import { handshakeDeps, testCluster } from '../test/support/mesh.ts';
import { until } from './report.ts';

export interface KeyReleaseTimes {
  /** From nothing until every key server is attested and has attested this boot. */
  readonly meetMs: number;
  /** From there until the key is put together. */
  readonly releaseMs: number;
  readonly threshold: number;
}

export interface KeyReleaseOptions {
  readonly clock: Clock;
  readonly place: 'memory' | 'libp2p';
  readonly servers: number;
  /** Boots of the owner. Each is one handshake with every key server, which take 32 of one host at once. */
  readonly runs: number;
}

const { signal } = new AbortController();
const silent = () => undefined;
const log = { debug: silent, info: silent, warn: silent, error: console.error };

interface Booted {
  readonly peering: Peering;
  readonly transport: Transport;
}

const addressOf = ({ transport }: Booted) => transport.addresses()[0]!;

async function transportOf(place: KeyReleaseOptions['place'], network: MemoryNetwork, name: string) {
  if (place === 'memory') return network.transport({ bootKey: random.bytes(32), address: name });
  return createLibp2pTransport({ random }, { listen: ['/ip4/127.0.0.1/tcp/0'] });
}

/** A boot on the platform of this name; what it caches is its own. */
async function boot(
  options: Pick<KeyReleaseOptions, 'clock' | 'place'>,
  network: MemoryNetwork,
  name: string,
): Promise<Booted> {
  const { clock, place } = options;
  const transport = await transportOf(place, network, name);
  const { attestor, quoter, collateral } = handshakeDeps(clock, name);
  const peering = createPeering(
    {
      ...{ clock, random, log, attestor, quoter, collateral, transport },
      inForce: createClusterInForce({ log }, testCluster),
      hpkeKeyPair: hpkeGenerateKeyPair(random),
      phase: () => 'recovering',
      height: () => undefined,
      onFenced: silent,
    },
    { bootstrap: [] },
  );
  await peering.mesh.start({});
  return { peering, transport };
}

/** The part of a store that custody sees. */
function ownStore(nodeSecret: Secret, nodeId: RosterEntry['nodeId'], storeId: Uint8Array, dataKey: Secret) {
  const written: { header?: Uint8Array } = {};
  const store: OwnStore = {
    signHeader: ({ sealingKey, keyEpoch, threshold, keyServers }) =>
      signHeader(
        {
          clusterId: testCluster.id,
          ...{ nodeId, storeId, keyEpoch, threshold, keyServers },
          keyCommitment: commitToSealingKey(sealingKey),
          wrappedDataKey: wrapDataKey({ random }, dataKey, sealingKey, keyEpoch),
          recoveryWrappedDataKey: undefined,
        },
        nodeSecret,
      ),
    sign: (message) => ed25519Sign(nodeSecret.expose(), message),
    writeHeader: async (header) => {
      written.header = header;
    },
    head: () => undefined,
  };
  return { store, written };
}

/** Servers come to know one another through the owner; only their connections to this boot count. */
const knows = ({ peering }: Booted, other: Booted) =>
  peering.mesh.peers().some(({ attested }) => equalBytes(attested.bootKey, other.peering.bootKey));

async function meet(own: Booted, servers: readonly Booted[]): Promise<void> {
  await Promise.all(servers.map((server) => own.peering.mesh.dial(addressOf(server))));
  await until(() => servers.every((server) => knows(server, own) && knows(own, server)));
}

async function leave(own: Booted, servers: readonly Booted[]): Promise<void> {
  await own.peering.mesh.stop();
  await until(() => !servers.some((server) => knows(server, own)));
}

/** Deals once; then boots `runs` times and gets the key back each time. @throws if a boot does not get it. */
export async function keyRelease(options: KeyReleaseOptions): Promise<KeyReleaseTimes[]> {
  const { clock, servers: count, runs } = options;
  const network = createMemoryNetwork({ clock });
  const nodeSecret = Secret.own(random.bytes(32));
  const nodeId = nodeIdFromBytes(ed25519PublicKey(nodeSecret.expose()));
  const [storeId, dataKey] = [random.bytes(32), Secret.own(random.bytes(32))];
  const { store, written } = ownStore(nodeSecret, nodeId, storeId, dataKey);
  const servers: Booted[] = [];
  for (let i = 0; i < count; i++) servers.push(await boot(options, network, `server-${i}`));
  for (const { peering } of servers) peering.become({ nodeId: nodeIdFromBytes(random.bytes(32)), incarnation: 1 });

  const dealt = await deal({ options, network, servers, store, nodeId, storeId });
  const times: KeyReleaseTimes[] = [];
  const readHeader = headerReader(testCluster.id);
  for (let i = 0; i < runs; i++) {
    const began = performance.now();
    const own = await boot(options, network, 'owner');
    await meet(own, servers);
    const met = performance.now();
    const { peering } = own;
    const asked = servers.map(({ peering: { self } }) => ({
      nodeId: self.nodeId,
      peer: peering.custodyOf(self.nodeId)!,
    }));
    const { bootKey, hpkePublicKey: hpkeKey } = peering;
    const found = await recoverSealingKey(
      { clock, random, readHeader, servers: () => asked },
      { header: written.header!, bootKey, hpkeKey },
      { signal },
    );
    const releaseMs = performance.now() - met;
    if (found.kind !== 'recovered') throw new Error(`no key: ${JSON.stringify(found.words)}`);
    const { key, header } = found;
    const { wrappedDataKey, keyEpoch } = readStoreHeader(header);
    if (!unwrapDataKey(wrappedDataKey, key, keyEpoch)?.equals(dataKey)) throw new Error('the key opens nothing');
    times.push({ meetMs: met - began, releaseMs, threshold: dealt.threshold });
    await leave(own, servers);
  }
  for (const { peering } of servers) await peering.mesh.stop();
  return times;
}

async function deal(of: {
  options: KeyReleaseOptions;
  network: MemoryNetwork;
  servers: readonly Booted[];
  store: OwnStore;
  nodeId: RosterEntry['nodeId'];
  storeId: Uint8Array;
}): Promise<{ threshold: number }> {
  const { options, network, servers, store, nodeId, storeId } = of;
  const own = await boot(options, network, 'owner');
  const { peering } = own;
  peering.become({ nodeId, incarnation: 1 });
  await meet(own, servers);
  const members = peering.mesh.peers().map(({ attested, addresses }) => ({
    nodeId: attested.nodeId,
    platform: attested.platform,
    operator: attested.operator,
    bootKey: attested.bootKey,
    addresses,
  }));
  const { attested } = servers[0]!.peering.mesh.peer(nodeId)!;
  const owner = { nodeId, platform: attested.platform, operator: attested.operator };
  const dealer = createDealer(
    { clock: options.clock, random, store, peer: peering.custodyOf },
    { owner, storeId, boot: () => ({ incarnation: 1, bootKey: peering.bootKey }) },
  );
  dealer.update({ rosterHash: rosterHash([owner, ...members]), members });
  await dealer.start({});
  await until(() => dealer.state().phase === 'backed' && dealer.state().confirmed.length === servers.length);
  const { threshold } = dealer.state();
  await dealer.stop();
  await leave(own, servers);
  return { threshold };
}
