// Snapshots: all states of a member with their bodies, and the positions they stand for. Given to one that is cold or
// far behind; taken with verification of each operation, and only a whole one moves positions.

import { pipe } from 'it-pipe';
import { abortable, deadline, sleep } from '../../core/deadline.ts';
import { KithError } from '../../core/errors.ts';
import type { RegId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import type { LogPosition, OperationBody, Replica, SyncPeer } from '../replica.ts';
import {
  AUDIT_CHUNK,
  BODIES_PER_MESSAGE,
  PAGE_BYTES_MAX,
  POSITIONS_MAX,
  POSITIONS_PER_PAGE,
  SNAPSHOT_ITEM_TIMEOUT_MS,
  SNAPSHOT_KNOWN_SPARE,
  SNAPSHOT_READS,
} from './limits.ts';
import { lied } from './loop.ts';
import { decodeSnapshotItem, encodeSnapshotItem, encodeSnapshotRequest, type SnapshotItem } from './messages.ts';
import { bodyFromWire, bodyToWire, positionFromWire, positionToWire, wireBodyBytes } from './wire.ts';

/** The items of a snapshot, made as fast as they are taken. Positions are read before the first state. */
export async function* snapshotOf(
  replica: Replica,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, undefined> {
  const positions = replica.positions().slice(0, POSITIONS_MAX).map(positionToWire);
  for (let at = 0; at < positions.length; at += POSITIONS_PER_PAGE) {
    yield encodeSnapshotItem({ kind: 'positions', positions: positions.slice(at, at + POSITIONS_PER_PAGE) });
  }
  let page: ReturnType<typeof bodyToWire>[] = [];
  let bytes = 0;
  for await (const bodies of bodiesOfAll(replica)) {
    signal.throwIfAborted();
    for (const wire of bodies.map(bodyToWire)) {
      const more = wireBodyBytes(wire);
      if (bytes + more > PAGE_BYTES_MAX || page.length === BODIES_PER_MESSAGE) {
        yield encodeSnapshotItem({ kind: 'bodies', bodies: page });
        page = [];
        bytes = 0;
      }
      page.push(wire);
      bytes += more;
    }
  }
  if (page.length > 0) yield encodeSnapshotItem({ kind: 'bodies', bodies: page });
  yield encodeSnapshotItem({ kind: 'end' });
}

async function* bodiesOfAll(replica: Replica): AsyncGenerator<OperationBody[], void, undefined> {
  let regIds: RegId[] = [];
  const read = async () => (await Promise.all(regIds.map((regId) => replica.bodiesOf(regId)))).flat();
  for (const { regId } of replica.states()) {
    regIds.push(regId);
    if (regIds.length < SNAPSHOT_READS) continue;
    yield await read();
    regIds = [];
  }
  yield await read();
}

/** What a snapshot came to. `early`: an operation in it is signed above the height this node knows; ask again later. */
export type SnapshotOutcome =
  | { readonly kind: 'whole'; readonly taken: number }
  | { readonly kind: 'early'; readonly taken: number };

/**
 * Takes the snapshot of a peer. What was verified stays even if it ends early; positions are adopted at its end.
 * @param deps.arrived how many operations came otherwise since whenever.
 * @throws KithError `peer-lied`, `timeout`, those of the codec, of the connection, of the replica.
 */
export async function takeSnapshot(
  deps: { readonly clock: Clock; readonly replica: Replica; readonly arrived: () => number },
  peer: SyncPeer,
  { signal }: { signal: AbortSignal },
): Promise<SnapshotOutcome> {
  const { clock, replica } = deps;
  const held = await countStates(deps, signal);
  const arrivedBefore = deps.arrived();
  const positions: LogPosition[] = [];
  let taken = 0;
  let known = 0;
  let early = false;
  let ended = false;

  async function takeBodies(bodies: readonly OperationBody[]): Promise<void> {
    for (const outcome of await replica.takeBodies(bodies)) {
      if (outcome === 'taken') taken += 1;
      else if (outcome === 'known') known += 1;
      else if (outcome.reason === 'version-in-future') early = true;
      else if (outcome.reason !== 'version-too-old') throw lied(`a snapshot with a refused body: ${outcome.reason}`);
    }
    // An honest one names each operation once; an endless one can only repeat what this node has.
    const arrived = deps.arrived() - arrivedBefore;
    if (known > 2 * held + arrived + SNAPSHOT_KNOWN_SPARE) throw lied('a snapshot that repeats itself');
  }

  await pipe(
    onTime(clock, peer.openBulk(encodeSnapshotRequest(), { signal }), signal),
    decodeItems,
    async (items: AsyncIterable<SnapshotItem>) => {
      for await (const item of items) {
        if (ended) throw lied('more after the end of a snapshot');
        if (item.kind === 'end') ended = true;
        else if (item.kind === 'bodies') await takeBodies(item.bodies.map(bodyFromWire));
        else if (positions.length + item.positions.length > POSITIONS_MAX) throw lied('too many positions');
        else positions.push(...item.positions.map(positionFromWire));
      }
    },
  );
  if (!ended) throw new KithError('truncated', 'the snapshot ended before its last item');
  if (early) return { kind: 'early', taken };
  await replica.adopt(positions);
  return { kind: 'whole', taken };
}

async function* decodeItems(items: AsyncIterable<Uint8Array>): AsyncGenerator<SnapshotItem, void, undefined> {
  for await (const item of items) yield decodeSnapshotItem(item);
}

/** The items, each within its time: the peer's, not that of taking it. */
async function* onTime(
  clock: Clock,
  items: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      using limit = deadline(clock, SNAPSHOT_ITEM_TIMEOUT_MS, signal);
      const next = await abortable(iterator.next(), limit.signal);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not waited for: a generator that hangs in its next item does not return before it.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

async function countStates(deps: { clock: Clock; replica: Replica }, signal: AbortSignal): Promise<number> {
  let count = 0;
  for (const _ of deps.replica.states()) {
    count += 1;
    if (count % (8 * AUDIT_CHUNK) === 0) await sleep(deps.clock, 0, { signal });
  }
  return count;
}
