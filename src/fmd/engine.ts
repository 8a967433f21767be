// The detection engine: takes transactions in two lanes, cuts them into small units of (flags x keys), has an
// executor test them, and answers per transaction which keys match. Units of the head lane always go first, so
// backfill never delays the head of the chain by more than the units in flight.

import { concatBytes } from '../core/bytes.ts';
import { abortError } from '../core/deadline.ts';
import { fmdError } from './errors.ts';
import { FLAG_BORSH_BYTES } from './flag.ts';
import { createKeyTable, type KeyPacking, type KeySlot, NO_KEY, type TileSelection } from './key-table.ts';
import type { DetectionKey } from './keys.ts';
import { LANE_JOBS_MAX } from './limits.ts';

/** `head` follows the tip of the chain, `backfill` rescans for new registrations. */
export type Lane = 'head' | 'backfill';

/** What detection needs of a transaction: its flags in Borsh form (111 bytes each), undefined if it carries none. */
export interface FlaggedTransaction {
  readonly flags: readonly Uint8Array[] | undefined;
}

/** One step of work: every flag against every selected key of one tile. */
export interface DetectionUnit {
  /** Flags of 111 bytes one after another. */
  readonly flags: Uint8Array;
  /** A slot is NO_KEY where the key was removed since the job began: its row may be free or another key's by now. */
  readonly selection: TileSelection;
}

export interface UnitResult {
  /** Per flag, 1 if it is not a canonical encoding; its match bits mean nothing then. */
  readonly undecodable: Uint8Array;
  /** Per flag ceil(rows / 8) bytes: bit k says whether the flag matches the k-th selected key. */
  readonly matches: Uint8Array;
}

/** What tests units: inline on @noble, or a pool of workers with the compiled kernel. */
export interface DetectionExecutor {
  /** For reports: which arithmetic is at work. */
  readonly kernel: string;
  readonly packing: KeyPacking;
  /** Units to keep in flight. */
  readonly parallelism: number;
  /** Flag-key pairs a unit should have. */
  readonly pairsPerUnit: number;
  start(): Promise<void>;
  run(unit: DetectionUnit): Promise<UnitResult>;
  /** Forgets what it kept of a key that is being removed. */
  forget(slot: KeySlot): void;
  stop(): Promise<void>;
}

export interface DetectionJob {
  readonly lane: Lane;
  readonly transactions: readonly FlaggedTransaction[];
  /** Keys to test; all of the moment when left out. */
  readonly slots?: readonly KeySlot[];
  /** Told after each unit. */
  readonly onProgress?: (donePairs: number, totalPairs: number) => void;
}

/** Which transactions match which keys. A key removed meanwhile may still be listed: look up its slot before use. */
export interface DetectionResult {
  readonly slots: readonly KeySlot[];
  /** Transactions that hold a flag which is no canonical encoding; they match every key. */
  readonly undecodable: readonly number[];
  /** Whether transaction `index` (as in the job) matches the key `slots[position]`. */
  matches(index: number, position: number): boolean;
}

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

interface Job {
  readonly lane: Lane;
  readonly units: Generator<PlannedUnit>;
  readonly totalPairs: number;
  donePairs: number;
  inFlight: number;
  exhausted: boolean;
  settled: boolean;
  /** Lets go of the signal once the job is settled. */
  release: () => void;
  readonly apply: (planned: PlannedUnit, result: UnitResult) => void;
  readonly finish: () => void;
  readonly fail: (error: unknown) => void;
  readonly onProgress: DetectionJob['onProgress'];
}

interface PlannedUnit {
  readonly unit: DetectionUnit;
  readonly pairs: number;
  /** Position of the unit's first flag among the job's flags. */
  readonly firstFlag: number;
  /** Position of the unit's first key among the job's slots. */
  readonly firstSlot: number;
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
      for (const job of lanes[lane]) {
        if (job.exhausted) continue;
        const step = job.units.next();
        if (!step.done) return { job, planned: step.value };
        job.exhausted = true;
      }
    }
    return undefined;
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
      settle(job, () => job.fail(error));
    } finally {
      inFlight--;
      job.inFlight--;
      pump();
      if (job.exhausted && job.inFlight === 0) settle(job, job.finish);
    }
  }

  function withoutRemoved({ flags, selection }: DetectionUnit): DetectionUnit {
    if (selection.slots.every(table.has)) return { flags, selection };
    return {
      flags,
      selection: { ...selection, slots: selection.slots.map((slot) => (table.has(slot) ? slot : NO_KEY)) },
    };
  }

  function submit(job: Job, signal: AbortSignal | undefined): void {
    lanes[job.lane].push(job);
    pendingPairs[job.lane] += job.totalPairs;
    if (signal) {
      const onAbort = () => settle(job, () => job.fail(abortError(signal)));
      if (signal.aborted) onAbort();
      else {
        signal.addEventListener('abort', onAbort, { once: true });
        job.release = () => signal.removeEventListener('abort', onAbort);
      }
    }
    pump();
    // A job without pairs (no keys, no flags) has nothing to wait for.
    if (job.exhausted && job.inFlight === 0) settle(job, job.finish);
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
        submit(planJob(request, selections, executor.pairsPerUnit, resolve, reject), options.signal);
      });
    },
    start: () => executor.start(),
    async stop() {
      if (stopped) return;
      stopped = true;
      for (const job of [...lanes.head, ...lanes.backfill]) {
        settle(job, () => job.fail(fmdError('engine-stopped', 'the detection engine was stopped')));
      }
      await executor.stop();
      table.clear();
    },
  };
}

/** Lays out a job: its flags in one row, its keys by tile, its answer as a matrix of bits. */
function planJob(
  request: DetectionJob,
  selections: readonly TileSelection[],
  pairsPerUnit: number,
  resolve: (result: DetectionResult) => void,
  reject: (error: unknown) => void,
): Job {
  const flags: Uint8Array[] = [];
  const transactionOf: number[] = [];
  const { transactions } = request;
  // A transaction without flags matches everybody; so does one whose flags have a wrong length or do not decode.
  const everybody = new Uint8Array(transactions.length);
  const undecodable = new Set<number>();
  transactions.forEach((transaction, index) => {
    if (!transaction.flags || transaction.flags.length === 0) everybody[index] = 1;
    for (const flag of transaction.flags ?? []) {
      if (flag.length === FLAG_BORSH_BYTES) {
        flags.push(flag);
        transactionOf.push(index);
      } else {
        undecodable.add(index);
      }
    }
  });
  const slots = selections.flatMap((selection) => selection.slots);
  const rowBytes = Math.ceil(slots.length / 8);
  const matrix = new Uint8Array(transactions.length * rowBytes);

  return {
    lane: request.lane,
    units: planUnits(flags, selections, pairsPerUnit),
    totalPairs: flags.length * slots.length,
    donePairs: 0,
    inFlight: 0,
    exhausted: false,
    settled: false,
    release: () => undefined,
    onProgress: request.onProgress,
    apply({ unit, firstFlag, firstSlot }, result) {
      const unitRowBytes = Math.ceil(unit.selection.rows.length / 8);
      for (let f = 0; f < result.undecodable.length; f++) {
        const index = transactionOf[firstFlag + f]!;
        if (result.undecodable[f]) undecodable.add(index);
        const from = result.matches.subarray(f * unitRowBytes, (f + 1) * unitRowBytes);
        orBits(matrix.subarray(index * rowBytes, (index + 1) * rowBytes), firstSlot, from, unit.selection.rows.length);
      }
    },
    finish() {
      for (const index of undecodable) everybody[index] = 1;
      resolve({
        slots,
        undecodable: [...undecodable].sort((a, b) => a - b),
        matches: (index, position) =>
          (everybody[index]! | ((matrix[index * rowBytes + (position >> 3)]! >> (position & 7)) & 1)) === 1,
      });
    },
    fail: reject,
  };
}

/** Cuts (flags x keys) into units of about `pairsPerUnit`: at first along the keys, then along the flags. */
function* planUnits(
  flags: readonly Uint8Array[],
  selections: readonly TileSelection[],
  pairsPerUnit: number,
): Generator<PlannedUnit> {
  let firstSlot = 0;
  for (const selection of selections) {
    for (let row = 0; row < selection.rows.length; row += pairsPerUnit) {
      const end = Math.min(selection.rows.length, row + pairsPerUnit);
      const part: TileSelection = {
        tile: selection.tile,
        rows: selection.rows.subarray(row, end),
        slots: selection.slots.slice(row, end),
      };
      const flagsPerUnit = Math.max(1, Math.floor(pairsPerUnit / (end - row)));
      for (let flag = 0; flag < flags.length; flag += flagsPerUnit) {
        const batch = flags.slice(flag, flag + flagsPerUnit);
        yield {
          unit: { flags: concatBytes(...batch), selection: part },
          pairs: batch.length * (end - row),
          firstFlag: flag,
          firstSlot: firstSlot + row,
        };
      }
    }
    firstSlot += selection.rows.length;
  }
}

/** ORs `count` bits of `from` into `into` at bit `offset`, the same steps whatever the bits are. */
function orBits(into: Uint8Array, offset: number, from: Uint8Array, count: number): void {
  for (let k = 0; k < count; k++) {
    const bit = (from[k >> 3]! >> (k & 7)) & 1;
    const at = offset + k;
    into[at >> 3] = into[at >> 3]! | (bit << (at & 7));
  }
}
