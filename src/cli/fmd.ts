// The group `kith fmd`: detection without a node.

import type { Command } from 'commander';
import { addFmdDetect } from './fmd-detect.ts';
import { addFmdKeys } from './fmd-keys.ts';

export function addFmdCommands(program: Command): void {
  const group = program.command('fmd').description('fuzzy message detection without a node: keys, flags, detection');
  addFmdDetect(group);
  addFmdKeys(group);
}
