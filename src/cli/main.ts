#!/usr/bin/env node
// The `kith` command: hands the words of the command line to the program and its exit code to the process.

import process from 'node:process';
import { runProgram } from './command.ts';
import { endWithParent } from './dev-child.ts';
import { buildProgram } from './program.ts';

const controller = new AbortController();
process.once('SIGINT', () => controller.abort());
process.once('SIGTERM', () => controller.abort());
endWithParent(controller);
// A reader that went away (`kith ... | head`) is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runProgram(buildProgram, process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  signal: controller.signal,
});
