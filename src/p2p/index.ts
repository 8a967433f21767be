// The attested mesh between the nodes of a cluster. docs/MESH.md has the protocols byte by byte, limits and attacks.

export { type MeshErrorCode, type Refusal, refusalOf } from './errors.ts';
export type { BulkHandler, HandlerOptions, RequestHandler } from './handlers.ts';
export type { AttestedPeer, HandshakeCode, HandshakeDeps, Identity } from './handshake/ports.ts';
export { createLibp2pTransport, type Libp2pTransportOptions } from './libp2p/transport.ts';
export { checkLimits, DEFAULT_LIMITS, type MeshLimits, type ProtocolLimits, worstCaseBytes } from './limits.ts';
export { createMemoryNetwork, type MemoryNetwork } from './memory.ts';
export {
  attestationRefusalOf,
  createMesh,
  type Mesh,
  type MeshChange,
  type MeshDeps,
  type MeshOptions,
  type MeshPeer,
} from './mesh.ts';
export type { MeshReport } from './report.ts';
export type { RequestOptions } from './session/streams.ts';
export type { ByteStream, Connection, Transport } from './stream.ts';
