// What a node shows of itself: a look at its own quote before it asks anybody to believe it, and quotes for clients
// over the key they seal to.

import {
  type AcceptedQuote,
  type Attestor,
  type Cluster,
  type CollateralKeeper,
  formatCollateral,
  platformKindOf,
  type Quoter,
  verificationTime,
} from '../attestation/index.ts';
import { toBase64Url, utf8 } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import { HPKE_SUITE } from '../core/hpke.ts';
import type { NodeId } from '../core/ids.ts';
import type { Clock } from '../core/ports.ts';
import { type RosterEntry, rosterHash } from '../core/roster.ts';
import { createClientAttestation } from './client-attestation.ts';
import type { AttestationDocument } from './service.ts';

export interface EvidenceDeps {
  readonly clock: Clock;
  readonly cluster: Cluster;
  readonly attestor: Attestor;
  readonly quoter: Quoter;
  readonly collateral: CollateralKeeper;
}

/** Who makes the claim: fixed for a boot. */
export interface Claimant {
  readonly nodeId: NodeId;
  /** X25519, fresh at every boot. */
  readonly hpkePublicKey: Uint8Array;
  /** Newest height known, for the policy. */
  readonly height: () => number | undefined;
  readonly roster: () => readonly RosterEntry[];
}

export interface Evidence {
  /**
   * Verifies a quote of this node as others will.
   * @throws KithError `not-believed` with the policy's reason, and what quoter and collateral say.
   */
  inspect(options: { signal: AbortSignal }): Promise<{ readonly quote: AcceptedQuote; readonly operator: string }>;
  /** @param nonce 32 bytes. */
  document(nonce: Uint8Array, options: { signal: AbortSignal }): Promise<AttestationDocument>;
}

const NO_NONCES = new Uint8Array(32);

export function createEvidence(deps: EvidenceDeps, claimant: Claimant): Evidence {
  const { cluster, quoter, collateral } = deps;
  const claim = (noncesRoot: Uint8Array) => ({
    purpose: 'client' as const,
    clusterId: cluster.id,
    configurationHash: cluster.hash,
    nodeId: claimant.nodeId,
    hpkeKey: claimant.hpkePublicKey,
    rosterHash: rosterHash(claimant.roster()),
    noncesRoot,
  });
  /** What a batch's quote names: both may change before the answers are sent. */
  const named = new WeakMap<
    Uint8Array,
    { readonly roster: readonly RosterEntry[]; readonly configurationHash: Uint8Array }
  >();
  const clients = createClientAttestation({
    clock: deps.clock,
    async quote(noncesRoot) {
      const roster = claimant.roster();
      const claimed = claim(noncesRoot);
      const quote = await quoter.quote(claimed);
      named.set(quote, { roster, configurationHash: claimed.configurationHash });
      return quote;
    },
  });

  return {
    async inspect({ signal }) {
      const expected = claim(NO_NONCES);
      const quote = await quoter.quote(expected, { signal });
      const documents = await collateral.get(platformKindOf(quote), { signal });
      const verdict = deps.attestor.attest({ quote, collateral: documents }, expected, {
        nowSeconds: verificationTime(deps.clock.now(), undefined),
        height: claimant.height(),
        newestCollateral: collateral.newest(),
      });
      if (verdict.kind === 'believed') return { quote: verdict.quote, operator: verdict.operator };
      throw new KithError(
        'not-believed',
        `the quote of this node is not believed (${verdict.code}): ${verdict.message}`,
      );
    },
    async document(nonce, { signal }) {
      const { quote, path } = await clients.attest(nonce, { signal });
      const documents = await collateral.get(platformKindOf(quote), { signal });
      const { roster, configurationHash } = named.get(quote)!;
      return {
        quote: toBase64Url(quote),
        collateral: toBase64Url(utf8(formatCollateral(documents))),
        nodeId: claimant.nodeId,
        hpke: [{ suite: HPKE_SUITE, publicKey: toBase64Url(claimant.hpkePublicKey) }],
        roster: roster.map(({ nodeId, platform, operator }) => ({ nodeId, platform, operator })),
        configurationHash: toBase64Url(configurationHash),
        noncePath: {
          root: toBase64Url(path.root),
          index: path.index,
          count: path.count,
          path: path.path.map(toBase64Url),
        },
      };
    },
  };
}
