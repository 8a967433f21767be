// Members that exchange heights over links a test cuts, each with a chain the test makes up.

import { ed25519Sign, sha256 } from '#crypto';
import { utf8 } from '../../src/core/bytes.ts';
import { KithError } from '../../src/core/errors.ts';
import { idBytes } from '../../src/core/ids.ts';
import {
  encodeHeightStatement,
  encodeHeights,
  type HeightStatement,
  signHeightStatementWith,
} from '../../src/replication/cluster-height/statement.ts';
import {
  BLOCK_STEP,
  type ClusterHeight,
  createClusterHeight,
  decodeEnvelope,
  type HeightEvent,
  type OwnChain,
  type SyncPeer,
} from '../../src/replication/index.ts';
import { createManualClock } from './manual-clock.ts';
import { entriesOf, receiptCluster, type Signer } from './receipts.ts';

/** The block at a height of a chain that has a name. */
export const blockOf = (height: number, chain = 'the chain'): Uint8Array => sha256(utf8(`${chain} ${height}`));

export function chainAt(height: number, chain?: string): OwnChain {
  const top = height - (height % BLOCK_STEP);
  const heights = Array.from({ length: 8 }, (_, i) => top - i * BLOCK_STEP).filter((at) => at > 0);
  return { height, blocks: heights.map((at) => ({ height: at, hash: blockOf(at, chain) })) };
}

type StatedOver = Partial<Omit<HeightStatement, 'blocks' | 'signature'> & Pick<OwnChain, 'blocks'>>;

/** What a member that lies would send: anything under its own key. */
export function statementOf(signer: Signer, over: StatedOver = {}): Uint8Array {
  const unsigned = { nodeId: idBytes(signer.nodeId), incarnation: 1, sequence: 1, timeMs: 0, ...chainAt(100), ...over };
  return encodeHeightStatement(
    signHeightStatementWith(signer.secret, receiptCluster, { ...unsigned, blocks: [...unsigned.blocks] }),
  );
}

export const told = (...statements: readonly Uint8Array[]): Uint8Array =>
  encodeHeights(statements.map((statement) => ({ ageMs: 0, statement })));

export function createHeightWorld(signers: readonly Signer[]) {
  const clock = createManualClock();
  const cut = new Set<string>();
  const state = { roster: entriesOf(signers), requests: 0, signed: 0, failing: false };
  const nodes = signers.map((signer) => ({
    signer,
    chain: undefined as OwnChain | undefined,
    events: [] as HeightEvent[],
    heights: undefined as unknown as ClusterHeight,
  }));
  const linked = (a: Signer, b: Signer) => a !== b && !cut.has([a.nodeId, b.nodeId].sort().join());

  for (const node of nodes) {
    const peerTo = (other: (typeof nodes)[number]): SyncPeer => ({
      ...other.signer,
      phase: 'ready',
      async request(payload) {
        if (state.failing || !linked(node.signer, other.signer)) throw new KithError('not-connected', 'cut');
        state.requests += 1;
        return other.heights.handle(node.signer.nodeId, decodeEnvelope(payload).body);
      },
      openBulk: () => {
        throw new Error('heights need no bulk');
      },
    });
    node.heights = createClusterHeight({
      clock,
      clusterId: receiptCluster,
      self: { nodeId: node.signer.nodeId, incarnation: 1 },
      sign(message) {
        state.signed += 1;
        return ed25519Sign(node.signer.secret, message);
      },
      roster: () => state.roster,
      peers: {
        list: () => nodes.filter(({ signer }) => linked(node.signer, signer)).map(peerTo),
        onChange: () => () => undefined,
      },
      own: () => node.chain,
      report: (event) => void node.events.push(event),
    });
  }
  return {
    clock,
    state,
    nodes,
    start: () => {
      for (const { heights } of nodes) heights.start();
    },
    stop: () => {
      for (const { heights } of nodes) heights.stop();
    },
    /** Cuts or restores the link between two. */
    setCut(a: number, b: number, isCut: boolean): void {
      const name = [signers[a]!.nodeId, signers[b]!.nodeId].sort().join();
      if (isCut) cut.add(name);
      else cut.delete(name);
    },
  };
}
