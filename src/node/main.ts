// A node as a process: the real disk, chain, quotes, clocks and sockets around node.ts.

import { hostname } from 'node:os';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import {
  type Cluster,
  type CollateralSource,
  createConfigfsSource,
  createDevelopmentPki,
  createDirectoryCollateral,
  createHttpCollateral,
  createSimulatedCollateral,
  createSimulatedSource,
  type MeasurementSet,
  nodeTsmFiles,
  parseSimulatedPlatform,
  type QuoteSource,
} from '../attestation/index.ts';
import { abortable, deadline } from '../core/deadline.ts';
import { KithError, messageOf } from '../core/errors.ts';
import { createLifeCycle } from '../core/life-cycle.ts';
import { systemClock as clock, systemRandom as random } from '../core/system.ts';
import { createDefaultExecutor, isDecodableFlag } from '../fmd/index.ts';
import {
  type ChainSource,
  createCometClient,
  createCometSource,
  createHttpTransport,
  createMaspSource,
} from '../indexer/index.ts';
import { createLibp2pTransport } from '../p2p/index.ts';
import { anchorPrefix } from '../replication/index.ts';
import type { ConfigurationErrorCode, NodeConfiguration } from './configuration.ts';
import { createAdminServer, createHttpServer, type HttpServer } from './http/index.ts';
import type { Log } from './log.ts';
import { createNode, type NodeDeps } from './node.ts';
import type { SealingKeys } from './sealing-keys.ts';
import { createLevelDisk } from './store/level-disk.ts';
import { countLines, createMetrics, createProcessWatch } from './telemetry/index.ts';

export interface NodeProcess {
  /** http(s)://host:port of the public API. */
  readonly url: string;
  /** Of metrics and console. */
  readonly adminUrl: string;
  /**
   * Resolves when the node has ended: after `stop`, or because it cannot go on.
   * @throws KithError with the reason in the second case.
   */
  readonly ended: Promise<void>;
  /** Gracefully, within twenty seconds. @throws KithError `timeout` or `stop-failed`. */
  stop(): Promise<void>;
}

export interface NodeProcessDeps {
  readonly log: Log;
  readonly cluster: Cluster;
  /** Of the software. */
  readonly version: string;
  /** What a simulated domain that runs this build measures. */
  readonly measurement: () => MeasurementSet;
  /** In the place of those the cluster configuration asks for. */
  readonly sealingKeys?: SealingKeys | undefined;
}

/** Ten seconds for owners of the shares it keeps, ten for its parts. */
const STOP_MS = 20_000;
/** Each listener may finish what it answers. */
const STOP_LISTENER_MS = 2_000;

/** Short-lived garbage is a few megabytes at a time: threads that collect it together cost more than they spare. */
const V8_FLAGS = '--no-parallel-scavenge';

const INTEL_PCS = 'https://api.trustedservices.intel.com';
const INTEL_ROOT_CRL = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der';

/**
 * Starts a node. Resolves once its API listens, long before it serves.
 * @throws KithError `bad-option`, `listen-failed`, `file`.
 */
export async function startNode(deps: NodeProcessDeps, configuration: NodeConfiguration): Promise<NodeProcess> {
  setFlagsFromString(V8_FLAGS);
  const { cluster, version } = deps;
  const lines = countLines(deps.log);
  const { log } = lines;
  const quotes = quotesOf(deps, configuration);
  const custody: NodeDeps['custody'] = deps.sealingKeys
    ? { kind: 'injected', keys: deps.sealingKeys }
    : { kind: 'members', transport: await createTransport(configuration) };
  let resolveEnded: () => void = () => undefined;
  let rejectEnded: (error: unknown) => void = () => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    resolveEnded = resolve;
    rejectEnded = reject;
  });
  ended.catch(() => undefined);
  let replaced = 0;
  const node = createNode(
    {
      clock,
      random,
      log,
      cluster,
      disk: createLevelDisk(configuration['data-dir']!),
      sources: sourcesOf(configuration, cluster),
      chainClients: chainClientsOf(configuration, cluster),
      executor: createDefaultExecutor({
        clock,
        onFallback: (reason) => log.warn('slow-detection', { reason }),
        onReplaced: (reason) => {
          replaced++;
          log.warn('worker-replaced', { reason });
        },
      }),
      workersReplaced: () => replaced,
      quoteSource: quotes.source,
      collateralSources: quotes.collateral,
      custody,
    },
    {
      version,
      startHeight: configuration['start-height'],
      bootstrap: configuration.bootstrap,
      found: configuration.found,
      onFenced(why) {
        rejectEnded(new KithError('fenced', `another boot of this node is newer: ${why}`));
        // The listeners would keep the process.
        void stop().catch(() => undefined);
      },
    },
  );
  const { service } = node;
  const watch = createProcessWatch();
  const stats = () => node.stats();
  const metrics = createMetrics({ stats, runtime: () => ({ ...watch.read(), logLines: lines.read() }) });
  const http = createHttpServer(
    { service, log, events: metrics.http },
    {
      ...configuration.http!,
      version,
      simulated: cluster.simulated,
      rateLimit: configuration['rate-limit']!,
      trustProxy: configuration['trust-proxy'],
      tls: tlsOf(configuration),
    },
  );
  const leave = (options: { signal: AbortSignal }) => node.leave(options);
  const onLeft = () => void stop().catch(() => undefined);
  const admin = createAdminServer(
    { service, stats, metricsText: metrics.text, leave, onLeft, log },
    configuration.admin!,
  );
  const watching = { name: 'process', start: async () => watch.start(), stop: async () => watch.stop() };
  const listeners = createLifeCycle({ clock }, [watching, http, admin], { stopTimeoutMs: STOP_LISTENER_MS });
  await listeners.start();
  const url = urlOf(http, configuration['tls-cert'] === undefined ? 'http' : 'https');
  const adminUrl = urlOf(admin, 'http');
  log.info('listening', { url, adminUrl });

  let stopping: Promise<void> | undefined;
  const stopAll = async () => {
    using limit = deadline(clock, STOP_MS);
    await abortable(
      node.stop().finally(() => listeners.stop()),
      limit.signal,
    );
    log.info('stopped');
  };
  const stop = () => {
    stopping ??= stopAll();
    stopping.then(resolveEnded, rejectEnded);
    return stopping;
  };
  node.start().catch(async (error: unknown) => {
    if (stopping) return;
    log.error('start-failed', { reason: messageOf(error) });
    rejectEnded(error);
    await stop().catch(() => undefined);
  });
  return { url, adminUrl, ended, stop };
}

function createTransport({ listen, announce }: NodeConfiguration) {
  return createLibp2pTransport(
    { random },
    { listen: [listen!], ...(announce === undefined ? {} : { announce: [announce] }) },
  );
}

function urlOf(server: HttpServer, scheme: string): string {
  const { address, port, family } = server.address!;
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function badOption(message: string): never {
  throw new KithError<ConfigurationErrorCode>('bad-option', message);
}

/** Where anchors go: the same endpoints that blocks are read from. */
const chainClientsOf = (configuration: NodeConfiguration, cluster: Cluster) =>
  configuration['comet-rpc'].map((url) =>
    createCometClient({ transport: createHttpTransport(url), clock }, { textPrefix: anchorPrefix(cluster.id) }),
  );

function sourcesOf(configuration: NodeConfiguration, cluster: Cluster): ChainSource[] {
  const comet = configuration['comet-rpc'].map((url) =>
    createCometSource(
      { transport: createHttpTransport(url), clock, decodable: isDecodableFlag },
      { textPrefix: anchorPrefix(cluster.id) },
    ),
  );
  const masp = configuration['masp-indexer'].map((url) =>
    createMaspSource({ transport: createHttpTransport(url), clock }),
  );
  if (comet.length + masp.length === 0) badOption('name a chain endpoint with --comet-rpc or --masp-indexer');
  return [...comet, ...masp];
}

function tlsOf(configuration: NodeConfiguration) {
  const [certFile, keyFile] = [configuration['tls-cert'], configuration['tls-key']];
  return certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined;
}

function quotesOf(
  { cluster, measurement }: NodeProcessDeps,
  configuration: NodeConfiguration,
): { source: QuoteSource; collateral: CollateralSource[] } {
  if (configuration.quotes === 'simulated') {
    if (!cluster.simulated) badOption('--quotes simulated: the cluster configuration does not allow simulated quotes');
    const pki = createDevelopmentPki();
    const platform = pki.platform(
      parseSimulatedPlatform(configuration['simulated-platform'] ?? platformByHost(configuration)),
    );
    return {
      source: createSimulatedSource({ clock }, platform, measurement()),
      collateral: [createSimulatedCollateral(pki)],
    };
  }
  if (cluster.simulated) badOption('the cluster configuration is a simulated one: start with --quotes simulated');
  const given = configuration.collateral.map((place) =>
    URL.canParse(place) ? createHttpCollateral({ baseUrl: place }) : createDirectoryCollateral(place),
  );
  const intel = createHttpCollateral({ baseUrl: INTEL_PCS, rootCrlUrl: INTEL_ROOT_CRL });
  return {
    source: createConfigfsSource({ files: nodeTsmFiles, clock }, { name: String(process.pid) }),
    collateral: given.length > 0 ? given : [intel],
  };
}

/** `op-<host name>/<host name>-<listen port>`: nodes on one machine are one operator with several platforms. */
function platformByHost({ listen }: NodeConfiguration): string {
  const host =
    hostname()
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 50) || 'host';
  const port = /\/tcp\/(\d{1,5})/.exec(listen ?? '')?.[1] ?? '0';
  return `op-${host}/${host}-${port}`;
}
