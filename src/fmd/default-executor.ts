// The executor for this machine: workers with the compiled kernel, or the reference where WebAssembly SIMD is missing.

import type { Clock } from '../core/ports.ts';
import type { DetectionExecutor } from './executor.ts';
import { createInlineExecutor } from './inline-executor.ts';
import { simdSupported } from './kernel/simd.ts';
import { createWorkerExecutor } from './worker-pool/executor.ts';

export interface ExecutorEvents {
  /** Said once, at creation: detection will be hundreds of times slower and not constant time. */
  readonly onFallback?: (reason: string) => void;
  /** A worker died and was replaced; its work is done again. */
  readonly onReplaced?: (reason: string) => void;
}

/** @param options.workers threads; one per core when left out. */
export function createDefaultExecutor(
  deps: { clock: Clock } & ExecutorEvents,
  options: { workers?: number | undefined } = {},
): DetectionExecutor {
  if (simdSupported()) return createWorkerExecutor(deps, options);
  deps.onFallback?.('WebAssembly SIMD is missing: detection runs on the slow reference');
  return createInlineExecutor(deps);
}
