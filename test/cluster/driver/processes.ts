// Machines as processes on loopback, where there is no engine for containers. What is cut between them is cut by a
// gate before each mesh port; the chain and this test stay reachable.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../support/free-port.ts';
import { kill as endProcess, runBuild, type Started, startBuild } from '../../support/kith-process.ts';
import { socketOwner } from '../../support/socket-owner.ts';
import { startTcpGate, type TcpGate } from '../../support/tcp-gate.ts';
import { type Capture, startCapture } from './capture.ts';
import { command } from './command.ts';
import { ACT_MS, type Build, type Driver, type Ended, LYING, type MachineOptions } from './driver.ts';
import { copyFolder, emptyFolder } from './folders.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

interface Machine extends MachineOptions {
  readonly http: number;
  readonly admin: number;
  readonly mesh: number;
  readonly gate: TcpGate;
  readonly disk: string;
  build: Build;
  running: Started | undefined;
  earlier: string;
}

/** The program again, in a folder of its own, with something changed. */
function makeBuild(folder: string, build: Exclude<Build, 'now'>): string {
  const place = join(folder, `build-${build}`);
  cpSync(join(root, 'dist'), join(place, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(place, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  if (build === 'next') writeFileSync(join(place, 'dist', 'next-build'), 'next\n');
  else {
    const path = join(place, LYING.file);
    const text = readFileSync(path, 'utf8');
    const changed = text.replace(/policy\.measurements\.find\(.*;$/m, 'policy.measurements[0];');
    if (changed === text) throw new Error(`${LYING.file} does not look for a measurement where it did`);
    writeFileSync(path, changed);
  }
  return join(place, 'dist', 'cli', 'main.js');
}

const multiaddrOf = (port: number): string => `/ip4/127.0.0.1/tcp/${port}`;

export async function createProcesses(): Promise<Driver> {
  const folder = mkdtempSync(join(tmpdir(), 'kith-processes-'));
  const [keysFolder, clusterFolder] = [join(folder, 'keys'), join(folder, 'cluster')];
  for (const path of [keysFolder, clusterFolder]) mkdirSync(path);
  const clusterPath = join(clusterFolder, 'cluster.json');
  const mains: Partial<Record<Build, string>> = { now: join(root, 'dist', 'cli', 'main.js') };
  const mainOf = (build: Build): string => {
    mains[build] ??= makeBuild(folder, build as Exclude<Build, 'now'>);
    return mains[build];
  };
  const machines = new Map<string, Machine>();
  const [chainPort] = (await freePorts(1)) as [number];
  let chain: Started | undefined;
  let capture: Capture | undefined;
  const captured: Uint8Array[] = [];

  function machineOf(name: string): Machine {
    const machine = machines.get(name);
    if (!machine) throw new Error(`there is no machine ${name}`);
    return machine;
  }
  function runningOf(name: string): Started {
    const { running } = machineOf(name);
    if (!running) throw new Error(`${name} was never started`);
    return running;
  }
  /** Nodes tell one another the addresses they know, so a gate asks by the process who dials. */
  const whoIs = (port: number) => {
    const pids = [...machines].flatMap(([name, { running }]) => (running ? [[running.child.pid!, name] as const] : []));
    const owner = socketOwner(
      port,
      pids.map(([pid]) => pid),
    );
    return pids.find(([pid]) => pid === owner)?.[1];
  };
  const ended = async (name: string): Promise<Ended> => runningOf(name).ended;

  return {
    kind: 'processes',
    keysFolder,
    keysHere: keysFolder,
    clusterPath,
    chainUrl: `http://127.0.0.1:${chainPort}`,
    kith: (build, ...words) => runBuild(mainOf(build), ...words),
    async add(name, options) {
      const [http, admin, mesh] = (await freePorts(3)) as [number, number, number];
      const disk = options.disk ?? join(folder, name);
      mkdirSync(disk, { recursive: true });
      const gate = await startTcpGate(mesh, { whoIs });
      machines.set(name, {
        ...options,
        ...{ http, admin, mesh, gate, disk, build: 'now', running: undefined, earlier: '' },
      });
    },
    setBuild(name, build) {
      machineOf(name).build = build;
    },
    async start(name) {
      const machine = machineOf(name);
      machine.earlier += machine.running?.err() ?? '';
      machine.running = await startBuild(
        mainOf(machine.build),
        ...['node', '--cluster', clusterPath, '--data-dir', machine.disk, '--quotes', 'simulated', '--json'],
        ...['--comet-rpc', `http://127.0.0.1:${chainPort}`, '--simulated-platform', machine.platform],
        ...['--http', `127.0.0.1:${machine.http}`, '--admin', `127.0.0.1:${machine.admin}`],
        ...['--listen', multiaddrOf(machine.mesh), '--announce', multiaddrOf(machine.gate.port)],
        ...(machine.found ? ['--found'] : []),
        ...machine.bootstrap.flatMap((other) => ['--bootstrap', multiaddrOf(machineOf(other).gate.port)]),
      );
    },
    async kill(name) {
      await endProcess(runningOf(name));
    },
    async stop(name) {
      await endProcess(runningOf(name), 'SIGTERM');
      return ended(name);
    },
    ended,
    async pause(name) {
      runningOf(name).child.kill('SIGSTOP');
    },
    async resume(name) {
      runningOf(name).child.kill('SIGCONT');
    },
    async disconnect(name) {
      for (const [other, { gate }] of machines) gate.cut('silent', other === name ? undefined : name);
    },
    async connect(name) {
      for (const [other, { gate }] of machines) gate.heal(other === name ? undefined : name);
    },
    async run(name, ...words) {
      const own = words[0] === 'leave' ? ['--admin', `http://127.0.0.1:${machineOf(name).admin}`] : [];
      return runBuild(mainOf(machineOf(name).build), ...words, ...own);
    },
    url: (name) => `http://127.0.0.1:${machineOf(name).http}`,
    adminUrl: (name) => `http://127.0.0.1:${machineOf(name).admin}`,
    log: async (name) => machineOf(name).earlier + (machineOf(name).running?.err() ?? ''),
    disk: (name) => machineOf(name).disk,
    copyFolder,
    emptyFolder,
    async startChain(replayPath, ...words) {
      if (chain) await endProcess(chain);
      const serve = ['devnet', '--replay', replayPath, '--http', `127.0.0.1:${chainPort}`, '--json'];
      chain = await startBuild(mainOf('now'), ...serve, ...words);
      capture ??= await startCapture(join(folder, 'all.pcap'), 'lo', 'tcp');
    },
    async pauseChain() {
      chain?.child.kill('SIGSTOP');
    },
    async resumeChain() {
      chain?.child.kill('SIGCONT');
    },
    async traffic() {
      if (capture) captured[0] = await capture.read();
      return captured[0];
    },
    async close() {
      await capture?.stop();
      for (const { running, gate } of machines.values()) {
        if (running) await endProcess(running);
        await gate.stop();
      }
      if (chain) await endProcess(chain);
      await command('rm', ['-rf', folder], ACT_MS);
    },
  };
}
