// TDX attestation: verifying quotes, deciding whom to believe, making quotes, and the cluster configuration that
// holds the policy. Browsers use browser.ts, which this door repeats and adds to.

export * from './browser.ts';
export {
  type ConfigurationChanges,
  createCluster,
  proposeSuccessor,
  signSuccessor,
  succeed,
} from './cluster-configuration/cluster.ts';
export { configurationHash, DEFAULT_LIMITS } from './cluster-configuration/configuration.ts';
export { isMainnet } from './cluster-configuration/mainnets.ts';
export { defaultPolicy } from './policy/policy.ts';
export { batchNonces } from './report-data.ts';
export {
  createDevelopmentPki,
  type DevelopmentPki,
  type SimulatedCollateralOptions,
  type SimulatedPlatform,
  type SimulatedPlatformOptions,
} from './simulated/pki.ts';
export { simulatedMeasurements } from './simulated/quote.ts';
export { parseSimulatedPlatform } from './simulated-name.ts';
