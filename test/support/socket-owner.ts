// Which process of this machine dials from a port of loopback: Linux tells it to whoever started the process.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** `local_address rem_address ... inode` of a line of /proc/net/tcp; addresses as hex, 127.0.0.1 reversed. */
const COLUMNS = { local: 1, inode: 9 };

/** The first of these processes that has the socket; undefined if none has, or it is gone. */
export function socketOwner(port: number, pids: readonly number[]): number | undefined {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const row = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((columns) => columns[COLUMNS.local] === local);
  if (!row) return undefined;
  const wanted = `socket:[${row[COLUMNS.inode]}]`;
  return pids.find((pid) => descriptorsOf(pid).includes(wanted));
}

function descriptorsOf(pid: number): string[] {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).flatMap((name) => linkOf(`${folder}/${name}`));
  } catch {
    return [];
  }
}

function linkOf(path: string): string[] {
  try {
    return [readlinkSync(path)];
  } catch {
    // Closed between the listing and the look.
    return [];
  }
}
