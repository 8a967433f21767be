// A simulated platform as the kernel would show it: the directory layout of configfs-tsm in memory, so that the same
// provider reads real and simulated quotes.

import type { MeasurementSet } from '../policy/policy.ts';
import type { TsmFiles } from '../providers/configfs.ts';
import type { SimulatedPlatform } from './pki.ts';
import { type QuoteLayout, simulatedQuote } from './quote.ts';

class TsmError extends Error {
  readonly code: string;

  constructor(code: string, path: string) {
    super(`${code}: ${path}`);
    this.code = code;
  }
}

/** Report data are 64 bytes; the kernel refuses other lengths when the quote is read. */
const INBLOB_BYTES = 64;

interface Report {
  generation: number;
  inblob: Uint8Array | undefined;
}

/** The directory `root` of a platform whose trust domain has these measurements. */
export function createSimulatedTsm(
  platform: SimulatedPlatform,
  measurements: MeasurementSet,
  root: string,
  layout: QuoteLayout = 'v4',
): TsmFiles {
  const reports = new Map<string, Report>();
  const ascii = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const split = (path: string): { report: Report; file: string } => {
    const at = path.lastIndexOf('/');
    const report = reports.get(path.slice(0, at));
    if (!report) throw new TsmError('ENOENT', path);
    return { report, file: path.slice(at + 1) };
  };
  const outblob = ({ inblob }: Report, path: string): Uint8Array => {
    if (inblob?.length !== INBLOB_BYTES) throw new TsmError('EINVAL', path);
    return simulatedQuote(platform, { reportData: inblob, measurements }, layout);
  };
  return {
    async mkdir(path) {
      if (path.slice(0, path.lastIndexOf('/')) !== root) throw new TsmError('ENOENT', path);
      if (reports.has(path)) throw new TsmError('EEXIST', path);
      reports.set(path, { generation: 0, inblob: undefined });
    },
    async rmdir(path) {
      if (!reports.delete(path)) throw new TsmError('ENOENT', path);
    },
    async write(path, bytes) {
      const { report, file } = split(path);
      if (file !== 'inblob') throw new TsmError('EACCES', path);
      report.inblob = bytes.slice();
      report.generation++;
    },
    async read(path) {
      const { report, file } = split(path);
      if (file === 'provider') return ascii('tdx_guest\n');
      if (file === 'generation') return ascii(`${report.generation}\n`);
      if (file === 'outblob') return outblob(report, path);
      throw new TsmError('ENOENT', path);
    },
  };
}
