// The options of a node on the command line, made from the one list in src/node, and their merge with environment
// and file.

import type { Command } from 'commander';
import {
  environmentName,
  NODE_OPTIONS,
  OPTION_NAMES,
  type OptionName,
  type OptionTexts,
  parseConfigurationFile,
  type ResolvedConfiguration,
  readEnvironment,
  resolveConfiguration,
} from '../node/index.ts';
import { readTextFile } from './files.ts';

/** A configuration file has a few dozen lines. */
const FILE_BYTES_MAX = 1_048_576;

/** Declares all options of a node, and `--config`. */
export function declareNodeOptions(command: Command): void {
  command.option(
    '--config <file>',
    'file with options: {"http": "127.0.0.1:8080", ...}; flags and KITH_* go before it',
  );
  for (const name of OPTION_NAMES) {
    const { kind, placeholder, help } = NODE_OPTIONS[name];
    const flag = kind === 'switch' ? `--${name}` : `--${name} ${placeholder}`;
    const text = `${help} [${environmentName(name)}]${kind === 'list' ? '; repeat for more' : ''}`;
    if (kind === 'switch') {
      command.option(flag, text);
      continue;
    }
    // Every value is collected, so that a repeated one is an error with a name instead of a silent change.
    command.option(flag, text, (value: string, previous: string[] | undefined) => [...(previous ?? []), value]);
  }
}

/** commander's camelCase for a flag. */
const attribute = (name: OptionName): string =>
  name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The configuration of a node from the parsed flags, `environment` and the file that `--config` names. */
export async function resolveNodeOptions(
  options: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ResolvedConfiguration> {
  const flags: OptionTexts = {};
  for (const name of OPTION_NAMES) {
    const given = options[attribute(name)];
    if (given === true) flags[name] = ['on'];
    else if (Array.isArray(given)) flags[name] = given as string[];
  }
  const path = options['config'];
  const file = typeof path === 'string' ? parseConfigurationFile(await readTextFile(path, FILE_BYTES_MAX), path) : {};
  return resolveConfiguration({ flags, environment: readEnvironment(environment), file });
}
