// What no node may ever have to say of honest ones: each line names a promise that somebody broke.

import type { LogLine } from '../../../support/test-node.ts';
import type { World } from '../world.ts';

/** Looks at a line as it is logged. */
export function checkLine(world: World, machine: string, { event, fields }: LogLine): void {
  switch (event) {
    case 'log-equivocation':
      // A boot has a log of its own, also if another has the same incarnation.
      world.violate('one-log', `${machine} has two entries at place ${fields['seq']} of a log of ${fields['nodeId']}`);
      break;
    case 'rollback': {
      const host = world.hosts.find(({ name }) => name === machine);
      if (host?.tampered) break;
      const { found, remembered } = fields;
      const lost = `${machine} begins with batch ${found} of its disk, and has told of ${remembered}`;
      world.violate('honest-disk', `${lost}, although nobody touched the disk`);
    }
  }
}
