// Nodes that sync in memory, on one clock: a network that loses, delays, doubles and cuts as its seed says, and
// members that may be hostile in what they answer.

import { KithError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/ids.ts';
import type { BatchReceipt } from '../../src/core/receipt.ts';
import type { Operation } from '../../src/core/registration/operation.ts';
import type { RegistrationKeys } from '../../src/core/registration/payload.ts';
import {
  createSync,
  type Divergence,
  type OperationRef,
  type Sync,
  type SyncHead,
  type SyncPeer,
  type SyncReport,
} from '../../src/replication/index.ts';
import { createManualClock } from './manual-clock.ts';
import { createMemoryReplica, type MemoryReplica } from './memory-replica.ts';
import { clusterId, testUser } from './registration.ts';
import { entryOf, type RosterIdentity, rosterIdentity } from './roster.ts';
import { seededRandom } from './seeded-random.ts';

export interface SyncFaults {
  /** Chance between 0 and 1 that a request or an answer is lost. */
  readonly loss?: number;
  /** Each way takes 1 ms to this long, so that messages overtake one another. */
  readonly delayMsMax?: number;
  /** Chance that a request is handled twice. */
  readonly doubled?: number;
}

/** What a hostile member does instead of answering; undefined: it answers as it should. */
export interface Hostile {
  answer?(from: NodeId, body: Uint8Array, honest: () => Promise<Uint8Array>): Promise<Uint8Array> | undefined;
  snapshot?(body: Uint8Array, honest: () => AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> | undefined;
}

export interface SyncNode {
  readonly identity: RosterIdentity;
  replica: MemoryReplica;
  sync: Sync;
  up: boolean;
  boot: number;
  phase: string;
  hostile: Hostile | undefined;
  readonly receipts: { nodeId: NodeId; refs: readonly OperationRef[]; receipt: BatchReceipt }[];
  readonly divergences: Divergence[];
  readonly reports: SyncReport[];
  readonly heads: Map<NodeId, SyncHead>;
  readonly listeners: Set<() => void>;
}

export interface NodeOptions {
  readonly pull?: boolean;
  readonly phase?: string;
  readonly replica?: MemoryReplica;
}

export function createSyncWorld(options: SyncFaults & { seed?: string } = {}) {
  const seed = options.seed ?? 'sync';
  const random = seededRandom(seed);
  const clock = createManualClock();
  const nodes: SyncNode[] = [];
  const cut = new Set<string>();
  let faults: SyncFaults = options;
  const traffic = { bytes: 0, messages: 0, largest: 0, inFlight: 0, inFlightMax: 0 };

  const chance = (p: number | undefined) => random.bytes(1)[0]! < (p ?? 0) * 256;
  const latency = () => 1 + (random.bytes(1)[0]! % Math.max(1, faults.delayMsMax ?? 1));
  const nameOf = (a: SyncNode, b: SyncNode) => [a.identity.nodeId, b.identity.nodeId].sort().join();
  const linked = (a: SyncNode, b: SyncNode) => a !== b && a.up && b.up && !cut.has(nameOf(a, b));
  const changed = () => {
    for (const { listeners } of nodes) for (const listener of listeners) listener();
  };

  function count(bytes: Uint8Array): void {
    traffic.bytes += bytes.length;
    traffic.messages += 1;
    traffic.largest = Math.max(traffic.largest, bytes.length);
  }

  async function answerOf(from: SyncNode, to: SyncNode, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const honest = () => to.sync.handle(from.identity.nodeId, body, { signal });
    return to.hostile?.answer?.(from.identity.nodeId, body, honest) ?? honest();
  }

  function request(
    from: SyncNode,
    to: SyncNode,
    body: Uint8Array,
    { signal, timeoutMs = 10_000 }: { signal: AbortSignal; timeoutMs?: number },
  ): Promise<Uint8Array> {
    const boots = [from.boot, to.boot];
    const there = () => linked(from, to) && from.boot === boots[0] && to.boot === boots[1];
    count(body);
    traffic.inFlight += 1;
    traffic.inFlightMax = Math.max(traffic.inFlightMax, traffic.inFlight);
    return new Promise<Uint8Array>((resolve, reject) => {
      let done = false;
      const end = (act: () => void) => {
        if (done) return;
        done = true;
        traffic.inFlight -= 1;
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        act();
      };
      const onAbort = () => end(() => reject(new KithError('aborted', 'aborted')));
      const timer = clock.schedule(timeoutMs, () => end(() => reject(new KithError('timeout', 'no answer'))));
      signal.addEventListener('abort', onAbort, { once: true });
      const gone = () => end(() => reject(new KithError('not-connected', 'no connection')));
      const arrive = () => {
        if (!there()) return gone();
        answerOf(from, to, body.slice(), new AbortController().signal).then(
          (answer) => {
            count(answer);
            if (chance(faults.loss)) return;
            clock.schedule(latency(), () => (there() ? end(() => resolve(answer.slice())) : gone()));
          },
          (error: unknown) => void clock.schedule(latency(), () => end(() => reject(error))),
        );
      };
      if (signal.aborted) return onAbort();
      if (chance(faults.loss)) return;
      clock.schedule(latency(), arrive);
      if (chance(faults.doubled)) clock.schedule(latency(), arrive);
    });
  }

  async function* openBulk(from: SyncNode, to: SyncNode, body: Uint8Array, signal: AbortSignal) {
    const boots = [from.boot, to.boot];
    count(body);
    const honest = () => to.sync.handleSnapshot(from.identity.nodeId, body, { signal });
    const items = to.hostile?.snapshot?.(body, honest) ?? honest();
    for await (const item of items) {
      if (!linked(from, to) || from.boot !== boots[0] || to.boot !== boots[1]) {
        throw new KithError('stream-aborted', 'the connection is gone');
      }
      count(item);
      await new Promise<void>((resolve) => clock.schedule(latency(), resolve));
      yield item.slice();
    }
  }

  const peerOf = (from: SyncNode, to: SyncNode): SyncPeer => ({
    ...entryOf(to.identity),
    phase: to.phase,
    request: (body, how) => request(from, to, body, how),
    openBulk: (body, { signal }) => openBulk(from, to, body, signal),
  });

  function syncOf(node: SyncNode, given: NodeOptions): Sync {
    const { boot, replica } = node;
    return createSync(
      {
        clock,
        random: seededRandom(`${seed}/${node.identity.nodeId}/${boot}`),
        replica,
        peers: {
          list: () =>
            node.boot === boot ? nodes.filter((other) => linked(node, other)).map((to) => peerOf(node, to)) : [],
          onChange(listener) {
            node.listeners.add(listener);
            return () => void node.listeners.delete(listener);
          },
        },
        roster: () => nodes.map(({ identity }) => entryOf(identity)),
        height: () => Math.min(replica.heights.own, replica.heights.cluster),
        heads: {
          own: () => ({ incarnation: replica.writer.incarnation, sequence: replica.batches, hash: new Uint8Array(32) }),
          of: (nodeId) => node.heads.get(nodeId),
          note: (nodeId, head) => void node.heads.set(nodeId, head),
        },
        onReceipts: (nodeId, refs, receipt) => void node.receipts.push({ nodeId, refs, receipt }),
        onDivergence: (divergence) => void node.divergences.push(divergence),
        report: (event) => void node.reports.push(event),
      },
      { clusterId, writer: replica.writer, ...(given.pull === undefined ? {} : { pull: given.pull }) },
    );
  }

  const world = {
    clock,
    nodes,
    random,
    traffic,
    setFaults(next: SyncFaults) {
      faults = next;
    },
    resetTraffic() {
      Object.assign(traffic, { bytes: 0, messages: 0, largest: 0, inFlightMax: 0 });
    },
    /** A node that is not started yet. */
    add(name: string, given: NodeOptions = {}): SyncNode {
      const identity = rosterIdentity(name);
      const node = {
        identity,
        replica: given.replica ?? createMemoryReplica(identity),
        up: false,
        boot: 0,
        phase: given.phase ?? 'ready',
        hostile: undefined,
        receipts: [],
        divergences: [],
        reports: [],
        heads: new Map(),
        listeners: new Set<() => void>(),
      };
      const whole: SyncNode = Object.assign(node, { sync: undefined as unknown as Sync });
      whole.sync = syncOf(whole, given);
      nodes.push(whole);
      return whole;
    },
    async start(node: SyncNode, given: NodeOptions = {}): Promise<void> {
      node.boot += 1;
      if (given.replica) node.replica = given.replica;
      node.sync = syncOf(node, given);
      node.up = true;
      await node.sync.start({});
      changed();
    },
    async join(name: string, given: NodeOptions = {}): Promise<SyncNode> {
      const node = world.add(name, given);
      await world.start(node, given);
      return node;
    },
    crash(node: SyncNode): void {
      node.up = false;
      node.boot += 1;
      void node.sync.stop();
      changed();
    },
    setPhase(node: SyncNode, phase: string): void {
      node.phase = phase;
      changed();
    },
    setCut(a: SyncNode, b: SyncNode, isCut: boolean): void {
      if (isCut) cut.add(nameOf(a, b));
      else cut.delete(nameOf(a, b));
      changed();
    },
    heal(): void {
      cut.clear();
      faults = {};
      changed();
    },
    peer: (from: SyncNode, to: SyncNode) => peerOf(from, to),
    async stop(): Promise<void> {
      const stopped = nodes.map(({ sync }) => sync.stop());
      await clock.advance(1_000);
      await Promise.all(stopped);
    },
  };
  return world;
}

/** Whether these hold the same states, keys included. */
export const same = (...nodes: readonly SyncNode[]): boolean =>
  nodes.every(({ replica }) => replica.digest === nodes[0]!.replica.digest);

const VERSION = 900;

/** A register with its keys, by a user of this number. */
export function register(
  number: number,
  options: { version?: number; expiryHeight?: number } = {},
): { operation: Operation; keys: RegistrationKeys } {
  const { version = VERSION, expiryHeight = 100_000 } = options;
  const user = testUser(number);
  return { operation: user.sign({ type: 'register', version, birthday: 1, expiryHeight }), keys: user.keys };
}

export const revoke = (number: number, version = VERSION + 1): { operation: Operation } => ({
  operation: testUser(number).sign({ type: 'revoke', version }),
});

export const renew = (number: number, version = VERSION + 1, expiryHeight = 200_000): { operation: Operation } => ({
  operation: testUser(number).sign({ type: 'renew', version, expiryHeight }),
});
