// Runs a TypeScript module in headless Chromium: bundled for browsers, in a page of its own, with what it returned
// as JSON.

import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const project = fileURLToPath(new URL('../..', import.meta.url));
const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** The path of a Chromium, undefined if there is none. */
export const chromium: string | undefined = [process.env['KITH_CHROMIUM'], ...CANDIDATES].find(
  (path): path is string => path !== undefined && existsSync(path),
);

/** A page starts in two seconds; a busy machine takes longer. */
const TIMEOUT_MS = 120_000;
/** Room for some quotes and collateral as JSON. */
const ANSWER_BYTES_MAX = 4_194_304;

/** The sandbox needs privileges that containers lack, /dev/shm is small there; the page is ours alone. */
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];

/** The body of the page at `url` as it stands after its scripts have had five virtual seconds. */
export async function bodyInChromium(url: string): Promise<string> {
  if (!chromium) throw new Error('no Chromium');
  const profile = mkdtempSync(join(tmpdir(), 'kith-chromium-'));
  const words = [...FLAGS, `--user-data-dir=${profile}`, '--virtual-time-budget=5000', '--dump-dom', url];
  try {
    const { stdout } = await promisify(execFile)(chromium, words, { timeout: TIMEOUT_MS, maxBuffer: ANSWER_BYTES_MAX });
    return /<body>[\s\S]*<\/body>/.exec(stdout)?.[0] ?? '';
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** One script for browsers: the module, what it imports, and no Node built-in (an import of one fails here). */
export async function bundleForBrowser(source: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: project, loader: 'ts', sourcefile: 'browser-test.ts' },
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    conditions: ['kith-source', 'browser', 'import', 'default'],
    supported: { using: false },
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
}

/**
 * Runs `source` in a page. It finds `input` as `globalThis.input` and calls `globalThis.done(answer)` with JSON-able
 * values; an exception or rejection in the page rejects here.
 */
export async function runInChromium(source: string, input: unknown): Promise<unknown> {
  if (!chromium) throw new Error('no Chromium');
  const script = await bundleForBrowser(source);
  const prelude = `
    const send = (path, text) => fetch(path, { method: 'POST', body: text });
    globalThis.done = (answer) => send('/done', JSON.stringify(answer));
    addEventListener('error', (event) => send('/failed', String(event.error?.stack ?? event.message)));
    addEventListener('unhandledrejection', (event) => send('/failed', String(event.reason?.stack ?? event.reason)));
    fetch('/input').then((answer) => answer.json()).then((input) => {
      globalThis.input = input;
      const script = document.createElement('script');
      script.src = '/script.js';
      document.head.append(script);
    });
  `;
  const profile = mkdtempSync(join(tmpdir(), 'kith-chromium-'));
  let settle: { resolve: (answer: unknown) => void; reject: (error: Error) => void };
  const answer = new Promise<unknown>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const server = createServer((request, response) => {
    const pages: Record<string, [type: string, body: string]> = {
      '/': ['text/html', '<!doctype html><meta charset="utf-8"><title>test</title><script src="/prelude.js"></script>'],
      '/prelude.js': ['text/javascript', prelude],
      '/script.js': ['text/javascript', script],
      '/input': ['application/json', JSON.stringify(input)],
    };
    const page = pages[request.url ?? ''];
    if (page) {
      response.setHeader('content-type', `${page[0]}; charset=utf-8`);
      response.end(page[1]);
      return;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= ANSWER_BYTES_MAX) chunks.push(chunk);
    });
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      if (request.url === '/done') settle.resolve(JSON.parse(text));
      else if (request.url === '/failed') settle.reject(new Error(`in the page: ${text}`));
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const child = spawn(chromium, [...FLAGS, `--user-data-dir=${profile}`, '--remote-debugging-port=0', url], {
    stdio: 'ignore',
    detached: true,
  });
  const timer = setTimeout(() => settle.reject(new Error('the page did not answer in time')), TIMEOUT_MS);
  child.once('error', (error) => settle.reject(error));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
    // The group: Chromium's helpers would outlive it.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    await exited;
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
