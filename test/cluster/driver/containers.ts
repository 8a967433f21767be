// Machines as containers of the image that is shipped, on a network of their own. A second network, on which they do
// not see one another, carries what this test asks them, so that a node cut off from the others still answers.

import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../support/free-port.ts';
import { type Capture, startCapture } from './capture.ts';
import { command, must } from './command.ts';
import {
  ACT_MS,
  type Build,
  type CommandResult,
  type Driver,
  type Ended,
  LYING,
  type MachineOptions,
} from './driver.ts';
import { copyFolder, emptyFolder } from './folders.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const IMAGE = 'kith:test';
/** The user of the image. */
const OWNER = '10001:10001';
/** npm ci and a build in a container, on a busy machine. */
const BUILD_MS = 900_000;
const DOCKER_STOP_SECONDS = 25;
/** Each lasts the quarter of a second that the runtime waits for. */
const FREEZE_ATTEMPTS = 20;

const docker = (...words: string[]): Promise<string> => must('docker', words, ACT_MS);

/** Whether there is an engine that can also build: compose brings the builder. */
export async function enginePresent(): Promise<boolean> {
  const [engine, compose] = await Promise.all([
    command('docker', ['info', '--format', '{{.ServerVersion}}'], 30_000),
    command('docker', ['compose', 'version'], 30_000),
  ]);
  return engine.exitCode === 0 && compose.exitCode === 0;
}

/** Builds that measure differently; the second believes anybody, itself included, as broken code might. */
const OTHER_BUILDS: Readonly<Record<Exclude<Build, 'now'>, string>> = {
  next: 'echo next > /app/dist/next-build',
  lying: `sed -i '${LYING.pattern}' /app/${LYING.file} && grep -q '${LYING.result}' /app/${LYING.file}`,
};

/** The image of the sources as they are; what did not change is not built again. */
export async function buildImage(): Promise<void> {
  process.env['KITH_IMAGE'] = IMAGE;
  await must('docker', ['compose', '-f', join(root, 'docker-compose.cluster.yml'), 'build', 'init'], BUILD_MS);
}

/** The image of another build, made of that of the sources. */
async function buildOther(build: Exclude<Build, 'now'>): Promise<string> {
  const name = `kith-test-making-${build}-${process.pid}`;
  const words = ['run', '--name', name, '--user', '0', '--entrypoint', 'sh', IMAGE, '-c', OTHER_BUILDS[build]];
  await docker(...words);
  const restored = ['--change', 'USER 10001:10001', '--change', 'ENTRYPOINT ["node","/app/dist/cli/main.js"]'];
  const image = `${IMAGE}-${build}`;
  await docker('commit', ...restored, '--change', 'CMD ["node"]', name, image);
  await docker('rm', '-f', name);
  return image;
}

const built: Partial<Record<Build, Promise<string>>> = {};

/** Each once for each file of tests, and only where it is needed. */
function imageOf(build: Build): Promise<string> {
  built[build] ??= build === 'now' ? buildImage().then(() => IMAGE) : imageOf('now').then(() => buildOther(build));
  return built[build];
}

/** The process whose containers these are. */
const OWNED_BY = 'kith-test';

/** Of runs that were killed: nobody else ends them. */
async function removeAbandoned(): Promise<void> {
  const format = `{{.ID}} {{.Label "${OWNED_BY}"}}`;
  const lines = (await docker('ps', '-a', '--filter', `label=${OWNED_BY}`, '--format', format)).split('\n');
  const abandoned = lines.map((line) => line.split(' ')).filter(([, pid]) => pid && !existsSync(`/proc/${pid}`));
  if (abandoned.length > 0) await docker('rm', '-f', ...abandoned.map(([id]) => id!));
}

interface Machine extends MachineOptions {
  readonly http: number;
  readonly admin: number;
  readonly disk: string;
  build: Build;
  /** The build of the container there is. */
  made: Build | undefined;
  connected: boolean;
  earlier: string;
}

export async function createContainers(): Promise<Driver> {
  await imageOf('now');
  await removeAbandoned();
  const folder = mkdtempSync(join(tmpdir(), 'kith-containers-'));
  chmodSync(folder, 0o755);
  const id = folder
    .slice(-6)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, 'x');
  const [mesh, api, bridge] = [`kith-${id}-mesh`, `kith-${id}-api`, `kith-${id}`];
  const keysFolder = join(folder, 'keys');
  const clusterFolder = join(folder, 'cluster');
  const trafficFolder = join(folder, 'traffic');
  for (const path of [keysFolder, clusterFolder, trafficFolder]) mkdirSync(path);
  await must('chown', [OWNER, keysFolder], ACT_MS);
  await docker('network', 'create', '-o', `com.docker.network.bridge.name=${bridge}`, mesh);
  await docker('network', 'create', '-o', 'com.docker.network.bridge.enable_icc=false', api);
  const capture: Capture | undefined = await startCapture(join(trafficFolder, 'all.pcap'), bridge, '');
  const machines = new Map<string, Machine>();
  const [chainPort] = (await freePorts(1)) as [number];
  const chain = `kith-${id}-chain`;

  const containerOf = (name: string) => `kith-${id}-${name}`;
  const hardened = (container: string, publish: readonly string[]) => [
    ...[
      'create',
      '--label',
      `${OWNED_BY}=${process.pid}`,
      '--name',
      container,
      '--hostname',
      container,
      '--network',
      api,
      '--read-only',
      '--tmpfs',
      '/tmp',
    ],
    ...['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges:true', '--ulimit', 'core=0', '--no-healthcheck'],
    ...publish.flatMap((port) => ['-p', `127.0.0.1:${port}`]),
  ];
  function machineOf(name: string): Machine {
    const machine = machines.get(name);
    if (!machine) throw new Error(`there is no machine ${name}`);
    return machine;
  }

  /** A container for what the machine is now; the one before is removed with what it said kept. */
  async function make(name: string, machine: Machine): Promise<void> {
    const container = containerOf(name);
    if (machine.made) {
      machine.earlier = await log(name);
      await docker('rm', '-f', container);
    }
    const environment = {
      KITH_CLUSTER: '/cluster/cluster.json',
      KITH_COMET_RPC: 'http://chain:26657',
      KITH_QUOTES: 'simulated',
      KITH_ADMIN: '0.0.0.0:9090',
      KITH_RATE_LIMIT: 'off',
      KITH_SIMULATED_PLATFORM: machine.platform,
      KITH_ANNOUNCE: `/dns4/${name}/tcp/9000`,
      KITH_FOUND: machine.found ? 'on' : 'off',
      ...(machine.bootstrap.length > 0
        ? { KITH_BOOTSTRAP: machine.bootstrap.map((other) => `/dns4/${other}/tcp/9000`).join(',') }
        : {}),
    };
    await docker(
      ...hardened(container, [`${machine.http}:8080`, `${machine.admin}:9090`]),
      ...Object.entries(environment).flatMap(([key, value]) => ['-e', `${key}=${value}`]),
      ...['-v', `${machine.disk}:/data`, '-v', `${clusterFolder}:/cluster:ro`],
      await imageOf(machine.build),
    );
    machine.made = machine.build;
    if (machine.connected) await docker('network', 'connect', '--alias', name, mesh, container);
  }

  async function log(name: string): Promise<string> {
    const machine = machineOf(name);
    if (!machine.made) return machine.earlier;
    const { out, err } = await command('docker', ['logs', containerOf(name)], ACT_MS);
    return machine.earlier + out + err;
  }

  const wait = async (name: string): Promise<Ended> => Number(await docker('wait', containerOf(name)));

  return {
    kind: 'containers',
    keysFolder,
    keysHere: '/data',
    clusterPath: join(clusterFolder, 'cluster.json'),
    chainUrl: `http://127.0.0.1:${chainPort}`,
    async kith(build, ...words): Promise<CommandResult> {
      const here = ['run', '--rm', '--network', 'none', '-v', `${keysFolder}:/data`, await imageOf(build)];
      return command('docker', [...here, ...words], ACT_MS);
    },
    async add(name, options) {
      const [http, admin] = (await freePorts(2)) as [number, number];
      const disk = options.disk ?? join(folder, name);
      mkdirSync(disk, { recursive: true });
      await must('chown', [OWNER, disk], ACT_MS);
      machines.set(name, {
        ...options,
        ...{ http, admin, disk, build: 'now', made: undefined, connected: true, earlier: '' },
      });
    },
    setBuild(name, build) {
      machineOf(name).build = build;
    },
    async start(name) {
      const machine = machineOf(name);
      if (machine.made !== machine.build) await make(name, machine);
      await docker('start', containerOf(name));
    },
    async kill(name) {
      await docker('kill', containerOf(name));
      await wait(name);
    },
    async stop(name) {
      await docker('stop', '-t', String(DOCKER_STOP_SECONDS), containerOf(name));
      return wait(name);
    },
    ended: wait,
    async pause(name) {
      // On a busy machine the runtime gives up before all threads stand still.
      for (let attempt = 1; ; attempt++) {
        const { exitCode, err } = await command('docker', ['pause', containerOf(name)], ACT_MS);
        if (exitCode === 0) return;
        if (attempt === FREEZE_ATTEMPTS || !err.includes('unable to freeze')) throw new Error(`${name}: ${err}`);
      }
    },
    async resume(name) {
      await docker('unpause', containerOf(name));
    },
    async disconnect(name) {
      machineOf(name).connected = false;
      await docker('network', 'disconnect', mesh, containerOf(name));
    },
    async connect(name) {
      machineOf(name).connected = true;
      await docker('network', 'connect', '--alias', name, mesh, containerOf(name));
    },
    run: (name, ...words) => command('docker', ['exec', containerOf(name), 'kith', ...words], ACT_MS),
    url: (name) => `http://127.0.0.1:${machineOf(name).http}`,
    adminUrl: (name) => `http://127.0.0.1:${machineOf(name).admin}`,
    log,
    disk: (name) => machineOf(name).disk,
    copyFolder,
    emptyFolder,
    async startChain(replayPath, ...words) {
      await command('docker', ['rm', '-f', chain], ACT_MS);
      const serve = ['devnet', '--replay', '/chain.jsonl', '--http', '0.0.0.0:26657', ...words];
      const publish = hardened(chain, [`${chainPort}:26657`]);
      await docker(...publish, '-v', `${replayPath}:/chain.jsonl:ro`, IMAGE, ...serve);
      await docker('network', 'connect', '--alias', 'chain', mesh, chain);
      await docker('start', chain);
    },
    async pauseChain() {
      await docker('pause', chain);
    },
    async resumeChain() {
      await docker('unpause', chain);
    },
    traffic: async () => capture?.read(),
    async close() {
      await capture?.stop();
      const containers = [...[...machines].filter(([, { made }]) => made).map(([name]) => containerOf(name)), chain];
      await command('docker', ['rm', '-f', ...containers], ACT_MS);
      for (const network of [mesh, api]) await command('docker', ['network', 'rm', network], ACT_MS);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
