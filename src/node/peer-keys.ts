// The sealing key in the custody of peers: asked for at a start, dealt among the members ever after.

import { ed25519Sign } from '#crypto';
import type { Cluster } from '../attestation/index.ts';
import { sleep } from '../core/deadline.ts';
import { messageOf } from '../core/errors.ts';
import type { Part } from '../core/life-cycle.ts';
import type { Clock, Random } from '../core/ports.ts';
import {
  type CustodyState,
  createDealer,
  createHeadNotes,
  type Dealer,
  type DealFailure,
  type NotRecoverable,
  type Recovered,
  type RecoveryOptions,
  type RecoveryReport,
  recoverSealingKey,
} from '../keyserver/index.ts';
import type { ClusterInForce } from './cluster-in-force.ts';
import { headerReader } from './custody/read-header.ts';
import type { Disk } from './disk.ts';
import type { Launched } from './launched.ts';
import type { Log } from './log.ts';
import { type Membership, membersView } from './membership.ts';
import { memoryOnlyHeader, ownHeader } from './own-header.ts';
import type { Peering } from './peering.ts';
import type { SealingKeys } from './sealing-keys.ts';
import type { AskMembers } from './set-aside/keys.ts';
import type { StoreHeader } from './store/index.ts';

export interface PeerKeysDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly disk: Disk;
  readonly peering: Peering;
  readonly inForce: Pick<ClusterInForce, 'remember' | 'onChange' | 'cluster'>;
  /** Takes its place among the members, once it has an identity. */
  readonly membership: (launched: Launched, signal: AbortSignal) => Promise<Membership>;
  /** Platform and operator of this node, once it has attested itself. */
  readonly whereabouts: () => { readonly platform: string; readonly operator: string };
  readonly onFenced: (why: string) => void;
}

export interface PeerKeysOptions {
  /** Of the cluster configuration: a first node may go on alone, its key in memory only until others come. */
  readonly allowUnbacked: () => boolean;
}

export interface PeerKeys extends SealingKeys {
  /** What the key servers remember of this node's store. */
  readonly recovered: Recovered | undefined;
  /** How the own sealing key stands; undefined before the store is open. */
  readonly custody: CustodyState | undefined;
  /** Deals put in force by this boot. */
  readonly deals: number;
  /** From asking for the key to having it; undefined if it was not asked for. */
  readonly keyReleaseMs: number | undefined;
  /** What is less good than it could be although the key is kept; one line each. */
  warnings(): string[];
  /** Asks for the key of a store of an earlier id of this node, until it is certain that nobody has it. */
  readonly askMembers: AskMembers;
}

/** Between two rounds for a store that this node goes on without. */
const EARLIER_PAUSE_MS_MAX = 300_000;

export function createPeerKeys(deps: PeerKeysDeps, options: PeerKeysOptions): PeerKeys {
  const { clock, random, log, disk, peering, inForce } = deps;
  let recovered: Recovered | undefined;
  let dealer: Dealer | undefined;
  let notes: Part | undefined;
  let deals = 0;
  let keyReleaseMs: number | undefined;
  const ends: (() => void)[] = [];

  const servers = () =>
    peering.mesh.peers().map(({ attested: { nodeId } }) => ({ nodeId, peer: peering.custodyOf(nodeId)! }));

  function ask(bytes: Uint8Array, read: StoreHeader, options: RecoveryOptions): Promise<Recovered | NotRecoverable> {
    peering.mesh.learn(read.keyServers.flatMap(({ addresses }) => addresses));
    return recoverSealingKey(
      { clock, random, readHeader: headerReader(read.clusterId), servers, hasRestarted: peering.hasRestarted },
      { header: bytes, bootKey: peering.bootKey, hpkeKey: peering.hpkePublicKey },
      options,
    );
  }

  function createOwn(launched: Launched, membership: Membership): Dealer {
    const { store, identity } = launched;
    const head = () => {
      const { batchSeq, rootHash } = store.head;
      return { incarnation: peering.self.incarnation, sequence: batchSeq, hash: rootHash };
    };
    let dealtEpoch = recovered?.deal.keyEpoch ?? 0;
    const made = createDealer(
      {
        clock,
        random,
        peer: (nodeId) => peering.custodyOf(nodeId),
        store: {
          signHeader: (fields) => ownHeader(launched, fields),
          sign: (message) => ed25519Sign(identity.nodeSecret.expose(), message),
          writeHeader: (header) => disk.header.write(header),
          head,
        },
      },
      {
        owner: { nodeId: identity.nodeId, ...deps.whereabouts() },
        storeId: store.identity.storeId,
        boot: () => ({ incarnation: peering.self.incarnation, bootKey: peering.bootKey }),
        recovered: recovered && { deal: recovered.deal, keyEpochMax: recovered.keyEpochMax },
        onChange(state) {
          if (state.keyEpoch !== dealtEpoch) deals++;
          dealtEpoch = state.keyEpoch;
          logCustody(log, state);
        },
        onFenced: ({ reason, last }) => deps.onFenced(`${reason} at incarnation ${last} by a key server`),
      },
    );
    const look = () => made.update(membersView(membership, peering));
    // The header holds the data key under the recovery keys.
    const rewrap = (before: Cluster) => {
      const changed = (['threshold', 'publicKeys'] as const).some(
        (field) =>
          String(before.configuration.recovery[field]) !== String(inForce.cluster.configuration.recovery[field]),
      );
      if (changed) made.redeal();
    };
    ends.push(peering.mesh.onChange(look), membership.onChange(look), inForce.onChange(rewrap));
    look();
    notes = createHeadNotes({
      clock,
      head,
      keyServers: () => made.state().confirmed,
      peer: (nodeId) => peering.custodyOf(nodeId),
    });
    return made;
  }

  return {
    get recovered() {
      return recovered;
    },
    get custody() {
      return dealer?.state();
    },
    get deals() {
      return deals;
    },
    get keyReleaseMs() {
      return keyReleaseMs;
    },
    warning() {
      const state = dealer?.state();
      if (!state || state.phase === 'backed') return undefined;
      if (state.threshold > 0 && state.confirmed.length >= state.threshold) {
        return 'custody: the sealing key of this node is being dealt anew';
      }
      return 'unbacked: too few members hold the sealing key of this node; if it stops now, its store stays closed';
    },
    warnings: () => (dealer?.state().warnings ?? []).map((warning) => WARNINGS[warning]),
    async askMembers({ bytes, read }, { signal }) {
      const outcome = await ask(bytes, read, { signal, pauseMaxMs: EARLIER_PAUSE_MS_MAX });
      return outcome.kind === 'recovered' ? outcome : undefined;
    },
    async recover({ bytes, read }, { signal, waitsFor }) {
      if (read.threshold === 0) return undefined;
      waitsFor('asking the members for the sealing key');
      const askedAtMs = clock.monotonic();
      const outcome = await ask(bytes, read, {
        signal,
        onProgress: (report) => waitsFor(describeReport(report)),
      });
      if (outcome.kind === 'not-recoverable') {
        log.error('not-recoverable', { reason: describeReport(outcome) });
        return undefined;
      }
      recovered = outcome;
      keyReleaseMs = clock.monotonic() - askedAtMs;
      for (const { nodeId, fault } of outcome.faulty) log.error('faulty-key-server', { peer: nodeId, fault });
      log.info('key-released', { incarnation: outcome.incarnation });
      return outcome;
    },
    async mayMake({ signal, waitsFor }) {
      if (options.allowUnbacked()) return;
      waitsFor('waiting for a second member');
      await until(deps, signal, () => peering.mesh.peers().length > 0);
    },
    async keep(launched, { signal, waitsFor }) {
      const { identity, incarnation, fresh } = launched;
      const alone = fresh && options.allowUnbacked();
      await inForce.remember(launched.store);
      peering.become({ nodeId: identity.nodeId, incarnation });
      if (alone) {
        const { header, sealingKey } = memoryOnlyHeader({ random, disk }, launched);
        sealingKey.wipe();
        await disk.header.write(header);
      }
      dealer = createOwn(launched, await deps.membership(launched, signal));
      await dealer.start({ signal });
      await notes!.start({ signal });
      if (!fresh || alone) return;
      waitsFor('waiting for members to keep the sealing key');
      await until(deps, signal, () => dealer!.state().keyEpoch > 0);
    },
    async stop() {
      for (const end of ends.splice(0)) end();
      await notes?.stop();
      await dealer?.stop().catch((error: unknown) => log.warn('custody-stop', { reason: messageOf(error) }));
    },
  };
}

const WARNINGS: Readonly<Record<CustodyState['warnings'][number], string>> = {
  'few-operators': 'custody: fewer operators than shares of the sealing key',
  'own-platform': 'custody: the sealing key is kept on the platform of this node only',
  unreachable: 'custody: a key server cannot be reached, and no other can take its place',
  'few-holders': 'custody: fewer members hold the sealing key than its sharing wants',
};

function logCustody(
  log: Log,
  { phase, keyEpoch, threshold, shares, confirmed, warnings, failure }: CustodyState,
): void {
  const fields = { phase, keyEpoch, threshold, shares, confirmed: confirmed.length };
  log.info('custody', { ...fields, warnings: warnings.length > 0 ? warnings.join(', ') : undefined });
  if (failure) log.warn('deal-failed', { kind: failure.kind, reason: describeFailure(failure) });
}

function describeFailure(failure: DealFailure): string {
  if (failure.kind === 'header') return failure.message;
  return failure.words.map(({ nodeId, word }) => `${nodeId.slice(0, 8)}: ${word}`).join(', ');
}

/** How often a condition of the mesh is looked at: it changes in the time of a handshake. */
const LOOK_MS = 100;

async function until({ clock }: { clock: Clock }, signal: AbortSignal, condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(clock, LOOK_MS, { signal });
}

function describeReport({ reachable, shares, needed, words }: RecoveryReport): string {
  const said = words.map(({ nodeId, word }) => `${nodeId.slice(0, 8)}: ${word}`).join(', ');
  return `${shares} of ${needed} shares of the sealing key, ${reachable} members answered${said ? ` (${said})` : ''}`;
}
