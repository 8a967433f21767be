// The door for browsers: everything that checks, nothing that makes quotes, reads files or simulates.

export {
  type Attestation,
  type AttestationCode,
  type AttestationContext,
  type Attestor,
  createAttestor,
  operatorOfQuote,
  verificationTime,
} from './attestor.ts';
export {
  adopt,
  type Cluster,
  type ConfigurationSignature,
  type ConfigurationVersion,
  compareClusters,
  formatCluster,
  parseCluster,
  type Succession,
  versionWithHash,
} from './cluster-configuration/cluster.ts';
export type { ClusterConfiguration, ClusterConfigurationErrorCode } from './cluster-configuration/configuration.ts';
export { VERIFICATION_CODES, type VerificationCode } from './errors.ts';
export { intelRoot } from './intel-root.ts';
export { type PlatformKind, platformKindOf } from './platform-kind.ts';
export {
  mergeNewest,
  type NewestCollateral,
  NO_COLLATERAL_SEEN,
  newestCollateralShape,
  newestOf,
} from './policy/collateral-age.ts';
export {
  decide,
  explain,
  POLICY_CODES,
  type PolicyCode,
  type PolicyContext,
  type PolicyDecision,
  type RuleOutcome,
} from './policy/decide.ts';
export type { AttestationPolicy, MeasurementSet } from './policy/policy.ts';
export { parseQuote, type Quote, type TdReport } from './quote.ts';
export { type Collateral, type CollateralParts, formatCollateral, parseCollateral } from './quote-collateral.ts';
export {
  answersNonce,
  type ClientClaim,
  claims,
  NONCE_BYTES,
  type NoncePath,
  type PeerClaim,
  type RecoverClaim,
  type ReportClaim,
  type ReportData,
  type ReportPurpose,
  reportDataOf,
} from './report-data.ts';
export { type SimulatedPlatformName, simulatedPlatformOf } from './simulated-name.ts';
export type { TcbStatus } from './tcb-documents.ts';
export type { OldComponent } from './tcb-level.ts';
export type { AcceptedQuote, CollateralDates, Measurements, TdAttributes } from './verdict.ts';
export {
  createVerificationCaches,
  type RefusedQuote,
  type Verdict,
  type VerificationCaches,
  type VerificationRequest,
  verifyQuote,
} from './verify.ts';
