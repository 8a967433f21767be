// The network of a run: rules that faults add and take away, each about some links; what a chunk suffers is the sum of
// those that are about its link.

import type { Chunk, ChunkFate, MemoryNetwork } from '../../../src/p2p/memory.ts';

export interface LinkRule {
  /** Whether it is about chunks, and dials, of this direction. */
  applies(from: string, to: string): boolean;
  /** Whether a dial is refused. */
  readonly blocksDials?: boolean;
  fate?(chunk: Chunk): ChunkFate | undefined;
}

export interface SimNetwork {
  add(rule: LinkRule): void;
  remove(rule: LinkRule): void;
  /** Ends connections at once, as a peer sees it whose operating system tells it. */
  cut(a: string, b?: string): void;
  readonly rules: number;
}

/** @param see is given every chunk, before anything happens to it. */
export function createSimNetwork(network: MemoryNetwork, see: (chunk: Chunk) => void): SimNetwork {
  const rules = new Set<LinkRule>();
  network.faults.dial = (from, to) => {
    for (const rule of rules) if (rule.blocksDials && rule.applies(from, to)) return false;
    return true;
  };
  network.faults.chunk = (chunk) => {
    see(chunk);
    let fate: ChunkFate | undefined;
    for (const rule of rules) {
      if (!rule.fate || !rule.applies(chunk.from, chunk.to)) continue;
      const next = rule.fate(chunk);
      if (next) fate = { ...fate, ...next, delayMs: (fate?.delayMs ?? 0) + (next.delayMs ?? 0) };
      if (fate?.copies === 0) return fate;
    }
    return fate;
  };
  return {
    add: (rule) => void rules.add(rule),
    remove: (rule) => void rules.delete(rule),
    cut: (a, b) => network.cut(a, b),
    get rules() {
      return rules.size;
    },
  };
}
