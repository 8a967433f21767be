// Whether a cluster has become whole: what must be true some time after faults have stopped.

import { walletRegistrationId } from '../../../../src/client/index.ts';
import { userAt } from '../people.ts';
import { upHosts, type World } from '../world.ts';
import { notYetAgreed } from './registrations.ts';
import { sharesMissing } from './shares.ts';

/** Blocks that detection may be behind. */
const BEHIND_MAX = 2;

/** Why it is not whole yet, as one line; undefined once it is. */
export function notYetWhole(world: World): string | undefined {
  const hosts = upHosts(world);
  for (const { name, machine } of hosts) {
    const { ready, phase, reasons } = machine.node.service.readiness();
    if (!ready) return `${name} is ${phase}: ${reasons.join('; ')}`;
  }
  const ids = hosts.map(({ machine }) => machine.node.service.node().nodeId).sort();
  for (const { name, machine } of hosts) {
    const { roster, custody, configVersion, heights } = machine.node.service.node();
    const members = roster.map(({ nodeId }) => nodeId).sort();
    if (members.join() !== ids.join())
      return `${name} has ${members.length} members on its roster, ${ids.length} are up`;
    if (custody?.phase !== 'backed' || custody.holders.length !== custody.shares) {
      return `${name}: ${custody?.holders.length} of ${custody?.shares} members hold its key (${custody?.phase})`;
    }
    if (configVersion !== world.cluster.configuration.version) {
      return `${name} has version ${configVersion} of the configuration, not ${world.cluster.configuration.version}`;
    }
    if (heights.detected < world.devnet.tip - BEHIND_MAX) return `${name} has detected up to ${heights.detected}`;
  }
  return sharesMissing(world) ?? notYetAgreed(world) ?? notYetDetected(world);
}

/** Every open registration is covered up to the height its node has come to. */
function notYetDetected(world: World): string | undefined {
  for (const { name, machine } of upHosts(world)) {
    const { running, service } = machine.node;
    for (let user = 0; user < world.plan.users; user++) {
      const serial = running?.registrations.serialOf(walletRegistrationId(userAt(user).wallet));
      if (serial === undefined) continue;
      const { detected } = service.node().heights;
      const syncedTo = running!.indexSets.syncedTo(serial, 0);
      if (syncedTo !== undefined && syncedTo < detected) return `${name} has user ${user} synced to ${syncedTo} only`;
    }
  }
  return undefined;
}
