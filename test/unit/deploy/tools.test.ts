// The files of deploy/ as the programs read them that they are for. Each needs its program and says so where it is not.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, type TestContext } from 'vitest';
import { readAlertRules } from '../../support/alert-rules.ts';
import { temporaryFolder } from '../../support/folder.ts';

const pathOf = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const folder = temporaryFolder();

function needs(context: TestContext, program: string, debianPackage: string): void {
  const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' });
  if (!error) return;
  console.warn(`NOT TESTED here for lack of ${program} (package ${debianPackage} of Debian): ${context.task.name}`);
  context.skip(`${program} is not installed`);
}

/** What it said on both, and how it ended. */
function run(program: string, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', cwd: folder });
  return { status, said: stdout + stderr };
}

describe('promtool', () => {
  it('takes the configuration of Prometheus and every alert', (context) => {
    needs(context, 'promtool', 'prometheus');
    const { status, said } = run('promtool', 'check', 'config', pathOf('deploy/prometheus/prometheus.yml'));
    expect([status, said]).toEqual([0, expect.stringContaining('1 rule files found')]);
    const rules = readAlertRules(readFileSync(pathOf('deploy/prometheus/alerts.yml'), 'utf8'));
    expect(said).toContain(`${rules.length} rules found`);
  });

  it('raises the alerts that compare metrics exactly when they should be', (context) => {
    needs(context, 'promtool', 'prometheus');
    const { status, said } = run('promtool', 'test', 'rules', pathOf('test/unit/deploy/alerts.promtool.yml'));
    expect([status, said]).toEqual([0, expect.stringContaining('SUCCESS')]);
  });
});

describe('nginx', () => {
  it('takes the example', (context) => {
    needs(context, 'nginx', 'nginx-light');
    needs(context, 'openssl', 'openssl');
    const made = join(folder, 'ssl');
    mkdirSync(made);
    const [key, certificate] = [join(made, 'privkey.pem'), join(made, 'fullchain.pem')];
    const subject = [
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=kith.example',
    ];
    execFileSync('openssl', ['req', ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    const example = readFileSync(pathOf('deploy/nginx/kith.conf'), 'utf8')
      .replaceAll('/etc/ssl/kith', made)
      .replaceAll('/var/log/nginx', folder);
    writeFileSync(join(folder, 'kith.conf'), example);
    const around = `pid ${folder}/pid;\nerror_log ${folder}/error.log;\nevents {}\nhttp { include ${folder}/kith.conf; }\n`;
    writeFileSync(join(folder, 'nginx.conf'), around);
    const { status, said } = run('nginx', '-t', '-p', folder, '-c', join(folder, 'nginx.conf'));
    expect([status, said]).toEqual([0, expect.stringContaining('test is successful')]);
  });
});

describe('systemd', () => {
  it('takes the unit', (context) => {
    needs(context, 'systemd-analyze', 'systemd');
    // Where kith is not installed its program is not there either.
    const unit = readFileSync(pathOf('deploy/systemd/kith-node.service'), 'utf8').replace(
      '/usr/bin/node',
      process.execPath,
    );
    writeFileSync(join(folder, 'kith-node.service'), unit);
    const { status, said } = run('systemd-analyze', 'verify', join(folder, 'kith-node.service'));
    expect([status, said]).toEqual([0, '']);
  });
});
