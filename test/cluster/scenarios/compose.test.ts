// The compose file as a tester uses it: the commands of the README, five nodes, three more. Only in containers; the
// ports it publishes must be free.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/cluster-processes.ts';
import { runKith } from '../../support/processes.ts';
import { buildImage, enginePresent, IMAGE } from '../driver/containers.ts';
import { SCENARIO_MS, START_MS, WAIT_MS } from '../driver/fleet.ts';
import { ACT_MS, command, must } from '../driver/index.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const file = join(root, 'docker-compose.cluster.yml');
const project = 'kith-scenario';
const compose = (...words: string[]) => must('docker', ['compose', '-p', project, '-f', file, ...words], SCENARIO_MS);
const here = process.env['KITH_CLUSTER_DRIVER'] !== 'processes' && (await enginePresent());
const folder = mkdtempSync(join(tmpdir(), 'kith-compose-'));
const cluster = join(folder, 'cluster.json');
const PROMETHEUS = 'http://127.0.0.1:9091';
const five = [8_081, 8_082, 8_083, 8_084, 8_085].map((port) => `http://127.0.0.1:${port}`);

interface Status {
  readonly ready: boolean;
  readonly node: { readonly phase: string; readonly members: number };
}

async function kith<T>(...words: string[]): Promise<T> {
  const { exitCode, out, err } = await runKith(...words, '--json');
  expect(exitCode, `${words.join(' ')}: ${err}${out}`).toBe(0);
  return JSON.parse(out) as T;
}

/** Health by container, of the services that have one. */
async function health(): Promise<Map<string, string>> {
  const ids = (await compose('ps', '-q')).trim().split('\n');
  const format = '{{.Name}} {{if .State.Health}}{{.State.Health.Status}}{{end}}';
  const lines = (await must('docker', ['inspect', '--format', format, ...ids], ACT_MS)).trim().split('\n');
  return new Map(lines.map((line) => line.split(' ') as [string, string]));
}

async function membersReady(count: number): Promise<void> {
  const told = () => Promise.all(five.map((url) => kith<Status>('status', '--node', url)));
  await until(
    `${count} members, ready`,
    async () => {
      const all = await told().catch(() => []);
      return all.length === 5 && all.every(({ ready, node }) => ready && node.members === count);
    },
    SCENARIO_MS,
  );
  await until('all healthy', async () => [...(await health()).values()].every((one) => one === 'healthy'), SCENARIO_MS);
  expect((await health()).size).toBe(count + 1);
}

async function askPrometheus<T>(path: string): Promise<T> {
  const answer = await fetch(`${PROMETHEUS}/api/v1/${path}`, { signal: AbortSignal.timeout(ACT_MS) });
  const body = (await answer.json()) as { status: string; data: T; error?: string };
  expect(body.error, path).toBeUndefined();
  return body.data;
}

/** Instances that were scraped; none before it listens. */
async function upInPrometheus(): Promise<string[]> {
  type Samples = { result: { metric: { instance: string } }[] };
  const query = `query?query=${encodeURIComponent('up{job="kith"} == 1')}`;
  const { result } = await askPrometheus<Samples>(query).catch((): Samples => ({ result: [] }));
  return result.map(({ metric }) => metric.instance);
}

/** What the dashboard asks, as Grafana would with every node chosen. */
function panelQueries(): string[] {
  const text = readFileSync(join(root, 'deploy/grafana/dashboard.json'), 'utf8');
  const { panels } = JSON.parse(text) as { panels: { targets?: { expr: string }[] }[] };
  const filled = (expr: string) =>
    expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'kith').replaceAll('$instance', '.*');
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => filled(expr)));
}

if (!here) console.warn('NOT TESTED here: docker-compose.cluster.yml, for lack of an engine');

describe.runIf(here)('the compose file', { timeout: 2 * SCENARIO_MS }, () => {
  beforeAll(async () => {
    process.env['KITH_IMAGE'] = IMAGE;
    // For the profile observe; from the first start on, as docs/OPERATIONS.md says.
    process.env['KITH_ADMIN'] = '0.0.0.0:9090';
    await buildImage();
    await compose('--profile', 'observe', 'down', '-v', '--remove-orphans');
    await compose('up', '-d');
  }, START_MS);
  afterAll(async () => {
    const down = ['--profile', 'observe', 'down', '-v', '-t', '1', '--remove-orphans'];
    await command('docker', ['compose', '-p', project, '-f', file, ...down], ACT_MS);
    rmSync(folder, { recursive: true, force: true });
  }, SCENARIO_MS);

  it('brings up five healthy members, and a wallet of this machine gets its index set', async () => {
    await membersReady(5);
    await compose('cp', 'node1:/cluster/cluster.json', cluster);
    const wallet = join(folder, 'wallet.json');
    await kith('client', 'keygen', '--out', wallet);
    const words = ['--wallet', wallet, '--cluster', cluster];
    const { status } = await kith<{ status: string }>('client', 'register', '--node', five[0]!, ...words);
    expect(status).toBe('confirmed');
    const { syncedTo } = await kith<{ syncedTo: number }>('client', 'index-set', '--node', five[2]!, ...words);
    expect(syncedTo).toBeGreaterThan(0);
  });

  it('has eight ready members with --scale node=3', async () => {
    await compose('up', '-d', '--scale', 'node=3');
    await membersReady(8);
  });

  it('shows every node to the Prometheus of the profile observe, which can read all alerts and panels', async () => {
    process.env['PROMETHEUS_IMAGE'] = 'kith-prometheus:test';
    await compose('--profile', 'observe', 'up', '-d', '--build', '--no-deps', 'prometheus');
    await until('eight targets', async () => (await upInPrometheus()).length === 8, WAIT_MS);
    const instances = await upInPrometheus();
    expect(instances).toEqual(expect.arrayContaining(['node1', 'node2', 'node3', 'node4', 'node5']));
    type Rules = { groups: { rules: { name: string; health: string }[] }[] };
    const rules = async () => (await askPrometheus<Rules>('rules')).groups.flatMap((group) => group.rules);
    expect((await rules()).length).toBeGreaterThan(40);
    await until('every rule evaluated', async () => (await rules()).every(({ health }) => health === 'ok'), WAIT_MS);
    for (const expr of panelQueries()) await askPrometheus(`query?query=${encodeURIComponent(expr)}`);
    const { alerts } = await askPrometheus<{ alerts: { state: string }[] }>('alerts');
    expect(alerts.filter(({ state }) => state === 'firing')).toEqual([]);
    await compose('--profile', 'observe', 'rm', '-sf', 'prometheus');
  });

  it('has seven once one of those has left, which has ended', async () => {
    await compose('exec', '-T', '--index', '3', 'node', 'kith', 'leave');
    await membersReady(7);
  });

  it('runs as a user of its own on a file system that cannot be written, and has no more in the image than it runs', async () => {
    const inside = (...words: string[]) => command('docker', ['exec', `${project}-node1-1`, ...words], ACT_MS);
    expect((await inside('id', '-u')).out.trim()).toBe('10001');
    expect((await inside('touch', '/app/x')).exitCode).not.toBe(0);
    expect((await inside('ls', '/app')).out.trim().split('\n')).toEqual([
      ...['LICENSE', 'dist', 'node_modules', 'package.json'],
    ]);
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
      string,
      Record<string, string>
    >;
    const modules = (await inside('sh', '-c', 'cd node_modules && ls -d * @*/*')).out.split('\n');
    for (const name of Object.keys(dependencies!)) expect(modules).toContain(name);
    // What production dependencies bring along may be among those of development.
    for (const name of ['typescript', 'vitest', '@biomejs/biome', 'esbuild', 'knip']) {
      expect(Object.keys({ ...devDependencies })).toContain(name);
      expect(modules).not.toContain(name);
    }
    expect((await inside('ls', '/cluster')).out.trim()).toBe('cluster.json');
    expect(readdirSync(folder)).toContain('cluster.json');
  });

  it('stops every node within its time, with 0', async () => {
    await compose('stop');
    const ids = (await compose('ps', '-aq')).trim().split('\n');
    const lines = (await must('docker', ['inspect', '--format', '{{.Name}} {{.State.ExitCode}}', ...ids], ACT_MS))
      .trim()
      .split('\n');
    expect(lines.filter((line) => !line.endsWith(' 0'))).toEqual([]);
  });
});
