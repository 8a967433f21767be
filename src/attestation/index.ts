// TDX attestation: verifying quotes, deciding whom to believe, making quotes, and the cluster configuration that
// holds the policy. Browsers use browser.ts, which this door repeats and adds to.

export * from './browser.ts';
export {
  CLUSTER_FILE_CHARS_MAX,
  configurationProposalShape,
  createCluster,
  proposeSuccessor,
  signSuccessor,
  succeed,
} from './cluster-configuration/cluster.ts';
export {
  type ConfigurationChanges,
  configurationChangesShape,
  configurationHash,
  DEFAULT_LIMITS,
} from './cluster-configuration/configuration.ts';
export { isMainnet } from './cluster-configuration/mainnets.ts';
export { createDirectoryCollateral } from './collateral/directory.ts';
export { createHttpCollateral, type HttpCollateralOptions } from './collateral/http.ts';
export {
  type CollateralKeeper,
  type CollateralKeeperOptions,
  createCollateralKeeper,
} from './collateral/keeper.ts';
export type { Outlook } from './collateral/outlook.ts';
export type { CollateralErrorCode, CollateralRequest, CollateralSource } from './collateral/source.ts';
export { COLLATERAL_BYTES_MAX, QUOTE_BYTES_MAX } from './limits.ts';
export { attestationPolicyShape, defaultPolicy } from './policy/policy.ts';
export { digestOfBuild } from './providers/build.ts';
export { type ConfigfsOptions, createConfigfsSource, type TsmFiles } from './providers/configfs.ts';
export { nodeTsmFiles } from './providers/node-files.ts';
export {
  createQuoter,
  type QuoteErrorCode,
  type Quoter,
  type QuoterOptions,
  type QuoteSource,
} from './providers/quote-source.ts';
export { batchNonces } from './report-data.ts';
export {
  createDevelopmentPki,
  type DevelopmentPki,
  type SimulatedCollateralOptions,
  type SimulatedPlatform,
  type SimulatedPlatformOptions,
} from './simulated/pki.ts';
export { type QuoteLayout, simulatedMeasurements } from './simulated/quote.ts';
export { createSimulatedCollateral, createSimulatedSource } from './simulated/source.ts';
export { parseSimulatedPlatform } from './simulated-name.ts';
