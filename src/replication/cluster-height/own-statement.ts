// What this node says of its chain: one statement for all, signed when there is something else to say, or when the last
// has been told for a while.

import { type ClusterId, idBytes, type NodeId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { BLOCKS_STATED, RESTATE_MS } from './limits.ts';
import { type AgedStatement, encodeHeightStatement, type StatedBlock, signHeightStatement } from './statement.ts';

/** What this node has of the chain. */
export interface OwnChain {
  /** Every block up to it is indexed here. */
  readonly height: number;
  /** At the newest multiples of BLOCK_STEP, descending; empty if the chain source knows no hashes. */
  readonly blocks: readonly StatedBlock[];
}

export interface OwnStatementDeps {
  readonly clock: Clock;
  readonly clusterId: ClusterId;
  readonly self: { readonly nodeId: NodeId; readonly incarnation: number };
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly own: () => OwnChain | undefined;
}

export interface OwnStatement {
  /** Undefined before the first block. */
  now(): { readonly height: number; readonly aged: AgedStatement } | undefined;
}

interface Said extends OwnChain {
  readonly statement: Uint8Array;
  readonly atMs: number;
}

export function createOwnStatement(deps: OwnStatementDeps): OwnStatement {
  const { clock, clusterId, sign, own } = deps;
  const nodeId = idBytes(deps.self.nodeId);
  let sequence = 0;
  let said: Said | undefined;

  function stateAnew({ height, blocks }: OwnChain): Uint8Array {
    sequence += 1;
    const statement = signHeightStatement(sign, clusterId, {
      nodeId,
      incarnation: deps.self.incarnation,
      sequence,
      height: Math.min(height, HEIGHT_MAX),
      // Any host's word, before 1970 or after all time: it must not keep the statement from being one.
      timeMs: Math.min(Math.max(0, Math.floor(clock.now()) || 0), Number.MAX_SAFE_INTEGER),
      blocks: blocks.slice(0, BLOCKS_STATED).map((block) => ({ height: block.height, hash: block.hash })),
    });
    return encodeHeightStatement(statement);
  }

  return {
    now() {
      const chain = own();
      if (!chain) return undefined;
      const nowMs = clock.monotonic();
      const { height, blocks } = chain;
      if (said?.height !== height || said.blocks !== blocks || nowMs - said.atMs >= RESTATE_MS) {
        said = { height, blocks, atMs: nowMs, statement: stateAnew(chain) };
      }
      return { height, aged: { ageMs: Math.ceil(nowMs - said.atMs), statement: said.statement } };
    },
  };
}
