// Replication over the mesh: one request protocol shared by its parts, under an envelope that names the part, and one
// for snapshots. Who may ask, and in which phases of this node, is said here; what is asked, each part knows itself.

import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { KithError } from '../../core/errors.ts';
import { bytesUpTo, closed, type Static, shape, Type } from '../../core/schema.ts';
import type { AttestedPeer, BulkHandler, Mesh, MeshPeer } from '../../p2p/index.ts';
import type { SyncPeer, SyncPeers } from '../../replication/index.ts';
import { isProven, permitProven } from '../proven.ts';

const REPLICATE_PROTOCOL = '/kith/replicate/1';
const SNAPSHOT_PROTOCOL = '/kith/snapshot/1';

/** The limit of the protocol (docs/MESH.md). */
const MESSAGE_BYTES_MAX = 256 * 1024;
/** Phases in which a node answers: the peers one catches up from need not be ready themselves. */
const SERVING_PHASES = ['catching-up', 'ready', 'draining'];

const partSchema = Type.Union([Type.Literal('sync'), Type.Literal('anchors'), Type.Literal('heights')]);
/** A part of replication that talks to its like. */
export type ReplicationPart = Static<typeof partSchema>;

const envelopeShape = shape(closed({ kind: partSchema, body: bytesUpTo(MESSAGE_BYTES_MAX, 1) }));

/** Answers a request to one part. @throws KithError, which goes to the peer as code and message. */
export type PartHandler = (
  peer: AttestedPeer,
  body: Uint8Array,
  options: { readonly signal: AbortSignal },
) => Promise<Uint8Array>;

/** Once per mesh. A part that is not there (yet) is `not-served`. */
export function serveReplication(
  mesh: Mesh,
  parts: () => Readonly<Partial<Record<ReplicationPart, PartHandler>>>,
  snapshot: () => BulkHandler | undefined,
): void {
  const options = { phases: SERVING_PHASES, permit: permitProven };
  const notServed = (what: string) => new KithError('not-served', `${what} is not served here`);
  mesh.handle(REPLICATE_PROTOCOL, options, async (request, peer, { signal }) => {
    const { kind, body } = decodeCbor(request, envelopeShape, {
      bytesMax: MESSAGE_BYTES_MAX,
      where: 'replication request',
    });
    const handler = parts()[kind];
    if (!handler) throw notServed(kind);
    return handler(peer, body, { signal });
  });
  mesh.handleBulk(SNAPSHOT_PROTOCOL, options, (request, peer, call) => {
    const handler = snapshot();
    if (!handler) throw notServed('snapshot');
    return handler(request, peer, call);
  });
}

/** The members as one part of replication sees them. */
export function replicationPeers(mesh: Mesh, part: ReplicationPart): SyncPeers {
  return {
    list: () =>
      mesh
        .peers()
        .filter(({ attested }) => isProven(attested))
        .map((peer) => syncPeer(peer, part)),
    onChange: (listener) => mesh.onChange(listener),
  };
}

function syncPeer(peer: MeshPeer, part: ReplicationPart): SyncPeer {
  const { nodeId, platform, operator } = peer.attested;
  return {
    nodeId,
    platform,
    operator,
    get phase() {
      return peer.phase;
    },
    request: (body, { signal, timeoutMs }) =>
      peer.request(REPLICATE_PROTOCOL, encodeCbor({ kind: part, body }), {
        signal,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      }),
    openBulk: (payload, { signal }) => peer.openBulk(SNAPSHOT_PROTOCOL, payload, { signal }),
  };
}
