// `kith devnet`: the simulated chain on a socket.

import { type Command, InvalidArgumentError } from 'commander';
import {
  CHAIN_ID_DEFAULT,
  type CometVersion,
  createDevnet,
  FAULT_KINDS,
  type FaultKind,
  parseReplay,
  REPLAY_BYTES_MAX,
  serveDevnet,
} from '../devnet/index.ts';
import { addCommand, type CommandContext, integerOption, usageError } from './command.ts';
import { readTextFile } from './files.ts';

interface DevnetFlags {
  readonly replay: string;
  readonly http: { readonly host: string; readonly port: number };
  readonly blockMs: number;
  readonly startAfter?: number;
  readonly chainId: string;
  readonly cometVersion: string;
  readonly seed: number;
  readonly fault?: readonly (readonly [FaultKind, number])[];
}

/** An hour; nobody waits longer for a block. */
const BLOCK_MS_MAX = 3_600_000;

const HELP = `
Serves CometBFT RPC at / and the masp-indexer API under /api/v1 and /health, until interrupted. Faults can be set
while it runs: POST /devnet/faults {"rates": {"errors": 0.1}, "backwards": 20, "reset": true, "chainId": "other"}.`;

export function addDevnetCommand(program: Command): void {
  addCommand<DevnetFlags>(
    program,
    'devnet',
    'a simulated shielded chain that speaks the real wire formats',
    (command) => {
      command
        .requiredOption('--replay <file>', 'transactions to replay, one JSON object a line')
        .requiredOption('--http <host:port>', 'where to listen', hostAndPort)
        .option('--block-ms <n>', 'time from block to block', integerOption(1, BLOCK_MS_MAX), 1_000)
        .option('--start-after <n>', 'heights there are at once (default: all)', integerOption(0, 1e9))
        .option('--chain-id <id>', 'name of the chain', CHAIN_ID_DEFAULT)
        .option('--comet-version <v>', 'whose shape of events: 0.37 or 0.38', '0.37')
        .option('--seed <n>', 'decides which answers suffer faults', integerOption(0, 2 ** 32 - 1), 0)
        .option('--fault <kind=rate>', `repeatable; kinds: ${FAULT_KINDS.join(', ')}`, fault)
        .addHelpText('after', HELP);
    },
    run,
  );
}

async function run(flags: DevnetFlags, { terminal, json }: CommandContext): Promise<undefined> {
  if (flags.cometVersion !== '0.37' && flags.cometVersion !== '0.38') {
    throw usageError(`--comet-version: expected 0.37 or 0.38, got ${flags.cometVersion}`);
  }
  const version: CometVersion = flags.cometVersion;
  const { chainId, startAfter, seed } = flags;
  const devnet = createDevnet({
    replay: parseReplay(await readTextFile(flags.replay, REPLAY_BYTES_MAX)),
    chainId,
    startAfter,
    version,
    seed,
  });
  devnet.fault({ rates: Object.fromEntries(flags.fault ?? []) });
  const server = await serveDevnet(devnet, { ...flags.http, blockMs: flags.blockMs });
  const facts = { url: server.url, chainId, first: devnet.first, tip: devnet.tip };
  terminal.stdout.write(
    json
      ? `${JSON.stringify(facts)}\n`
      : `simulated chain ${chainId} at ${server.url}, heights ${facts.first} to ${facts.tip}\n`,
  );
  await new Promise<void>((resolve) => {
    if (terminal.signal.aborted) resolve();
    else terminal.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.stop();
  return undefined;
}

function hostAndPort(text: string): DevnetFlags['http'] {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) throw new InvalidArgumentError('expected HOST:PORT');
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port };
}

function fault(text: string, before: DevnetFlags['fault'] = []): NonNullable<DevnetFlags['fault']> {
  const [kind, rate] = text.split('=');
  const known = FAULT_KINDS.find((name) => name === kind);
  const value = Number(rate);
  if (!known || rate === undefined || rate === '' || !(value >= 0 && value <= 1)) {
    throw new InvalidArgumentError(
      `expected KIND=RATE with a rate from 0 to 1 and a kind of ${FAULT_KINDS.join(', ')}`,
    );
  }
  return [...before, [known, value]];
}
