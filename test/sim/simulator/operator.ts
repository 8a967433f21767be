// What honest operators do while the hosts of some of them misbehave: they replace disks that a node will not open, end
// boots that are fenced, let a member leave until somebody has heard it, restart what a lying chain has stopped, enter
// recovery shares, and begin anew where a whole cluster has lost its keys.

import { enterShare, waitingAt } from '../../support/recovery-holders.ts';
import type { Host } from './host.ts';
import { upHosts, type World } from './world.ts';

/** How long an operator looks at a node that does not come up. */
const PATIENCE_MS = 5_000;
/** How long a cluster is given that is founding itself. */
const FOUND_AGAIN_MS = 60_000;
/** How long two boots of one disk have to find out about one another. */
const TWINS_MS = 40_000;
/** How long shares are waited for before the holders of recovery keys are called. */
const RECOVERY_AFTER_MS = 20_000;
/** After a leave that nobody heard. */
const LEAVE_AGAIN_MS = 5_000;
/** What a lying endpoint ends detection with. */
const STOPPED_BY_CHAIN = /^detection stopped \((chain-disagreement|went-backwards|wrong-chain)\)/;
/** Of the three holders, the two that come. */
const HOLDERS = [1, 3];

export interface Operator {
  /** Once a second. */
  step(world: World): void;
}

export function createOperator(): Operator {
  /** Since when something is so, by what it is. */
  const since = new Map<string, number>();
  const entering = new Set<string>();
  const restarted = new Set<string>();
  /** Boots that are leaving at the moment, and those that tried in vain. */
  const asked = new Set<string>();
  const notHeard = new Set<string>();

  /** Whether it has been so for `ms`. */
  function lasts(world: World, what: string, is: boolean, ms: number): boolean {
    if (!is) {
      since.delete(what);
      return false;
    }
    const began = since.get(what) ?? world.nowMs;
    since.set(what, began);
    return world.nowMs - began >= ms;
  }

  function failedToStart(world: World, host: Host): void {
    const boot = `${host.name} boot ${host.boots}`;
    const why = String(host.machine.logged('start-failed', 'reason').at(-1) ?? '');
    // Whoever is told to stop, or fenced, while it starts has not failed.
    const failed = why !== '' && !why.includes('stopped while starting');
    if (!lasts(world, `${boot} failed`, failed, PATIENCE_MS)) return;
    if (why.includes('no space left')) {
      if (host.diskMode === 'well') restart(world, host, 'now that its disk has room');
      return;
    }
    if (!host.damaged) world.violate('starts', `${host.name} does not start on a disk that nobody changed: ${why}`);
    world.say('operator', `replaces the disk of ${host.name}: ${why}`);
    host.crash();
    world.detach('a new disk', async () => {
      await host.wipe();
      if (host.standing === 'down') host.boot({ cluster: world.cluster, found: false });
    });
  }

  function restart(world: World, host: Host, why: string): void {
    world.say('operator', `restarts ${host.name}, ${why}`);
    host.crash();
    host.boot({ cluster: world.cluster, found: false });
  }

  function fenced(world: World, host: Host): void {
    const { phase } = host.machine.node.service.readiness();
    if (!lasts(world, `${host.name} boot ${host.boots} fenced`, phase === 'fenced', PATIENCE_MS)) return;
    world.say('operator', `ends ${host.name}, which is fenced`);
    const twins = world.hosts.filter((other) => other !== host && other.twinOf === host.twinOf);
    if (twins.some(({ standing }) => standing === 'up')) {
      host.crash();
      host.standing = 'gone';
      return;
    }
    restart(world, host, 'which nobody else runs: it takes a higher incarnation');
  }

  function leaves(world: World, host: Host): void {
    const boot = `${host.name} boot ${host.boots} is to leave`;
    const waitMs = notHeard.has(boot) ? LEAVE_AGAIN_MS : 0;
    if (!lasts(world, boot, host.leaving && host.machine.ready && !asked.has(boot), waitMs)) return;
    const { node } = host.machine;
    asked.add(boot);
    since.delete(boot);
    world.detach('a leave', async () => {
      const why = await node.leave({ signal: new AbortController().signal });
      world.say(host.name, why === undefined ? 'has left' : `has not left: ${why}`);
      asked.delete(boot);
      const isSame = () => host.standing === 'up' && host.machine.node === node;
      if (why !== undefined) notHeard.add(boot);
      if (why !== undefined || !isSame()) return;
      await node.stop().catch((error: unknown) => world.say(host.name, `does not stop cleanly: ${error}`));
      if (!isSame()) return;
      host.crash();
      host.standing = 'gone';
    });
  }

  /** Of two machines with one disk their owner wants one: the one that serves, or else the first. */
  function twins(world: World, host: Host): void {
    const other = world.hosts.find(
      (one) => one.index > host.index && one.twinOf === host.twinOf && one.standing === 'up',
    );
    if (!lasts(world, `${host.name} has a twin`, other !== undefined && world.calm, TWINS_MS) || !other) return;
    const left = other.machine.ready && !host.machine.ready ? host : other;
    world.say('operator', `ends ${left.name}, a machine too many`);
    left.crash();
    left.standing = 'gone';
  }

  /** Its endpoint showed it another chain: a restart, or a disk that never saw it, once the endpoint is well. */
  function stopped(world: World, host: Host): void {
    const { reasons } = host.machine.node.service.readiness();
    const has = reasons.some((reason) => STOPPED_BY_CHAIN.test(reason));
    const boot = `${host.name} boot ${host.boots} detects nothing`;
    if (!lasts(world, boot, has && host.endpoint.mode.kind === 'well', PATIENCE_MS)) return;
    const again = restarted.has(host.name);
    world.say(
      'operator',
      again ? `sets the store of ${host.name} aside` : `restarts ${host.name}, which detects nothing`,
    );
    restarted.add(host.name);
    host.crash();
    world.detach('a restart', async () => {
      if (again) await host.disk.setAside();
      if (host.standing === 'down') host.boot({ cluster: world.cluster, found: false });
    });
  }

  function recovery(world: World, host: Host): void {
    const stores = waitingAt(host.machine.node);
    for (const store of stores) {
      const what = `${host.name} boot ${host.boots} ${store.storeIdHash}`;
      if (!lasts(world, what, world.calm, RECOVERY_AFTER_MS) || entering.has(what)) continue;
      entering.add(what);
      world.say('operator', `enters recovery shares at ${host.name}`);
      world.detach('recovery', async () => {
        for (const holder of HOLDERS) {
          await enterShare(host.machine.node, world.sim.cluster, holder, store).catch((error: unknown) => {
            world.say('operator', `share ${holder} at ${host.name}: ${error}`);
            entering.delete(what);
          });
        }
      });
    }
  }

  /**
   * A cluster whose members have all lost their keys is founded again by the first machine, each on a new disk: those who
   * were about to join know of its roster, and would wait for the word of members that are no more. What was set aside
   * stays for recovery.
   */
  function foundAgain(world: World): void {
    const hosts = upHosts(world);
    const isLost = hosts.length > 1 && !hosts.some(isMember);
    if (!lasts(world, 'nobody is a member', isLost && world.calm, FOUND_AGAIN_MS)) return;
    since.delete('nobody is a member');
    for (const [i, host] of hosts.entries()) {
      world.say('operator', `begins anew with ${host.name}`);
      host.crash();
      world.detach('a new beginning', async () => {
        await host.disk.setAside();
        if (host.standing === 'down') host.boot({ cluster: world.cluster, found: i === 0 });
      });
    }
  }

  const isMember = ({ machine }: Host): boolean =>
    machine.node.service.node().roster.some(({ standing }) => standing === 'self');

  return {
    step(world) {
      for (const host of upHosts(world)) {
        failedToStart(world, host);
        if (host.standing === 'up') fenced(world, host);
        if (host.standing === 'up') leaves(world, host);
        if (host.standing === 'up') twins(world, host);
        if (host.standing === 'up') stopped(world, host);
        if (host.standing === 'up') recovery(world, host);
      }
      foundAgain(world);
    },
  };
}
