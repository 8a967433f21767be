// The load of the benchmark of replication, as a process of its own. Each line of stdin is a JSON command: `prepare`
// makes registrations and seals them to nodes in turn, `send` posts what was prepared. Each is answered by a JSON line.

import process from 'node:process';
import { createInterface } from 'node:readline';
import { parseClusterId } from '../src/core/ids.ts';
import { systemRandom as random } from '../src/core/system.ts';
import { type MadeOperation, makeOperation, makeWallet, openTarget, type Target } from '../test/support/load.ts';

export type LoadCommand =
  | { readonly do: 'prepare'; readonly urls: readonly string[]; readonly count: number; readonly version: number }
  | { readonly do: 'send'; readonly inFlight: number };

export interface Sent {
  readonly seconds: number;
  /** HTTP statuses, and `failed` for connections that ended. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Milliseconds of each that was answered with 201. */
  readonly p50: number;
  readonly p99: number;
}

interface Prepared {
  readonly target: Target;
  readonly operation: MadeOperation;
  readonly body: string;
}

/** Subkeys of each wallet; what a user has by default is eight. */
const N = 8;

const clusterId = parseClusterId(process.argv[2] ?? '');
const prepared: Prepared[] = [];
const say = (value: unknown) => void process.stdout.write(`${JSON.stringify(value)}\n`);

async function prepare({ urls, count, version }: LoadCommand & { do: 'prepare' }): Promise<void> {
  const targets = await Promise.all(urls.map((url) => openTarget({ random }, clusterId, url)));
  for (let i = 0; i < count; i++) {
    const target = targets[i % targets.length]!;
    const operation = makeOperation(clusterId, makeWallet(random, N), 'register', { version });
    prepared.push({ target, operation, body: target.seal(operation) });
  }
  say({ prepared: prepared.length });
}

async function send({ inFlight }: LoadCommand & { do: 'send' }): Promise<void> {
  const statuses: Record<string, number> = {};
  const times: number[] = [];
  const targets = new Set(prepared.map(({ target }) => target));
  const began = performance.now();
  const worker = async () => {
    for (let next = prepared.pop(); next !== undefined; next = prepared.pop()) {
      const { status, ms } = await next.target
        .post(next.operation, next.body)
        .catch(() => ({ status: 'failed' as const, ms: 0 }));
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status === 201) times.push(ms);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - began) / 1_000;
  for (const target of targets) target.close();
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? 0;
  say({ seconds, statuses, p50: at(0.5), p99: at(0.99) } satisfies Sent);
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as LoadCommand;
  if (command.do === 'prepare') await prepare(command);
  else await send(command);
}
