// The roster as this node keeps it: over the mesh, in the sealed store.

import { ed25519Sign } from '#crypto';
import type { Cluster } from '../attestation/index.ts';
import { fromBase64Url, utf8 } from '../core/bytes.ts';
import { KithError, messageOf } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import type { Clock, Random } from '../core/ports.ts';
import { type RosterEntry, rosterHash } from '../core/roster.ts';
import { bytesUpTo, closed, shape, Type, uint } from '../core/schema.ts';
import type { Secret } from '../core/secret.ts';
import type { MembersView } from '../keyserver/index.ts';
import {
  type AnchorRosters,
  type AnswerRefusalReason,
  createRosterKeeper,
  type RosterReport,
  type RosterStore,
  type RosterView,
} from '../replication/index.ts';
import type { Launched } from './launched.ts';
import type { Log } from './log.ts';
import type { Peering } from './peering.ts';
import { isProven, permitProven } from './proven.ts';
import type { Phase } from './service.ts';
import type { SealedStore } from './store/index.ts';
import { createRosterCounter, type RosterAlarms } from './telemetry/index.ts';

const ROSTER_PROTOCOL = '/kith/roster/1';

export interface MembershipDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly peering: Peering;
  /** This node, as its own platform attests it. */
  readonly own: RosterEntry;
  /** Newest height known, undefined before the first. */
  readonly height: () => number | undefined;
}

export interface Membership {
  /** All members, this node included once it is one. */
  entries(): readonly RosterEntry[];
  /** What an operator should know of the roster as it is connected now. */
  warning(): string | undefined;
  /** How often each was reported by this boot. */
  alarms(): RosterAlarms;
  /** For anchors. */
  readonly rosters: AnchorRosters;
  /** Calls back after each change; returns what ends that. */
  onChange(listener: () => void): () => void;
  /**
   * Takes an earlier id of this node off the roster, in its own name. Nothing happens if it is on it no more.
   * @returns why it was not done.
   */
  retire(nodeId: NodeId, nodeSecret: Secret): Promise<string | undefined>;
  /** Genesis and places, for statements made elsewhere. */
  view(): RosterView;
  /** Takes a statement made elsewhere and tells the others. @returns why it was not taken. */
  submit(statement: Uint8Array): Promise<AnswerRefusalReason | undefined>;
  /** Takes this node off the roster, while this process lasts. @returns why it was not done. */
  leave(options: { signal: AbortSignal }): Promise<string | undefined>;
  start(options: { signal: AbortSignal }): Promise<void>;
  stop(): Promise<void>;
}

/** @param options.mayFound started without bootstrap addresses, or told to found. */
export function createMembership(
  deps: MembershipDeps,
  { store, identity }: Launched,
  options: { readonly mayFound: boolean; readonly foundAfterMs: number },
): Membership {
  const { clock, random, log, cluster, peering } = deps;
  const { mesh } = peering;
  const listeners = new Set<() => void>();
  const counter = createRosterCounter();
  const entryOf = ({ nodeId, platform, operator }: RosterEntry): RosterEntry => ({ nodeId, platform, operator });
  /** Asked for with every operation: made once for each roster. */
  let entries: readonly RosterEntry[] | undefined;
  const keeper = createRosterKeeper(
    {
      clock,
      random,
      self: deps.own,
      store: rosterStore(store),
      sign: (message) => ed25519Sign(identity.nodeSecret.expose(), message),
      connected: () => peering.proven().map(entryOf),
      async request(nodeId, payload, { signal }) {
        const peer = mesh.peer(nodeId);
        if (!peer) throw new KithError('not-connected', 'the member is not connected');
        return peer.request(ROSTER_PROTOCOL, payload, { signal });
      },
      height: () => deps.height() ?? 0,
      operatorKeys: (operator) =>
        cluster.versions
          .flatMap(({ configuration }) => configuration.operators)
          .filter(({ name }) => name === operator)
          .map(({ publicKey }) => fromBase64Url(publicKey)),
      report(event) {
        counter.report(event);
        logReport(log, event);
      },
    },
    {
      clusterId: cluster.id,
      mayFound: options.mayFound,
      foundAfterMs: options.foundAfterMs,
      get allowUnbacked() {
        return cluster.configuration.allowUnbacked;
      },
      onChange(view) {
        entries = undefined;
        log.info('roster', { self: view.self, members: view.members.length });
        for (const listener of [...listeners]) listener();
      },
    },
  );
  mesh.handle(ROSTER_PROTOCOL, { permit: permitProven }, (request, peer) => keeper.handle(entryOf(peer), request));
  const unsubscribe = mesh.onChange((change) => {
    if (change.kind === 'up' && isProven(change.peer.attested)) keeper.peerUp(change.peer.attested.nodeId);
    else if (change.kind === 'down') keeper.peerDown(change.nodeId);
  });

  return {
    entries() {
      entries ??= keeper.view().members.map(entryOf);
      return entries;
    },
    rosters: { now: () => keeper.view(), byHash: (rosterHash) => keeper.byHash(rosterHash) },
    warning() {
      const view = keeper.view();
      const { missing } = view;
      if (view.self === 'removed')
        return 'removed: this node id was taken off the roster; a fresh disk joins under another';
      if (missing.length === 0) return undefined;
      const who = missing.map(({ nodeId, operator }) => `${nodeId.slice(0, 8)} (${operator})`).join(', ');
      return `no majority: if these do not come back, their operators have to take them off the roster: ${who}`;
    },
    alarms: counter.read,
    view: keeper.view,
    submit: keeper.submit,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async retire(nodeId, nodeSecret) {
      const sign = (message: Uint8Array) => ed25519Sign(nodeSecret.expose(), message);
      const outcome = await keeper.leaveFor(nodeId, sign);
      if (outcome.kind === 'done' || outcome.reason === 'not-a-member') return undefined;
      return outcome.reason;
    },
    async leave({ signal }) {
      const outcome = await keeper.leave({ signal });
      return outcome.kind === 'done' ? undefined : outcome.reason;
    },
    async start({ signal }) {
      await keeper.start({ signal });
      for (const { nodeId } of peering.proven()) keeper.peerUp(nodeId);
    },
    async stop() {
      unsubscribe();
      await keeper.stop();
    },
  };
}

/** The phase of a node that stops, or has to. */
const LEAVING: Phase = 'draining';

/** The other members and their connections. */
export function membersView(membership: Membership, peering: Peering): MembersView {
  const entries = membership.entries();
  return {
    rosterHash: rosterHash(entries),
    members: entries
      .filter(({ nodeId }) => nodeId !== peering.self.nodeId)
      .map((entry) => {
        const peer = peering.mesh.peer(entry.nodeId);
        const bootKey = peer?.attested.bootKey;
        const leaving = peer?.phase === LEAVING;
        return { ...entry, addresses: peer?.addresses ?? [], leaving, ...(bootKey ? { bootKey } : {}) };
      }),
  };
}

/** A statement of the keeper, at its order. */
const statementShape = shape(
  closed({ id: Type.String(), statement: bytesUpTo(16_384, 1), heldSince: uint(), order: uint() }),
);

function rosterStore(store: SealedStore): RosterStore {
  const statements = store.namespace('roster', statementShape);
  return {
    async load() {
      const all = [];
      for await (const [, statement] of statements.entries()) all.push(statement);
      return all;
    },
    put: (added) => store.commit(added.map((statement) => statements.put(utf8(statement.id), { ...statement }))),
    drop: (ids) => store.commit(ids.map((id) => statements.delete(utf8(id)))),
  };
}

function logReport(log: Log, event: RosterReport): void {
  switch (event.kind) {
    case 'other-genesis':
      log.error('other-genesis', { peer: event.nodeId });
      break;
    case 'let-go':
      log.warn('genesis-let-go', { peer: event.nodeId });
      break;
    case 'apart':
      log.error('roster-apart', { peer: event.nodeId, refused: event.refused, byPeer: event.refusedByPeer });
      break;
    case 'replaced':
      log.error('roster-replaced', { by: event.by });
      break;
    case 'failed':
      log.error('roster-failed', { reason: messageOf(event.error) });
      break;
    case 'not-joined':
    case 'not-restored': {
      const words = event.outcome.words.map(({ nodeId, word }) => `${nodeId.slice(0, 8)}: ${word}`);
      log.info(event.kind, { reason: event.outcome.reason, words: words.join(', ') });
      break;
    }
  }
}
