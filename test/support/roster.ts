// Nodes that keep a roster together: real keys, real messages, a network that loses, delays and reorders as its seed
// says, and restarts that keep the store and nothing else.

import { ed25519PublicKey, ed25519Sign, sha256 } from '#crypto';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { KithError } from '../../src/core/errors.ts';
import { clusterIdFromBytes, idBytes, nodeIdFromBytes } from '../../src/core/ids.ts';
import type { RosterEntry } from '../../src/core/roster.ts';
import {
  createRosterKeeper,
  type RosterKeeper,
  type RosterKeeperOptions,
  type RosterReport,
  type StoredStatement,
} from '../../src/replication/index.ts';
import { type RosterStatement, type StatementBody, statementMessage } from '../../src/replication/roster/statements.ts';
import { createManualClock } from './manual-clock.ts';
import { seededRandom } from './seeded-random.ts';

export const clusterId = clusterIdFromBytes(sha256(utf8('roster cluster')));

/** A key and what its platform says of it. */
export interface RosterIdentity extends RosterEntry {
  readonly secret: Uint8Array;
}

export function rosterIdentity(name: string, platform = name, operator = `operator-${platform}`): RosterIdentity {
  const secret = sha256(utf8(`roster node ${name}`));
  return {
    nodeId: nodeIdFromBytes(ed25519PublicKey(secret)),
    platform: toHex(sha256(utf8(`platform ${platform}`))),
    operator,
    secret,
  };
}

export const entryOf = ({ nodeId, platform, operator }: RosterEntry): RosterEntry => ({ nodeId, platform, operator });

/** A statement with the signatures of these. */
export const signedBy = (body: StatementBody, ...signers: readonly { secret: Uint8Array }[]): RosterStatement => ({
  body,
  signatures: signers.map(({ secret }) => ({
    signer: ed25519PublicKey(secret),
    signature: ed25519Sign(secret, statementMessage(body)),
  })),
});

export interface NetworkFaults {
  /** Chance between 0 and 1 that a request or an answer is lost. */
  readonly loss?: number;
  /** Each way takes 1 ms to this long, so that messages overtake one another. */
  readonly delayMsMax?: number;
}

export interface RosterNode {
  readonly identity: RosterIdentity;
  /** Its disk. */
  readonly stored: Map<string, StoredStatement>;
  keeper: RosterKeeper;
  up: boolean;
  boot: number;
  height: number;
  /** The next writes fail. */
  diskFails: boolean;
  readonly reports: RosterReport[];
}

export function createRosterWorld(options: NetworkFaults & { seed?: string; allowUnbacked?: boolean } = {}) {
  const random = seededRandom(options.seed ?? 'roster');
  const clock = createManualClock();
  const nodes: RosterNode[] = [];
  const cut = new Set<string>();
  let faults: NetworkFaults = options;
  const operatorKeys = new Map<string, Uint8Array[]>();

  const lost = () => random.bytes(1)[0]! < (faults.loss ?? 0) * 256;
  const latency = () => 1 + (random.bytes(1)[0]! % Math.max(1, faults.delayMsMax ?? 1));
  const linked = (a: RosterNode, b: RosterNode) =>
    a !== b && a.up && b.up && !cut.has([a.identity.nodeId, b.identity.nodeId].sort().join());
  const connected = (node: RosterNode) => nodes.filter((other) => linked(node, other)).map((n) => entryOf(n.identity));

  function request(from: RosterNode, boot: number, to: RosterNode | undefined, payload: Uint8Array) {
    return new Promise<Uint8Array>((resolve, reject) => {
      const gone = () => void clock.schedule(1, () => reject(new KithError('not-connected', 'no connection')));
      if (!to || !linked(from, to) || from.boot !== boot) return gone();
      if (lost()) return;
      clock.schedule(latency(), () => {
        if (!linked(from, to)) return gone();
        void to.keeper.handle(entryOf(from.identity), payload).then((answer) => {
          if (lost()) return;
          clock.schedule(latency(), () => {
            if (linked(from, to) && from.boot === boot) resolve(answer);
          });
        });
      });
    });
  }

  function keeperOf(node: RosterNode, given: Partial<RosterKeeperOptions>): RosterKeeper {
    const { boot } = node;
    return createRosterKeeper(
      {
        clock,
        random: seededRandom(`${options.seed ?? 'roster'}/${node.identity.nodeId}/${boot}`),
        self: entryOf(node.identity),
        sign: (message) => ed25519Sign(node.identity.secret, message),
        connected: () => connected(node),
        request: (nodeId, payload) =>
          request(
            node,
            boot,
            nodes.find(({ identity }) => identity.nodeId === nodeId),
            payload,
          ),
        store: {
          load: async () => [...node.stored.values()].reverse(),
          put: async (statements) => {
            if (node.diskFails) throw new Error('disk full');
            if (node.boot !== boot) return new Promise<void>(() => undefined);
            for (const statement of statements) node.stored.set(statement.id, statement);
          },
          drop: async (ids) => {
            if (node.diskFails) throw new Error('disk full');
            if (node.boot !== boot) return new Promise<void>(() => undefined);
            for (const id of ids) node.stored.delete(id);
          },
        },
        height: () => node.height,
        operatorKeys: (operator) => operatorKeys.get(operator) ?? [],
        report: (event) => void node.reports.push(event),
      },
      { clusterId, mayFound: false, allowUnbacked: options.allowUnbacked ?? false, ...given },
    );
  }

  function announce(node: RosterNode): void {
    for (const other of nodes) {
      if (!linked(node, other)) continue;
      node.keeper.peerUp(other.identity.nodeId);
      other.keeper.peerUp(node.identity.nodeId);
    }
  }

  function farewell(node: RosterNode): void {
    for (const other of nodes) if (other !== node) other.keeper.peerDown(node.identity.nodeId);
  }

  async function boot(node: RosterNode, given: Partial<RosterKeeperOptions>): Promise<void> {
    node.boot += 1;
    node.keeper = keeperOf(node, given);
    node.up = true;
    await node.keeper.start({});
    announce(node);
  }

  return {
    clock,
    random,
    nodes,
    operatorKeys,
    setFaults(next: NetworkFaults) {
      faults = next;
    },
    async add(identity: RosterIdentity, given: Partial<RosterKeeperOptions> = {}): Promise<RosterNode> {
      const height = Math.max(500, ...nodes.map((other) => other.height));
      const node = { identity, stored: new Map(), up: false, boot: 0, height, diskFails: false, reports: [] };
      const whole: RosterNode = Object.assign(node, { keeper: undefined as unknown as RosterKeeper });
      nodes.push(whole);
      await boot(whole, given);
      return whole;
    },
    /** Its memory is gone at once; nothing is said to anybody. */
    crash(node: RosterNode): void {
      node.up = false;
      node.boot += 1;
      void node.keeper.stop();
      farewell(node);
    },
    start: (node: RosterNode, given: Partial<RosterKeeperOptions> = {}) => boot(node, given),
    /** Cuts or restores the link between two. */
    setCut(a: RosterNode, b: RosterNode, isCut: boolean): void {
      const name = [a.identity.nodeId, b.identity.nodeId].sort().join();
      if (isCut) cut.add(name);
      else cut.delete(name);
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        if (isCut) one.keeper.peerDown(other.identity.nodeId);
        else one.keeper.peerUp(other.identity.nodeId);
      }
    },
    /** A request of one node to another, outside of its keeper. */
    ask: (from: RosterIdentity, to: RosterNode, payload: Uint8Array) => to.keeper.handle(entryOf(from), payload),
    rise(blocks: number): void {
      for (const node of nodes) node.height += blocks;
    },
    async stop(): Promise<void> {
      for (const node of nodes) void node.keeper.stop();
      await clock.advance(1);
    },
    idOf: (node: RosterNode) => idBytes(node.identity.nodeId),
  };
}

/** Node ids on the roster of a node. */
export const rosterOf = (node: RosterNode): string[] => node.keeper.view().members.map(({ nodeId }) => nodeId);

/** Whether these nodes, and no others, are on the roster of each of them. */
export function agree(...nodes: readonly RosterNode[]): boolean {
  const wanted = nodes
    .map(({ identity }) => identity.nodeId as string)
    .sort()
    .join();
  return nodes.every((node) => rosterOf(node).join() === wanted);
}
