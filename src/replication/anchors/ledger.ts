// Which anchors count, which operations they name, and which of those are missing. Everything that changes goes to the
// store first, one change after another; no change depends on who brought an anchor, only on its certificate.

import { concatBytes, equalBytes, fromHex, toHex } from '../../core/bytes.ts';
import type { NodeId, OpId } from '../../core/ids.ts';
import { merkleRoot } from '../../core/merkle.ts';
import { fillsQuorum } from '../../core/quorum.ts';
import { LIFETIME_BLOCKS } from '../../core/registration/limits.ts';
import type { OperationRef } from '../log-entry.ts';
import {
  type Anchor,
  anchorHash,
  checkCertificate,
  decodeAnchor,
  encodeAnchor,
  epochOf,
  positionOf,
  tagsOf,
} from './anchor.ts';
import { type AnchorLedger, isNext, type Verdict } from './ledger-port.ts';
import {
  ANCHORS_KEPT,
  EPOCH_BLOCKS,
  INCLUSION_EPOCHS,
  KEY_EPOCHS_KEPT,
  ROSTER_HELD_BLOCKS,
  SEQ_LIMIT,
  SWEEP_RECORDS,
  TAGS_LARGE,
} from './limits.ts';
import { createLine, FIRST, placeOf } from './line.ts';
import { createLogKeyring, decodeLogKey, encodeLogKey, type LogKeyRecord } from './log-key.ts';
import { createPending } from './pending.ts';
import type { AnchorDeps, AnchorWrite } from './ports.ts';
import {
  type Anchored,
  type AnchorState,
  decodeState,
  decodeWanted,
  encodeState,
  encodeWanted,
  packAnchored,
  readRecordKey,
  recordKey,
  unpackAnchored,
  type WantedRecord,
} from './records.ts';
import { sortedIds, withoutPadding } from './tags.ts';
import { createWantedTags, type WantedAnchor } from './wanted.ts';

const NOTHING = new Uint8Array(0);

/** Signatures remembered as right: those of some anchors whose copies may follow. */
const VERIFIED_MAX = 1_024;

export function createAnchorLedger(deps: AnchorDeps): AnchorLedger {
  const { clusterId, store, replica, rosters } = deps;
  const keyring = createLogKeyring();
  const line = createLine();
  const wanted = createWantedTags();
  const pending = createPending({ clock: deps.clock, counts: (ref) => replica.counts(ref) });
  const verified = new Set<string>();
  const withIndex = new Set<number>();
  /** Anchors whose tags could not be told from padding: the key of their epoch was given up before they came. */
  const unread = new Set<number>();
  /** Named by anchors and not held when that was learnt: they are not pending when they come. */
  const expected = new Set<OpId>();
  let state: AnchorState = { cursor: 0 };
  let storedCursor = 0;
  let headFull = false;
  let sweptTo = 0;
  let busy: Promise<unknown> = Promise.resolve();

  /** One change after another, reads of what is being changed included. */
  function alone<T>(work: () => Promise<T>): Promise<T> {
    const result = busy.then(work, work);
    busy = result.catch(() => undefined);
    return result;
  }

  const put = (
    kind: Parameters<typeof recordKey>[0],
    position: number,
    value: Uint8Array | undefined,
  ): AnchorWrite => ({
    key: recordKey(kind, position),
    value,
  });

  async function indexAt(position: number): Promise<Anchored[]> {
    const packed = withIndex.has(position) ? await store.get(recordKey('index', position)) : undefined;
    return packed ? unpackAnchored(packed) : [];
  }

  async function load(): Promise<void> {
    for await (const [key, value] of store.entries()) {
      const { kind, position } = readRecordKey(key);
      if (kind === 'state') state = decodeState(value);
      else if (kind === 'key') setKey(decodeLogKey(value));
      else if (kind === 'wanted') setWanted(position, decodeWanted(value));
      else if (kind === 'unread') unread.add(position);
      else if (kind === 'anchor') {
        const anchor = decodeAnchor(value);
        line.insert(placeOf(anchor, anchorHash(clusterId, anchor)));
      } else {
        withIndex.add(position);
        for (const { opId } of unpackAnchored(value)) expected.add(opId);
      }
    }
    storedCursor = state.cursor;
    headFull = line.head !== undefined && (await indexAt(line.head.position)).length === TAGS_LARGE;
    const epoch = epochOf(state.cursor);
    for (const { regId, opIds } of replica.states()) {
      pending.add(
        opIds.filter((opId) => !expected.delete(opId)).map((opId) => ({ opId, regId })),
        epoch,
      );
    }
  }

  function setWanted(position: number, record: WantedRecord | undefined): void {
    if (record) wanted.set(position, record);
    else wanted.delete(position);
    record?.tagKey.fill(0);
  }

  function setKey(record: LogKeyRecord): void {
    keyring.set(record);
    record.key.fill(0);
  }

  async function takeKey(record: LogKeyRecord): Promise<void> {
    // What comes before its epoch cannot be read: there is nothing to look for.
    const cursor = Math.max(state.cursor, record.epoch * EPOCH_BLOCKS);
    const value = encodeLogKey(record);
    await store.commit([put('key', 0, value), put('state', 0, encodeState({ ...state, cursor }))]);
    value.fill(0);
    setKey(record);
    state = { ...state, cursor };
    storedCursor = cursor;
  }

  function certified(anchor: Anchor, hash: Uint8Array): 'valid' | Verdict {
    const roster = rosters.byHash(anchor.rosterHash);
    if (!roster) return 'unknown-roster';
    const { members, untilHeight } = roster;
    if (untilHeight !== undefined && untilHeight + ROSTER_HELD_BLOCKS < anchor.epoch * EPOCH_BLOCKS)
      return 'old-roster';
    const verdict = checkCertificate(anchor, hash, members, verified);
    if (verified.size > VERIFIED_MAX) verified.clear();
    return verdict;
  }

  /** Of what an anchor names: what is here, what is not, and whether both can be told at all. */
  async function read(anchor: Anchor) {
    const tagKey = () => keyring.tagKey(anchor.epoch);
    const key = tagKey()?.slice();
    if (!key) return undefined;
    const real = withoutPadding(key, anchor.seq, tagsOf(anchor));
    const known = await pending.byTag(anchor.epoch, tagKey);
    const here: Anchored[] = [];
    const missing: Uint8Array[] = [];
    for (const [name, tag] of real) {
      const ref = known.get(name);
      if (ref) here.push({ ...ref, tag });
      else missing.push(tag);
    }
    return { key, here, missing };
  }

  const rootOf = (refs: readonly OperationRef[]): Uint8Array => merkleRoot(sortedIds(refs.map(({ opId }) => opId)));

  function checkRoot(epoch: number, seq: number, root: Uint8Array, refs: readonly OperationRef[]): void {
    if (!equalBytes(rootOf(refs), root)) deps.report?.({ kind: 'wrong-root', epoch, seq });
  }

  /** Writes an anchor that counts, with what it names and whatever it puts in the place of. */
  async function accept(anchor: Anchor, hash: Uint8Array, abandoned: readonly number[], fromChain: boolean) {
    const { epoch, seq, root } = anchor;
    const place = placeOf(anchor, hash);
    const { position } = place;
    const freed: OperationRef[] = [];
    const writes: AnchorWrite[] = [];
    for (const gone of abandoned) {
      freed.push(...(await indexAt(gone)));
      writes.push(
        put('anchor', gone, undefined),
        put('index', gone, undefined),
        put('wanted', gone, undefined),
        put('unread', gone, undefined),
      );
    }
    pending.add(
      freed.filter((ref) => replica.counts(ref)),
      epoch,
    );
    const names = await read(anchor);
    const room = names ? wanted.hasRoom(names.missing.length) : false;
    const looked = names && room ? names.missing : [];
    writes.push(put('anchor', position, encodeAnchor(anchor)));
    if (names && names.here.length > 0) writes.push(put('index', position, packAnchored(names.here)));
    const record = names &&
      looked.length > 0 && { root, tagKey: names.key, tags: concatBytes(...looked), partial: false };
    if (record) writes.push(put('wanted', position, encodeWanted(record)));
    if (!names) writes.push(put('unread', position, NOTHING));
    const base = line.size === abandoned.length ? position : state.base;
    writes.push(put('state', 0, encodeState({ ...state, base })));
    await store.commit(lastOfEach(writes));

    state = { ...state, base };
    storedCursor = state.cursor;
    for (const gone of abandoned) {
      line.remove(gone);
      withIndex.delete(gone);
      wanted.delete(gone);
      unread.delete(gone);
      deps.report?.({ kind: 'abandoned', epoch: Math.floor(gone / SEQ_LIMIT), seq: gone % SEQ_LIMIT });
    }
    line.insert(place);
    if (names) {
      pending.remove(names.here.map(({ opId }) => opId));
      if (names.here.length > 0) withIndex.add(position);
      setWanted(position, record || undefined);
      if (!room) deps.report?.({ kind: 'given-up', tags: names.missing.length, why: 'full' });
      if (names.missing.length === 0) checkRoot(epoch, seq, root, names.here);
      names.key.fill(0);
    } else unread.add(position);
    const operations = names && names.here.length + names.missing.length;
    if (line.head === place) headFull = operations === TAGS_LARGE;
    const missing = names?.missing.length ?? 0;
    deps.report?.({ kind: 'accepted', epoch, seq, operations, missing, fromChain });
  }

  async function consider(anchor: Anchor, from: number | undefined): Promise<Verdict> {
    const position = positionOf(anchor);
    const hash = anchorHash(clusterId, anchor);
    if (line.at(position)?.hash === toHex(hash)) return 'known';
    if (from !== undefined) {
      const since = epochOf(from) - anchor.epoch;
      if (since < 0) return 'early';
      if (since >= INCLUSION_EPOCHS) return 'late';
    }
    const { head } = line;
    const passed = from !== undefined && anchor.epoch < (keyring.oldest ?? 0);
    if (head ? position <= head.position : passed) return 'late';
    const verdict = certified(anchor, hash);
    if (verdict !== 'valid') return verdict;
    const follows = head === undefined || toHex(anchor.previous) === head.hash;
    if (follows && head && !isNext(head.position, anchor)) return 'bad-position';
    // A quorum went on from another anchor than the head: what contradicts it did not last.
    const abandoned = follows ? [] : branchesOff(anchor, hash, position);
    await accept(anchor, hash, abandoned, from !== undefined);
    return 'accepted';
  }

  function branchesOff(anchor: Anchor, hash: Uint8Array, below: number): number[] {
    const place = placeOf(anchor, hash);
    const known = place.previous === FIRST || line.byHash(place.previous) !== undefined;
    return known ? line.contradicting(place, below) : [];
  }

  async function ancestor(anchor: Anchor): Promise<boolean> {
    const hash = anchorHash(clusterId, anchor);
    const missing = line.missing(state.base ?? 0);
    if (!missing || missing.hash !== toHex(hash) || positionOf(anchor) >= missing.below) return false;
    if (certified(anchor, hash) !== 'valid') return false;
    await accept(anchor, hash, line.contradicting(placeOf(anchor, hash), missing.below), false);
    return true;
  }

  /** Whether somebody may ask for an operation of an anchor, or one of them has not come here yet. */
  async function isNeeded(position: number): Promise<boolean> {
    for (const ref of await indexAt(position)) {
      if (replica.counts(ref)) return true;
      if (!expected.has(ref.opId)) continue;
      if (!(await replica.holds(ref))) return true;
      expected.delete(ref.opId);
    }
    return false;
  }

  /** Records of anchors and operations that nobody can need any more, a few at a time. */
  async function outdated(): Promise<AnchorWrite[]> {
    const writes: AnchorWrite[] = [];
    const oldest = epochOf(Math.max(0, state.cursor - LIFETIME_BLOCKS)) * SEQ_LIMIT;
    const all = [...withIndex].sort((a, b) => a - b);
    const due = all.filter((position) => position >= sweptTo).slice(0, SWEEP_RECORDS);
    sweptTo = due.length < SWEEP_RECORDS ? 0 : due.at(-1)! + 1;
    for (const position of new Set([...all.filter((place) => place < oldest), ...due])) {
      const needed = position >= oldest && (await isNeeded(position));
      // What is wanted beside it is checked against the whole of it.
      if (needed || (wanted.get(position) && position >= oldest)) continue;
      writes.push(put('index', position, undefined));
      withIndex.delete(position);
    }
    for (const { position, tags } of [...wanted.all()]) {
      if (position >= oldest) continue;
      writes.push(put('wanted', position, undefined));
      wanted.delete(position);
      deps.report?.({ kind: 'given-up', tags: tags.size, why: 'lifetime' });
    }
    if (line.size > ANCHORS_KEPT) {
      const spare = [...line.positions()].sort((a, b) => a - b).slice(0, line.size - ANCHORS_KEPT);
      for (const position of spare) {
        writes.push(put('anchor', position, undefined), put('unread', position, undefined));
        line.remove(position);
        unread.delete(position);
      }
      state = { ...state, base: Math.min(...line.positions()) };
    }
    return writes;
  }

  async function moveTo(cursor: number, { now = false } = {}): Promise<void> {
    if (cursor < state.cursor) return;
    const epoch = epochOf(cursor);
    state = { ...state, cursor };
    if (!now && epoch === epochOf(storedCursor)) return;
    pending.expire(epoch);
    const writes = await outdated();
    const key = keyring.recordFrom(epoch - KEY_EPOCHS_KEPT);
    if (key) writes.push(put('key', 0, encodeLogKey(key)));
    await store.commit([...writes, put('state', 0, encodeState(state))]);
    storedCursor = state.cursor;
    if (key) setKey(key);
  }

  /** Names found: to the record of the anchor, and out of the wanted tags. */
  async function found(anchor: WantedAnchor, matches: readonly { ref: OperationRef; tag: string }[]): Promise<void> {
    const { position, epoch, root, partial } = anchor;
    const entries = [...(await indexAt(position)), ...matches.map(({ ref, tag }) => ({ ...ref, tag: fromHex(tag) }))];
    const left = wanted.without(anchor, new Set(matches.map(({ tag }) => tag)), false);
    const record = left && encodeWanted(left);
    await store.commit([put('index', position, packAnchored(entries)), put('wanted', position, record)]);
    withIndex.add(position);
    pending.remove(matches.map(({ ref }) => ref.opId));
    if (!left && !partial) checkRoot(epoch, position % SEQ_LIMIT, root, entries);
    setWanted(position, left);
  }

  async function settle(position: number, refs: readonly OperationRef[]): Promise<number> {
    const anchor = wanted.get(position);
    const matches = anchor ? wanted.match(anchor, refs) : [];
    if (anchor && matches.length > 0) await found(anchor, matches);
    return matches.length;
  }

  async function heardGone(position: number, tags: readonly string[], from: NodeId): Promise<void> {
    const anchor = wanted.get(position);
    if (!anchor) return;
    const { members } = rosters.now();
    const known = tags.filter((tag) => anchor.tags.has(tag));
    const believed = known.filter((tag) => {
      const voices = anchor.gone.get(tag) ?? new Set<NodeId>();
      anchor.gone.set(tag, voices.add(from));
      // This node is one of the members and has nothing to say.
      return fillsQuorum(
        members.filter(({ nodeId }) => nodeId !== deps.nodeId),
        voices,
      );
    });
    if (believed.length === 0) return;
    const left = wanted.without(anchor, new Set(believed), true);
    await store.commit([put('wanted', position, left && encodeWanted(left))]);
    setWanted(position, left);
    deps.report?.({ kind: 'given-up', tags: believed.length, why: 'gone' });
  }

  async function takeIndex(position: number, entries: readonly Anchored[]): Promise<void> {
    if (withIndex.has(position) || wanted.get(position) || entries.length === 0) return;
    const encoded = await store.get(recordKey('anchor', position));
    if (encoded && !equalBytes(rootOf(entries), decodeAnchor(encoded).root)) return;
    await store.commit([put('index', position, packAnchored(entries))]);
    withIndex.add(position);
    for (const ref of entries) if (!replica.counts(ref)) expected.add(ref.opId);
    pending.remove(entries.map(({ opId }) => opId));
  }

  return {
    keyring,
    line,
    pending,
    wanted,
    get cursor() {
      return state.cursor;
    },
    get base() {
      return state.base ?? 0;
    },
    head() {
      const { head } = line;
      if (!head) return undefined;
      const epoch = Math.floor(head.position / SEQ_LIMIT);
      return { epoch, seq: head.position % SEQ_LIMIT, hash: fromHex(head.hash), full: headFull };
    },
    load,
    takeKey: (record) => alone(() => takeKey(record)),
    consider: (anchor, from) => alone(() => consider(anchor, from)),
    ancestor: (anchor) => alone(() => ancestor(anchor)),
    moveTo: (cursor, options) => alone(() => moveTo(cursor, options)),
    anchorAt: (position) => store.get(recordKey('anchor', position)),
    indexAt,
    taken(refs) {
      pending.add(
        refs.filter(({ opId }) => !expected.delete(opId)),
        epochOf(deps.height()),
      );
    },
    indexed: () => [...withIndex].sort((a, b) => a - b),
    takeIndex: (position, entries) => alone(() => takeIndex(position, entries)),
    settle: (position, refs) => alone(() => settle(position, refs)),
    heardGone: (position, tags, from) => alone(() => heardGone(position, tags, from)),
    isComplete: (position) => line.at(position) !== undefined && !wanted.get(position) && !unread.has(position),
    wipe() {
      keyring.wipe();
      for (const { position } of [...wanted.all()]) wanted.delete(position);
    },
  };
}

/** A place that is taken by another anchor is deleted and written at once: what is written counts. */
function lastOfEach(writes: readonly AnchorWrite[]): AnchorWrite[] {
  return [...new Map(writes.map((write) => [toHex(write.key), write])).values()];
}
