// Members that anchor operations on one chain, or on none: real keys and messages, a chain that a test steers block by
// block and may show differently to each, replicas in memory that share nothing unless a test gives it to them.

import { ed25519Sign } from '#crypto';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { abortError } from '../../src/core/deadline.ts';
import { KithError } from '../../src/core/errors.ts';
import { idBytes, type OpId } from '../../src/core/ids.ts';
import { operationId } from '../../src/core/registration/operation.ts';
import { type RosterEntry, rosterHash } from '../../src/core/roster.ts';
import {
  type AnchorChainBlock,
  type AnchorReplica,
  type AnchorReport,
  type Anchors,
  createAnchors,
  type OperationBody,
  type OperationRef,
} from '../../src/replication/index.ts';
import { createManualClock } from './manual-clock.ts';
import { clusterId, testUser } from './registration.ts';
import { entryOf, type RosterIdentity, rosterIdentity } from './roster.ts';
import { seededRandom } from './seeded-random.ts';

/** Real time does not matter; a block must leave room for a few rounds of messages. */
const BLOCK_MS = 7_000;
export const FIRST_HEIGHT = 1_000;

/** A register of a user of its own. */
export function bodyOf(number: number): OperationBody & { readonly ref: OperationRef } {
  const user = testUser(number);
  const operation = user.sign({ type: 'register', version: 500, birthday: 1, expiryHeight: 900_000 });
  return { operation, keys: user.keys, ref: { opId: operationId(operation), regId: user.regId } };
}

export interface FakeReplica extends AnchorReplica {
  readonly held: Map<OpId, OperationBody>;
  /** Known, and superseded by something that is held. */
  readonly gone: Set<OpId>;
  give(...bodies: readonly OperationBody[]): void;
}

export function fakeReplica(): FakeReplica {
  const held = new Map<OpId, OperationBody>();
  const gone = new Set<OpId>();
  const listeners = new Set<(refs: readonly OperationRef[]) => void>();
  function give(...bodies: readonly OperationBody[]): void {
    const refs = bodies.map(({ operation }) => ({ opId: operationId(operation), regId: operation.regId }));
    const fresh = refs.filter(({ opId }, i) => !held.has(opId) && held.set(opId, bodies[i]!));
    for (const listener of listeners) listener(fresh);
  }
  return {
    held,
    gone,
    give,
    *states() {
      for (const [opId, { operation }] of held) {
        if (!gone.has(opId)) yield { regId: operation.regId, opIds: [opId], keys: true };
      }
    },
    holds: async ({ opId }) => held.has(opId),
    body: async ({ opId }) => (gone.has(opId) ? undefined : held.get(opId)),
    counts: ({ opId }) => held.has(opId) && !gone.has(opId),
    async takeBodies(bodies) {
      give(...bodies);
      return bodies.map(() => 'taken');
    },
    onTaken(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export interface AnchorNode {
  readonly identity: RosterIdentity;
  readonly disk: Map<string, Uint8Array>;
  replica: FakeReplica;
  anchors: Anchors;
  up: boolean;
  readonly reports: AnchorReport[];
  /** What its chain endpoint makes of a block. */
  view: (block: AnchorChainBlock) => AnchorChainBlock;
  /** Its endpoint takes texts. */
  sends: boolean;
  mayAttest: boolean;
  /** Every request that reached it, by whom and with what. */
  readonly asked: { readonly from: RosterIdentity; readonly payload: Uint8Array }[];
}

export function createAnchorWorld(options: { count?: number; chain?: boolean; seed?: string } = {}) {
  const { count = 3, chain: withChain = true, seed = 'anchors' } = options;
  const clock = createManualClock();
  const nodes: AnchorNode[] = [];
  const blocks: AnchorChainBlock[] = [];
  const genesisId = new Uint8Array(32).fill(7);
  const cut = new Set<string>();
  const waiting = new Set<() => void>();
  let mempool: string[] = [];
  let roster: RosterEntry[] = [];
  const past: RosterEntry[][] = [];

  const height = () => FIRST_HEIGHT + blocks.length - 1;
  const linked = (a: AnchorNode, b: AnchorNode) =>
    a !== b && a.up && b.up && !cut.has([a.identity.nodeId, b.identity.nodeId].sort().join());

  async function* chainBlocks(node: AnchorNode, from: number, signal: AbortSignal) {
    let wakeOnAbort: () => void = () => undefined;
    signal.addEventListener('abort', () => wakeOnAbort(), { once: true });
    for (let at = Math.max(from, FIRST_HEIGHT); ; at++) {
      while (at > height() && !signal.aborted) {
        await new Promise<void>((resolve) => {
          waiting.add(resolve);
          wakeOnAbort = resolve;
        });
      }
      if (signal.aborted) throw abortError(signal);
      yield node.view(blocks[at - FIRST_HEIGHT]!);
    }
  }

  function anchorsOf(node: AnchorNode): Anchors {
    const { identity, disk } = node;
    return createAnchors({
      clock,
      random: seededRandom(`${seed}/${identity.nodeId}/${node.reports.length}`),
      clusterId,
      nodeId: identity.nodeId,
      replica: node.replica,
      store: {
        async *entries() {
          for (const [key, value] of [...disk].reverse()) yield [fromHex(key), Uint8Array.from(value)] as const;
        },
        get: async (key) => copy(disk.get(toHex(key))),
        async commit(writes) {
          for (const { key, value } of writes) {
            if (value) disk.set(toHex(key), Uint8Array.from(value));
            else disk.delete(toHex(key));
          }
        },
      },
      peers: {
        list: () =>
          nodes
            .filter((other) => linked(node, other))
            .map((other) => ({
              nodeId: other.identity.nodeId,
              async request(payload: Uint8Array) {
                if (!linked(node, other)) throw new KithError('not-connected', 'no connection');
                other.asked.push({ from: identity, payload });
                return other.anchors.handle(entryOf(identity), Uint8Array.from(payload));
              },
            })),
        onChange: () => () => undefined,
      },
      rosters: {
        now: () => ({ genesisId, rosterHash: rosterHash(roster), members: roster }),
        byHash: (wanted) => {
          const members = [roster, ...past].find((known) => toHex(rosterHash(known)) === toHex(wanted));
          return members && { members, untilHeight: members === roster ? undefined : FIRST_HEIGHT };
        },
      },
      chain: withChain
        ? {
            async send(text) {
              if (!node.sends) throw new KithError('upstream-unreachable', 'no answer');
              mempool.push(text);
            },
            blocks: (from, { signal }) => chainBlocks(node, from, signal),
          }
        : undefined,
      height,
      sign: (message) => ed25519Sign(identity.secret, message),
      mayAttest: () => node.mayAttest,
      report: (event) => void node.reports.push(event),
    });
  }

  async function add(name: string, platform = name): Promise<AnchorNode> {
    const node: AnchorNode = {
      identity: rosterIdentity(name, platform),
      disk: new Map(),
      replica: fakeReplica(),
      anchors: undefined as unknown as Anchors,
      up: true,
      reports: [],
      view: (block) => block,
      sends: true,
      mayAttest: true,
      asked: [],
    };
    node.anchors = anchorsOf(node);
    nodes.push(node);
    if (roster.length > 0) past.push(roster);
    roster = [...roster, entryOf(node.identity)];
    return node;
  }

  async function start(node: AnchorNode): Promise<void> {
    node.anchors = anchorsOf(node);
    node.up = true;
    await node.anchors.start({});
  }

  return {
    clock,
    nodes,
    blocks,
    genesisId,
    roster: () => roster,
    height,
    add,
    start,
    /** Its memory is gone; the disk and the replica stay. */
    async stop(node: AnchorNode): Promise<void> {
      node.up = false;
      await clock.settle(node.anchors.stop());
    },
    setCut(a: AnchorNode, b: AnchorNode, isCut: boolean): void {
      const name = [a.identity.nodeId, b.identity.nodeId].sort().join();
      if (isCut) cut.add(name);
      else cut.delete(name);
    },
    /** Texts that stand before those of members in the next block. */
    inject: (...texts: string[]) => void mempool.unshift(...texts),
    mempool: () => mempool,
    dropMempool: () => void mempool.splice(0),
    /** Lets so many blocks come, one after another. */
    async mine(times = 1): Promise<void> {
      for (let i = 0; i < times; i++) {
        blocks.push({
          height: FIRST_HEIGHT + blocks.length,
          texts: mempool.map((text, blockIndex) => ({ blockIndex, text })),
        });
        mempool = [];
        for (const resolve of waiting) resolve();
        waiting.clear();
        await clock.advance(BLOCK_MS);
      }
    },
    texts: () => blocks.flatMap(({ texts }) => texts.map(({ text }) => text)),
    async begin(): Promise<void> {
      for (let i = 0; i < count; i++) await add(`node ${i}`);
      for (const node of nodes) await start(node);
    },
    async end(): Promise<void> {
      for (const node of nodes) if (node.up) await clock.settle(node.anchors.stop());
    },
    opIdBytes: idBytes,
  };
}

export type AnchorWorld = ReturnType<typeof createAnchorWorld>;
/** What a node told, of one kind. */
export const told = <K extends AnchorReport['kind']>(node: AnchorNode, kind: K): Extract<AnchorReport, { kind: K }>[] =>
  node.reports.filter((event): event is Extract<AnchorReport, { kind: K }> => event.kind === kind);

/** A Buffer's `slice` would share its memory. */
const copy = (bytes: Uint8Array | undefined) => bytes && Uint8Array.from(bytes);
