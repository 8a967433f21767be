// One place of the pool: a worker thread and the units it was given. When the thread dies, another takes its place and
// does its units again; a unit that kills its workers again and again is given up.

import { Worker } from 'node:worker_threads';
import { fmdError } from '../errors.ts';
import type { UnitResult } from '../executor.ts';
import type { RowsInTile, WorkerMessage, WorkerStart } from './protocol.ts';

export interface Work {
  readonly flags: Uint8Array;
  readonly tiles: readonly RowsInTile[];
}

interface Assigned extends Work {
  readonly id: number;
  attempts: number;
  readonly resolve: (result: UnitResult) => void;
  readonly reject: (error: Error) => void;
}

/** A cosmic ray may strike twice; the third time it is the unit. */
const ATTEMPTS_MAX = 3;

/** Made from the sources, as in tests: then the code of workers is TypeScript too, and tsx has to load it. */
const fromSource = import.meta.url.endsWith('.ts');
const workerUrl = new URL(fromSource ? './worker.ts' : './worker.js', import.meta.url);

function createThread(start: WorkerStart): Worker {
  const name = 'kith-detection';
  if (!fromSource) return new Worker(workerUrl, { workerData: start, name });
  const load = `import('tsx/esm/api').then(({ tsImport }) => tsImport(${JSON.stringify(workerUrl.href)}, ${JSON.stringify(import.meta.url)}))`;
  return new Worker(load, { eval: true, workerData: start, name, execArgv: ['--conditions=kith-source'] });
}

export class PooledWorker {
  readonly #module: WebAssembly.Module;
  readonly #onReplaced: (reason: string) => void;
  readonly #assigned = new Map<number, Assigned>();
  #worker: Worker | undefined;
  #ready: Promise<void> | undefined;
  #lastId = 0;
  #stopped = false;

  constructor(module: WebAssembly.Module, onReplaced: (reason: string) => void) {
    this.#module = module;
    this.#onReplaced = onReplaced;
  }

  /** Units given to it and not answered. */
  get load(): number {
    return this.#assigned.size;
  }

  /** The thread's id, for tests that end it. */
  get threadId(): number | undefined {
    return this.#worker?.threadId;
  }

  /** Resolves once a thread is warmed up. @throws what kept it from starting. */
  start(): Promise<void> {
    this.#ready ??= this.#spawn();
    return this.#ready;
  }

  run(work: Work): Promise<UnitResult> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) {
        reject(fmdError('engine-stopped', 'the detection workers were stopped'));
        return;
      }
      const assigned: Assigned = { ...work, id: ++this.#lastId, attempts: 1, resolve, reject };
      this.#assigned.set(assigned.id, assigned);
      void this.start().catch(() => undefined);
      this.#send(assigned);
    });
  }

  /** Ends the thread, whatever it does, and rejects its units. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const worker = this.#worker;
    this.#worker = undefined;
    this.#giveUp(fmdError('engine-stopped', 'the detection workers were stopped'));
    await worker?.terminate();
  }

  /** Ends the thread as a fault would; for tests. */
  async crash(): Promise<void> {
    await this.#worker?.terminate();
  }

  #send({ id, flags, tiles }: Assigned): void {
    this.#worker?.postMessage({ id, flags, tiles });
  }

  #giveUp(error: Error): void {
    for (const { reject } of this.#assigned.values()) reject(error);
    this.#assigned.clear();
  }

  #spawn(): Promise<void> {
    const start: WorkerStart = { module: this.#module };
    const worker = createThread(start);
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      let reason = 'it ended';
      worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'ready') resolve();
        else this.#answered(message);
      });
      worker.on('error', (error: Error) => {
        reason = error.message;
      });
      worker.on('exit', () => {
        reject(fmdError('worker-failed', `a detection worker did not start: ${reason}`));
        if (worker === this.#worker && !this.#stopped) this.#replace(reason);
      });
    });
  }

  #answered(message: Exclude<WorkerMessage, { kind: 'ready' }>): void {
    const assigned = this.#assigned.get(message.id);
    this.#assigned.delete(message.id);
    if (message.kind === 'done') assigned?.resolve({ undecodable: message.undecodable, matches: message.matches });
    else assigned?.reject(fmdError('worker-failed', `a detection unit failed: ${message.message}`));
  }

  /** A new thread does again what the dead one left; the unit it was at counts one attempt more. */
  #replace(reason: string): void {
    this.#onReplaced(reason);
    this.#worker = undefined;
    this.#ready = undefined;
    const [current] = this.#assigned.values();
    if (!current) return;
    current.attempts++;
    if (current.attempts > ATTEMPTS_MAX) {
      this.#assigned.delete(current.id);
      current.reject(fmdError('worker-failed', `a detection unit ended ${ATTEMPTS_MAX} workers: ${reason}`));
    }
    if (this.#assigned.size === 0) return;
    void this.start().catch(() => undefined);
    for (const assigned of this.#assigned.values()) this.#send(assigned);
  }
}
