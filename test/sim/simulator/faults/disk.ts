// Disks that are full, slow or torn, and hosts that change, lose, put back and copy them.

import type { Draw } from '../draw.ts';
import type { DiskMode, Host } from '../host.ts';
import type { World } from '../world.ts';
import { allHosts, type FaultKind, type Frame, type PlannedFault, type Shaped } from './kind.ts';

const hostOf = (world: World, { hosts }: PlannedFault): Host => world.hosts[hosts[0]!]!;

const anyOne =
  (fromMs: number, toMs: number) =>
  (draw: Draw, frame: Frame): Shaped => ({
    forMs: draw.between(fromMs, toMs),
    hosts: [draw.pick(allHosts(frame))],
    amount: draw.unit(),
  });

/** Of those that may lose what they hold. */
const fragileOne =
  (fromMs: number, toMs: number) =>
  (draw: Draw, { fragile }: Frame): Shaped => ({
    forMs: draw.between(fromMs, toMs),
    hosts: [draw.pick(fragile)],
    amount: draw.unit(),
  });

function ofMode(mode: DiskMode, share: number, fromMs: number, toMs: number): FaultKind {
  return {
    kind: `disk-${mode}`,
    share,
    shape: anyOne(fromMs, toMs),
    inject(world, fault) {
      const host = hostOf(world, fault);
      host.diskMode = mode;
      host.slowMs = 20 + Math.round(fault.amount * 2_000);
      world.keep(fault, () => {
        host.diskMode = 'well';
      });
      return host.standing === 'up';
    },
  };
}

/** The machine stops, something happens to its disk, and it starts again when the fault is lifted. */
function whileDown(world: World, fault: PlannedFault, work: (host: Host) => Promise<void>): boolean {
  const host = hostOf(world, fault);
  if (host.standing !== 'up') return false;
  host.crash();
  host.tampered = true;
  let done = false;
  world.detach(fault.kind, async () => {
    await work(host);
    done = true;
  });
  world.keep(fault, () => {
    if (done && host.standing === 'down') host.boot({ cluster: world.cluster, found: false });
  });
  return true;
}

/** One bit of one record, or of the header. */
async function flipBit(world: World, host: Host, where: 'sealed' | 'chain' | 'header'): Promise<void> {
  const { draw } = world;
  const flip = (bytes: Uint8Array): Uint8Array => {
    const changed = bytes.slice();
    const at = draw.below(changed.length);
    changed[at] = changed[at]! ^ (1 << draw.below(8));
    return changed;
  };
  host.damaged = true;
  if (where === 'header') {
    const header = await host.disk.header.read();
    if (header) await host.disk.header.write(flip(header));
    return;
  }
  const disk = where === 'sealed' ? host.disk.sealed : host.disk.chain();
  const image = new Map(disk.image());
  const names = [...image.keys()].sort();
  if (names.length === 0) return;
  const name = draw.pick(names);
  const value = image.get(name)!;
  if (value.length > 0) image.set(name, flip(value));
  disk.replace(image);
}

export const DISK_FAULTS: readonly FaultKind[] = [
  ofMode('full', 0.12, 1_000, 20_000),
  ofMode('torn', 0.1, 200, 3_000),
  ofMode('slow', 0.15, 5_000, 40_000),
  {
    // A crash while writes are under way: what was not synced is lost, or a part of it.
    kind: 'disk-unsynced-lost',
    share: 0.15,
    shape: anyOne(3_000, 20_000),
    inject(world, fault) {
      const host = hostOf(world, fault);
      if (host.standing !== 'up') return false;
      host.diskMode = 'slow';
      host.slowMs = 400;
      world.sim.clock.schedule(300 + Math.round(fault.amount * 2_000), () => {
        host.diskMode = 'well';
        if (host.standing !== 'up') return;
        host.crash(Math.floor(fault.amount * (host.disk.sealed.unsynced + 1)));
      });
      world.keep(fault, () => {
        if (host.standing === 'down') host.boot({ cluster: world.cluster, found: false });
      });
      return true;
    },
  },
  {
    kind: 'disk-bit-flip',
    share: 0.12,
    shape: fragileOne(2_000, 8_000),
    inject: (world, fault) =>
      whileDown(world, fault, (host) =>
        flipBit(world, host, fault.amount < 0.5 ? 'sealed' : fault.amount < 0.75 ? 'chain' : 'header'),
      ),
  },
  {
    // The disk as it was some time ago.
    kind: 'disk-rollback',
    share: 0.15,
    shape: fragileOne(12_000, 45_000),
    inject(world, fault) {
      const host = hostOf(world, fault);
      if (host.standing !== 'up') return false;
      world.detach('a backup', async () => {
        const images = await host.images();
        world.keep(fault, () => {
          if (host.standing !== 'up') return;
          host.crash();
          host.tampered = true;
          world.detach(fault.kind, async () => {
            await host.putBack(images);
            if (host.standing === 'down') host.boot({ cluster: world.cluster, found: false });
          });
        });
      });
      return true;
    },
  },
  {
    // Two machines with one disk; the second is at an address of its own.
    kind: 'disk-clone',
    share: 0.12,
    shape: fragileOne(20_000, 50_000),
    inject(world, fault) {
      const host = hostOf(world, fault);
      if (host.standing !== 'up' || !host.machine.ready) return false;
      if (world.hosts.some((other) => other !== host && other.twinOf === host.twinOf)) return false;
      host.tampered = true;
      world.detach(fault.kind, async () => {
        const images = await host.images();
        const clone = world.addHost({ name: `${host.name}-clone`, cloneOf: { host, images } });
        if (images.header) await clone.disk.header.write(images.header);
        clone.tampered = true;
        clone.boot({ cluster: world.cluster, found: false });
      });
      return true;
    },
  },
  {
    kind: 'disk-lost',
    share: 0.12,
    shape: fragileOne(2_000, 20_000),
    inject: (world, fault) => whileDown(world, fault, (host) => host.wipe()),
  },
];
