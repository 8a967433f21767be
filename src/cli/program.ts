// The tree of commands.

import { Command } from 'commander';
import { addAttestCommands } from './attest.ts';
import { addClientCommands } from './client.ts';
import { addClusterCommands } from './cluster.ts';
import { addConfigCommands } from './config.ts';
import { addDevCommand } from './dev.ts';
import { addDevnetCommand } from './devnet.ts';
import { addDoctorCommand } from './doctor.ts';
import { addFmdCommands } from './fmd.ts';
import { addLeaveCommand } from './leave.ts';
import { addNodeCommand } from './node.ts';
import { addRecoverCommand } from './recover.ts';
import { addStatusCommand } from './status.ts';
import { VERSION } from './version.ts';

export function buildProgram(): Command {
  const program = new Command('kith');
  program
    .description('Fuzzy Message Detection for shielded chains, in a cluster of attested TDX nodes')
    .version(VERSION, '--version', 'print the version')
    .helpCommand(false)
    .showHelpAfterError(false);
  addConfigCommands(program);
  addNodeCommand(program);
  addDoctorCommand(program);
  addDevCommand(program);
  addDevnetCommand(program);
  addFmdCommands(program);
  addClusterCommands(program);
  addAttestCommands(program);
  addClientCommands(program);
  addStatusCommand(program);
  addLeaveCommand(program);
  addRecoverCommand(program);
  return program;
}
