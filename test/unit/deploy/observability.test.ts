// What operators are given to watch a cluster with, against what a node shows: alerts, dashboard, their documents.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PROBLEMS } from '../../../src/node/http/problems.ts';
import { createMetrics, custodyOutcome, meshCode } from '../../../src/node/telemetry/index.ts';
import { type AlertRule, readAlertRules } from '../../support/alert-rules.ts';
import { fakeProcess, fakeStats } from '../../support/node-service.ts';
import { type Expression, readPromql } from '../../support/promql.ts';

const pathOf = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const textOf = (path: string) => readFileSync(pathOf(path), 'utf8');
const ALERTS = 'deploy/prometheus/alerts.yml';

/** What Prometheus adds to every sample, and what it makes itself. */
const TARGET_LABELS = ['job', 'instance'];
const OWN_METRICS = { up: { type: 'gauge', labels: [] as string[] } };

/** Words that occur without being there from the beginning; each is one of a table of ours. */
const KNOWN: Readonly<Record<string, (word: string) => boolean>> = {
  'kith_mesh_handshakes_refused_total code': (word) => meshCode(word) === word,
  'kith_mesh_strangers_cut_total code': (word) => meshCode(word) === word,
  'kith_mesh_streams_refused_total code': (word) => meshCode(word) === word,
  'kith_custody_requests_total outcome': (word) => custodyOutcome(word) === word,
  'kith_http_problems_total code': (word) => Object.hasOwn(PROBLEMS, word),
};

interface Known {
  readonly type: string;
  readonly labels: readonly string[];
}

/** Each metric of a node with its labels, and each value of a label that is shown. */
async function registered() {
  const metrics = createMetrics({ stats: () => fakeStats(), runtime: () => fakeProcess });
  metrics.http.onAnswered('none', 404);
  metrics.http.onProblem('not-found');
  const text = await metrics.text();
  const byName = new Map<string, Known>(Object.entries(OWN_METRICS));
  const values = new Set<string>();
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const labels = new Set<string>();
    for (const [, sample = ''] of text.matchAll(new RegExp(`^${name}\\{(.*)\\} `, 'gm'))) {
      for (const [, label = '', value = ''] of sample.matchAll(/([a-z]+)="([^"]*)"/g)) {
        labels.add(label);
        values.add(`${name} ${label} ${value}`);
      }
    }
    byName.set(name, { type, labels: [...labels] });
  }
  return { byName, values };
}

const { byName, values } = await registered();

/** What is wrong with an expression, as far as the metrics of a node tell. */
function complaints(expression: Expression): string[] {
  const found: string[] = [];
  const labels = new Set(TARGET_LABELS);
  for (const { metric, matchers } of expression.selectors) {
    const known = byName.get(metric);
    if (!known) {
      found.push(`there is no metric ${metric}`);
      continue;
    }
    for (const label of known.labels) labels.add(label);
    for (const { label, operator, value } of matchers) {
      if (TARGET_LABELS.includes(label)) continue;
      if (!known.labels.includes(label)) found.push(`${metric} has no label ${label}`);
      for (const word of operator.includes('~') ? value.split('|') : [value]) {
        const occurs = values.has(`${metric} ${label} ${word}`) || KNOWN[`${metric} ${label}`]?.(word);
        if (!occurs) found.push(`${label} of ${metric} is never ${word}`);
      }
    }
  }
  for (const label of expression.labels) if (!labels.has(label)) found.push(`nothing has the label ${label}`);
  return found;
}

/** Labels that a text may speak of beside an expression. */
function labelsOf({ selectors, grouping }: Expression): string[] {
  if (grouping) return [...grouping];
  return [...TARGET_LABELS, ...selectors.flatMap(({ metric }) => byName.get(metric)?.labels ?? [])];
}

/** Whether counters stand within a rate, and gauges do not: a counter that is compared never ends, after a restart it does. */
function misused(text: string): string[] {
  const ranged = [...text.matchAll(/\b(?:rate|increase)\(\s*(\w+)/g)].map(([, name]) => name);
  return readPromql(text).selectors.flatMap(({ metric }) => {
    const counts = byName.get(metric)?.type === 'counter';
    return counts === ranged.includes(metric) ? [] : [`${metric} is a ${byName.get(metric)?.type}`];
  });
}

const sectionsOf = (document: string): Map<string, string> =>
  new Map(
    textOf(document)
      .split(/^#+ /m)
      .slice(1)
      .map((section) => {
        const end = section.indexOf('\n');
        return [section.slice(0, end).trim(), section.slice(end).trim()];
      }),
  );

describe('the checks of this file', () => {
  it.each([
    ['kith_nothing == 1', /no metric kith_nothing/],
    ['kith_node_phase{state="ready"} == 1', /no label state/],
    ['kith_node_phase{phase="asleep"} == 1', /never asleep/],
    ['kith_node_phase{phase=~"ready|asleep"} == 1', /never asleep/],
    ['sum by (phase) (kith_node_ready)', /nothing has the label phase/],
    ['kith_http_problems_total{code="made-up"}', /never made-up/],
    ['kith_mesh_strangers_cut_total{code="constructor"}', /never constructor/],
  ])('find what is wrong with %s', (text, complaint) => {
    expect(complaints(readPromql(text)).join()).toMatch(complaint);
  });

  it.each([
    'kith_node_ready ==',
    'rate(kith_node_ready)',
    'sum(kith_node_ready[5m])',
    'kith_node_ready[5m]',
    'quantil(kith_node_ready)',
    'kith_node_phase{phase=ready}',
    '(kith_node_ready',
    'kith_node_ready kith_node_ready',
  ])('do not take %s for PromQL', (text) => {
    expect(() => readPromql(text)).toThrow(/PromQL/);
  });

  it('tell counters from gauges', () => {
    expect(misused('kith_store_failures_total > 0')).toEqual(['kith_store_failures_total is a counter']);
    expect(misused('increase(kith_node_ready[5m]) > 0')).toEqual(['kith_node_ready is a gauge']);
  });
});

describe('the alerts', () => {
  const rules = readAlertRules(textOf(ALERTS));

  it.each(rules.map((rule): [string, AlertRule] => [rule.alert, rule]))('%s asks for what a node shows', (_, rule) => {
    const expression = readPromql(rule.expr);
    expect(complaints(expression)).toEqual([]);
    expect(misused(rule.expr)).toEqual([]);
    const named = [...rule.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label);
    expect(named.filter((label) => !labelsOf(expression).includes(label!))).toEqual([]);
  });

  it('have a section each in docs/OPERATIONS.md, and no section is of none', () => {
    const sections = [...sectionsOf('docs/OPERATIONS.md').entries()].filter(([title]) => /^Kith[A-Z]/.test(title));
    expect(sections.map(([title]) => title).sort()).toEqual(rules.map(({ alert }) => alert).sort());
    for (const [title, text] of sections) expect([title, text.length > 80]).toEqual([title, true]);
    for (const { alert, runbook } of rules) expect(runbook).toBe(`docs/OPERATIONS.md#${alert.toLowerCase()}`);
  });

  it('are of names of their own, and every alarm of replication and of the roster raises one', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    const watched = rules.map(({ expr }) => expr).join('\n');
    const alarms = [...values].flatMap((value) => /^kith_replication_alarms_total alarm (.*)$/.exec(value)?.[1] ?? []);
    expect(alarms.length).toBe(6);
    // A disagreement is watched as long as it lasts, not when it begins.
    const elsewhere = new Map([['chain-disagreement', 'kith_heights_disagreement']]);
    expect(alarms.filter((alarm) => !watched.includes(elsewhere.get(alarm) ?? alarm))).toEqual([]);
    expect(watched).toMatch(/increase\(kith_roster_alarms_total\[/);
  });

  it('that one increase is enough for ask for counters that are there before it', async () => {
    const fresh = await createMetrics({ stats: () => fakeStats(), runtime: () => fakeProcess }).text();
    const first = rules.filter(({ expr }) => /increase\([^)]*\) > 0/.test(expr));
    expect(first.length).toBeGreaterThan(6);
    for (const { alert, expr } of first) {
      for (const { metric, matchers } of readPromql(expr).selectors) {
        const words = matchers.flatMap(({ label, value }) => value.split('|').map((word) => `${label}="${word}"`));
        const samples = words.length > 0 ? words.map((word) => `${metric}{${word}} `) : [`\n${metric}`];
        expect([alert, samples.filter((sample) => !fresh.includes(sample))]).toEqual([alert, []]);
      }
    }
  });
});

describe('the dashboard', () => {
  interface Panel {
    readonly type: string;
    readonly title: string;
    readonly id: number;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }
  const dashboard = JSON.parse(textOf('deploy/grafana/dashboard.json')) as { readonly panels: readonly Panel[] };
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');
  /** Grafana puts a duration and the chosen job in their places. */
  const filled = (expr: string) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'kith');

  it.each(panels.map((panel): [string, Panel] => [panel.title, panel]))('shows %s of what a node shows', (_, panel) => {
    for (const { expr, legendFormat } of panel.targets ?? []) {
      const expression = readPromql(filled(expr));
      expect(complaints(expression)).toEqual([]);
      expect(misused(filled(expr))).toEqual([]);
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      expect(named.filter((label) => !labelsOf(expression).includes(label!))).toEqual([]);
      for (const { matchers } of expression.selectors) {
        expect(matchers.slice(0, 2)).toEqual([
          { label: 'job', operator: '=', value: 'kith' },
          { label: 'instance', operator: '=~', value: '$instance' },
        ]);
      }
    }
    expect(panel.targets?.length).toBeGreaterThan(0);
  });

  it('has each panel once, none over another, and all within the width', () => {
    const all = dashboard.panels;
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    for (const [i, { gridPos: a }] of all.entries()) {
      expect(a.x + a.w).toBeLessThanOrEqual(24);
      for (const { gridPos: b } of all.slice(i + 1)) {
        const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
        expect(apart).toBe(true);
      }
    }
  });

  it('asks the data source that is provisioned', () => {
    const uid = /uid: (\S+)/.exec(textOf('deploy/grafana/provisioning/datasources/prometheus.yml'))?.[1];
    const asked = [...textOf('deploy/grafana/dashboard.json').matchAll(/"uid": "([^"]+)"/g)].map(([, name]) => name);
    expect(new Set(asked)).toEqual(new Set([uid, 'kith']));
  });
});
