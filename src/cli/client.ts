// The group `kith client`: what a user does with a wallet file and a node.

import type { Command } from 'commander';
import { addIndexSet } from './client-index-set.ts';
import { addClientKeygen } from './client-keygen.ts';
import { addOperations } from './client-operations.ts';

export function addClientCommands(program: Command): void {
  const group = program.command('client').description('wallets: register with a cluster and read index sets');
  addClientKeygen(group);
  addOperations(group);
  addIndexSet(group);
}
