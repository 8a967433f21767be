// Queues of a node stay bounded, whatever comes from outside.

import { upHosts, type World } from '../world.ts';

/** Above what the limits of src/replication allow for the eight peers of the largest cluster. */
const PUSH_BYTES_MAX = 64 * 1024 * 1024;
/** For each node: streams, heartbeats and requests towards eight peers, and users that wait. */
const TIMERS_PER_HOST_MAX = 1_500;

export function checkBounds(world: World): void {
  for (const { name, machine } of upHosts(world)) {
    const { replication, registrations, indexSets } = machine.node.stats();
    if (registrations && registrations.held > world.plan.users) {
      world.violate('bounded', `${name} holds ${registrations.held} registrations of ${world.plan.users} users`);
    }
    if (indexSets && indexSets.waiting > 100) world.violate('bounded', `${name}: ${indexSets.waiting} look-ups wait`);
    if (replication && replication.sync.pushBytesHeld > PUSH_BYTES_MAX) {
      world.violate('bounded', `${name} holds ${replication.sync.pushBytesHeld} bytes to push`);
    }
  }
  const { pending } = world.sim.clock;
  // Timers of boots that crashed fall due one by one.
  if (pending > TIMERS_PER_HOST_MAX * (world.hosts.length + 1)) world.violate('bounded', `${pending} timers are set`);
}
