// `kith config print`: what a node would run with, and where each value comes from.

import process from 'node:process';
import type { Command } from 'commander';
import { NODE_OPTIONS, OPTION_NAMES, redact } from '../node/index.ts';
import { addCommand } from './command.ts';
import { declareNodeOptions, resolveNodeOptions } from './node-options.ts';
import { formatTable } from './table.ts';

export function addConfigCommands(program: Command): void {
  const group = program.command('config').description('the configuration of a node');
  addCommand<Record<string, unknown>>(
    group,
    'print',
    'print the merged configuration with the origin of each value, secrets redacted',
    declareNodeOptions,
    async (options) => {
      const { origins, texts } = await resolveNodeOptions(options, process.env);
      const rows = OPTION_NAMES.map((name) => {
        const shown = texts[name].map(redact);
        const value = NODE_OPTIONS[name].kind === 'list' ? shown : (shown[0] ?? null);
        return { name, value, text: shown.join(', '), origin: origins[name] };
      });
      return {
        json: Object.fromEntries(rows.map(({ name, value, origin }) => [name, { value, origin }])),
        text: formatTable(
          ['option', 'value', 'from'],
          rows.map(({ name, text, origin }) => [name, text, origin]),
        ),
      };
    },
  );
}
