// `npm run sim:mutants [-- NAME ...] [--seeds N] [--from S] [--enough K] [--record]`: looks for K seeds that find each
// mutant, among N from S on, and prints them. Ends with 1 if some mutant is not found. With --record the seeds become
// those that test/sim/mutants.test.ts runs: of those recorded before, the ones that still find it stay.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { MUTANTS } from '../../test/sim/mutants/mutants.ts';
import { RECORDED_SEEDS, readRecorded, record } from '../../test/sim/mutants/recorded.ts';
import { aimedAt, type Found, searchMutant } from '../../test/sim/mutants/search.ts';

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
const enough = Number(values.enough ?? (values.record ? RECORDED_SEEDS : 1));
const folder = mkdtempSync(join(tmpdir(), 'kith-mutants-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

for (const mutant of wanted) {
  const { name, breach } = mutant;
  const before = values.record ? (readRecorded()[name] ?? []).map(([seed]) => seed) : [];
  const named: Found[] = [];
  const { tried, cpuMs } = await searchMutant(mutant, {
    ...{ folder, enough, seeds: [...new Set([...before, ...seeds])] },
    onFound(one) {
      const { seed, invariant, message, virtualMs } = one;
      const isNamed = breach.includes(invariant);
      if (isNamed) named.push(one);
      const other = isNamed ? '' : ' (not what the mutant should break)';
      const atS = Math.round(virtualMs / 1_000);
      console.log(`  ${name}: seed ${seed} at ${atS} s: ${invariant}: ${message.split('\n')[0]}${other}`);
      const { nodes, aim } = aimedAt(mutant, seed);
      console.log(`    npm run sim -- --mutant ${name} --from ${seed} --nodes ${nodes} --aim ${aim?.join(',')}`);
    },
  });
  // Not before the search has ended: what was recorded is worth more than a part of what comes after it.
  if (values.record && named.length > 0) record(name, named);
  if (named.length < enough) process.exitCode = 1;
  const first = named.map(({ seed }) => seed).join(' ') || 'not found';
  console.log(`${name}: ${first} (${tried} seeds run, ${Math.round(cpuMs / 1_000)} s of processor time)`);
}
