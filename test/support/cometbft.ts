// An unmodified CometBFT node with its own kvstore application: found, or built once with the Go toolchain.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';

const VERSION = '0.38.17';

export interface CometNode {
  readonly url: string;
  readonly chainId: string;
  stop(): Promise<void>;
}

/** The program, or why there is none. Built into a folder outside the project, so that it is built once. */
export function findCometBft(): { readonly program: string } | { readonly missing: string } {
  const given = process.env['KITH_COMETBFT'];
  if (given) return { program: given };
  if (answers('cometbft', ['version'])) return { program: 'cometbft' };
  const folder = join(tmpdir(), `kith-cometbft-${VERSION}`);
  const program = join(folder, 'cometbft');
  if (existsSync(program)) return { program };
  if (!answers('go', ['version'])) return { missing: 'neither cometbft nor go is installed' };
  mkdirSync(folder, { recursive: true });
  try {
    const env = { ...process.env, GOBIN: folder };
    execFileSync('go', ['install', `github.com/cometbft/cometbft/cmd/cometbft@v${VERSION}`], { env, stdio: 'pipe' });
    return { program };
  } catch (error) {
    return { missing: `CometBFT ${VERSION} could not be built: ${String(error).split('\n')[0]}` };
  }
}

function answers(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

/** A chain of one validator with blocks every 100 ms. */
export async function startCometBft(program: string): Promise<CometNode> {
  const home = mkdtempSync(join(tmpdir(), 'kith-cometbft-home-'));
  execFileSync(program, ['init', '--home', home], { stdio: 'pipe' });
  const config = join(home, 'config', 'config.toml');
  writeFileSync(config, readFileSync(config, 'utf8').replace(/timeout_commit = ".*"/, 'timeout_commit = "100ms"'));
  const genesis = JSON.parse(readFileSync(join(home, 'config', 'genesis.json'), 'utf8')) as { chain_id: string };
  const [rpc, p2p] = [await freePort(), await freePort()];
  const args = ['node', '--home', home, '--proxy_app=kvstore', `--rpc.laddr=tcp://127.0.0.1:${rpc}`];
  args.push(`--p2p.laddr=tcp://127.0.0.1:${p2p}`, '--log_level=error');
  const child = spawn(program, args, { stdio: 'ignore' });
  const url = `http://127.0.0.1:${rpc}`;
  const stop = async () => {
    await ended(child);
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await answering(url, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, chainId: genesis.chain_id, stop };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.kill('SIGKILL');
  await closed;
}

/** Another process becomes ready when it does: here, and only here, one has to ask again and again. */
async function answering(url: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`CometBFT ended with ${child.exitCode}`);
    try {
      const status = (await (await fetch(`${url}/status`)).json()) as {
        result: { sync_info: { latest_block_height: string } };
      };
      if (Number(status.result.sync_info.latest_block_height) > 0) return;
    } catch {
      // Not listening yet.
    }
    await wait(100);
  }
  throw new Error('CometBFT did not come up');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
