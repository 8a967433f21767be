// A detection worker: one kernel, one unit at a time. It keeps nothing between units.

import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../core/errors.ts';
import { createKernel } from '../kernel/kernel.ts';
import type { WorkerMessage, WorkerStart, WorkRequest } from './protocol.ts';
import { testUnit } from './unit.ts';
import { warmUp } from './warm-up.ts';

if (!parentPort) throw new Error('this file is the code of a worker thread');
const port = parentPort;

const kernel = createKernel((workerData as WorkerStart).module);
warmUp(kernel);

function answer(message: WorkerMessage, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

port.on('message', (request: WorkRequest) => {
  const { id } = request;
  try {
    const { undecodable, matches } = testUnit(kernel, request);
    const buffers = [undecodable.buffer, matches.buffer] as ArrayBuffer[];
    answer({ kind: 'done', id, undecodable, matches }, buffers);
  } catch (error) {
    answer({ kind: 'failed', id, message: messageOf(error) });
  }
});
answer({ kind: 'ready' });
