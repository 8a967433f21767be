// `kith dev`: a simulated chain and nodes as child processes, and the whole story of some wallets with them, each index
// set checked.

import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { formatWallet } from '../client/index.ts';
import { KithError } from '../core/errors.ts';
import { addCommand, type CommandContext, EXIT, integerOption, type Outcome } from './command.ts';
import { reportOf } from './dev-report.ts';
import { CHAIN_FOLDER, loadSamples, type Samples } from './dev-samples.ts';
import { playStory } from './dev-story.ts';
import { createDevView, type DevView } from './dev-view.ts';
import { watchNodes } from './dev-watch.ts';
import { type DevWorld, startWorld } from './dev-world.ts';

interface DevOptions {
  nodes: number;
  replay?: string;
  once?: boolean;
}

/** The smallest cluster that goes on without one of its nodes. */
const NODES_DEFAULT = 3;
/** Up to so many members hold every registration, and one machine carries no more. */
const NODES_MAX = 7;
/** Heights that come one by one, while the wallets watch. */
const LIVE_HEIGHTS = 100;
const BLOCK_MS = 200;

/** The same place whether this file runs from src/cli or from dist/cli. */
const KERNEL = fileURLToPath(new URL('../fmd/kernel/kernel.wasm', import.meta.url));

const HELP = `
Starts a simulated chain and nodes on loopback, verifies the nodes, registers sample wallets at one node, follows the
chain, and compares the index sets at another with what they must be: for the chain that comes with kith, those it was
recorded with; for another one, what offline detection finds. With three nodes or more one is killed, a wallet registers
meanwhile, and the node comes back with its own key from its peers. In the end every index set is read from every node;
one wallet renews, one revokes.

On a terminal it stays up afterwards, until Ctrl-C. With --once or --json, if stdout is not a terminal, or if CI is set
in the environment, it ends with the story: exit code 0 if all was right, else 1 and what was wrong. Everything it
started and wrote is removed at its end. Simulated: nothing here protects anybody.`;

export function addDevCommand(program: Command): void {
  addCommand<DevOptions>(
    program,
    'dev',
    'run a simulated chain, nodes and sample wallets, and check all they do',
    (command) =>
      command
        .option('--nodes <n>', 'nodes to run', integerOption(1, NODES_MAX), NODES_DEFAULT)
        .option('--replay <file>', 'chain to replay, one transaction a line (default: the one that comes with kith)')
        .option('--once', 'end with the story')
        .addHelpText('after', HELP),
    run,
  );
}

/** Whether `kith dev` stays up after its story. */
export function staysUp(of: { once: boolean; json: boolean; isTTY: boolean; ci: string | undefined }): boolean {
  const ci = of.ci !== undefined && of.ci !== '' && of.ci !== 'false';
  return of.isTTY && !of.once && !of.json && !ci;
}

async function run(options: DevOptions, context: CommandContext): Promise<Outcome | undefined> {
  const { terminal, json } = context;
  const stay = staysUp({
    once: options.once === true,
    json,
    isTTY: terminal.stdout.isTTY === true,
    ci: process.env['CI'],
  });
  refuseIncompleteBuild(options.replay);
  const samples = await loadSamples(options.replay, context);
  const startAfter = Math.max(1, samples.last - samples.first + 1 - LIVE_HEIGHTS);
  const { replayPath } = samples;
  const view = createDevView(terminal);
  // Whoever closes the window of a run that stays up wants its end, too.
  if (stay) process.once('SIGHUP', () => process.kill(process.pid, 'SIGTERM'));
  const world = await startWorld(terminal, { replayPath, startAfter, blockMs: BLOCK_MS, nodes: options.nodes });
  try {
    const watch = watchNodes(view, world.nodes, { signal: world.signal });
    const outcome = reportOf(await playStory({ world, watch, view }, samples));
    view.end();
    if (!stay) return outcome;
    terminal.stdout.write(outcome.text);
    await invite(world, samples, view);
    await ended(world.signal);
    view.end();
    return { json: undefined, text: '', exitCode: outcome.exitCode ?? EXIT.done };
  } catch (error) {
    throw await world.causeOf(error);
  } finally {
    view.end();
    await world.stop();
  }
}

/** What a build or a checkout has besides the program; said before anything is started. */
function refuseIncompleteBuild(replay: string | undefined): void {
  if (!existsSync(KERNEL)) {
    throw new KithError('build-incomplete', `the build is incomplete: ${KERNEL} is missing; run \`npm run build\``);
  }
  if (replay === undefined && !existsSync(CHAIN_FOLDER)) {
    const where = fileURLToPath(CHAIN_FOLDER);
    throw new KithError('file', `the chain of a checkout is missing (${where}); name another with --replay <file>`);
  }
}

/** Leaves a wallet to play with, and says how. */
async function invite({ folder, clusterPath, nodes }: DevWorld, { samples }: Samples, view: DevView): Promise<void> {
  const path = join(folder, 'wallet.json');
  await writeFile(path, formatWallet(samples[0]!.wallet), { mode: 0o600 });
  view.say(`to read an index set yourself, while this runs:
  npx kith client index-set --node ${nodes[0]!.url} --wallet ${path} --cluster ${clusterPath}
the console: ${nodes[0]!.adminUrl}/console
press Ctrl-C to end`);
}

/** Resolves when the user interrupts. @throws what ended the world else. */
async function ended(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  if (signal.reason?.code !== 'interrupted') throw signal.reason;
}
