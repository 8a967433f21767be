// `kith dev`: the main job on what comes with the project. It detects the recorded chain for its 24 receivers and
// compares each index set with the one the chain was recorded with.

import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { parseJson } from '../core/json.ts';
import { list, shape, Type, uint } from '../core/schema.ts';
import { KEYS_FILE_BYTES_MAX, parseKeysFile } from '../fmd/index.ts';
import { addCommand, EXIT, type Outcome } from './command.ts';
import { readTextFile } from './files.ts';
import { type Detection, detectRecordedChain } from './fmd-detect.ts';
import { formatTable } from './table.ts';

/** The same folder whether this file runs from src/cli or from dist/cli. */
const CHAIN_FOLDER = new URL('../../test/vectors/chain/', import.meta.url);

const entry = list(uint(), 2, 2);
const expectedShape = shape(
  Type.Object({
    receivers: list(Type.Object({ id: uint(), n: uint(), own: list(entry, 1e6), index_set: list(entry, 1e6) }), 1e6),
  }),
);
type Expected = ReturnType<typeof expectedShape.parse>;

interface Row {
  readonly id: number;
  readonly n: number;
  readonly own: number;
  readonly found: number;
  readonly expectedRate: number;
  readonly seenRate: number;
  readonly exact: boolean;
}

/** Compares what was detected with what the recording says. */
function compare(detection: Detection, expected: Expected): Row[] {
  return expected.receivers.map(({ id, n, own, index_set }) => {
    const found = detection.receivers.find((receiver) => receiver.id === id)!.indexSet;
    const included = new Set(found.map(String));
    const foreign = detection.transactions - detection.unflagged - own.length;
    const falsePositives = found.length - detection.unflagged - own.length;
    return {
      id,
      n,
      own: own.length,
      found: found.length,
      expectedRate: 2 ** -n,
      seenRate: falsePositives / foreign,
      exact: JSON.stringify(found) === JSON.stringify(index_set) && own.every((item) => included.has(String(item))),
    };
  });
}

function report(detection: Detection, rows: readonly Row[]): Outcome {
  const exact = rows.filter((row) => row.exact).length;
  const allExact = exact === rows.length;
  const { stats } = detection;
  const percent = (rate: number): string => `${(rate * 100).toFixed(3)} %`;
  const table = formatTable(
    ['receiver', 'n', 'own', 'index set', '2^-n a flag', 'seen a transaction', 'exact'],
    rows.map((row) => [
      String(row.id),
      String(row.n),
      String(row.own),
      String(row.found),
      percent(row.expectedRate),
      percent(row.seenRate),
      row.exact ? 'yes' : 'NO',
    ]),
  );
  return {
    json: { exact: allExact, receivers: rows, stats },
    text:
      `${table}\nA transaction has about two flags and matches if any of them does, so its rate is about twice 2^-n.\n` +
      `${detection.transactions} transactions (${detection.unflagged} without flags, in everybody's set), ` +
      `${stats.flags} flags x ${stats.keys} keys in ${stats.seconds.toFixed(1)} s (${stats.kernel}).\n` +
      `${exact} of ${rows.length} index sets are exact${allExact ? '.' : ': this build detects wrongly.'}\n`,
    exitCode: allExact ? EXIT.done : EXIT.failed,
  };
}

export function addDevCommand(program: Command): void {
  addCommand(
    program,
    'dev',
    'run the main job on the recorded chain that comes with kith and check every index set',
    () => undefined,
    async (_options, context) => {
      const keysPath = fileURLToPath(new URL('receivers.json', CHAIN_FOLDER));
      const text = await readTextFile(keysPath, KEYS_FILE_BYTES_MAX);
      const expected = expectedShape.parse(parseJson(text, keysPath), keysPath);
      const keys = parseKeysFile(text, keysPath);
      const chainPath = fileURLToPath(new URL('chain.jsonl', CHAIN_FOLDER));
      const detection = await detectRecordedChain(keys, chainPath, context);
      return report(detection, compare(detection, expected));
    },
  );
}
