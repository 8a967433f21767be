// Replication over the mesh: one request protocol shared by its parts, under the envelope that names the part, and one
// for snapshots. Who may ask, and in which phases of this node, is said here; what is asked, each part knows itself.

import { KithError } from '../../core/errors.ts';
import type { AttestedPeer, BulkHandler, Mesh, MeshPeer } from '../../p2p/index.ts';
import {
  decodeEnvelope,
  type EnvelopeKind,
  encodeEnvelope,
  type SyncPeer,
  type SyncPeers,
} from '../../replication/index.ts';
import { isProven, permitProven } from '../proven.ts';

const REPLICATE_PROTOCOL = '/kith/replicate/1';
const SNAPSHOT_PROTOCOL = '/kith/snapshot/1';

/** Phases in which a node answers: the peers one catches up from need not be ready themselves. */
const SERVING_PHASES = ['catching-up', 'ready', 'draining'];

/** Answers a request to one part. @throws KithError, which goes to the peer as code and message. */
export type PartHandler = (
  peer: AttestedPeer,
  body: Uint8Array,
  options: { readonly signal: AbortSignal },
) => Promise<Uint8Array>;

export interface ReplicationHandlers {
  readonly parts: Readonly<Record<EnvelopeKind, PartHandler>>;
  readonly snapshot: BulkHandler;
}

/** Once per mesh. @param handlers undefined while there is nothing to answer with. */
export function serveReplication(mesh: Mesh, handlers: () => ReplicationHandlers | undefined): void {
  const options = { phases: SERVING_PHASES, permit: permitProven };
  const present = () => {
    const found = handlers();
    if (!found) throw new KithError('not-served', 'replication is not served here yet');
    return found;
  };
  mesh.handle(REPLICATE_PROTOCOL, options, async (request, peer, call) => {
    const { kind, body } = decodeEnvelope(request);
    return present().parts[kind](peer, body, call);
  });
  mesh.handleBulk(SNAPSHOT_PROTOCOL, options, (request, peer, call) => present().snapshot(request, peer, call));
}

/** The proven members as one part of replication sees them. @param part puts its requests into the envelope for it. */
export function replicationPeers(mesh: Mesh, part?: EnvelopeKind): SyncPeers {
  return {
    list: () =>
      mesh
        .peers()
        .filter(({ attested }) => isProven(attested))
        .map((peer) => syncPeer(peer, part)),
    onChange: (listener) => mesh.onChange(listener),
  };
}

function syncPeer(peer: MeshPeer, part: EnvelopeKind | undefined): SyncPeer {
  const { nodeId, platform, operator } = peer.attested;
  return {
    nodeId,
    platform,
    operator,
    get phase() {
      return peer.phase;
    },
    request: (body, { signal, timeoutMs }) =>
      peer.request(REPLICATE_PROTOCOL, part ? encodeEnvelope({ kind: part, body }) : body, {
        signal,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      }),
    openBulk: (payload, { signal }) => peer.openBulk(SNAPSHOT_PROTOCOL, payload, { signal }),
  };
}
