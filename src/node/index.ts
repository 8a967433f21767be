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
