// `npm run sim [-- --mutant NAME] [-- options of the simulator]`: bundles the simulator once, runs it, and ends as it
// ends. With a mutant the bundle has that bug in it, and a run that finds nothing is what is wrong.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { MUTANTS } from '../../test/sim/mutants/mutants.ts';
import { bundle } from './bundle.ts';

function mutantNamed(name: string | undefined) {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant) return mutant;
  console.error(`no mutant ${name ?? '(none named)'}; there are ${MUTANTS.map((one) => one.name).join(', ')}`);
  process.exit(2);
}

const words = process.argv.slice(2);
const at = words.indexOf('--mutant');
const mutant = at < 0 ? undefined : mutantNamed(words.splice(at, 2)[1]);

const folder = mkdtempSync(join(tmpdir(), 'kith-sim-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
// The run itself decides when an interrupt ends it.
process.on('SIGINT', () => undefined);
const outfile = join(folder, 'sim.mjs');
await bundle({ mutant, outfile });
process.exitCode = spawnSync(process.execPath, [outfile, ...words], { stdio: 'inherit' }).status ?? 1;
