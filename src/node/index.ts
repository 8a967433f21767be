// The door of the composition root: what the command line needs of a node. What a running node alone needs (servers,
// database, log) is loaded when it is asked for, so that other commands start fast.

import type { NodeConfiguration as Configuration } from './configuration.ts';
import type { Log as NodeLog } from './log.ts';
import type { NodeProcessDeps as Deps, NodeProcess as Running } from './main.ts';
import type { PinoLogOptions } from './telemetry/index.ts';

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
export type { NodeProcess, NodeProcessDeps } from './main.ts';
export type { HostPort } from './option-values.ts';
export { readHeader } from './store/header.ts';
export { createHeaderFile } from './store/level-header-file.ts';

/** See `startNode` in main.ts. */
export async function startNode(deps: Deps, configuration: Configuration): Promise<Running> {
  const { startNode: start } = await import('./main.ts');
  return start(deps, configuration);
}

/** See `createPinoLog` in telemetry/. */
export async function openLog(options: PinoLogOptions): Promise<NodeLog> {
  const { createPinoLog } = await import('./telemetry/index.ts');
  return createPinoLog(options);
}
