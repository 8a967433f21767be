// Builds the detection kernel and compiles src to dist. Plain JavaScript, so that it runs before anything is built.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = fileURLToPath(new URL('../node_modules/@typescript/native/bin/tsc', import.meta.url));

const kernel = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/build-kernel.ts'], {
  cwd: root,
  stdio: 'inherit',
});
if (kernel.status !== 0) process.exit(kernel.status ?? 1);

rmSync(`${root}dist`, { recursive: true, force: true });
const compiled = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

copyFileSync(`${root}src/fmd/kernel/kernel.wasm`, `${root}dist/fmd/kernel/kernel.wasm`);

const bin = `${root}dist/cli/main.js`;
if (existsSync(bin)) chmodSync(bin, 0o755);
