// `kith client register`, `renew`, `revoke` and `status`.

import type { Command } from 'commander';
import {
  formatKept,
  KEPT_FILE_BYTES_MAX,
  type OperationOptions,
  parseKept,
  type Registration,
  type Restored,
} from '../client/index.ts';
import { toBase64Url } from '../core/bytes.ts';
import { HEIGHT_MAX, LIFETIME_BLOCKS } from '../core/registration/limits.ts';
import { declareSession, openSession, type Session, type SessionOptions } from './client-session.ts';
import { addCommand, type CommandContext, integerOption, type Outcome, usageError } from './command.ts';
import { readTextFile, writePublicFile } from './files.ts';

interface OperateOptions extends SessionOptions {
  wait: number;
  birthday?: number;
  expiresIn?: number;
  withoutKeys?: boolean;
  certificate?: string;
}

interface RestoreOptions extends SessionOptions {
  wait: number;
  certificate: string;
}

/** Longer than any quorum that still comes. */
const WAIT_SECONDS_MAX = 3_600;

const wait = (command: Command): Command =>
  command.option('--wait <seconds>', 'how long to wait for `confirmed`', integerOption(0, WAIT_SECONDS_MAX), 30);
const expiresIn = (command: Command): Command =>
  command.option(
    '--expires-in <blocks>',
    'blocks from now to the last one of effect (default: as long as the cluster allows)',
    integerOption(1, LIFETIME_BLOCKS),
  );
const certificate = (command: Command): Command =>
  command.option('--certificate <file>', 'write the certificate there once confirmed; `client restore` reads it');
const birthday = (command: Command, standard: string): Command =>
  command.option(
    '--birthday <height>',
    `first height wanted (default: ${standard}); the wallet file stays as it is, index-set learns it from the node`,
    integerOption(0, HEIGHT_MAX),
  );

export function addOperations(group: Command): void {
  addCommand<OperateOptions>(
    group,
    'register',
    'verify a node, then register the wallet; repeating it is harmless',
    (command) => certificate(expiresIn(birthday(wait(declareSession(command, 'one')), "the wallet's"))),
    (options, context) =>
      operate(options, context, ({ client, wallet }, how) => client.register(wallet, { ...how, ...chosen(options) })),
  );
  addCommand<OperateOptions>(
    group,
    'renew',
    'move the expiry: registers again under the same id',
    (command) =>
      certificate(expiresIn(birthday(wait(declareSession(command, 'one')), 'the registered one'))).option(
        '--without-keys',
        'send only a signed renewal: reaches one lifetime past the last register, and needs --expires-in',
      ),
    (options, context) => {
      if (options.withoutKeys && options.expiresIn === undefined) throw usageError('--without-keys needs --expires-in');
      if (options.withoutKeys && options.birthday !== undefined) {
        throw usageError('--without-keys leaves the birthday alone; leave --birthday out');
      }
      const { withoutKeys } = options;
      return operate(options, context, ({ client, wallet }, how) =>
        client.renew(wallet, { ...how, ...chosen(options), withoutKeys }),
      );
    },
  );
  addCommand<OperateOptions>(
    group,
    'revoke',
    'end the registration: the cluster wipes its keys',
    (command) => wait(declareSession(command, 'one')),
    (options, context) => operate(options, context, ({ client, wallet }, how) => client.revoke(wallet, how)),
  );
  addCommand<RestoreOptions>(
    group,
    'restore',
    'bring a registration back that nodes do not know: by its certificate, else by registering again',
    (command) =>
      wait(declareSession(command, 'several')).requiredOption(
        '--certificate <file>',
        'as written by register or renew; written anew if it is registered again',
      ),
    restore,
  );
  addCommand<SessionOptions>(
    group,
    'status',
    'the state of the registration as a node tells it, unauthenticated',
    (command) => declareSession(command, 'one'),
    status,
  );
}

const chosen = ({ birthday: from, expiresIn: blocks }: OperateOptions) => ({ birthday: from, expiresInBlocks: blocks });

async function operate(
  options: OperateOptions,
  context: CommandContext,
  send: (session: Session, how: OperationOptions) => Promise<Registration>,
): Promise<Outcome> {
  const { signal, stderr } = context.terminal;
  const session = await openSession(options, context);
  if (stderr.isTTY) stderr.write('verifying the node, then sending\n');
  const made = await send(session, { signal, waitMs: options.wait * 1000 });
  const { id, expiryHeight, node } = made;
  const receipts = made.receipts.map(toBase64Url);
  if (options.certificate !== undefined) await keep(options.certificate, made);
  if (options.certificate !== undefined && !made.kept) {
    stderr.write(`kith: not confirmed yet, ${options.certificate} is not written: run the command again later\n`);
  }
  const unbacked = made.status === 'confirmed' && made.unbacked;
  return {
    json: { id, status: made.status, receipts, expiryHeight, ...(unbacked ? { unbacked } : {}), ...session.marks },
    text: [
      `${made.status}: ${id}`,
      `effective up to height ${expiryHeight}, ${receipts.length} receipts of ${made.needed} needed`,
      ...(unbacked ? ['unbacked: the node is the whole cluster, nobody else has it'] : []),
      `sealed to node ${node.nodeId} of ${node.operator}, TCB ${node.tcbStatus}`,
      ...(made.status === 'pending' ? ['the node has it and still gathers its quorum: see `kith client status`'] : []),
      '',
    ].join('\n'),
  };
}

/** Over an older one: the newest operation is what counts. */
async function keep(path: string, { kept }: Registration): Promise<void> {
  if (kept) await writePublicFile(path, formatKept(kept), { overwrite: true });
}

const RESTORED_TEXTS: Readonly<Record<Restored['kind'], string>> = {
  known: 'known: nodes that did not know it were told where to get it',
  registered: 'registered again: nobody had it any more',
  recovering: 'recovering: stores wait for the recovery shares of the operators; try again later',
  ended: 'ended: it was revoked or has expired',
};

async function restore(options: RestoreOptions, context: CommandContext): Promise<Outcome> {
  const { client, wallet, marks } = await openSession(options, context, 'several');
  const kept = parseKept(await readTextFile(options.certificate, KEPT_FILE_BYTES_MAX), options.certificate);
  const how = { signal: context.terminal.signal, waitMs: options.wait * 1000 };
  const restored = await client.restore(wallet, kept, how);
  const { kind } = restored;
  const made = kind === 'registered' ? restored.registration : undefined;
  if (made) await keep(options.certificate, made);
  const { regId: id } = kept.certificate;
  return {
    json: { id, restored: kind, ...(made ? { status: made.status, expiryHeight: made.expiryHeight } : {}), ...marks },
    text: `${RESTORED_TEXTS[kind]}\n${id}${made ? `: ${made.status} up to height ${made.expiryHeight}` : ''}\n`,
  };
}

async function status(options: SessionOptions, context: CommandContext): Promise<Outcome> {
  const { client, wallet, marks } = await openSession(options, context);
  const state = await client.status(wallet, { signal: context.terminal.signal });
  const { id, expiryHeight, confirmations } = state;
  return {
    json: { id, status: state.status, expiryHeight, confirmations, ...marks },
    text: `${state.status}: ${id}\nexpires at height ${expiryHeight}, ${confirmations} confirmations\n`,
  };
}
