// The door of the composition root: what the command line needs of a node.

export {
  environmentName,
  NODE_OPTIONS,
  type NodeConfiguration,
  OPTION_NAMES,
  type OptionName,
  type OptionTexts,
  parseConfigurationFile,
  type ResolvedConfiguration,
  readEnvironment,
  redact,
  resolveConfiguration,
} from './configuration.ts';
export type { Log, LogFields } from './log.ts';
export { type NodeProcess, type NodeProcessDeps, startNode } from './main.ts';
export type { HostPort } from './option-values.ts';
export { readHeader } from './store/header.ts';
export { createHeaderFile } from './store/level-header-file.ts';
export { createPinoLog } from './telemetry/index.ts';
