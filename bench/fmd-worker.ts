// One of two workers of bench/fmd-kernel.ts: answers each message with its pairs per second over a short while.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { systemRandom } from '../src/core/system.ts';
import { createKernel } from '../src/fmd/kernel/kernel.ts';
import { randomFlag } from '../test/support/fmd.ts';
import { type KeyKind, rowsOfKeys } from './fmd-keys.ts';

const RUN_NS = 250e6;

const { kind, n, keys } = workerData as { kind: KeyKind; n: number; keys: number };
const kernel = createKernel(
  new WebAssembly.Module(readFileSync(new URL('../src/fmd/kernel/kernel.wasm', import.meta.url))),
);
kernel.load([rowsOfKeys(kind, n, keys)]);
const flag = randomFlag(systemRandom);
const matches = new Uint8Array(Math.ceil(keys / 8));

parentPort?.on('message', () => {
  const started = Number(process.hrtime.bigint());
  let flags = 0;
  let elapsed = 0;
  do {
    kernel.detect(flag, matches);
    flags++;
    elapsed = Number(process.hrtime.bigint()) - started;
  } while (elapsed < RUN_NS);
  parentPort?.postMessage((flags * keys * 1e9) / elapsed);
});
