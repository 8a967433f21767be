// Custody over the mesh (`/kith/custody/1`): its messages as they are, and releases with a quote of purpose `recover`
// over a nonce of the server. Who asks is known from the handshake; what a quote proves is checked here.

import {
  type AttestationContext,
  type Attestor,
  type Cluster,
  type CollateralKeeper,
  platformKindOf,
  type Quoter,
} from '../../attestation/index.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { bytes, bytesUpTo, closed, shape, Type } from '../../core/schema.ts';
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from '../../keyserver/codec.ts';
import type { Custodian, CustodyAnswer, CustodyPeer, CustodyRequest, ReleaseRequest } from '../../keyserver/index.ts';
import { type AttestedPeer, type Mesh, type MeshPeer, refusalOf } from '../../p2p/index.ts';
import { isProven, permitProven } from '../proven.ts';
import type { CustodyEvent } from '../telemetry/index.ts';
import { createNonces } from './nonces.ts';

export const CUSTODY_PROTOCOL = '/kith/custody/1';

/** A deposit with the largest header, twice in a release. */
const MESSAGE_BYTES_MAX = 65_536;
/** A quote with its certificates is 5 KiB. */
const QUOTE_BYTES_MAX = 16_384;
/** The quoting service of a cloud may take seconds. */
const RELEASE_TIMEOUT_MS = 30_000;

const nonce = bytes(32);
const requestShape = shape(
  Type.Union([
    closed({ kind: Type.Literal('ask'), request: bytesUpTo(MESSAGE_BYTES_MAX, 1) }),
    closed({ kind: Type.Literal('nonce') }),
    closed({
      kind: Type.Literal('release'),
      nonce,
      quote: bytesUpTo(QUOTE_BYTES_MAX, 1),
      request: bytesUpTo(MESSAGE_BYTES_MAX, 1),
    }),
  ]),
);
const nonceShape = shape(closed({ nonce }));
const limits = { bytesMax: MESSAGE_BYTES_MAX, where: 'custody message' };

export interface LinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly attestor: Attestor;
  readonly quoter: Pick<Quoter, 'quote'>;
  readonly collateral: Pick<CollateralKeeper, 'get'>;
  readonly cluster: () => Cluster;
  /** For verifying quotes now. */
  readonly context: () => AttestationContext;
  readonly ownBootKey: Uint8Array;
  readonly ownHpkeKey: Uint8Array;
  /** Told of each request, both those answered and those asked; nothing depends on it. */
  readonly report: (event: LinkEvent) => void;
}

export interface LinkEvent extends CustodyEvent {
  readonly peer: NodeId;
  /** One line about a failure. */
  readonly detail?: string;
}

/** The claim of a release, as both ends must see it. */
interface ReleaseClaim {
  readonly request: Pick<ReleaseRequest, 'nodeId' | 'incarnation' | 'storeIdHash'>;
  readonly hpkeKey: Uint8Array;
  readonly ownNonce: Uint8Array;
  readonly peerNonce: Uint8Array;
  readonly ownBootKey: Uint8Array;
  readonly peerBootKey: Uint8Array;
}

const claimOf = (cluster: Cluster, { request, ...rest }: ReleaseClaim) => ({
  purpose: 'recover' as const,
  clusterId: cluster.id,
  configurationHash: cluster.hash,
  nodeId: request.nodeId,
  incarnation: request.incarnation,
  storeIdHash: request.storeIdHash,
  hpkeKey: rest.hpkeKey,
  ownNonce: rest.ownNonce,
  peerNonce: rest.peerNonce,
  ownBootKey: rest.ownBootKey,
  peerBootKey: rest.peerBootKey,
});

/** The way to one attested member's custody. */
export function custodyPeer(deps: LinkDeps, peer: MeshPeer): CustodyPeer {
  async function send(message: CborValue, signal: AbortSignal, timeoutMs?: number): Promise<Uint8Array> {
    const encoded = encodeCbor(message);
    try {
      return await peer.request(CUSTODY_PROTOCOL, encoded, { signal, ...(timeoutMs ? { timeoutMs } : {}) });
    } finally {
      encoded.fill(0);
    }
  }

  async function release(request: ReleaseRequest, encoded: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const asked = decodeCbor(await send({ kind: 'nonce' }, signal), nonceShape, limits);
    const ownNonce = deps.random.bytes(32);
    const claim = claimOf(deps.cluster(), {
      request,
      hpkeKey: deps.ownHpkeKey,
      ownNonce,
      peerNonce: asked.nonce,
      ownBootKey: deps.ownBootKey,
      peerBootKey: peer.attested.bootKey,
    });
    const quote = await deps.quoter.quote(claim, { signal });
    return send({ kind: 'release', nonce: ownNonce, quote, request: encoded }, signal, RELEASE_TIMEOUT_MS);
  }

  const report = (kind: CustodyRequest['kind'], outcome: string, detail?: string) =>
    deps.report({ side: 'asked', kind, outcome, peer: peer.attested.nodeId, ...(detail && { detail }) });

  return {
    async request(message: CustodyRequest, { signal }): Promise<CustodyAnswer> {
      const encoded = encodeRequest(message);
      try {
        const answer =
          message.kind === 'release'
            ? await release(message, encoded, signal)
            : await send({ kind: 'ask', request: encoded }, signal);
        try {
          const decoded = decodeAnswer(answer);
          report(message.kind, outcomeOf(decoded));
          return decoded;
        } finally {
          answer.fill(0);
        }
      } catch (error) {
        const code = refusalOf(error)?.code ?? (isKithError(error, ...UNREADABLE) ? 'malformed' : 'silent');
        report(message.kind, code, messageOf(error));
        throw error;
      } finally {
        encoded.fill(0);
      }
    },
  };
}

/**
 * Answers members' custody requests for as long as the mesh runs.
 * @param onRestarted somebody else than the node itself, as it is known by now, asks for its key: a newer boot.
 */
export function serveCustody(
  mesh: Mesh,
  deps: LinkDeps,
  custodian: Custodian,
  onRestarted: (nodeId: NodeId) => void,
): void {
  const nonces = createNonces(deps);

  /** What stands behind a release request, or why it is not believed. @throws KithError `quote-refused`. */
  async function verified(
    request: ReleaseRequest,
    ownNonce: Uint8Array,
    quote: Uint8Array,
    peer: AttestedPeer,
    signal: AbortSignal,
  ): Promise<{ readonly platform: string; readonly operator: string }> {
    const peerNonce = nonces.take(peer.bootKey);
    const collateral = await deps.collateral.get(platformKindOf(quote), { signal });
    for (const issued of peerNonce) {
      const claim = claimOf(deps.cluster(), {
        request,
        hpkeKey: peer.hpkeKey,
        ownNonce,
        peerNonce: issued,
        ownBootKey: peer.bootKey,
        peerBootKey: deps.ownBootKey,
      });
      const verdict = deps.attestor.attest({ quote, collateral }, claim, deps.context());
      if (verdict.kind === 'believed') return { platform: verdict.quote.platform, operator: verdict.operator };
      if (verdict.code !== 'report-data') throw new KithError('quote-refused', `${verdict.code}: ${verdict.message}`);
    }
    throw new KithError('quote-refused', 'the quote is for another release, or its nonce was used or is too old');
  }

  /** @param seen told the kind of request as soon as it is known. */
  async function answer(
    request: Uint8Array,
    peer: AttestedPeer,
    { signal, seen }: { signal: AbortSignal; seen: (kind: CustodyEvent['kind']) => void },
  ): Promise<CustodyAnswer | Uint8Array> {
    const message = decodeCbor(request, requestShape, limits);
    if (message.kind === 'nonce') {
      seen('nonce');
      return nonces.issue(peer.bootKey);
    }
    const inner = decodeRequest(message.request);
    seen(inner.kind);
    if (message.kind === 'ask') {
      if (inner.kind === 'release') throw new KithError('quote-refused', 'a release needs a quote');
      if (inner.kind === 'last' && !(isProven(peer) && inner.nodeId === peer.nodeId)) onRestarted(inner.nodeId);
      return custodian.answer(peer, inner);
    }
    if (inner.kind !== 'release') throw new KithError('bad-message', `a ${inner.kind} does not come with a quote`);
    const where = await verified(inner, message.nonce, message.quote, peer, signal);
    const { bootKey, hpkeKey } = peer;
    const { nodeId, incarnation, storeIdHash } = inner;
    return custodian.release({ nodeId, incarnation, storeIdHash, bootKey, hpkeKey, ...where }, inner);
  }

  mesh.handle(CUSTODY_PROTOCOL, { permit: unproven }, async (request, peer, { signal }) => {
    let kind: CustodyEvent['kind'] = 'unread';
    const seen = (read: CustodyEvent['kind']) => {
      kind = read;
    };
    const report = (outcome: string, detail?: string) =>
      deps.report({ side: 'answered', kind, outcome, peer: peer.nodeId, ...(detail && { detail }) });
    try {
      const answered = await answer(request, peer, { signal, seen });
      const plain = answered instanceof Uint8Array;
      report(plain ? 'ok' : outcomeOf(answered));
      return plain ? encodeCbor({ nonce: answered }) : encodeAnswer(answered);
    } catch (error) {
      const code = isKithError(error) ? error.code : 'internal';
      report(isKithError(error, ...UNREADABLE) ? 'malformed' : code, messageOf(error));
      throw error;
    }
  });

  /** Until a node has opened its store it may ask for shares, and for nothing else. */
  function unproven(peer: AttestedPeer, request: Uint8Array) {
    const kind = ownersKind(request);
    const refused = kind && permitProven(peer);
    if (refused) {
      const { code: outcome, message: detail } = refused;
      deps.report({ side: 'answered', kind, outcome, peer: peer.nodeId, detail });
    }
    return refused;
  }
}

/** What CBOR says of bytes that are no message. */
const UNREADABLE = ['too-large', 'malformed', 'bad-shape', 'non-canonical'] as const;

const outcomeOf = (answer: CustodyAnswer): string => (answer.kind === 'refused' ? answer.reason : 'ok');

/** The kind of a request that only a node with an open store may make; undefined for any other. */
function ownersKind(request: Uint8Array): CustodyRequest['kind'] | undefined {
  try {
    const message = decodeCbor(request, requestShape, limits);
    if (message.kind !== 'ask') return undefined;
    const { kind } = decodeRequest(message.request);
    return kind === 'last' ? undefined : kind;
  } catch (error) {
    // The handler says what is wrong with it.
    if (isKithError(error)) return undefined;
    throw error;
  }
}
