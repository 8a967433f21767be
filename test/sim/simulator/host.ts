// A machine of the simulator with the host that owns it: the disk, clock and endpoint of the chain that the host shows to
// the node, well or otherwise.

import type { QuoteSource } from '../../../src/attestation/index.ts';
import { concatBytes, equalBytes } from '../../../src/core/bytes.ts';
import { KithError } from '../../../src/core/errors.ts';
import type { Clock, Random } from '../../../src/core/ports.ts';
import { Secret } from '../../../src/core/secret.ts';
import { type BatchFate, commitToSealingKey, type KeyValueOp, readHeader } from '../../../src/node/store/index.ts';
import type { Transport } from '../../../src/p2p/index.ts';
import type { PortCall } from '../../support/mortal.ts';
import type { BootOptions, SimCluster, SimMachine } from '../../support/sim-cluster.ts';
import { createTestDisk, type TestDisk } from '../../support/test-disk.ts';
import { createEndpoint, type Endpoint } from './endpoint.ts';

export type Standing =
  /** Not begun yet. */
  | 'new'
  | 'up'
  /** Crashed or stopped; comes back. */
  | 'down'
  /** Has left its cluster for good. */
  | 'gone';

export type QuoteMode = 'well' | 'none' | 'changed';

/** What the disk does with the next batches. */
export type DiskMode = 'well' | 'full' | 'torn' | 'slow';

/** A disk as it was, to be put back. */
export interface DiskImages {
  readonly header: Uint8Array | undefined;
  readonly sealed: ReadonlyMap<string, Uint8Array>;
  readonly chain: ReadonlyMap<string, Uint8Array>;
  readonly damaged: boolean;
}

const SEALING_KEY_BYTES = 32;
/** Of a quote: its header, and the report after it. */
const HEADER_BYTES = 48;
const QUOTE_BODY_BYTES = 584;

export interface Host {
  readonly index: number;
  readonly name: string;
  /** Number of the machine whose disk it began with: its own unless it is a clone. */
  readonly twinOf: number;
  readonly machine: SimMachine;
  readonly disk: TestDisk;
  readonly endpoint: Endpoint;
  standing: Standing;
  diskMode: DiskMode;
  slowMs: number;
  /** Added to what its clock says. */
  skewMs: number;
  /** Whether its processors stand still: timers fire when it goes on. */
  paused: boolean;
  /** What its platform gives for quotes: none, or some with a bit changed. */
  quoteMode: QuoteMode;
  /** Told of each call that changes something outside. */
  onCall: ((kind: PortCall) => void) | undefined;
  /** Whether its operator wants it to leave the cluster, and has not seen that it has. */
  leaving: boolean;
  /** Boots so far. */
  boots: number;
  /** Whether somebody changed, lost or copied its disk: what it said before proves nothing any more. */
  tampered: boolean;
  /** Whether its store may be damaged, so that a node on it ends. */
  damaged: boolean;
  boot(options?: BootOptions): void;
  crash(keep?: number): void;
  resume(): void;
  images(): Promise<DiskImages>;
  putBack(images: DiskImages): Promise<void>;
  /** The disk is lost, with what was set aside on it. */
  wipe(): Promise<void>;
}

export interface HostDeps {
  readonly sim: SimCluster;
  /** Stands between a machine and the network. */
  readonly transport: (host: string, genuine: Transport) => Transport;
  /** Is given everything that is written to a disk. */
  readonly witness: (host: string, bytes: Uint8Array) => void;
  /** Is told of every sealing key that a node makes. */
  readonly onSealingKey: (host: string, key: Uint8Array) => void;
}

export interface HostOptions {
  readonly index: number;
  readonly name: string;
  /** Whose platform and disk it has; its own if absent. */
  readonly cloneOf?: { readonly host: Host; readonly images: DiskImages };
}

export function createHost({ sim, transport, witness, onSealingKey }: HostDeps, options: HostOptions): Host {
  const { name, index, cloneOf } = options;
  const images = cloneOf?.images;
  let held: (() => void)[] = [];

  function fateOf(ops: readonly KeyValueOp[]): BatchFate | Promise<BatchFate> {
    for (const op of ops) witness(name, op.kind === 'put' ? concatBytes(op.key, op.value) : op.key);
    switch (host.diskMode) {
      case 'well':
        return 'written';
      case 'slow':
        return new Promise((resolve) => sim.clock.schedule(host.slowMs, () => resolve('written')));
      default:
        return host.diskMode;
    }
  }
  const disk = witnessed(
    createTestDisk({
      sealed: { onBatch: fateOf, ...(images && { image: images.sealed }) },
      chain: { onBatch: fateOf, ...(images && { image: images.chain }) },
    }),
    (bytes) => {
      witness(name, bytes);
      const key = drawn.sealingKeyOf(bytes);
      if (key) onSealingKey(name, key);
    },
    () => machine.alive,
  );
  const drawn = createDrawn();
  const hostClock = (genuine: Clock): Clock => ({
    now: () => genuine.now() + host.skewMs,
    monotonic: () => genuine.monotonic(),
    schedule: (delayMs, callback) =>
      genuine.schedule(delayMs, () => {
        if (host.paused) held.push(callback);
        else callback();
      }),
  });
  const aroundQuotes = (genuine: QuoteSource): QuoteSource => ({
    ...genuine,
    async quote(reportData, quoteOptions) {
      if (host.quoteMode === 'none') throw new KithError('quote-failed', 'the platform gives no quote');
      const quote = await genuine.quote(reportData, quoteOptions);
      if (host.quoteMode === 'well') return quote;
      const changed = quote.slice();
      const at = HEADER_BYTES + (reportData[0]! % QUOTE_BODY_BYTES);
      changed[at] = changed[at]! ^ 1;
      return changed;
    },
  });
  const endpoint = createEndpoint();
  const platform = cloneOf?.host.name ?? name;
  const machine = sim.machine(name, {
    disk,
    hostClock,
    quotes: aroundQuotes,
    random: drawn.around,
    transport: (genuine) => transport(name, genuine),
    endpoint: endpoint.around,
    platform,
    operator: `op-${platform}`,
    address: `/memory/${name}`,
  });

  const host: Host = {
    index,
    name,
    twinOf: cloneOf?.host.twinOf ?? index,
    machine,
    disk,
    endpoint,
    standing: 'new',
    diskMode: 'well',
    slowMs: 0,
    skewMs: 0,
    quoteMode: 'well',
    paused: false,
    onCall: undefined,
    leaving: false,
    boots: 0,
    tampered: false,
    damaged: images?.damaged ?? false,
    boot(bootOptions = {}) {
      host.boots += 1;
      machine.lines.length = 0;
      host.standing = 'up';
      host.resume();
      machine.boot({ ...bootOptions, onCall: (kind) => host.onCall?.(kind) });
    },
    crash(keep = 0) {
      if (host.standing !== 'up') return;
      host.standing = 'down';
      machine.crash(keep);
    },
    resume() {
      host.paused = false;
      const late = held;
      held = [];
      for (const callback of late) sim.clock.schedule(0, callback);
    },
    async images() {
      const [sealed, chain] = [disk.sealed.image(), disk.chain().image()];
      return { header: await disk.header.read(), sealed, chain, damaged: host.damaged };
    },
    async putBack({ header, sealed, chain, damaged }) {
      host.damaged = damaged;
      disk.sealed.replace(sealed);
      disk.chain().replace(chain);
      if (header) await disk.header.write(header);
    },
    async wipe() {
      await disk.setAside();
      disk.aside.length = 0;
      disk.chain().replace(new Map());
      host.damaged = false;
      // Another node, of which nobody has said so.
      host.leaving = false;
    },
  };
  return host;
}

/** Draws of a node between two headers: a deal and what goes on meanwhile. */
const DRAWN_MAX = 512;

/** Remembers what a node draws by chance, for the sealing keys among it: those that a header commits to. */
function createDrawn() {
  let drawn: Uint8Array[] = [];
  return {
    around: (genuine: Random): Random => ({
      bytes(length) {
        const bytes = genuine.bytes(length);
        if (length === SEALING_KEY_BYTES) drawn.push(bytes.slice());
        if (drawn.length > DRAWN_MAX) drawn = drawn.slice(-DRAWN_MAX / 2);
        return bytes;
      },
    }),
    sealingKeyOf(header: Uint8Array): Uint8Array | undefined {
      const { keyCommitment } = readHeader(header);
      const found = drawn.findIndex((bytes) => equalBytes(commitToSealingKey(Secret.copy(bytes)), keyCommitment));
      return found < 0 ? undefined : drawn.splice(found, 1)[0];
    },
  };
}

/** The same disk, whose header file a witness sees as well when a node writes it: what a host writes is its own affair. */
function witnessed(disk: TestDisk, see: (bytes: Uint8Array) => void, isNode: () => boolean): TestDisk {
  const { header: inner } = disk;
  const header = {
    read: () => inner.read(),
    write(bytes: Uint8Array) {
      if (isNode()) see(bytes);
      return inner.write(bytes);
    },
  };
  return Object.defineProperty(disk, 'header', { value: header });
}
