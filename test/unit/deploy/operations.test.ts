// The documents for operators say everything a node can show, and nothing that it cannot: states, reasons, events.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { KEEP_ALIVE_TIMEOUT_MS } from '../../../src/node/http/limits.ts';
import { BODY_BYTES_MAX, WAIT_SECONDS_MAX } from '../../../src/node/http/schemas.ts';
import { createMetrics } from '../../../src/node/telemetry/index.ts';
import { fakeProcess, fakeStats } from '../../support/node-service.ts';

const root = new URL('../../../', import.meta.url);
const textOf = (path: string) => readFileSync(new URL(path, root), 'utf8');
const sources = readdirSync(fileURLToPath(new URL('src/node', root)), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => textOf(`src/node/${path}`));
const all = (pattern: RegExp): string[] => [
  ...new Set(sources.flatMap((source) => [...source.matchAll(pattern)].map((match) => match[1]!))),
];

/** The first column of the rows of a section, each word or text in backticks by itself. */
function named(document: string, section: RegExp): string[] {
  const text =
    textOf(document)
      .split(/^#+ /m)
      .find((part) => section.test(part)) ?? '';
  return [...text.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
  );
}

describe('docs/OPERATIONS.md', () => {
  const states = textOf('docs/OPERATIONS.md')
    .split(/^## /m)
    .find((part) => part.startsWith('States'))!;
  const alerts = textOf('docs/OPERATIONS.md')
    .split(/^## /m)
    .find((part) => part.startsWith('Alerts'))!;

  it('names each phase, state, warning and reason that the metrics have a word for', async () => {
    const text = await createMetrics({ stats: () => fakeStats(), runtime: () => fakeProcess }).text();
    const wordsOf = (metric: string, label: string) =>
      [...text.matchAll(new RegExp(`^${metric}\\{${label}="([^"]+)"\\}`, 'gm'))].map(([, word]) => word!);
    const words = {
      phases: wordsOf('kith_node_phase', 'phase'),
      custody: wordsOf('kith_custody_phase', 'phase'),
      indexer: wordsOf('kith_indexer_phase', 'phase'),
      anchors: wordsOf('kith_anchors_reason', 'reason'),
      warnings: wordsOf('kith_custody_warning', 'warning'),
    };
    expect(Object.values(words).map(({ length }) => length)).toEqual([7, 4, 5, 9, 4]);
    for (const word of Object.values(words).flat()) expect(states).toContain(`\`${word}\``);
    for (const word of words.warnings) expect(alerts).toContain(`\`${word}\`: `);
    for (const alarm of wordsOf('kith_roster_alarms_total', 'alarm')) expect(alerts).toContain(`\`${alarm}\`: `);
    for (const state of wordsOf('kith_custody_closed_stores', 'state')) expect(alerts).toContain(`\`${state}\`: `);
  });

  it('names reasons that a node gives, and each that it waits for', () => {
    // `n` stands for numbers.
    const reasons = named('docs/OPERATIONS.md', /^States/).slice(
      named('docs/OPERATIONS.md', /^States/).indexOf('starting', 7),
    );
    expect(reasons.length).toBeGreaterThan(25);
    const fixed = (reason: string) => reason.replace(/^n of m /, '').trim();
    const code = [...sources, textOf('src/replication/sync/catch-up.ts')].join('\n');
    expect(reasons.filter((reason) => !code.includes(fixed(reason)))).toEqual([]);
    const given = [
      ...all(/waitsFor\('([^']+)'\)/g),
      ...all(/enter\('[a-z-]+', \['([^']+)'\]/g),
      ...all(/'((?:unbacked: |custody: |simulated: |no new block |no chain endpoint )[^'\n]*)'/g),
      ...all(/`((?:the index of the chain |detection )[^`\n]*)`/g),
    ];
    expect(given.length).toBeGreaterThan(12);
    expect(given.filter((text) => !reasons.some((reason) => text.startsWith(fixed(reason))))).toEqual([]);
  });
});

describe('docs/OBSERVABILITY.md', () => {
  it('lists every event of the log, and no other', () => {
    const inCode = [
      ...all(/\blog\.(?:debug|info|warn|error)\(\s*'([a-z-]+)'/g),
      ...all(/\b(?:log|bounded)\.write\(\s*[^,]+,\s*'([a-z-]+)'/g),
      ...all(/writeReason\(log, '([a-z-]+)'/g),
    ];
    // Named by what was reported.
    const byKind = [
      ...['not-joined', 'not-restored', 'turned-away', 'stream-refused', 'handler-failed'],
      ...['anchor-abandoned', 'anchor-chain-lacks'],
    ];
    // The table of alarms has a field in its first column too.
    const listed = named('docs/OBSERVABILITY.md', /^Events/).filter((name) => name !== 'kind');
    expect([...new Set(listed)].sort()).toEqual([...new Set([...inCode, ...byKind])].sort());
  });
});

describe('docs/THREAT-MODEL.md', () => {
  it('names tests that are there, and docs link to documents that are', () => {
    const tests = [...textOf('docs/THREAT-MODEL.md').matchAll(/`((?:unit|sim|cluster)\/[\w/-]+\.test\.ts)`/g)];
    expect(tests.length).toBeGreaterThan(40);
    const missing = (paths: readonly string[]) => paths.filter((path) => !existsSync(new URL(path, root)));
    expect(missing(tests.map(([, path]) => `test/${path}`))).toEqual([]);
    const documents = ['README.md', 'SECURITY.md', ...readdirSync(new URL('docs', root)).map((name) => `docs/${name}`)];
    const links = documents.flatMap((document) =>
      [...textOf(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link]) =>
        new URL(link!, new URL(document, root)).pathname.slice(root.pathname.length),
      ),
    );
    expect(links.length).toBeGreaterThan(60);
    expect(missing(links)).toEqual([]);
  });
});

describe('the examples of deploy', () => {
  const secondsOf = (file: string, name: string) =>
    Number(new RegExp(`^\\s*${name}[ =](\\d+)s`, 'm').exec(textOf(file))?.[1]);

  it('let a proxy wait for a long poll, take the largest body, and close a connection before the node does', () => {
    const file = 'deploy/nginx/kith.conf';
    expect(secondsOf(file, 'proxy_read_timeout')).toBeGreaterThan(WAIT_SECONDS_MAX);
    expect(secondsOf(file, 'keepalive_timeout') * 1_000).toBeLessThan(KEEP_ALIVE_TIMEOUT_MS);
    expect(Number(/client_max_body_size (\d+)k;/.exec(textOf(file))?.[1]) * 1_024).toBe(BODY_BYTES_MAX);
  });

  it('write no path into a log: it holds the id of a registration', () => {
    const servers = textOf('deploy/nginx/kith.conf')
      .split(/^server \{/m)
      .slice(1);
    expect(servers.map((server) => /^ {4}access_log off;$/m.test(server))).toEqual([true, true]);
    expect(textOf('deploy/nginx/kith.conf')).not.toMatch(/log_format|error_log (?!\S+ crit;)/);
  });

  it('give a node the time to stop, in the unit and in compose', () => {
    expect(secondsOf('deploy/systemd/kith-node.service', 'TimeoutStopSec')).toBeGreaterThan(20);
    expect(Number(/stop_grace_period: (\d+)s/.exec(textOf('docker-compose.cluster.yml'))?.[1])).toBeGreaterThan(20);
  });

  it('have Prometheus ask at the port where the nodes of compose listen', () => {
    const compose = textOf('docker-compose.cluster.yml');
    const port = /KITH_ADMIN: \$\{KITH_ADMIN:-127\.0\.0\.1:(\d+)\}/.exec(compose)?.[1];
    expect(textOf('deploy/prometheus/prometheus.yml')).toContain(`port: ${port}\n`);
    const names = /names: \[(.*)\]/.exec(textOf('deploy/prometheus/prometheus.yml'))?.[1]?.split(', ');
    const services = [...compose.matchAll(/^ {2}(node\d*):\n {4}<<:/gm)].map(([, name]) => name);
    expect(names).toEqual(services);
  });
});
