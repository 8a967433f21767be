// What `kith doctor` looks at on the machine: the data folder and what is in it, TLS files, memory, the version of Node.

import { constants, type Stats } from 'node:fs';
import { access, open, rm, stat, statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { createSecureContext } from 'node:tls';
import type { Cluster } from '../attestation/index.ts';
import { toHex } from '../core/bytes.ts';
import { messageOf } from '../core/errors.ts';
import { systemRandom } from '../core/system.ts';
import { createHeaderFile, readHeader } from '../node/index.ts';
import { type Finding, failed, fine, warning, worst } from './doctor-check.ts';
import { readBytesFile } from './files.ts';

/** As docs/STORE.md names it. */
const HEADER_FILE = 'header';
/** Some years of the public rows of the chain, and a full sealed store. */
const FREE_BYTES_WANTED = 5e9;
/** Measured: 700 MB for 100,000 registrations, keys and records together. */
const REGISTRATION_BYTES = 7_000;
/** The program with its workers, before the first registration. */
const PROGRAM_BYTES = 300e6;
/** A chain of certificates with its key has a few thousand bytes. */
const TLS_BYTES_MAX = 1_048_576;
/** The oldest release this is tested with (package.json, engines). */
const NODE_VERSION_MIN = [20, 19] as const;

/** Not there, or below something that is no folder. */
const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

async function found(path: string): Promise<Stats | undefined> {
  return stat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
}

/** Whether the folder is there, or can be made, is ours alone, and has room. Leaves nothing behind. */
export async function checkDataDir(folder: string): Promise<Finding> {
  const path = resolve(folder);
  const stats = await found(path);
  if (stats && !stats.isDirectory()) return failed(`${path} is not a folder`);
  if (stats) return worst([fine(path), ...(await checkWritable(path)), ownership(path, stats), await space(path)]);
  let parent = dirname(path);
  while (!(await found(parent)) && parent !== dirname(parent)) parent = dirname(parent);
  if (!(await found(parent))?.isDirectory()) return failed(`${path} cannot be made: ${parent} is not a folder`);
  try {
    await access(parent, constants.W_OK | constants.X_OK);
  } catch {
    return failed(`${path} cannot be made: no permission to write in ${parent}`);
  }
  return worst([fine(`${path} will be made`), await space(parent)]);
}

async function checkWritable(path: string): Promise<Finding[]> {
  const probe = join(path, `.kith-doctor-${toHex(systemRandom.bytes(6))}`);
  try {
    await (await open(probe, 'wx', 0o600)).close();
    return [];
  } catch (error) {
    return [failed(`cannot write in ${path}: ${messageOf(error)}`)];
  } finally {
    await rm(probe, { force: true }).catch(() => undefined);
  }
}

function ownership(path: string, stats: Stats): Finding {
  const uid = process.getuid?.();
  if (uid !== undefined && stats.uid !== uid) {
    return warning(`${path} belongs to user ${stats.uid}, not to ${uid} who runs this`);
  }
  const mode = stats.mode & 0o777;
  if (uid !== undefined && (mode & 0o077) !== 0) {
    return warning(`${path} is open to others (mode ${mode.toString(8)}): chmod 700`);
  }
  return fine('its owner only');
}

async function space(path: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(path);
  const free = bavail * bsize;
  const text = `${gigabytes(free)} free`;
  return free < FREE_BYTES_WANTED ? warning(`${text}, ${gigabytes(FREE_BYTES_WANTED)} are advised`) : fine(text);
}

/** Whether a store that is there can be of this cluster. */
export async function checkStoreHeader(folder: string, cluster: Cluster | undefined): Promise<Finding> {
  const bytes = await createHeaderFile(join(folder, HEADER_FILE)).read();
  if (!bytes) return fine('no store yet: the node begins with an empty one');
  const { clusterId, nodeId, keyEpoch, threshold, keyServers } = readHeader(bytes);
  if (cluster && cluster.id !== clusterId) return failed(`the store is of the cluster ${clusterId}, not ${cluster.id}`);
  const shares = threshold === 0 ? 'no key servers' : `${threshold} of ${keyServers.length} key servers`;
  return fine(`store of node ${nodeId}, key epoch ${keyEpoch}, ${shares}`);
}

/** Whether certificate and key can be read and belong together. */
export async function checkTls(certFile: string | undefined, keyFile: string | undefined): Promise<Finding> {
  if (certFile === undefined || keyFile === undefined) return fine('none: the public API speaks plain HTTP');
  const [cert, key] = await Promise.all([
    readBytesFile(certFile, TLS_BYTES_MAX),
    readBytesFile(keyFile, TLS_BYTES_MAX),
  ]);
  try {
    createSecureContext({ cert: Buffer.from(cert), key: Buffer.from(key) });
  } catch (error) {
    return failed(`${certFile} and ${keyFile} are no certificate with its key, in PEM: ${messageOf(error)}`);
  }
  const { mode } = await stat(keyFile);
  return (mode & 0o077) !== 0 ? warning(`${keyFile} is open to others: chmod 600`) : fine(`${certFile} with its key`);
}

/** Whether there is memory for as many registrations as the cluster configuration allows. */
export function checkMemory(registrationsMax: number, memoryBytes: number = memoryOfProcess()): Finding {
  const wanted = PROGRAM_BYTES + registrationsMax * REGISTRATION_BYTES;
  const text = `${gigabytes(memoryBytes)} of memory; ${registrationsMax} registrations may need ${gigabytes(wanted)}`;
  return memoryBytes < wanted ? warning(text) : fine(text);
}

/** What a container allows, or the machine has. */
function memoryOfProcess(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** Whether this Node is new enough. @param version as `process.versions.node`. */
export function checkNodeVersion(version: string = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = NODE_VERSION_MIN;
  const enough = major > majorMin || (major === majorMin && minor >= minorMin);
  return enough ? fine(version) : failed(`${version}; at least ${majorMin}.${minorMin} is needed`);
}
