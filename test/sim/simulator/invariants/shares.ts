// What nodes believe of their sealing keys is so: the shares that members are said to hold are held by somebody.

import { upHosts, type World } from '../world.ts';

/** A share that was lost is missed at the next probe, half a minute and a quarter later, and dealt anew at once. */
const UNNOTICED_MS_MAX = 60_000;

/** How it is not so at this moment. A loss takes time to be noticed. */
export function sharesMissing(world: World): string | undefined {
  let told = 0;
  let kept = 0;
  for (const { machine } of upHosts(world)) {
    told += machine.node.service.node().custody?.holders.length ?? 0;
    kept += machine.node.stats().custody.owners;
  }
  return told > kept ? `members count on ${told} shares, and ${kept} are kept` : undefined;
}

/** @returns what is to be called once a second. */
export function createSharesWatch(): (world: World) => void {
  let since: number | undefined;
  return (world) => {
    // Before that there may always be news on the way.
    const missing = world.calm ? sharesMissing(world) : undefined;
    since = missing === undefined ? undefined : (since ?? world.nowMs);
    if (since !== undefined && world.nowMs - since > UNNOTICED_MS_MAX) world.violate('shares-kept', missing!);
  };
}
