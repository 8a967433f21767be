// `npm run sim:mutants [-- NAME ...] [--seeds N] [--from S] [--enough K] [--record]`: looks for the first K seeds that
// find each mutant, among N from S on, and prints them. Ends with 1 if some mutant is not found. With --record the seeds
// become those that test/sim/mutants.test.ts runs.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { MUTANTS } from '../../test/sim/mutants/mutants.ts';
import { RECORDED_SEEDS, readRecorded, writeRecorded } from '../../test/sim/mutants/recorded.ts';
import { type Found, searchMutant } from '../../test/sim/mutants/search.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    enough: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !MUTANTS.some((mutant) => mutant.name === name));
if (unknown.length > 0) {
  console.error(`no mutant ${unknown.join(', ')}; there are ${MUTANTS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const wanted = MUTANTS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => Number(values.from) + i);
const folder = mkdtempSync(join(tmpdir(), 'kith-mutants-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const enough = Number(values.enough ?? (values.record ? RECORDED_SEEDS : 1));
const kept = new Map<string, readonly Found[]>();
for (const mutant of wanted) {
  const { found, tried, cpuMs } = await searchMutant(mutant, { folder, seeds, enough });
  const spent = `${tried} seeds, ${Math.round(cpuMs / 1_000)} s`;
  kept.set(mutant.name, found);
  if (found.length < enough) process.exitCode = 1;
  console.log(
    `${mutant.name}: ${found.length === 0 ? 'not found' : found.map(({ seed }) => seed).join(' ')} (${spent})`,
  );
  for (const { seed, invariant, message, virtualMs } of found) {
    console.log(`  ${seed} at ${Math.round(virtualMs / 1_000)} s: ${invariant}: ${message.split('\n')[0]}`);
  }
}

/** Those of mutants that were not looked for stay; those of mutants there are no longer go. */
if (values.record) {
  const before = readRecorded();
  const asFound = (name: string) =>
    (before[name] ?? []).map(([seed, invariant]) => ({ seed, invariant, message: '', virtualMs: 0, cpuMs: 0 }));
  writeRecorded(new Map(MUTANTS.map(({ name }) => [name, kept.get(name) ?? asFound(name)])));
}
