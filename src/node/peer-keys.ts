// The sealing key in the custody of peers: asked for at a start, dealt among the members ever after.

import { ed25519Sign } from '#crypto';
import { sleep } from '../core/deadline.ts';
import { messageOf } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';
import {
  createDealer,
  type Dealer,
  type Recovered,
  type RecoveryReport,
  recoverSealingKey,
} from '../keyserver/index.ts';
import { headerReader } from './custody/read-header.ts';
import type { Disk } from './disk.ts';
import type { Launched } from './launched.ts';
import type { Log } from './log.ts';
import { type Membership, membersView } from './membership.ts';
import { memoryOnlyHeader, ownHeader } from './own-header.ts';
import type { Peering } from './peering.ts';
import type { SealingKeys } from './sealing-keys.ts';

export interface PeerKeysDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly disk: Disk;
  readonly peering: Peering;
  /** Takes its place among the members, once it has an identity. */
  readonly membership: (launched: Launched, signal: AbortSignal) => Promise<Membership>;
  /** Platform and operator of this node, once it has attested itself. */
  readonly whereabouts: () => { readonly platform: string; readonly operator: string };
  readonly onFenced: (why: string) => void;
}

export interface PeerKeysOptions {
  /** Of the cluster configuration: a first node may go on alone, its key in memory only until others come. */
  readonly allowUnbacked: boolean;
}

export interface PeerKeys extends SealingKeys {
  /** What the key servers remember of this node's store. */
  readonly recovered: Recovered | undefined;
}

export function createPeerKeys(deps: PeerKeysDeps, options: PeerKeysOptions): PeerKeys {
  const { clock, random, log, disk, peering } = deps;
  let recovered: Recovered | undefined;
  let dealer: Dealer | undefined;
  const ends: (() => void)[] = [];

  const servers = () =>
    peering.mesh.peers().map(({ attested: { nodeId } }) => ({ nodeId, peer: peering.custodyOf(nodeId)! }));

  function createOwn(launched: Launched, membership: Membership): Dealer {
    const { store, identity } = launched;
    const made = createDealer(
      {
        clock,
        random,
        peer: (nodeId) => peering.custodyOf(nodeId),
        store: {
          signHeader: (fields) => ownHeader(launched, fields),
          sign: (message) => ed25519Sign(identity.nodeSecret.expose(), message),
          writeHeader: (header) => disk.header.write(header),
          head: () => {
            const { batchSeq, rootHash } = store.head;
            return { incarnation: peering.self.incarnation, sequence: batchSeq, hash: rootHash };
          },
        },
      },
      {
        owner: { nodeId: identity.nodeId, ...deps.whereabouts() },
        storeId: store.identity.storeId,
        boot: () => ({ incarnation: peering.self.incarnation, bootKey: peering.bootKey }),
        recovered: recovered && { deal: recovered.deal, keyEpochMax: recovered.keyEpochMax },
        onChange: ({ phase, keyEpoch, threshold, shares }) =>
          log.info('custody', { phase, keyEpoch, threshold, shares }),
        onFenced: ({ reason, last }) => deps.onFenced(`${reason} at incarnation ${last} by a key server`),
      },
    );
    const look = () => made.update(membersView(membership, peering));
    ends.push(peering.mesh.onChange(look), membership.onChange(look));
    look();
    return made;
  }

  return {
    get recovered() {
      return recovered;
    },
    warning() {
      const state = dealer?.state();
      if (!state || state.phase === 'backed') return undefined;
      if (state.threshold > 0 && state.confirmed.length >= state.threshold) {
        return 'custody: the sealing key of this node is being dealt anew';
      }
      return 'unbacked: too few members hold the sealing key of this node; if it stops now, its store stays closed';
    },
    async recover({ bytes, read }, { signal, waitsFor }) {
      if (read.threshold === 0) return undefined;
      peering.mesh.learn(read.keyServers.flatMap(({ addresses }) => addresses));
      waitsFor('asking the members for the sealing key');
      const outcome = await recoverSealingKey(
        { clock, random, readHeader: headerReader(read.clusterId), servers, hasRestarted: peering.hasRestarted },
        { header: bytes, bootKey: peering.bootKey, hpkeKey: peering.hpkePublicKey },
        { signal, onProgress: (report) => waitsFor(describeReport(report)) },
      );
      if (outcome.kind === 'not-recoverable') {
        log.error('not-recoverable', { reason: describeReport(outcome) });
        return undefined;
      }
      recovered = outcome;
      for (const { nodeId, fault } of outcome.faulty) log.error('faulty-key-server', { peer: nodeId, fault });
      log.info('key-released', { incarnation: outcome.incarnation });
      return outcome;
    },
    async mayMake({ signal, waitsFor }) {
      if (options.allowUnbacked) return;
      waitsFor('waiting for a second member');
      await until(deps, signal, () => peering.mesh.peers().length > 0);
    },
    async keep(launched, { signal, waitsFor }) {
      const { identity, incarnation, fresh } = launched;
      peering.become({ nodeId: identity.nodeId, incarnation });
      if (fresh && options.allowUnbacked) {
        const { header, sealingKey } = memoryOnlyHeader({ random, disk }, launched);
        sealingKey.wipe();
        await disk.header.write(header);
      }
      dealer = createOwn(launched, await deps.membership(launched, signal));
      await dealer.start({ signal });
      if (!fresh || options.allowUnbacked) return;
      waitsFor('waiting for members to keep the sealing key');
      await until(deps, signal, () => dealer!.state().keyEpoch > 0);
    },
    async stop() {
      for (const end of ends.splice(0)) end();
      await dealer?.stop().catch((error: unknown) => log.warn('custody-stop', { reason: messageOf(error) }));
    },
  };
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
