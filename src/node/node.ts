// A node: the composition root. It goes through the phases of docs/ARCHITECTURE.md with the real parts over the ports
// it is given, and offers the service that HTTP carries.

import {
  type AcceptedQuote,
  type Attestor,
  type CollateralSource,
  createAttestor,
  createCollateralKeeper,
  createQuoter,
  type QuoteSource,
} from '../attestation/index.ts';
import { sleep } from '../core/deadline.ts';
import { isKithError, KithError } from '../core/errors.ts';
import { hpkeGenerateKeyPair } from '../core/hpke.ts';
import { type NodeId, nodeIdFromBytes, parseRegId, type RegId } from '../core/ids.ts';
import { createLifeCycle, type Part } from '../core/life-cycle.ts';
import type { Timer } from '../core/ports.ts';
import type { OperationType } from '../core/registration/operation.ts';
import type { RosterEntry } from '../core/roster.ts';
import type { SealedBox } from '../core/sealed-request.ts';
import type { Transport } from '../p2p/index.ts';
import { createEvidence, type Evidence } from './evidence.ts';
import { launch } from './launch.ts';
import type { Launched } from './launched.ts';
import { createMembership, type Membership } from './membership.ts';
import { createPeerKeys, type PeerKeys } from './peer-keys.ts';
import { createPeering, type Peering } from './peering.ts';
import { isProven } from './proven.ts';
import { missingForReady, readinessOf } from './readiness.ts';
import { findRollback, type Rollback } from './rollback.ts';
import { assemble, type Running, type RunningDeps, type RunningOptions } from './running.ts';
import type { SealingKeys } from './sealing-keys.ts';
import {
  type MemberInfo,
  type NodeInfo,
  type NodeService,
  type Phase,
  readPhase,
  type ServiceCall,
} from './service.ts';
import { countQuotes, statsOf } from './stats.ts';
import { countWrites, type KeyValueStore } from './store/index.ts';
import { createOperationCounter, createPseudonyms, type NodeStats, type Pseudonyms } from './telemetry/index.ts';
import { notRecovering } from './total-restart.ts';
import { createWritePath, storeReceipts, type WritePath } from './write-path.ts';

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

export interface NodeOptions extends RunningOptions {
  /** Of the software. */
  readonly version: string;
  /** Multiaddrs of members to begin with. */
  readonly bootstrap?: readonly string[] | undefined;
  /** Found a cluster although there are bootstrap addresses. */
  readonly found?: boolean | undefined;
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
  /** Ends what is in work, the store last. Idempotent. */
  stop(): Promise<void>;
}

/** How often a part may take to stop; all of them together stay below the ten seconds a node is given. */
const STOP_PART_MS = 4_000;
/** How often the way to readiness is looked at besides each new height. */
const CHECK_MS = 1_000;
/** For members that used this node as key server to do so again; some may have chosen others. */
const REDEPOSIT_WAIT_MS = 10_000;
/** Between two looks at a quote that is not believed: collateral may come, a clock may be set. */
const INSPECT_AGAIN_MS = 5_000;

export function createNode(deps: NodeDeps, options: NodeOptions): KithNode {
  return new Node(deps, options);
}

/** What the node learnt of itself while attesting. */
interface Self {
  readonly quote: AcceptedQuote;
  readonly operator: string;
}

class Node implements KithNode {
  readonly service: NodeService;
  readonly #deps: NodeDeps;
  readonly #options: NodeOptions;
  readonly #hpkeKeyPair: ReturnType<typeof hpkeGenerateKeyPair>;
  readonly #lifeCycle: ReturnType<typeof createLifeCycle>;
  readonly #quoter: ReturnType<typeof createQuoter>;
  readonly #counted = createOperationCounter();
  readonly #quotes = { made: 0, failed: 0, waiting: 0 };
  readonly #writes = { batches: 0, failures: 0, bytesWritten: 0 };
  readonly #collateral: ReturnType<typeof createCollateralKeeper>;
  #phase: Phase = 'starting';
  #reasons: readonly string[] = ['starting'];
  #self: Self | undefined;
  #running: Running | undefined;
  #evidence: Evidence | undefined;
  #writePath: WritePath | undefined;
  readonly #attestor: Attestor;
  readonly #peering: Peering | undefined;
  readonly #peerKeys: PeerKeys | undefined;
  readonly #sealingKeys: SealingKeys;
  #membership: Membership | undefined;
  #check: Timer | undefined;
  #pseudonyms: Pseudonyms | undefined;
  #incarnation = 0;
  #rollback: Rollback | undefined;
  /** When it began to catch up, on the monotonic clock. */
  #catchingUpSince = 0;

  constructor(deps: NodeDeps, options: NodeOptions) {
    const { disk, clock, cluster } = deps;
    const counting = (open: () => Promise<KeyValueStore>) => async () => countWrites(await open(), this.#writes);
    this.#deps = {
      ...deps,
      disk: {
        header: disk.header,
        openSealed: counting(() => disk.openSealed()),
        openChain: (how) => disk.openChain(how),
        setAside: () => disk.setAside(),
      },
    };
    this.#options = options;
    this.#hpkeKeyPair = hpkeGenerateKeyPair(deps.random);
    this.#quoter = countQuotes(createQuoter({ source: deps.quoteSource, clock }), this.#quotes);
    this.#collateral = createCollateralKeeper({ sources: deps.collateralSources, clock }, { anchor: cluster.anchor });
    this.#attestor = createAttestor({ cluster: () => cluster });
    this.#peering = deps.custody.kind === 'members' ? this.#createPeering(deps.custody.transport) : undefined;
    this.#peerKeys = this.#peering && this.#createKeys(this.#peering);
    this.#sealingKeys = deps.custody.kind === 'injected' ? deps.custody.keys : this.#peerKeys!;
    this.#lifeCycle = createLifeCycle({ clock }, this.#parts(), { stopTimeoutMs: STOP_PART_MS });
    this.service = this.#createService();
  }

  get running(): Running | undefined {
    return this.#running;
  }

  stats(): NodeStats {
    return statsOf({
      service: this.service,
      running: this.#running,
      registrationsMax: this.#deps.cluster.configuration.limits.registrationsMax,
      operations: this.#counted,
      quotes: this.#quotes,
      writes: this.#writes,
      workersReplaced: this.#deps.workersReplaced?.() ?? 0,
    });
  }

  start(options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#lifeCycle.start(options);
  }

  async stop(): Promise<void> {
    if (this.#phase !== 'draining' && this.#phase !== 'fenced') this.#enter('draining', ['the node stops']);
    this.#check?.cancel();
    this.#running?.lookUps.end();
    this.#writePath?.confirmations.end();
    await this.#lifeCycle.stop();
  }

  /** In the order of their start; the store closes last. */
  #parts(): Part[] {
    const idle = async () => undefined;
    return [
      { name: 'quotes', start: idle, stop: async () => this.#quoter.stop() },
      this.#collateral,
      { name: 'attestation', start: ({ signal }) => this.#attest(signal!), stop: idle },
      ...(this.#peering ? [this.#peering.mesh] : []),
      { name: 'store', start: ({ signal }) => this.#open(signal!), stop: () => this.#close() },
      { name: 'engine', start: () => this.#running!.engine.start(), stop: async () => this.#running?.engine.stop() },
      {
        name: 'indexer',
        start: ({ signal }) => this.#running!.indexer.start(signal ? { signal } : {}),
        stop: async () => this.#running?.indexer.stop(),
      },
      { name: 'detection', start: () => this.#detect(), stop: async () => this.#running?.detector.stop() },
    ];
  }

  #enter(phase: Phase, reasons: readonly string[]): void {
    if (phase !== this.#phase) this.#deps.log.info('phase', { phase, reason: reasons[0] });
    this.#phase = phase;
    this.#reasons = reasons;
  }

  /** Nothing is opened, and nobody is served, before this node would be believed by others. */
  async #attest(signal: AbortSignal): Promise<void> {
    const { random, log, clock } = this.#deps;
    this.#enter('attesting', ['verifying the own quote']);
    // The id is not known before the store is open, and does not matter for being believed.
    const evidence = this.#evidenceFor(nodeIdFromBytes(random.bytes(32)));
    for (;;) {
      try {
        this.#self = await evidence.inspect({ signal });
        break;
      } catch (error) {
        if (signal.aborted || !isKithError(error)) throw error;
        if (this.#reasons[0] !== error.message) log.error('not-attested', { code: error.code, reason: error.message });
        this.#enter('attesting', [error.message]);
      }
      await sleep(clock, INSPECT_AGAIN_MS, { signal });
    }
    log.info('attested', { operator: this.#self.operator, tcbStatus: this.#self.quote.tcbStatus });
  }

  #createPeering(transport: Transport): Peering {
    const { clock, random, log, cluster } = this.#deps;
    return createPeering(
      {
        clock,
        random,
        log,
        cluster,
        attestor: this.#attestor,
        quoter: this.#quoter,
        collateral: this.#collateral,
        transport,
        hpkeKeyPair: this.#hpkeKeyPair,
        phase: () => this.#phase,
        height: () => this.#running?.tip() || undefined,
        onFenced: (why) => this.#fence(why),
      },
      { bootstrap: this.#options.bootstrap ?? [] },
    );
  }

  #createKeys(peering: Peering): PeerKeys {
    const { clock, random, log, cluster, disk } = this.#deps;
    return createPeerKeys(
      {
        clock,
        random,
        log,
        disk,
        peering,
        membership: (launched, signal) => this.#join(peering, launched, signal),
        whereabouts: () => ({ platform: this.#self!.quote.platform, operator: this.#self!.operator }),
        onFenced: (why) => this.#fence(why),
      },
      { allowUnbacked: cluster.configuration.allowUnbacked },
    );
  }

  async #join(peering: Peering, launched: Launched, signal: AbortSignal): Promise<Membership> {
    const { clock, random, log, cluster } = this.#deps;
    const { quote, operator } = this.#self!;
    const own = { nodeId: launched.identity.nodeId, platform: quote.platform, operator };
    const height = () => this.#running?.tip() || undefined;
    const { bootstrap = [], found = false } = this.#options;
    const deps = { clock, random, log, cluster, peering, own, height };
    this.#membership = createMembership(deps, launched, { mayFound: found || bootstrap.length === 0 });
    await this.#membership.start({ signal });
    return this.#membership;
  }

  /** Another boot of this node has its key: whatever this one still says or writes must not count. */
  #fence(why: string): void {
    if (this.#phase === 'fenced' || this.#phase === 'draining') return;
    this.#deps.log.error('fenced', { reason: why });
    this.#enter('fenced', [why]);
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
        height: () => this.#running?.tip(),
        roster: () => this.#roster(nodeId),
      },
    );
  }

  #roster(nodeId: NodeId): RosterEntry[] {
    if (!this.#self) return [];
    if (this.#membership) return [...this.#membership.entries()];
    return [{ nodeId, platform: this.#self.quote.platform, operator: this.#self.operator }];
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { cluster, log } = this.#deps;
    this.#enter('recovering', ['opening the store']);
    const waitsFor = (reason: string) => this.#enter('recovering', [reason]);
    const deps = { ...this.#deps, sealingKeys: this.#sealingKeys };
    const launched = await launch(deps, cluster.id, { signal, waitsFor });
    this.#incarnation = launched.incarnation;
    this.#rollback = findRollback(launched.store.head, this.#peerKeys?.recovered?.heads ?? []);
    if (this.#rollback) log.error('rollback', { ...this.#rollback });
    const { nodeId } = launched.identity;
    try {
      const onSynced = () => this.#checkReady();
      this.#running = await assemble(this.#deps, launched, { ...this.#options, onSynced });
    } catch (error) {
      await launched.store.close();
      throw error;
    }
    const { held } = this.#running.registrations.counts;
    log.info('store-open', { nodeId, fresh: launched.fresh, registrations: held });
    const warning = this.#sealingKeys.warning();
    if (warning) log.warn('unbacked', { reason: warning });
    this.#pseudonyms = createPseudonyms(launched.identity.logKey);
    this.#evidence = this.#evidenceFor(nodeId);
    this.#writePath = this.#createWritePath(launched, this.#running);
  }

  #createWritePath(launched: Launched, { registrations, tip }: Running): WritePath {
    const { clock, random, cluster } = this.#deps;
    const { nodeId } = launched.identity;
    const receipt = storeReceipts(launched, { clusterId: cluster.id, height: tip });
    const writePath = createWritePath({
      clock,
      random,
      cluster,
      nodeId,
      hpkeKeyPair: this.#hpkeKeyPair,
      registrations,
      roster: () => this.#roster(nodeId),
      receipt: (opIds) => (this.#rollback ? undefined : receipt(opIds)),
      holding: () => [nodeId],
      want: () => false,
    });
    this.#membership?.onChange(writePath.confirmations.rosterChanged);
    return writePath;
  }

  async #close(): Promise<void> {
    // These may be at work although the store never came so far: while a key is asked for, or dealt for the first time.
    await this.#sealingKeys.stop();
    await this.#membership?.stop();
    this.#peering?.custodian.wipe();
    const running = this.#running;
    if (!running) return;
    await running.rows.close();
    await running.store.close();
    running.identity.nodeSecret.wipe();
    running.identity.logKey.wipe();
  }

  async #detect(): Promise<void> {
    this.#enter('catching-up', ['catching up with the chain']);
    this.#catchingUpSince = this.#deps.clock.monotonic();
    await this.#running!.detector.start();
    const check = () => {
      this.#checkReady();
      this.#check = this.#deps.clock.schedule(CHECK_MS, check);
    };
    check();
  }

  #checkReady(): void {
    const running = this.#running;
    if (this.#phase !== 'catching-up' || !running) return;
    const missing = [...missingForReady(running), ...this.#missingAmongPeers()];
    this.#enter(missing.length === 0 ? 'ready' : 'catching-up', missing);
  }

  /** What custody and members keep this node from serving for. */
  #missingAmongPeers(): string[] {
    if (this.#rollback) {
      const { found, remembered } = this.#rollback;
      return [`rollback: the disk ends with batch ${found}, members remember ${remembered}`];
    }
    if (!this.#peering || this.#deps.clock.monotonic() - this.#catchingUpSince > REDEPOSIT_WAIT_MS) return [];
    const owners = new Set(this.#peering.custodian.owners().map(({ nodeId }) => nodeId));
    const waiting = this.#peering.proven().filter(({ nodeId }) => !owners.has(nodeId)).length;
    return waiting > 0 ? [`${waiting} members have not entrusted their shares again`] : [];
  }

  /** @throws KithError `not-ready` with the reason, unless the node serves. */
  #serving(): Running {
    if (this.#phase === 'ready' && this.#running) return this.#running;
    throw new KithError('not-ready', `The node is ${this.#phase}: ${this.#reasons[0] ?? 'wait'}.`);
  }

  #createService(): NodeService {
    return {
      readiness: () => readinessOf(this.#phase, this.#reasons, this.#running, this.#notes()),
      node: () => this.#info(),
      members: () => this.#members(),
      attestation: async (nonce, { signal }) => {
        if (this.#evidence && this.#phase !== 'draining') return this.#evidence.document(nonce, { signal });
        throw new KithError('not-ready', `The node is ${this.#phase} and has no key to seal to.`);
      },
      register: (box, call) => this.#carryOut('register', undefined, box, call),
      renew: (id, box, call) => this.#carryOut('renew', id, box, call),
      revoke: (id, box, call) => this.#carryOut('revoke', id, box, call),
      registration: (id) => this.#serving() && this.#writePath!.status(id),
      presentCertificate: (id, encoded) => this.#serving() && this.#writePath!.presentCertificate(id, encoded),
      indexSet: async (id, lookUp, call: ServiceCall) => this.#serving().lookUps.answer(id, lookUp, call),
      recovery: () => ({ state: 'none' }),
      enterRecoveryShare: async () => {
        throw notRecovering();
      },
    };
  }

  #notes(): string[] {
    const { cluster } = this.#deps;
    const warning = this.#sealingKeys.warning();
    return [...(warning ? [warning] : []), ...(cluster.simulated ? ['simulated: this cluster protects nobody'] : [])];
  }

  async #carryOut(kind: OperationType, id: RegId | undefined, box: SealedBox, call: ServiceCall) {
    const { log } = this.#deps;
    try {
      this.#serving();
      const answer = await this.#writePath!.operations.carryOut(kind, id, box, call);
      this.#counted.accepted(kind);
      log.debug('operation-taken', { kind, registration: this.#pseudonyms?.(parseRegId(answer.id)) });
      return answer;
    } catch (error) {
      const code = isKithError(error) ? error.code : 'internal';
      this.#counted.refused(kind, code);
      log.debug('operation-refused', { kind, code, registration: id && this.#pseudonyms?.(id) });
      throw error;
    }
  }

  #info(): NodeInfo {
    const { cluster } = this.#deps;
    const running = this.#running;
    const checkpoint = running?.notes.checkpoint;
    const entries = this.#membership?.entries() ?? [];
    const own = this.#phase === 'ready' ? 1 : 0;
    return {
      nodeId: running?.identity.nodeId ?? '',
      clusterId: cluster.id,
      configVersion: cluster.configuration.version,
      version: this.#options.version,
      phase: this.#phase,
      simulated: cluster.simulated,
      heights: {
        chain: running?.tip() ?? 0,
        indexed: checkpoint?.cursor ?? 0,
        detected: running?.detector.detected ?? 0,
        anchored: 0,
        first: checkpoint?.start ?? 0,
      },
      members: entries.length || own,
      quorum: {
        needed: Math.floor(entries.length / 2) + 1,
        reachable: own + (this.#peering?.proven().length ?? 0),
      },
      incarnation: this.#incarnation,
    };
  }

  #members() {
    const running = this.#running;
    if (!this.#self || !running) return [];
    return [
      {
        nodeId: running.identity.nodeId,
        operator: this.#self.operator,
        tcbStatus: this.#self.quote.tcbStatus,
        phase: this.#phase,
        lag: Math.max(0, running.tip() - (running.detector.detected ?? 0)),
        lastSeenSeconds: 0,
      },
      ...this.#peerInfos(running),
    ];
  }

  #peerInfos(running: Running): MemberInfo[] {
    const now = this.#deps.clock.monotonic();
    return (this.#peering?.mesh.peers() ?? [])
      .filter(({ attested }) => isProven(attested))
      .map(({ attested, phase, height, lastSeenMs }) => ({
        nodeId: attested.nodeId,
        operator: attested.operator,
        tcbStatus: attested.tcbStatus,
        phase: readPhase(phase),
        lag: Math.max(0, running.tip() - (height ?? 0)),
        lastSeenSeconds: Math.round((now - lastSeenMs) / 1000),
      }));
  }
}
