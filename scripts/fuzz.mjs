// `npm run fuzz [-- --rounds N] [-- filter ...]`: every file with fast-check families, over and over with more cases
// and a new seed each round, until interrupted or until something fails; then it says how to replay it.

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** Cases a family gets in one round: ten times those of `npm test`, so that a round takes minutes. */
const FAMILY_RUNS = 200_000;

const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');

function readArguments(words) {
  const filters = [];
  let rounds = Number.POSITIVE_INFINITY;
  for (let i = 0; i < words.length; i++) {
    if (words[i] === '--rounds') {
      const text = words[++i] ?? '';
      if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error('--rounds wants a whole number from 1 on');
      rounds = Number(text);
    } else if (words[i].startsWith('-')) {
      throw new Error(`unknown option ${words[i]}; there is --rounds N, and words that name files`);
    } else {
      filters.push(words[i]);
    }
  }
  return { rounds, filters };
}

/** The test files that take their budgets from test/support/fuzz.ts. */
function families(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return families(path);
    return path.endsWith('.test.ts') && readFileSync(join(root, path), 'utf8').includes('support/fuzz.ts')
      ? [path]
      : [];
  });
}

let running;
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    interrupted = true;
    running?.kill(signal);
  });
}

function runRound(files, environment) {
  return new Promise((resolve, reject) => {
    const words = [vitest, 'run', '--bail', '1', '--testTimeout', '0', '--reporter', 'dot', ...files];
    running = spawn(process.execPath, words, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } });
    running.on('error', reject);
    running.on('exit', (code) => resolve(code === 0));
  });
}

async function main() {
  const { rounds, filters } = readArguments(process.argv.slice(2));
  const all = families('test/unit');
  const files = all.filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)));
  if (files.length === 0) throw new Error(`no file with fuzz families is named by ${filters.join(', ')}`);
  const runs = process.env.KITH_FUZZ_RUNS || String(FAMILY_RUNS);
  for (let round = 1; round <= rounds && !interrupted; round++) {
    const seed = String(randomInt(2 ** 31));
    const environment = { KITH_FUZZ_RUNS: runs, KITH_FUZZ_SEED: seed };
    console.error(`round ${round}: ${files.length} files, ${runs} cases a family, seed ${seed}`);
    const passed = await runRound(files, environment);
    if (passed || interrupted) continue;
    const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    console.error(`\nReplay with: ${settings.join(' ')} npx vitest run <the file that failed>`);
    process.exitCode = 1;
    return;
  }
}

try {
  await main();
} catch (error) {
  console.error(`fuzz: ${error.message}`);
  process.exitCode = 2;
}
