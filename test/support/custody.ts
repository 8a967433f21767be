// Nodes that keep one another's sealing keys: real headers, real messages, a network that loses, delays, reorders and
// repeats as its seed says, and owners that crash at a chosen call of a port.

import { ed25519PublicKey, ed25519Sign, sha256 } from '#crypto';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { isKithError, KithError } from '../../src/core/errors.ts';
import { clusterIdFromBytes, type NodeId, nodeIdFromBytes } from '../../src/core/ids.ts';
import { type RosterEntry, rosterHash } from '../../src/core/roster.ts';
import { Secret } from '../../src/core/secret.ts';
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from '../../src/keyserver/codec.ts';
import { storeIdHashOf } from '../../src/keyserver/deal.ts';
import {
  type Caller,
  type Custodian,
  type CustodyAnswer,
  type CustodyPeer,
  type CustodyRequest,
  createCustodian,
  createDealer,
  createIncarnations,
  type Dealer,
  type DealerOptions,
  type HeaderView,
  type JournalHead,
  type MigrationPolicy,
  type OwnStore,
  type Recovered,
  type RecoveryOptions,
  recoverSealingKey,
} from '../../src/keyserver/index.ts';
import { readHeader as readStoreHeader, signHeader } from '../../src/node/store/index.ts';
import { commitToSealingKey, unwrapDataKey, wrapDataKey } from '../../src/node/store/keys.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { seededRandom } from './seeded-random.ts';

export const clusterId = clusterIdFromBytes(sha256(utf8('custody cluster')));

/** As src/node will read headers for custody. */
export function readHeader(bytes: Uint8Array): HeaderView | undefined {
  try {
    const header = readStoreHeader(bytes);
    if (header.clusterId !== clusterId) return undefined;
    return { ...header, keyServers: header.keyServers.map(({ nodeId }) => nodeId), signatureValid: true };
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}

export interface NetworkFaults {
  /** Chances between 0 and 1. */
  readonly loss?: number;
  readonly repeat?: number;
  /** Each way takes 1 ms to this long. */
  readonly delayMsMax?: number;
}

export interface CrashPlan {
  /** The port call (from 1) at which the owner stops for ever, and whether the call still takes effect. */
  readonly call: number;
  readonly effect: 'none' | 'done';
}

/** A permanently silent promise: what a crashed node's ports return. */
const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** Its durable part: keys, ids, and what is on its disk. */
export interface TestMember {
  readonly entry: RosterEntry;
  readonly nodeSecret: Secret;
  readonly storeId: Uint8Array;
  readonly dataKey: Secret;
  /** The header file. */
  disk: Uint8Array | undefined;
  /** Every header ever written, which a host may put back. */
  readonly written: Uint8Array[];
  head: JournalHead | undefined;
  boot: TestBoot;
}

/** Its part in memory: gone with a restart. */
export interface TestBoot {
  readonly bootKey: Uint8Array;
  readonly hpkeKey: Uint8Array;
  incarnation: number;
  readonly custodian: Custodian;
  up: boolean;
  /** Changes answers on their way out: a broken platform. */
  alter?: ((answer: CustodyAnswer, request: CustodyRequest) => CustodyAnswer) | undefined;
}

export type CustodyWorld = ReturnType<typeof createCustodyWorld>;

export interface WorldOptions extends NetworkFaults {
  readonly nodes: number;
  readonly seed?: string;
  readonly operatorOf?: (n: number) => string;
  readonly migration?: MigrationPolicy;
}

const NO_MIGRATION: MigrationPolicy = {
  movesFreely: () => false,
  operatorKey: () => undefined,
  height: () => undefined,
};

export function createCustodyWorld(options: WorldOptions) {
  const random = seededRandom(options.seed ?? 'custody');
  const clock: ManualClock = createManualClock();
  const members: TestMember[] = [];
  let faults: NetworkFaults = options;
  const chance = (p: number | undefined) => p !== undefined && random.bytes(1)[0]! < p * 256;
  const cut = new Set<string>();

  function bootOf(entry: RosterEntry): TestBoot {
    const custodian = createCustodian({
      self: entry.nodeId,
      readHeader,
      incarnations: createIncarnations(),
      migration: options.migration ?? NO_MIGRATION,
    });
    return { bootKey: random.bytes(32), hpkeKey: random.bytes(32), incarnation: 1, custodian, up: true };
  }

  for (let n = 0; n < options.nodes; n++) {
    const nodeSecret = Secret.own(random.bytes(32));
    const entry: RosterEntry = {
      nodeId: nodeIdFromBytes(ed25519PublicKey(nodeSecret.expose())),
      platform: toHex(sha256(utf8(`platform ${n}`))),
      operator: options.operatorOf?.(n) ?? `operator-${n}`,
    };
    members.push({
      entry,
      nodeSecret,
      storeId: random.bytes(32),
      dataKey: Secret.own(random.bytes(32)),
      disk: undefined,
      written: [],
      head: undefined,
      boot: bootOf(entry),
    });
  }

  const latency = () => 1 + (random.bytes(2)[0]! % Math.max(1, faults.delayMsMax ?? 1));
  const after = (ms: number, work: () => void) => void clock.schedule(ms, work);

  /** What a server does with a request that arrived. */
  function serve(to: TestMember, caller: Caller & { hpkeKey: Uint8Array }, encoded: Uint8Array): Uint8Array {
    const request = decodeRequest(encoded);
    const { custodian, alter } = to.boot;
    const answer =
      request.kind === 'release'
        ? custodian.release({ ...caller, ...request, hpkeKey: caller.hpkeKey }, request)
        : custodian.answer(caller, request);
    return encodeAnswer(alter?.(answer, request) ?? answer);
  }

  /** A way from one boot of a member to another member, whichever boot that has. */
  function peer(from: TestMember, to: TestMember, boot = from.boot, platform = from.entry): CustodyPeer {
    return {
      request: (message, { signal }) =>
        new Promise((resolve, reject) => {
          const lost = () => reject(new KithError('unreachable', 'no connection'));
          signal.addEventListener('abort', () => reject(new KithError('timeout', 'no answer')), { once: true });
          const reachable = () => boot.up && to.boot.up && !cut.has(`${from.entry.nodeId} ${to.entry.nodeId}`);
          const encoded = encodeRequest(message);
          const caller = { ...platform, nodeId: from.entry.nodeId, ...keysOf(boot), incarnation: boot.incarnation };
          const deliver = () => {
            if (!reachable()) return;
            const answer = serve(to, caller, encoded);
            if (chance(faults.loss)) return;
            after(latency(), () => boot.up && resolve(decodeAnswer(answer)));
          };
          if (!reachable()) return void after(1, lost);
          if (!chance(faults.loss)) after(latency(), deliver);
          if (chance(faults.repeat)) after(latency(), deliver);
        }),
    };
  }

  const keysOf = ({ bootKey, hpkeKey }: TestBoot) => ({ bootKey, hpkeKey });
  const entries = () => members.map(({ entry }) => entry);

  const viewOf = (owner: TestMember, roster = members) => ({
    rosterHash: rosterHash(roster.map(({ entry }) => entry)),
    members: roster.map((member) => ({
      ...member.entry,
      addresses: [`/dns4/${member.entry.operator}.example/tcp/4001`],
      bootKey:
        member.boot.up && !cut.has(`${owner.entry.nodeId} ${member.entry.nodeId}`) ? member.boot.bootKey : undefined,
    })),
  });

  const byId = (nodeId: NodeId) => members.find(({ entry }) => entry.nodeId === nodeId);

  /** A dealer of a member's boot, crashing as planned. */
  function dealerOf(
    owner: TestMember,
    given: Partial<DealerOptions> & { crash?: CrashPlan | undefined; beforeWrite?: () => void } = {},
  ): Dealer & { readonly calls: () => number; readonly crashed: () => boolean } {
    const { boot } = owner;
    let calls = 0;
    let crashed = false;
    /** One call of a port, which may be the last. */
    async function call<T>(work: () => Promise<T>): Promise<T> {
      if (crashed) return never();
      calls += 1;
      if (calls !== given.crash?.call) return work().then((value) => (crashed ? never<T>() : value));
      crashed = true;
      if (given.crash.effect === 'done')
        await Promise.race([work().catch(() => undefined), never()]).then(() => undefined);
      boot.up = false;
      return never();
    }
    const store: OwnStore = {
      signHeader: ({ sealingKey, keyEpoch, threshold, keyServers }) =>
        signHeader(
          {
            clusterId,
            nodeId: owner.entry.nodeId,
            storeId: owner.storeId,
            keyEpoch,
            threshold,
            keyServers,
            keyCommitment: commitToSealingKey(sealingKey),
            wrappedDataKey: wrapDataKey({ random }, owner.dataKey, sealingKey, keyEpoch),
            recoveryWrappedDataKey: undefined,
          },
          owner.nodeSecret,
        ),
      sign: (message) => ed25519Sign(owner.nodeSecret.expose(), message),
      writeHeader: (header) =>
        call(async () => {
          given.beforeWrite?.();
          owner.disk = header.slice();
          owner.written.push(owner.disk);
        }),
      head: () => owner.head,
    };
    const dealer = createDealer(
      {
        clock,
        random,
        store,
        peer: (nodeId) => {
          const to = byId(nodeId);
          if (!to) return undefined;
          const way = peer(owner, to, boot);
          return { request: (message, o) => call(() => way.request(message, o)) };
        },
      },
      { owner: owner.entry, storeId: owner.storeId, boot: () => boot, ...given },
    );
    return { ...dealer, state: dealer.state, calls: () => calls, crashed: () => crashed };
  }

  /** Recovers with the header given, as a boot of this member. */
  function recover(
    owner: TestMember,
    {
      header = owner.disk!,
      boot = owner.boot,
      among = members,
      platform = owner.entry,
      ...rest
    }: Partial<RecoveryOptions> & {
      header?: Uint8Array;
      boot?: TestBoot;
      among?: readonly TestMember[];
      platform?: RosterEntry;
      ticket?: Uint8Array;
      above?: number;
      restarted?: (nodeId: NodeId) => boolean;
    } = {},
  ) {
    const { ticket, above, restarted = () => false, ...others } = rest;
    const servers = () =>
      among
        .filter((to) => to !== owner && to.boot.up)
        .map((to) => ({ nodeId: to.entry.nodeId, peer: peer(owner, to, boot, platform) }));
    const signal = rest.signal ?? new AbortController().signal;
    return recoverSealingKey(
      { clock, random, readHeader, servers, restarted },
      { header, ...keysOf(boot), ticket, above },
      { ...others, signal },
    );
  }

  return {
    clock,
    random,
    members,
    entries,
    peer,
    viewOf,
    dealerOf,
    recover,
    bootOf,
    /** A new boot: memory is gone, keys are fresh. */
    restart(member: TestMember): TestBoot {
      member.boot.up = false;
      member.boot = bootOf(member.entry);
      return member.boot;
    },
    setFaults(next: NetworkFaults) {
      faults = next;
    },
    /** Cuts or restores the way from one member to another. */
    setCut(from: TestMember, to: TestMember, isCut: boolean) {
      const name = `${from.entry.nodeId} ${to.entry.nodeId}`;
      if (isCut) cut.add(name);
      else cut.delete(name);
    },
    /** A dealer that has dealt; its member's disk holds the header. */
    async backed(owner: TestMember, given: Partial<DealerOptions> = {}): Promise<Dealer> {
      const dealer = dealerOf(owner, given);
      dealer.update(viewOf(owner));
      await dealer.start({});
      await clock.advance(3_000);
      return dealer;
    },
    storeIdHash: (owner: TestMember) => storeIdHashOf(owner.storeId),
  };
}

/** Whether what was recovered opens the data of this member. */
export function opens(owner: TestMember, { header, key }: Recovered): boolean {
  const parsed = readStoreHeader(header);
  const dataKey = unwrapDataKey(parsed.wrappedDataKey, key, parsed.keyEpoch);
  return dataKey?.equals(owner.dataKey) ?? false;
}
