import { readFileSync } from 'node:fs';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../../src/core/ids.ts';
import {
  countLines,
  createMetrics,
  createOperationCounter,
  createProcessWatch,
  createRosterCounter,
  type NodeStats,
} from '../../../../src/node/telemetry/index.ts';
import { fakeProcess, fakeStats, ID, recordingLog } from '../../../support/node-service.ts';

const metricsOf = (changes: Partial<NodeStats> = {}) =>
  createMetrics({ stats: () => fakeStats(changes), runtime: () => fakeProcess });

/** Samples by name and labels. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

interface Described {
  readonly name: string;
  readonly kind: string;
  readonly labels: string;
  readonly help: string;
}

function described(text: string): Described[] {
  const helps = [...text.matchAll(/^# HELP (\S+) (.*)$/gm)];
  const kinds = new Map([...text.matchAll(/^# TYPE (\S+) (.*)$/gm)].map(([, name, kind]) => [name, kind]));
  return helps.map(([, name = '', help = '']) => {
    const sample = new RegExp(`^${name}(?:\\{(.*)\\})? `, 'm').exec(text);
    const labels = [...(sample?.[1] ?? '').matchAll(/([a-z]+)="/g)].map(([, label]) => label);
    return { name, kind: kinds.get(name) ?? '', labels: labels.join(', '), help };
  });
}

describe('the metrics', () => {
  it('show every number of the stats', async () => {
    const samples = samplesOf(await metricsOf().text());
    const values = new Set(samples.values());
    const wanted: number[] = [];
    const visit = (value: unknown): void => {
      if (typeof value === 'number') wanted.push(value);
      else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
    };
    const { indexer, ...rest } = fakeStats();
    visit([rest, indexer.counts, indexer.upstreams, fakeProcess]);
    expect(wanted.length).toBeGreaterThan(45);
    expect(wanted.filter((value) => !values.has(value))).toEqual([]);
  });

  it('show states as 0 and 1, one of each phase', async () => {
    const samples = samplesOf(await metricsOf().text());
    expect(samples.get('kith_node_ready')).toBe(1);
    expect(samples.get('kith_indexer_missing')).toBe(1);
    expect(samples.get('kith_indexer_upstream_dropped{upstream="1"}')).toBe(1);
    const phases = [...samples].filter(([name]) => name.startsWith('kith_node_phase'));
    expect(phases.length).toBe(7);
    expect(phases.filter(([, value]) => value === 1)).toEqual([['kith_node_phase{phase="ready"}', 1]]);
    const fine = { ...fakeStats().indexer, missing: undefined, stale: false };
    const quiet = samplesOf(await metricsOf({ ready: false, indexer: fine }).text());
    expect(['kith_node_ready', 'kith_indexer_missing', 'kith_indexer_stale'].map((name) => quiet.get(name))).toEqual([
      0, 0, 0,
    ]);
  });

  it('read the stats anew at each scrape: counters are not added up, what is gone is not shown', async () => {
    let stats = fakeStats();
    const metrics = createMetrics({ stats: () => stats, runtime: () => fakeProcess });
    const first = await metrics.text();
    expect(await metrics.text()).toBe(first);
    stats = fakeStats({
      detection: { ...stats.detection, pairs: 50 },
      indexer: { ...stats.indexer, upstreams: stats.indexer.upstreams.slice(0, 1) },
    });
    const samples = samplesOf(await metrics.text());
    expect(samples.get('kith_detection_pairs_total')).toBe(50);
    expect(samples.has('kith_indexer_upstream_failures{upstream="1"}')).toBe(false);
  });

  it('count requests by pattern and status', async () => {
    const metrics = metricsOf();
    metrics.http.onAnswered('/v1/index-sets/:id', 200);
    metrics.http.onAnswered('/v1/index-sets/:id', 200);
    metrics.http.onAnswered('none', 404);
    await metrics.text();
    const samples = samplesOf(await metrics.text());
    expect(samples.get('kith_http_requests_total{route="/v1/index-sets/:id",status="200"}')).toBe(2);
    expect(samples.get('kith_http_requests_total{route="none",status="404"}')).toBe(1);
  });

  it('count problems by code, and know when the certificate ends', async () => {
    const metrics = metricsOf();
    expect(samplesOf(await metrics.text()).get('kith_http_certificate_expiry_timestamp_seconds')).toBe(0);
    metrics.http.onProblem('not-ready');
    metrics.http.onProblem('not-ready');
    metrics.http.onCertificate(1_800_000_000);
    const samples = samplesOf(await metrics.text());
    expect(samples.get('kith_http_problems_total{code="not-ready"}')).toBe(2);
    expect(samples.get('kith_http_certificate_expiry_timestamp_seconds')).toBe(1_800_000_000);
  });

  it('show each warning of custody as 1 while it holds, and as 0 else', async () => {
    const samples = samplesOf(await metricsOf().text());
    const warnings = [...samples].filter(([name]) => name.startsWith('kith_custody_warning'));
    expect(warnings.map(([name, value]) => [/"(.*)"/.exec(name)?.[1], value])).toEqual([
      ['few-operators', 0],
      ['own-platform', 0],
      ['unreachable', 0],
      ['few-holders', 1],
    ]);
  });

  it('are in a registry of their own: two nodes in one process do not mix', async () => {
    const one = metricsOf();
    const two = metricsOf({ reasons: 5 });
    one.http.onAnswered('none', 404);
    expect(samplesOf(await two.text()).get('kith_node_reasons')).toBe(5);
    expect(await two.text()).not.toContain('route="none"');
  });

  it('hold no address of an upstream', async () => {
    expect(await metricsOf().text()).not.toMatch(/hunter2|http:/);
  });

  it('have nothing that depends on what matched: no name and no label speaks of it, no look-up is timed', async () => {
    const text = await metricsOf().text();
    expect(text).not.toMatch(/match|found|hit|positive|entries|blob/i);
    const timed = described(text).filter(({ name, kind }) => kind === 'histogram' || name.includes('_seconds'));
    expect(timed.map(({ name }) => name)).toEqual([
      'kith_custody_key_release_seconds',
      'kith_collateral_expiry_timestamp_seconds',
      'kith_process_cpu_seconds_total',
      'kith_process_clock_timestamp_seconds',
      'kith_process_start_timestamp_seconds',
      'kith_process_loop_delay_seconds',
      'kith_http_certificate_expiry_timestamp_seconds',
    ]);
  });

  it('reject when the stats cannot be read', async () => {
    const metrics = createMetrics({
      stats: () => {
        throw new Error('not started');
      },
      runtime: () => fakeProcess,
    });
    await expect(metrics.text()).rejects.toThrow('not started');
  });

  it('are those docs/OBSERVABILITY.md lists, with their types, labels and meanings', async () => {
    const metrics = metricsOf();
    metrics.http.onAnswered('none', 404);
    metrics.http.onProblem('not-found');
    const inCode = described(await metrics.text());
    for (const { name, kind } of inCode) {
      expect(name).toMatch(/^kith_[a-z]+_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(kind === 'counter');
    }
    const docs = readFileSync(new URL('../../../../docs/OBSERVABILITY.md', import.meta.url), 'utf8');
    const rows = [...docs.matchAll(/^\| `(kith_\S+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$/gm)];
    const inDocs = rows.map(([, name, kind, labels = '', help = '']) => ({ name, kind, labels: labels.trim(), help }));
    expect(inDocs).toEqual(inCode);
  });
});

describe('the counter of operations', () => {
  it('counts by kind and reason, and every reason without a word of its own as other', () => {
    const counter = createOperationCounter();
    counter.accepted('register');
    counter.accepted('register');
    counter.refused('renew', 'expired');
    for (let i = 0; i < 1_000; i++) counter.refused('renew', `made up ${i}`);
    counter.refused('revoke', 'constructor');
    expect(counter.read()).toEqual({
      accepted: [
        { kind: 'register', count: 2 },
        { kind: 'renew', count: 0 },
        { kind: 'revoke', count: 0 },
      ],
      refused: [
        { kind: 'renew', reason: 'expired', count: 1 },
        { kind: 'renew', reason: 'other', count: 1_000 },
        { kind: 'revoke', reason: 'other', count: 1 },
      ],
    });
  });
});

describe('the counter of lines', () => {
  it('hands every line on, and counts what somebody should look at', () => {
    const { log, lines } = recordingLog();
    const counted = countLines(log);
    counted.log.debug('a');
    counted.log.info('b', { n: 1 });
    counted.log.warn('c', { n: 2 });
    counted.log.error('d', { n: 3 });
    counted.log.error('e');
    expect(lines.map(({ event, fields }) => [event, fields?.['n']])).toEqual([
      ['a', undefined],
      ['b', 1],
      ['c', 2],
      ['d', 3],
      ['e', undefined],
    ]);
    expect(counted.read()).toEqual({ warn: 1, error: 2 });
  });
});

describe('the counter of rosters', () => {
  it('counts what must not happen, and nothing else', () => {
    const counter = createRosterCounter();
    const nodeId = ID as NodeId;
    const outcome = { kind: 'not-yet', signed: 0, reason: 'not-a-member', words: [] } as const;
    counter.report({ kind: 'other-genesis', nodeId, theirs: new Uint8Array(32) });
    counter.report({ kind: 'apart', nodeId, refused: undefined, refusedByPeer: 'malformed' });
    counter.report({ kind: 'apart', nodeId, refused: 'malformed', refusedByPeer: undefined });
    counter.report({ kind: 'replaced', by: nodeId });
    counter.report({ kind: 'failed', error: new Error('disk') });
    counter.report({ kind: 'not-joined', outcome });
    expect(counter.read()).toEqual({ 'other-genesis': 1, apart: 2, replaced: 1, failed: 1 });
  });
});

describe('the watch over the process', () => {
  it('reads memory, processor time and how late the event loop was', async () => {
    const watch = createProcessWatch();
    expect(watch.read().loopDelaySeconds.max).toBe(0);
    watch.start();
    watch.start();
    // The first turn only begins the measuring.
    for (let turn = 0; turn < 4; turn++) {
      const until = performance.now() + 100;
      while (performance.now() < until);
      await turnOfTheLoop();
    }
    const { loopDelaySeconds, ...rest } = watch.read();
    expect(rest.startSeconds).toBeLessThan(rest.clockSeconds);
    expect(watch.read().startSeconds).toBe(rest.startSeconds);
    expect(loopDelaySeconds.max).toBeGreaterThan(0.05);
    expect(loopDelaySeconds.median).toBeLessThanOrEqual(loopDelaySeconds.max);
    for (const value of Object.values(rest)) expect(value).toBeGreaterThan(0);
    watch.stop();
    watch.stop();
  });
});
