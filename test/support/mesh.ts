// Nodes of a simulated cluster for tests of the mesh: real handshakes over simulated quotes, in-process or real
// connections, one clock.

import { ed25519PublicKey } from '#crypto';
import {
  DEFAULT_LIMITS as CLUSTER_LIMITS,
  type Cluster,
  type ClusterConfiguration,
  createAttestor,
  createCluster,
  createCollateralKeeper,
  createQuoter,
  createSimulatedCollateral,
  createSimulatedSource,
  defaultPolicy,
  type MeasurementSet,
  proposeSuccessor,
  type QuoteSource,
  signSuccessor,
  succeed,
} from '../../src/attestation/index.ts';
import { toBase64Url } from '../../src/core/bytes.ts';
import { hpkeGenerateKeyPair } from '../../src/core/hpke.ts';
import { type NodeId, nodeIdFromBytes } from '../../src/core/ids.ts';
import type { Clock } from '../../src/core/ports.ts';
import {
  type AttestedPeer,
  createMemoryNetwork,
  createMesh,
  type HandshakeDeps,
  type Identity,
  type MemoryNetwork,
  type Mesh,
  type MeshChange,
  type MeshOptions,
  type MeshReport,
  type Refusal,
  type Transport,
} from '../../src/p2p/index.ts';
import { measurements, NOW, pki } from './attestation.ts';
import { seededRandom } from './seeded-random.ts';

const GOVERNANCE = new Uint8Array(32).fill(1);
const key = (value: number) => toBase64Url(new Uint8Array(32).fill(value));

const genesis: ClusterConfiguration = {
  version: 1,
  chainId: 'kith-mesh-test',
  trustAnchor: { development: toBase64Url(pki.root) },
  policy: defaultPolicy([measurements]),
  allowSimulated: true,
  allowUnbacked: false,
  confirmations: 1,
  operators: [],
  governance: { threshold: 1, publicKeys: [toBase64Url(ed25519PublicKey(GOVERNANCE))] },
  recovery: { threshold: 1, publicKeys: [key(20)] },
  limits: CLUSTER_LIMITS,
};

export const testCluster: Cluster = createCluster(genesis);
export const otherCluster: Cluster = createCluster({ ...genesis, confirmations: 2 });

/** The cluster with one more version, signed. */
export function successorOf(cluster: Cluster, changes: Parameters<typeof proposeSuccessor>[1] = {}): Cluster {
  const successor = proposeSuccessor(cluster, changes);
  return succeed(cluster, successor, [signSuccessor(successor, GOVERNANCE)]);
}

export const policyOf = (...sets: MeasurementSet[]) => defaultPolicy(sets);

/** Milliseconds at which the simulated certificates and collateral are valid. */
export const START_MS = NOW * 1000;

export interface TestNodeOptions {
  readonly cluster?: Cluster;
  readonly measurements?: MeasurementSet;
  readonly source?: QuoteSource;
  readonly admit?: (peer: AttestedPeer) => Refusal | undefined;
  readonly adopt?: (cluster: Cluster) => Promise<void>;
  readonly identity?: Partial<Identity>;
  readonly bootKey?: Uint8Array;
  readonly transport?: Transport;
  readonly mesh?: MeshOptions;
  readonly wrap?: (deps: HandshakeDeps) => HandshakeDeps;
}

export interface TestNode {
  readonly name: string;
  readonly address: string;
  readonly nodeId: NodeId;
  readonly bootKey: Uint8Array;
  readonly transport: Transport;
  readonly mesh: Mesh;
  readonly deps: HandshakeDeps;
  readonly changes: MeshChange[];
  readonly reports: MeshReport[];
  cluster: Cluster;
  phase: string;
  height: number | undefined;
}

/** Everything of a node below its mesh. */
export function handshakeDeps(clock: Clock, name: string, options: TestNodeOptions = {}): HandshakeDeps {
  const random = seededRandom(`node ${name}`);
  let cluster = options.cluster ?? testCluster;
  const platform = pki.platform({ operator: `op-${name}`, name });
  const source = options.source ?? createSimulatedSource({ clock }, platform, options.measurements ?? measurements);
  const identity: Identity = {
    nodeId: nodeIdFromBytes(ed25519PublicKey(random.bytes(32))),
    incarnation: 1,
    phase: 'attesting',
    hpkeKeyPair: hpkeGenerateKeyPair(random),
    ...options.identity,
  };
  const deps: HandshakeDeps = {
    clock,
    random,
    attestor: createAttestor({ cluster: () => cluster }),
    quoter: createQuoter({ source, clock }),
    collateral: createCollateralKeeper({ sources: [createSimulatedCollateral(pki)], clock }, { anchor: pki.root }),
    cluster: () => cluster,
    adopt:
      options.adopt ??
      (async (adopted) => {
        cluster = adopted;
      }),
    identity: () => identity,
    chain: () => ({ height: 10, timeMs: START_MS }),
    admit: options.admit ?? (() => undefined),
  };
  return options.wrap?.(deps) ?? deps;
}

export interface TestMesh {
  readonly clock: Clock;
  readonly network: MemoryNetwork;
  node(name: string, options?: TestNodeOptions): TestNode;
}

export function createTestMesh(clock: Clock, network = createMemoryNetwork({ clock })): TestMesh {
  return {
    clock,
    network,
    node(name, options = {}) {
      const deps = handshakeDeps(clock, name, options);
      const bootKey = options.bootKey ?? ed25519PublicKey(seededRandom(`boot ${name}`).bytes(32));
      const transport = options.transport ?? network.transport({ bootKey, address: name });
      const status = { phase: deps.identity().phase, height: undefined as number | undefined };
      let cluster = deps.cluster();
      const own: HandshakeDeps = {
        ...deps,
        cluster: () => cluster,
        attestor: createAttestor({ cluster: () => cluster }),
        adopt: async (adopted) => {
          await deps.adopt(adopted);
          cluster = adopted;
        },
      };
      const reports: MeshReport[] = [];
      const changes: MeshChange[] = [];
      const report = (event: MeshReport) => void reports.push(event);
      const mesh = createMesh({ ...own, transport, status: () => status, report }, options.mesh);
      mesh.onChange((change) => void changes.push(change));
      return {
        name,
        address: name,
        nodeId: own.identity().nodeId,
        bootKey: transport.bootKey,
        transport,
        mesh,
        deps: own,
        changes,
        reports,
        get cluster() {
          return cluster;
        },
        set cluster(next) {
          cluster = next;
        },
        get phase() {
          return status.phase;
        },
        set phase(next) {
          status.phase = next;
        },
        get height() {
          return status.height;
        },
        set height(next) {
          status.height = next;
        },
      };
    },
  };
}
