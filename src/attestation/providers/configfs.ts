// Quotes from the kernel: configfs-tsm (Linux 6.7 and later, Documentation/ABI/testing/configfs-tsm-report). Every
// quote gets a directory of its own, because two writers of one directory would read each other's quotes.

import { sleep } from '../../core/deadline.ts';
import { KithError, messageOf } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { QUOTE_BYTES_MAX } from '../limits.ts';
import type { ReportData } from '../report-data.ts';
import type { QuoteErrorCode, QuoteSource } from './quote-source.ts';

/** The directory operations of configfs. They fail as node:fs does: with an error that has a `code`. */
export interface TsmFiles {
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** The whole of a file. */
  read(path: string): Promise<Uint8Array>;
}

export interface ConfigfsOptions {
  /** Where the kernel offers reports. */
  readonly root?: string;
  /** Distinguishes this process from others on the same kernel: its process id. */
  readonly name: string;
}

const ROOT = '/sys/kernel/config/tsm/report';
const PROVIDER = 'tdx_guest';
/** The quoting service answers one guest at a time; 100 ms is what a quote takes. */
const BUSY_WAIT_MS = 100;
/** EBUSY and EAGAIN: another quote is in the making. EINTR: a signal arrived while waiting. */
const TRY_AGAIN: ReadonlySet<string> = new Set(['EBUSY', 'EAGAIN', 'EWOULDBLOCK', 'EINTR']);
/** Somebody else writing into our fresh directory is an accident; several in a row are an attack. */
const CONFLICTS_MAX = 3;

function fail(code: QuoteErrorCode, message: string, cause?: unknown): never {
  throw new KithError<QuoteErrorCode>(code, message, cause === undefined ? undefined : { cause });
}

export function createConfigfsSource(
  deps: { files: TsmFiles; clock: Clock },
  options: ConfigfsOptions,
  kind: QuoteSource['kind'] = 'configfs',
): QuoteSource {
  const { files, clock } = deps;
  const root = options.root ?? ROOT;
  let made = 0;

  /** Repeats what fails because the service is busy, until the caller's time is up. */
  async function patiently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!TRY_AGAIN.has(codeOf(error))) throw error;
        await sleep(clock, BUSY_WAIT_MS, { signal });
      }
    }
  }

  async function quoteIn(directory: string, reportData: ReportData, signal: AbortSignal): Promise<Uint8Array> {
    const provider = textOf(await files.read(`${directory}/provider`)).trim();
    if (provider !== PROVIDER) fail('quote-provider', `the kernel's provider is ${provider}, expected ${PROVIDER}`);
    for (let conflicts = 0; conflicts < CONFLICTS_MAX; conflicts++) {
      await patiently(() => files.write(`${directory}/inblob`, reportData), signal);
      const before = await generationOf(directory);
      const quote = await patiently(() => files.read(`${directory}/outblob`), signal);
      // The kernel counts writes: an unchanged count means that the quote is for what was written here.
      if ((await generationOf(directory)) !== before) continue;
      if (quote.length === 0) fail('quote-empty', 'the kernel returned an empty quote');
      if (quote.length > QUOTE_BYTES_MAX) fail('quote-source', `the kernel returned ${quote.length} bytes`);
      return quote;
    }
    return fail('quote-conflict', `another process wrote into ${directory} ${CONFLICTS_MAX} times`);
  }

  async function generationOf(directory: string): Promise<string> {
    const generation = textOf(await files.read(`${directory}/generation`)).trim();
    if (!/^\d{1,20}$/.test(generation)) fail('quote-source', 'the kernel returned no generation');
    return generation;
  }

  return {
    kind,
    async quote(reportData, { signal }) {
      const directory = `${root}/kith-${options.name}-${made++}`;
      try {
        await files.mkdir(directory);
      } catch (error) {
        const hint = codeOf(error) === 'ENOENT' ? ' (is this a TDX guest with configfs mounted?)' : '';
        return fail('quote-source', `cannot make ${directory}: ${messageOf(error)}${hint}`, error);
      }
      try {
        return await quoteIn(directory, reportData, signal);
      } catch (error) {
        if (error instanceof KithError) throw error;
        return fail('quote-source', `no quote from ${directory}: ${messageOf(error)}`, error);
      } finally {
        // A directory that stays behind costs some bytes of kernel memory; its name is not used again.
        await files.rmdir(directory).catch(() => undefined);
      }
    },
  };
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, 64));
