// The question a node or client asks about another: does this cluster believe this quote, for this claim? Joins
// verification, policy and operators; remembers what was verified, never what was decided.

import type { Cluster } from './cluster-configuration/cluster.ts';
import type { VerificationCode } from './errors.ts';
import type { NewestCollateral } from './policy/collateral-age.ts';
import { decide, type PolicyCode, type PolicyDecision } from './policy/decide.ts';
import type { Collateral } from './quote-collateral.ts';
import { claims, type ReportClaim } from './report-data.ts';
import { simulatedPlatformOf } from './simulated-name.ts';
import type { AcceptedQuote } from './verdict.ts';
import { createVerificationCaches, type VerificationCaches, verifyQuote } from './verify.ts';

export type AttestationCode = VerificationCode | PolicyCode | 'report-data';

/** What the asker knows of the world. */
export interface AttestationContext {
  /** Unix seconds; see `verificationTime`. */
  readonly nowSeconds: number;
  /** Newest chain height known, undefined before the first. */
  readonly height: number | undefined;
  readonly newestCollateral: NewestCollateral;
}

export type Attestation =
  | {
      readonly kind: 'believed';
      readonly quote: AcceptedQuote;
      /** The operator, by the configuration's map; the platform itself, as `platform:<hex>`, if it is on nobody's. */
      readonly operator: string;
      readonly decision: PolicyDecision;
    }
  | {
      readonly kind: 'refused';
      readonly code: AttestationCode;
      readonly message: string;
      /** What policy said, if it came that far. */
      readonly decision?: PolicyDecision;
    };

export interface Attestor {
  /**
   * Verifies a quote, decides by the policy in force, and checks that the quote stands for what is claimed.
   * @param stands the claim expected, or a check over the report data (`answersNonce`).
   */
  attest(
    evidence: { quote: Uint8Array; collateral: Collateral },
    stands: ReportClaim | ((reportData: Uint8Array) => boolean),
    context: AttestationContext,
  ): Attestation;
}

/**
 * @param deps.cluster gives the configuration in force, read at each call.
 */
export function createAttestor(
  deps: { cluster: () => Cluster },
  caches: VerificationCaches = createVerificationCaches(),
): Attestor {
  return {
    attest({ quote, collateral }, stands, context) {
      const cluster = deps.cluster();
      const { nowSeconds } = context;
      const verdict = verifyQuote({ quote, collateral, anchor: cluster.anchor, nowSeconds, allowDebug: true }, caches);
      if (verdict.kind === 'refused') return verdict;
      const decision = decide(cluster.configuration.policy, verdict, {
        ...context,
        operator: listedOperator(cluster, verdict),
        allowSimulated: cluster.simulated,
      });
      if (decision.kind === 'denied') {
        return { kind: 'refused', code: decision.code, message: decision.message, decision };
      }
      const meant = typeof stands === 'function' ? stands(verdict.reportData) : claims(verdict.reportData, stands);
      if (!meant) {
        return { kind: 'refused', code: 'report-data', message: 'the quote was made for another claim', decision };
      }
      return { kind: 'believed', quote: verdict, operator: operatorOfQuote(cluster, verdict), decision };
    },
  };
}

/** The operator that the configuration gives a platform to, or whom a simulated platform names. */
function listedOperator(cluster: Cluster, quote: AcceptedQuote): string | undefined {
  const { operators } = cluster.configuration;
  const simulated = cluster.simulated ? simulatedPlatformOf(quote) : undefined;
  if (simulated) return operators.find(({ name }) => name === simulated.operator)?.name;
  return operators.find(({ platforms }) => platforms.includes(quote.platform))?.name;
}

/**
 * Who runs a platform: its listed operator; in simulated clusters whom the platform names; else it is its own.
 */
export function operatorOfQuote(cluster: Cluster, quote: AcceptedQuote): string {
  const simulated = cluster.simulated ? simulatedPlatformOf(quote)?.operator : undefined;
  return listedOperator(cluster, quote) ?? simulated ?? `platform:${quote.platform}`;
}

/**
 * The time to verify at, in unix seconds: the host's clock, or the newest block's time if that is later, because a
 * host may set its clock back to before a revocation.
 */
export function verificationTime(localMs: number, newestBlockMs: number | undefined): number {
  return Math.floor(Math.max(localMs, newestBlockMs ?? 0) / 1000);
}
