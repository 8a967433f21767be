// A node: the composition root. It goes through the phases of docs/ARCHITECTURE.md with the real parts over the ports
// it is given, and offers the service that HTTP carries.

import {
  type Attestor,
  type CollateralSource,
  createAttestor,
  createCollateralKeeper,
  createQuoter,
  type QuoteSource,
} from '../attestation/index.ts';
import { hpkeGenerateKeyPair } from '../core/hpke.ts';
import { type NodeId, nodeIdFromBytes } from '../core/ids.ts';
import { createLifeCycle, type Part } from '../core/life-cycle.ts';
import type { Timer } from '../core/ports.ts';
import type { RosterEntry } from '../core/roster.ts';
import type { Transport } from '../p2p/index.ts';
import { attestSelf } from './attesting.ts';
import { type ClusterInForce, createClusterInForce } from './cluster-in-force.ts';
import { type Company, type CompanyOptions, createCompany } from './company.ts';
import { createCondition, heightOf, type OwnCondition } from './condition.ts';
import { createEvidence, type Evidence } from './evidence.ts';
import { createNodeService, type Opened } from './node-service.ts';
import { openNode } from './opening.ts';
import { missingAmongPeers, missingForReady } from './readiness.ts';
import { createReplication, type ReplicationOptions } from './replication/replication.ts';
import type { Running, RunningDeps, RunningOptions } from './running.ts';
import type { SealingKeys } from './sealing-keys.ts';
import type { NodeService } from './service.ts';
import { createSetAside, type SetAside } from './set-aside/set-aside.ts';
import { countedDisk, countQuotes, statsOf } from './stats.ts';
import { createOperationCounter, createPseudonyms, type NodeStats } from './telemetry/index.ts';
import { createTotalRestart, type TotalRestart } from './total-restart.ts';

export interface NodeDeps extends RunningDeps {
  /** What keeps the sealing key: the members of the mesh behind a transport, or whatever a test injects. */
  readonly custody:
    | { readonly kind: 'members'; readonly transport: Transport }
    | { readonly kind: 'injected'; readonly keys: SealingKeys };
  readonly quoteSource: QuoteSource;
  readonly collateralSources: readonly CollateralSource[];
  /** Workers of the executor that died and were replaced so far. */
  readonly workersReplaced?: (() => number) | undefined;
}

export interface NodeOptions extends RunningOptions, CompanyOptions {
  /** Of the software. */
  readonly version: string;
  /** How operations come to this node; for tests. */
  readonly replication?: ReplicationOptions | undefined;
  /** Another boot of this node is newer: it has stopped for good. */
  readonly onFenced?: ((why: string) => void) | undefined;
}

export interface KithNode {
  /** Usable from the beginning: refuses with reasons what its phase does not serve. */
  readonly service: NodeService;
  /** The parts, once the store is open; for observers. */
  readonly running: Running | undefined;
  /** For metrics and console. */
  stats(): NodeStats;
  /**
   * Resolves once the node follows the chain; `service.readiness()` tells when it serves.
   * @throws KithError of the store, before anything of it was used.
   */
  start(options?: { signal?: AbortSignal }): Promise<void>;
  /**
   * Takes this node off the roster of its cluster: the others deal their keys anew without it. To be stopped
   * afterwards; whoever starts it again lets it join again.
   * @returns why it was not done.
   */
  leave(options: { signal: AbortSignal }): Promise<string | undefined>;
  /** Ends what is in work, the store last. Idempotent. */
  stop(): Promise<void>;
}

/** How often a part may take to stop; all of them together stay below the ten seconds a node is given. */
const STOP_PART_MS = 4_000;
/** How often the way to readiness is looked at besides each new height. */
const CHECK_MS = 1_000;

export function createNode(deps: NodeDeps, options: NodeOptions): KithNode {
  return new Node(deps, options);
}

class Node implements KithNode {
  readonly service: NodeService;
  readonly #deps: NodeDeps;
  readonly #options: NodeOptions;
  readonly #condition: OwnCondition;
  readonly #hpkeKeyPair: ReturnType<typeof hpkeGenerateKeyPair>;
  readonly #lifeCycle: ReturnType<typeof createLifeCycle>;
  readonly #quoter: ReturnType<typeof createQuoter>;
  readonly #counted = createOperationCounter();
  readonly #quotes = { made: 0, failed: 0, waiting: 0 };
  readonly #writes = { batches: 0, failures: 0, bytesWritten: 0 };
  readonly #collateral: ReturnType<typeof createCollateralKeeper>;
  readonly #inForce: ClusterInForce;
  readonly #attestor: Attestor;
  /** Undefined where the sealing key is injected. */
  readonly #company: Company | undefined;
  readonly #sealingKeys: SealingKeys;
  readonly #restart: TotalRestart;
  readonly #setAside: SetAside;
  /** The id that quotes name: of this boot while the store is closed. */
  #claimed: NodeId;
  #evidence: Evidence | undefined;
  #opened: Opened | undefined;
  #check: Timer | undefined;
  #stopping: Promise<void> | undefined;
  /** When it began to catch up, on the monotonic clock. */
  #catchingUpSince = 0;

  constructor(deps: NodeDeps, options: NodeOptions) {
    const { disk, clock, custody } = deps;
    this.#inForce = createClusterInForce(deps, deps.cluster);
    const { cluster } = this.#inForce;
    this.#deps = { ...deps, cluster, disk: countedDisk(disk, this.#writes) };
    this.#options = options;
    this.#condition = createCondition({ log: deps.log, onPhase: () => void this.#company?.peering.mesh.announce() });
    this.#hpkeKeyPair = hpkeGenerateKeyPair(deps.random);
    this.#quoter = countQuotes(createQuoter({ source: deps.quoteSource, clock }), this.#quotes);
    this.#collateral = createCollateralKeeper({ sources: deps.collateralSources, clock }, { anchor: cluster.anchor });
    this.#attestor = createAttestor({ cluster: this.#inForce.now });
    this.#company = custody.kind === 'members' ? this.#createCompany(custody.transport) : undefined;
    this.#sealingKeys = custody.kind === 'injected' ? custody.keys : this.#company!.sealingKeys;
    this.#claimed = this.#company?.peering.self.nodeId ?? nodeIdFromBytes(deps.random.bytes(32));
    this.#restart = createTotalRestart({
      ...deps,
      clusterId: cluster.id,
      nodeId: () => this.#claimed,
      hpkeKeyPair: this.#hpkeKeyPair,
    });
    this.#setAside = this.#createSetAside();
    this.#lifeCycle = createLifeCycle({ clock }, this.#parts(), { stopTimeoutMs: STOP_PART_MS });
    this.service = createNodeService(
      {
        ...this.#deps,
        condition: this.#condition,
        company: this.#company,
        sealingKeys: this.#sealingKeys,
        counted: this.#counted,
        evidence: () => this.#evidence,
        restart: this.#restart,
        setAside: this.#setAside,
        opened: () => this.#opened,
      },
      { version: options.version },
    );
  }

  #createCompany(transport: Transport): Company {
    return createCompany(
      {
        ...this.#deps,
        inForce: this.#inForce,
        attestor: this.#attestor,
        quoter: this.#quoter,
        collateral: this.#collateral,
        transport,
        hpkeKeyPair: this.#hpkeKeyPair,
        condition: this.#condition,
        onFenced: (why) => this.#fence(why),
      },
      this.#options,
    );
  }

  #createSetAside(): SetAside {
    const company = this.#company;
    return createSetAside({
      ...this.#deps,
      clusterId: this.#deps.cluster.id,
      restart: this.#restart,
      registrations: () => (this.#condition.phase === 'ready' ? this.#condition.running?.registrations : undefined),
      askMembers: company?.sealingKeys.askMembers,
      retire: company?.retire,
    });
  }

  get running(): Running | undefined {
    return this.#condition.running;
  }

  stats(): NodeStats {
    return statsOf({
      service: this.service,
      running: this.#condition.running,
      registrationsMax: this.#deps.cluster.configuration.limits.registrationsMax,
      operations: this.#counted,
      quotes: this.#quotes,
      writes: this.#writes,
      workersReplaced: this.#deps.workersReplaced?.() ?? 0,
      collateralUntil: this.#collateral.validUntil(),
      company: this.#company,
      closedStores: this.#setAside.counts,
      rolledBack: this.#condition.rollback !== undefined,
      replication: this.#opened?.replication.stats(),
    });
  }

  start(options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#lifeCycle.start(options);
  }

  async leave(options: { signal: AbortSignal }): Promise<string | undefined> {
    return this.#company ? this.#company.leave(options) : 'not-a-member';
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { phase, running } = this.#condition;
    if (phase !== 'fenced') this.#condition.enter('draining', ['the node stops']);
    this.#check?.cancel();
    running?.lookUps.end();
    if (phase !== 'fenced') await this.#company?.drain();
    await this.#lifeCycle.stop();
  }

  /** In the order of their start; the store closes last. */
  #parts(): Part[] {
    const idle = async () => undefined;
    const condition = this.#condition;
    return [
      { name: 'quotes', start: idle, stop: async () => this.#quoter.stop() },
      this.#collateral,
      { name: 'attestation', start: ({ signal }) => this.#attest(signal!), stop: idle },
      ...(this.#company ? [this.#company.mesh] : []),
      { name: 'store', start: ({ signal }) => this.#open(signal!), stop: () => this.#close() },
      {
        name: 'engine',
        start: () => condition.running!.engine.start(),
        stop: async () => condition.running?.engine.stop(),
      },
      {
        name: 'indexer',
        start: ({ signal }) => condition.running!.indexer.start(signal ? { signal } : {}),
        stop: async () => condition.running?.indexer.stop(),
      },
      { name: 'detection', start: () => this.#detect(), stop: async () => condition.running?.detector.stop() },
      { name: 'replication', start: idle, stop: async () => this.#opened?.replication.stop() },
      { name: 'set-aside', start: idle, stop: () => this.#setAside.stop() },
    ];
  }

  async #attest(signal: AbortSignal): Promise<void> {
    // The id is not known before the store is open, and does not matter for being believed.
    const evidence = this.#evidenceFor(this.#claimed);
    await attestSelf({ ...this.#deps, condition: this.#condition, evidence }, signal);
    this.#evidence = evidence;
  }

  /** Another boot of this node has its key: whatever this one still says or writes must not count. */
  #fence(why: string): void {
    if (this.#condition.phase === 'fenced' || this.#condition.phase === 'draining') return;
    this.#deps.log.error('fenced', { reason: why });
    this.#condition.enter('fenced', [why]);
    void this.stop()
      .catch(() => undefined)
      .then(() => this.#options.onFenced?.(why));
  }

  #evidenceFor(nodeId: NodeId): Evidence {
    const { clock, cluster } = this.#deps;
    return createEvidence(
      { clock, cluster, attestor: this.#attestor, quoter: this.#quoter, collateral: this.#collateral },
      {
        nodeId,
        hpkePublicKey: this.#hpkeKeyPair.publicKey,
        height: () => heightOf(this.#condition),
        roster: () => this.#roster(nodeId),
      },
    );
  }

  #roster(nodeId: NodeId): readonly RosterEntry[] {
    const { attested } = this.#condition;
    if (!attested) return [];
    return this.#company?.entries() ?? [{ nodeId, platform: attested.quote.platform, operator: attested.operator }];
  }

  async #open(signal: AbortSignal): Promise<void> {
    const opening = {
      ...this.#deps,
      condition: this.#condition,
      company: this.#company,
      sealingKeys: this.#sealingKeys,
      setAside: this.#setAside,
    };
    const assembling = {
      // Of this boot alone, both of them.
      bootKey: this.#company?.peering.bootKey ?? this.#hpkeKeyPair.publicKey,
      mayConfirm: () => this.#opened?.replication.mayConfirm() ?? false,
      clusterHeight: () => this.#opened?.replication.clusterHeight,
      onSynced: () => this.#checkReady(),
    };
    const { launched, running } = await openNode(opening, { ...this.#options, ...assembling }, signal);
    const { nodeId, logKey } = launched.identity;
    this.#claimed = nodeId;
    this.#evidence = this.#evidenceFor(nodeId);
    this.#opened = {
      replication: createReplication(
        {
          ...this.#deps,
          company: this.#company,
          condition: this.#condition,
          launched,
          running,
          hpkeKeyPair: this.#hpkeKeyPair,
          roster: () => this.#roster(nodeId),
        },
        this.#options.replication,
      ),
      pseudonyms: createPseudonyms(logKey),
    };
  }

  async #close(): Promise<void> {
    // These may be at work although the store never came so far: while a key is asked for, or dealt for the first time.
    await this.#setAside.stop();
    await this.#sealingKeys.stop();
    await this.#company?.stop();
    const running = this.#condition.running;
    if (!running) return;
    await running.rows.close();
    await running.store.close();
    running.identity.nodeSecret.wipe();
    running.identity.logKey.wipe();
  }

  async #detect(): Promise<void> {
    this.#condition.enter('catching-up', ['catching up with the chain']);
    this.#catchingUpSince = this.#deps.clock.monotonic();
    await this.#opened!.replication.start({});
    await this.#condition.running!.detector.start();
    const check = () => {
      this.#checkReady();
      this.#check = this.#deps.clock.schedule(CHECK_MS, check);
    };
    check();
  }

  #checkReady(): void {
    const running = this.#condition.running;
    if (this.#condition.phase !== 'catching-up' || !running) return;
    const waitedMs = this.#deps.clock.monotonic() - this.#catchingUpSince;
    const missing = [
      ...missingForReady(running),
      ...missingAmongPeers(this.#company?.notEntrusted() ?? 0, waitedMs),
      ...(this.#opened?.replication.missing() ?? []),
    ];
    this.#condition.enter(missing.length === 0 ? 'ready' : 'catching-up', missing);
  }
}
