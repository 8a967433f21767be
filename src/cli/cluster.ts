// The group `kith cluster`: making, reading and changing cluster configurations.

import type { Command } from 'commander';
import { described, readCluster } from './cluster-file.ts';
import { addClusterInit } from './cluster-init.ts';
import { addClusterUpdate } from './cluster-update.ts';
import { addCommand } from './command.ts';

export function addClusterCommands(program: Command): void {
  const group = program.command('cluster').description('the configuration all members of a cluster agree on');
  addClusterInit(group);
  addShow(group);
  addClusterUpdate(group);
}

function addShow(group: Command): void {
  addCommand<object>(
    group,
    'show <file>',
    'check a cluster configuration and print what it says',
    () => undefined,
    async (_options, _context, file = '') => described(await readCluster(file), { file }),
  );
}
