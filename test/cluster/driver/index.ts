// Which machines there are here. KITH_CLUSTER_DRIVER=containers or processes decides; else an engine that answers does.

import process from 'node:process';
import { createContainers, enginePresent } from './containers.ts';
import type { Driver } from './driver.ts';
import { createProcesses } from './processes.ts';

export { command, must } from './command.ts';
export { ACT_MS, type Build, type Driver } from './driver.ts';

export async function createDriver(): Promise<Driver> {
  const wanted = process.env['KITH_CLUSTER_DRIVER'];
  if (wanted !== undefined && wanted !== 'containers' && wanted !== 'processes') {
    throw new Error(`KITH_CLUSTER_DRIVER is ${wanted}; it can be containers or processes`);
  }
  if (wanted === 'containers' || (wanted === undefined && (await enginePresent()))) return createContainers();
  if (wanted === undefined) {
    console.warn('NO CONTAINER ENGINE: machines are PROCESSES in this run; test/cluster/setup installs an engine');
  }
  return createProcesses();
}
