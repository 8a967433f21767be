// Metrics as Prometheus reads them, in a registry of their own. All but the HTTP requests are read from the node's
// stats when somebody asks, so counting costs the node nothing.

import { Counter, Gauge, Registry } from 'prom-client';
import type { HttpEvents } from '../http/index.ts';
import type { Snapshot } from './define.ts';
import { DEFINITIONS } from './definitions.ts';
import type { NodeStats, ProcessStats } from './stats.ts';

export interface MetricsDeps {
  readonly stats: () => NodeStats;
  readonly runtime: () => ProcessStats;
}

export interface Metrics {
  /** The text of one scrape, in Prometheus' text format 0.0.4. Rejects with what the stats throw. */
  text(): Promise<string>;
  /** For the public HTTP server. */
  readonly http: HttpEvents;
}

/** Creates a registry; nothing is read before the first scrape. */
export function createMetrics({ stats, runtime }: MetricsDeps): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const updates = DEFINITIONS.map(({ name, kind, help, labels, read }) => {
    const description = { name, help, labelNames: [...labels], registers };
    // prom-client counts up only: a counter that is kept elsewhere starts again from zero at each scrape.
    const metric = kind === 'gauge' ? new Gauge(description) : new Counter(description);
    return (snapshot: Snapshot) => {
      metric.reset();
      for (const [value, sampleLabels = {}] of read(snapshot)) metric.inc(sampleLabels, value);
    };
  });
  const requests = new Counter({
    name: 'kith_http_requests_total',
    help: 'requests answered, by the pattern of the route',
    labelNames: ['route', 'status'],
    registers,
  });
  const problems = new Counter({
    name: 'kith_http_problems_total',
    help: 'problems answered, by their code',
    labelNames: ['code'],
    registers,
  });
  // There from the beginning: an alert sees how a counter grows, never how it appears.
  problems.inc({ code: 'internal' }, 0);
  const certificate = new Gauge({
    name: 'kith_http_certificate_expiry_timestamp_seconds',
    help: 'when the certificate of the API ends; 0 without TLS',
    registers,
  });
  return {
    async text() {
      const snapshot = { node: stats(), runtime: runtime() };
      for (const update of updates) update(snapshot);
      return registry.metrics();
    },
    http: {
      onAnswered: (route, status) => requests.inc({ route, status: String(status) }),
      onProblem: (code) => problems.inc({ code }),
      onCertificate: (notAfter) => certificate.set(notAfter),
    },
  };
}
