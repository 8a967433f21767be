// Where members may be reached: configured addresses and those that members tell. Dials what is not connected, with
// growing pauses and chance in them; never itself; remembers a bounded number and forgets what leads nowhere.

import { deadline } from '../core/deadline.ts';
import { isKithError } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import type { Clock, Random, Timer } from '../core/ports.ts';

/** Two or three addresses each for more members than connections are allowed. */
export const ADDRESSES_MAX = 256;
/** Dials under way: a start with a long list of dead addresses still reaches the living one within seconds. */
const DIALS_MAX = 4;
const FIRST_PAUSE_MS = 1_000;
/** A member that comes back is found within a minute, whatever it did to be away. */
const LONGEST_PAUSE_MS = 60_000;
/** A learnt address that never answered in so many dials (some twenty minutes) is forgotten. */
const FAILURES_MAX = 24;
/** A learnt address that nobody has mentioned or answered at for a day is forgotten. */
const FORGET_MS = 86_400_000;
/** What a connected member calls its own is dialled so much later, once: its host may have named another's. */
const VERIFY_MS = 600_000;
const TICK_MS = 500;
/** A dial and everything up to the last word of the handshake. */
const ATTEMPT_MS = 45_000;

export interface DirectoryDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Connects and attests; who was found there. */
  dial(address: string, options: { signal: AbortSignal }): Promise<NodeId>;
  connected(nodeId: NodeId): boolean;
}

export interface Directory {
  start(): void;
  stop(): void;
  /** Hints where members may be; those of one's own are recognised when dialled. */
  learn(addresses: readonly string[]): void;
  /** What a connected member says of itself. */
  owns(nodeId: NodeId, addresses: readonly string[]): void;
  /** Addresses at which a member answered or which it named, for telling others. */
  known(): readonly string[];
  readonly size: number;
}

interface Entry {
  readonly address: string;
  readonly configured: boolean;
  failures: number;
  nextMs: number;
  mentionedMs: number;
  /** Who was found there by dialling. */
  nodeId: NodeId | undefined;
  /** Who says it is there, while connected and not found. */
  claimedBy: NodeId | undefined;
  dialling: boolean;
  own: boolean;
}

export function createDirectory(deps: DirectoryDeps, options: { bootstrap: readonly string[] }): Directory {
  const { clock, random } = deps;
  const entries = new Map<string, Entry>();
  const stopping = new AbortController();
  let timer: Timer | undefined;
  let dialling = 0;

  for (const address of options.bootstrap) add(address, true);

  function add(address: string, configured: boolean): Entry | undefined {
    const known = entries.get(address);
    if (known) return known;
    if (entries.size >= ADDRESSES_MAX && !configured && !makeRoom()) return undefined;
    const now = clock.monotonic();
    const entry: Entry = {
      address,
      configured,
      failures: 0,
      nextMs: now,
      mentionedMs: now,
      nodeId: undefined,
      claimedBy: undefined,
      dialling: false,
      own: false,
    };
    entries.set(address, entry);
    return entry;
  }

  /** The address with the most failures goes; one that answered is never given for one that is only said to. */
  function makeRoom(): boolean {
    let worst: Entry | undefined;
    for (const entry of entries.values()) {
      const spare = !entry.configured && !entry.dialling && entry.nodeId === undefined && !entry.own;
      if (spare && entry.failures > (worst?.failures ?? 0)) worst = entry;
    }
    return worst !== undefined && entries.delete(worst.address);
  }

  const isUp = (entry: Entry) => entry.nodeId !== undefined && deps.connected(entry.nodeId);

  function tick(): void {
    const now = clock.monotonic();
    for (const entry of [...entries.values()]) {
      if (entry.claimedBy !== undefined && !deps.connected(entry.claimedBy)) {
        entry.claimedBy = undefined;
        entry.nextMs = Math.min(entry.nextMs, now + pause(0));
      }
      if (isUp(entry)) {
        entry.mentionedMs = now;
        entry.failures = 0;
        // Chance, so that the members that lost one node do not all dial it in the same moment.
        entry.nextMs = now + pause(0);
      } else if (isStale(entry, now)) entries.delete(entry.address);
      else if (!entry.own && !entry.dialling && entry.nextMs <= now && dialling < DIALS_MAX) void attempt(entry);
    }
    timer = clock.schedule(TICK_MS, tick);
  }

  const isStale = (entry: Entry, now: number) =>
    !entry.configured &&
    !entry.dialling &&
    ((entry.failures >= FAILURES_MAX && entry.nodeId === undefined) || now - entry.mentionedMs > FORGET_MS);

  /** Between half and all of a pause that doubles with each failure. */
  function pause(failures: number): number {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 16));
    return Math.floor(longest * (0.5 + random.bytes(1)[0]! / 512));
  }

  async function attempt(entry: Entry): Promise<void> {
    entry.dialling = true;
    dialling++;
    using limit = deadline(clock, ATTEMPT_MS, stopping.signal);
    try {
      entry.nodeId = await deps.dial(entry.address, { signal: limit.signal });
      entry.failures = 0;
    } catch (error) {
      if (isKithError(error, 'dialled-self')) entry.own = true;
      entry.failures++;
    } finally {
      entry.dialling = false;
      dialling--;
      entry.nextMs = clock.monotonic() + pause(entry.failures);
    }
  }

  return {
    start() {
      timer ??= clock.schedule(0, tick);
    },
    stop() {
      timer?.cancel();
      stopping.abort();
    },
    learn(addresses) {
      for (const address of addresses) {
        const entry = add(address, false);
        if (entry) entry.mentionedMs = clock.monotonic();
      }
    },
    owns(nodeId, addresses) {
      for (const address of addresses) {
        const entry = add(address, false);
        if (!entry) continue;
        entry.mentionedMs = clock.monotonic();
        if (entry.configured || entry.nodeId !== undefined || entry.claimedBy !== undefined) continue;
        entry.claimedBy = nodeId;
        entry.nextMs = clock.monotonic() + VERIFY_MS;
      }
    },
    known: () =>
      [...entries.values()]
        .filter((entry) => isUp(entry) || entry.claimedBy !== undefined)
        .map(({ address }) => address),
    get size() {
      return entries.size;
    },
  };
}
