// `kith client index-set`: what matched, as far as it is known, from one node or several.

import type { Command } from 'commander';
import { emptyView, type IndexSetView, viewSyncedTo, walletRegistrationId } from '../client/index.ts';
import { printable } from '../core/errors.ts';
import { HEIGHT_MAX } from '../core/registration/limits.ts';
import { declareSession, openSession, type Session, type SessionOptions } from './client-session.ts';
import { addCommand, type CommandContext, integerOption, type Outcome } from './command.ts';

interface IndexSetOptions extends SessionOptions {
  since?: number;
  waitFor?: number;
  timeout: number;
}

const TIMEOUT_SECONDS_MAX = 86_400;
/** What a line on stderr quotes of a reason. */
const REASON_CHARS_MAX = 300;

export function addIndexSet(group: Command): void {
  addCommand<IndexSetOptions>(
    group,
    'index-set',
    'print the transactions that matched, from the registered birthday on, and the height they are complete to',
    (command) =>
      declareSession(command, 'several')
        .option('--since <height>', 'only what is above this height', integerOption(0, HEIGHT_MAX - 1))
        .option('--wait-for <height>', 'return once all is known up to this height', integerOption(0, HEIGHT_MAX))
        .option('--timeout <seconds>', 'end of --wait-for', integerOption(1, TIMEOUT_SECONDS_MAX), 120),
    indexSet,
  );
}

async function indexSet(options: IndexSetOptions, context: CommandContext): Promise<Outcome> {
  const session = await openSession(options, context, 'several');
  const view = await read(options, session, context);
  const { wallet, client, marks } = session;
  const syncedTo = viewSyncedTo(view);
  const id = walletRegistrationId(wallet);
  const start = Math.max(1, wallet.birthday, (options.since ?? 0) + 1);
  const later = view.from > start ? { from: view.from } : {};
  if (view.from > start) {
    context.terminal.stderr.write(
      `kith: heights below ${view.from} were not looked at: the registration or the chain of the node begins there\n`,
    );
  }
  const entries = view.entries.map(([height, index]) => `${height} ${index}\n`).join('');
  return {
    json: { id, syncedTo, entries: view.entries, ...later, ...marks },
    text: `${entries}${view.entries.length} entries, complete up to height ${syncedTo} (${client.cluster.configuration.chainId})\n`,
  };
}

async function read(
  { since, waitFor, timeout }: IndexSetOptions,
  { client, wallet }: Session,
  { terminal }: CommandContext,
): Promise<IndexSetView> {
  const { signal, stderr } = terminal;
  const start = emptyView(since === undefined ? undefined : since + 1);
  if (waitFor !== undefined) {
    const onProgress = (view: IndexSetView) => {
      if (stderr.isTTY) stderr.write(`synced to ${viewSyncedTo(view)} of ${waitFor}\n`);
    };
    return client.waitForHeight(wallet, start, { height: waitFor, timeoutMs: timeout * 1000, signal, onProgress });
  }
  const { view, failures } = await client.read(wallet, start, { signal });
  for (const { error } of failures) stderr.write(`kith: without ${printable(error.message, REASON_CHARS_MAX)}\n`);
  return view;
}
