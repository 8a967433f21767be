// A process with a sealed store on a real disk. Arguments: what to do, and the folder.
// `write`: says what it found, then commits side by side and says each acknowledgement, until it is killed. Meanwhile it
// rewrites its header over and over. `fill`: meets the limit on file sizes that its parent has set, and goes on.

import { join } from 'node:path';
import process from 'node:process';
import { u64be, utf8 } from '../../src/core/bytes.ts';
import { bytesUpTo, shape } from '../../src/core/schema.ts';
import { systemClock, systemRandom } from '../../src/core/system.ts';
import {
  createHeaderFile,
  createSealedStore,
  type Namespace,
  openLevelStore,
  openSealedStore,
  readHeader,
  type SealedStore,
  signHeader,
} from '../../src/node/store/index.ts';
import { codeOf, entriesOf, headerFor, type Item, itemShape, testNode } from './sealed-store.ts';

const WORKERS = 4;
const node = testNode('child');
const say = (line: string) => process.stdout.write(`${line}\n`);

async function openOrMake(folder: string): Promise<SealedStore> {
  const file = createHeaderFile(join(folder, 'header'));
  const deps = { kv: await openLevelStore(join(folder, 'sealed')), clock: systemClock, random: systemRandom };
  const header = await file.read();
  if (header) return openSealedStore(deps, { header: readHeader(header), sealingKey: node.sealingKey });
  const store = await createSealedStore(deps, node.identity);
  await file.write(signHeader(headerFor(store, node), node.nodeSecret));
  return store;
}

/** How many each worker has written, which must be 1, 2, 3... in both namespaces and nothing else. */
async function countsIn(first: Namespace<Item>, second: Namespace<Item>): Promise<number[]> {
  const counts = new Array<number>(WORKERS).fill(0);
  const seen = await Promise.all([entriesOf(first.entries()), entriesOf(second.entries())]);
  const [names, others] = seen.map((entries) => new Set(entries.map(([key]) => key.join('.'))));
  for (const [key] of seen[0]!) counts[key[0]!] = counts[key[0]!]! + 1;
  for (const [worker, count] of counts.entries()) {
    for (let i = 1; i <= count; i++) {
      const name = [worker, ...u64be(i)].join('.');
      if (!names?.has(name) || !others?.has(name)) throw new Error(`worker ${worker} lacks number ${i} of ${count}`);
    }
  }
  if (names?.size !== others?.size) throw new Error('half a batch');
  return counts;
}

async function write(folder: string): Promise<void> {
  const store = await openOrMake(folder);
  const [first, second] = [store.namespace('first', itemShape), store.namespace('second', itemShape)];
  const counts = await countsIn(first, second);
  say(`opened ${counts.join(' ')}`);
  const file = createHeaderFile(join(folder, 'header'));
  const rewrite = async () => {
    for (let epoch = 2; ; epoch++) await file.write(signHeader(headerFor(store, node, epoch), node.nodeSecret));
  };
  const work = async (worker: number) => {
    for (let i = counts[worker]! + 1; ; i++) {
      const key = Uint8Array.of(worker, ...u64be(i));
      const value = { count: i, data: utf8('x'.repeat(600)) };
      await store.commit([first.put(key, value), second.put(key, value)]);
      say(`${worker} ${i}`);
    }
  };
  await Promise.all([rewrite(), ...Array.from({ length: WORKERS }, (_, worker) => work(worker))]);
}

async function fill(folder: string): Promise<void> {
  let store = await openOrMake(folder);
  const put = async (name: string, bytes: number, pieces = 1) => {
    const space = store.namespace('fill', shape(bytesUpTo(4_000_000)));
    const value = new Uint8Array(bytes);
    return codeOf(
      store.commit(Array.from({ length: pieces }, (_, i) => space.put(utf8(pieces > 1 ? name + i : name), value))),
    );
  };
  const codes = [await put('before', 700), await put('big', 3_900_000, 3), await put('after', 700)];
  codes.push(await put('again', 3_900_000, 3), await put('last', 700));
  const names = async () =>
    (await entriesOf(store.namespace('fill', shape(bytesUpTo(4_000_000))).entries())).map(([key]) =>
      String.fromCharCode(...key),
    );
  say(JSON.stringify({ codes, names: (await names()).sort() }));
  await store.close();
  store = await openOrMake(folder);
  say(JSON.stringify({ names: (await names()).sort() }));
  await store.close();
}

const [what, folder = ''] = process.argv.slice(2);
await (what === 'fill' ? fill(folder) : write(folder));
