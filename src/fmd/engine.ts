// The detection engine: takes transactions in two lanes, cuts them into small units of (flags x keys), has an
// executor test them, and answers per transaction which keys match. Units of the head lane always go first, so
// backfill never delays the head of the chain by more than the units in flight.

import { abortError } from '../core/deadline.ts';
import {
  type DetectionJob,
  type DetectionResult,
  type JobPlan,
  type Lane,
  type PlannedUnit,
  planJob,
} from './detection-job.ts';
import { fmdError } from './errors.ts';
import type { DetectionExecutor, DetectionUnit } from './executor.ts';
import { createKeyTable, type KeySlot, NO_KEY } from './key-table.ts';
import type { DetectionKey } from './keys.ts';
import { LANE_JOBS_MAX } from './limits.ts';

export interface EngineStats {
  readonly keys: number;
  readonly keyMemoryBytes: number;
  /** Flag-key pairs tested since the start. */
  readonly pairs: number;
  /** Flag-key pairs waiting or in work, per lane. */
  readonly pendingPairs: Readonly<Record<Lane, number>>;
}

export interface DetectionEngine {
  readonly kernel: string;
  readonly stats: EngineStats;
  /** The key takes part in every job submitted from now on. */
  add(key: DetectionKey): KeySlot;
  /** Wipes the key; jobs in flight no longer report it to be trusted. False if it is not there. */
  remove(slot: KeySlot): boolean;
  has(slot: KeySlot): boolean;
  /**
   * Tests a job. @throws KithError `engine-busy` when the lane is full, `engine-stopped`, or the signal's reason;
   * a failure of the executor rejects the job, not the engine.
   */
  detect(job: DetectionJob, options?: { signal?: AbortSignal }): Promise<DetectionResult>;
  start(): Promise<void>;
  /** Rejects what is pending, wipes every key. */
  stop(): Promise<void>;
}

interface Job extends JobPlan {
  readonly lane: Lane;
  donePairs: number;
  inFlight: number;
  exhausted: boolean;
  settled: boolean;
  /** Lets go of the signal once the job is settled. */
  release: () => void;
  readonly resolve: (result: DetectionResult) => void;
  readonly reject: (error: unknown) => void;
  readonly onProgress: DetectionJob['onProgress'];
}

/** Creates an engine around an executor; `start` it before the first job. */
export function createDetectionEngine(deps: { executor: DetectionExecutor }): DetectionEngine {
  const { executor } = deps;
  const table = createKeyTable(executor.packing);
  const lanes: Record<Lane, Job[]> = { head: [], backfill: [] };
  const pendingPairs: Record<Lane, number> = { head: 0, backfill: 0 };
  let inFlight = 0;
  let pairsTested = 0;
  let stopped = false;

  function settle(job: Job, act: () => void): void {
    if (job.settled) return;
    job.settled = true;
    pendingPairs[job.lane] -= job.totalPairs - job.donePairs;
    const queue = lanes[job.lane];
    const position = queue.indexOf(job);
    if (position >= 0) queue.splice(position, 1);
    job.release();
    act();
  }

  function next(): { job: Job; planned: PlannedUnit } | undefined {
    for (const lane of ['head', 'backfill'] as const) {
      for (const job of [...lanes[lane]]) {
        if (job.exhausted) continue;
        const step = job.units.next();
        if (!step.done) return { job, planned: step.value };
        job.exhausted = true;
        // Its last unit may have come back long ago, or it never had one: nothing else would look at it again.
        settleIfDone(job);
      }
    }
    return undefined;
  }

  function settleIfDone(job: Job): void {
    if (job.exhausted && job.inFlight === 0) settle(job, () => job.resolve(job.result()));
  }

  function pump(): void {
    while (!stopped && inFlight < executor.parallelism) {
      const work = next();
      if (!work) return;
      inFlight++;
      work.job.inFlight++;
      void execute(work.job, work.planned);
    }
  }

  async function execute(job: Job, planned: PlannedUnit): Promise<void> {
    try {
      const result = await executor.run(withoutRemoved(planned.unit));
      if (!job.settled) {
        job.apply(planned, result);
        job.donePairs += planned.pairs;
        pendingPairs[job.lane] -= planned.pairs;
        pairsTested += planned.pairs;
        job.onProgress?.(job.donePairs, job.totalPairs);
      }
    } catch (error) {
      settle(job, () => job.reject(error));
    } finally {
      inFlight--;
      job.inFlight--;
      pump();
      settleIfDone(job);
    }
  }

  function withoutRemoved({ flags, selections }: DetectionUnit): DetectionUnit {
    return {
      flags,
      selections: selections.map((selection) =>
        selection.slots.every(table.has)
          ? selection
          : { ...selection, slots: selection.slots.map((slot) => (table.has(slot) ? slot : NO_KEY)) },
      ),
    };
  }

  function submit(job: Job, signal: AbortSignal | undefined): void {
    lanes[job.lane].push(job);
    pendingPairs[job.lane] += job.totalPairs;
    if (signal) {
      const onAbort = () => settle(job, () => job.reject(abortError(signal)));
      if (signal.aborted) onAbort();
      else {
        signal.addEventListener('abort', onAbort, { once: true });
        job.release = () => signal.removeEventListener('abort', onAbort);
      }
    }
    // A job without pairs (no keys, no flags) waits for nothing, however busy the executor is.
    if (job.totalPairs === 0) settle(job, () => job.resolve(job.result()));
    pump();
  }

  return {
    get kernel() {
      return executor.kernel;
    },
    get stats() {
      return {
        keys: table.size,
        keyMemoryBytes: table.memoryBytes,
        pairs: pairsTested,
        pendingPairs: { ...pendingPairs },
      };
    },
    add: (key) => table.add(key),
    remove(slot) {
      executor.forget(slot);
      return table.remove(slot);
    },
    has: (slot) => table.has(slot),
    async detect(request, options = {}) {
      if (stopped) throw fmdError('engine-stopped', 'the detection engine was stopped');
      if (lanes[request.lane].length >= LANE_JOBS_MAX) {
        throw fmdError('engine-busy', `${LANE_JOBS_MAX} detection jobs are waiting in the ${request.lane} lane`);
      }
      const selections = table.select(request.slots);
      return await new Promise<DetectionResult>((resolve, reject) => {
        const job: Job = {
          ...planJob(request, selections, executor),
          lane: request.lane,
          donePairs: 0,
          inFlight: 0,
          exhausted: false,
          settled: false,
          release: () => undefined,
          resolve,
          reject,
          onProgress: request.onProgress,
        };
        submit(job, options.signal);
      });
    },
    start: () => executor.start(),
    async stop() {
      if (stopped) return;
      stopped = true;
      for (const job of [...lanes.head, ...lanes.backfill]) {
        settle(job, () => job.reject(fmdError('engine-stopped', 'the detection engine was stopped')));
      }
      await executor.stop();
      table.clear();
    },
  };
}
