// What `kith doctor` looks at around the machine: whether its addresses are free, what the upstreams of the chain say,
// and how the clock agrees with the newest block.

import { createServer, type Server } from 'node:net';
import type { Cluster } from '../attestation/index.ts';
import { messageOf } from '../core/errors.ts';
import { systemClock } from '../core/system.ts';
import { type ChainSource, createCometSource, createHttpTransport, createMaspSource } from '../indexer/index.ts';
import type { HostPort, NodeConfiguration } from '../node/index.ts';
import { type Finding, failed, fine, warning } from './doctor-check.ts';

/** How far the clock may be from the time of the newest block: eight blocks of Namada. */
const CLOCK_MS_MAX = 60_000;

/** Whether all addresses can be bound at once, now. They are let go again. */
export async function checkAddresses(
  addresses: readonly (HostPort & { readonly option: string })[],
): Promise<Finding[]> {
  const held: Server[] = [];
  try {
    const findings: Finding[] = [];
    for (const { option, host, port } of addresses) {
      const name = `--${option} ${host.includes(':') ? `[${host}]` : host}:${port}`;
      const bound = await bind(host, port);
      if ('server' in bound) held.push(bound.server);
      findings.push('server' in bound ? fine(`${name} is free`) : failed(`${name}: ${bound.reason}`));
    }
    return findings;
  } finally {
    await Promise.all(held.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  }
}

function bind(host: string, port: number): Promise<{ server: Server } | { reason: string }> {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'the port is taken',
    EACCES: 'no permission for this port',
    EADDRNOTAVAIL: 'this machine does not have the address',
    ENOTFOUND: 'the name is unknown',
  };
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve({ reason: reasons[error.code ?? ''] ?? messageOf(error) });
    });
    server.listen({ host, port, exclusive: true }, () => resolve({ server }));
  });
}

/** The TCP address in a multiaddr; undefined if it has another form. */
export function tcpOfMultiaddr(text: string): HostPort | undefined {
  const match = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/|$)/.exec(text);
  const port = Number(match?.[2]);
  return match?.[1] !== undefined && port <= 65_535 ? { host: match[1], port } : undefined;
}

export interface UpstreamReport {
  readonly finding: Finding;
  /** Unix time of its newest block in milliseconds, if it tells one. */
  readonly blockTimeMs: number | undefined;
}

/** The upstreams of a configuration by their option; `open` throws where the URL cannot be used. */
export function upstreamsOf(values: NodeConfiguration): { option: string; open: () => ChainSource }[] {
  const clock = systemClock;
  return [
    ...values['comet-rpc'].map((url) => ({
      option: 'comet-rpc',
      open: () => createCometSource({ transport: createHttpTransport(url), clock }),
    })),
    ...values['masp-indexer'].map((url) => ({
      option: 'masp-indexer',
      open: () => createMaspSource({ transport: createHttpTransport(url), clock }),
    })),
  ];
}

/** Asks an upstream for its status and its newest block. @throws KithError of the source. */
export async function askUpstream(
  source: ChainSource,
  expected: { readonly cluster: Cluster | undefined; readonly startHeight: number | undefined },
  { signal }: { signal: AbortSignal },
): Promise<UpstreamReport> {
  const { chainId, earliest, latest } = await source.status({ signal });
  const wanted = expected.cluster?.configuration.chainId;
  const told = (finding: Finding, blockTimeMs?: number): UpstreamReport => ({ finding, blockTimeMs });
  if (chainId !== undefined && wanted !== undefined && chainId !== wanted) {
    return told(failed(`${source.name} serves the chain ${JSON.stringify(chainId)}, not ${wanted}`));
  }
  const name = `${source.name}${chainId === undefined ? '' : `, chain ${chainId}`}`;
  if (latest < earliest) return told(warning(`${name}: no block yet`));
  // The results of the very newest block may come a moment after it.
  const height = Math.max(earliest, latest - 1);
  const [block] = await source.blocks(height, height, { signal });
  const blockTimeMs = block?.time === undefined ? Number.NaN : Date.parse(block.time);
  const known = Number.isFinite(blockTimeMs);
  const age = known ? `, block ${height} is ${Math.round((systemClock.now() - blockTimeMs) / 1000)} s old` : '';
  const heights = `heights ${earliest} to ${latest}${age}`;
  const { startHeight } = expected;
  if (startHeight !== undefined && startHeight < earliest) {
    return told(
      warning(`${name}: ${heights}; it has not --start-height ${startHeight}`),
      known ? blockTimeMs : undefined,
    );
  }
  return told(fine(`${name}: ${heights}`), known ? blockTimeMs : undefined);
}

/** Whether the clock agrees with the newest block any upstream has. */
export function checkClock(blockTimesMs: readonly number[], nowMs: number = systemClock.now()): Finding {
  if (blockTimesMs.length === 0) return warning('not compared: no upstream told the time of a block');
  const ahead = nowMs - Math.max(...blockTimesMs);
  const seconds = Math.round(Math.abs(ahead) / 1000);
  if (ahead > CLOCK_MS_MAX) {
    return warning(`${seconds} s after the newest block: the clock is ahead, or the chain stands still`);
  }
  if (ahead < -CLOCK_MS_MAX) return warning(`${seconds} s before the newest block: the clock is behind`);
  return fine(`within ${CLOCK_MS_MAX / 1000} s of the newest block`);
}
