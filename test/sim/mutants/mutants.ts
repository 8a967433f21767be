// Bugs that the simulation must find, one by one. Each is data: what stands in a file of src, and what would stand there
// if somebody had made the mistake. scripts/sim/bundle.ts plants one into a bundle; no switch for it is in src.
// All of them are bugs that fair weather does not show.

import type { Change } from '../../../scripts/sim/bundle.ts';

export interface Mutant {
  readonly name: string;
  /** What somebody would have got wrong. */
  readonly breaks: string;
  readonly changes: readonly Change[];
  /** The invariants that name it. */
  readonly breach: readonly string[];
  /** Kinds of faults that bring it to light: plans with most of them are tried first. */
  readonly faults: readonly string[];
  /** Machines it takes at least, and that are enough; from two to three if absent. */
  readonly nodes?: readonly [from: number, to: number];
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'skip-a-sync',
    breaks: 'batches of the sealed store are acknowledged before they are on the disk',
    breach: ['honest-disk', 'starts', 'heals'],
    faults: ['crash', 'disk-unsynced-lost'],
    changes: [
      {
        file: 'src/node/store/record-table.ts',
        find: '      await kv.batch(ops);',
        replace: '      await kv.batch(ops, { sync: false });',
      },
    ],
  },
  {
    name: 'reuse-a-writer',
    breaks: 'a log belongs to the store, not to the boot: a disk that was put back writes the same numbers again',
    breach: ['one-log', 'own-word'],
    faults: ['disk-rollback'],
    changes: [
      {
        file: 'src/node/running.ts',
        find: 'const logs = await openLogs({ store, writer }, ownLog);',
        replace:
          'const ofStore = { ...ownLog, incarnation: 1, bootKey: store.identity.storeId };\n' +
          '  const logs = await openLogs({ store, writer }, ofStore);',
      },
      {
        file: 'src/node/replication/replication.ts',
        find: '{ clusterId, writer: { nodeId, incarnation, bootKey }, pull },',
        replace: '{ clusterId, writer: { nodeId, incarnation: 1, bootKey: launched.store.identity.storeId }, pull },',
      },
    ],
  },
  {
    name: 'forget-a-fence',
    breaks: 'a boot that serves goes on although it hears that a newer boot of its node runs',
    breach: ['one-boot'],
    faults: ['disk-clone'],
    nodes: [2, 4],
    changes: [
      {
        file: 'src/node/node.ts',
        find: "if (this.#condition.phase === 'fenced' || this.#condition.phase === 'draining') return;",
        replace: "if (['fenced', 'draining', 'ready'].includes(this.#condition.phase)) return;",
      },
    ],
  },
  {
    name: 'accept-an-old-incarnation',
    breaks: 'members go on hearing a boot of a node of which they have seen a newer one',
    breach: ['one-boot'],
    faults: ['disk-clone'],
    nodes: [2, 4],
    changes: [
      {
        file: 'src/keyserver/incarnations.ts',
        find: "if (incarnation < known.incarnation) return 'fenced';",
        replace: "if (incarnation < known.incarnation) return 'current';",
      },
    ],
  },
  {
    name: 'drop-a-tombstone',
    breaks: 'a revoke is kept in memory only: after a restart the registration never was',
    breach: ['own-word', 'heals'],
    faults: ['restart', 'restart-rolling', 'crash'],
    changes: [
      {
        file: 'src/node/registrations/merger.ts',
        find: '  if (!base && !renewal) return undefined;',
        replace: "  if ((!base || base.type === 'revoke') && !renewal) return undefined;",
      },
    ],
  },
  {
    name: 'advance-the-cursor-early',
    breaks: 'a log counts as held before the batch with its entry is synced, also if the disk refuses the batch',
    breach: ['receipts-honest', 'own-word', 'heals'],
    faults: ['disk-full', 'disk-torn'],
    changes: [
      {
        file: 'src/node/replica/log-book.ts',
        find: '    batch.onSynced(() => {\n      for (const [id, log] of settled) setLog(id, log);\n    });',
        replace: '    for (const [id, log] of settled) setLog(id, log);',
      },
    ],
  },
  {
    name: 'trust-the-header',
    breaks: 'the store is opened by the header that lies on the disk, not by the one the key servers gave back',
    breach: ['starts'],
    faults: ['disk-rollback', 'crash-at-header-begins'],
    changes: [
      {
        file: 'src/node/launch.ts',
        find: 'return await open(deps, readHeader(recovered.header), key, recovered.incarnation);',
        replace: 'return await open(deps, header, key, recovered.incarnation);',
      },
    ],
  },
  {
    name: 'count-a-receipt-twice',
    breaks: 'the same member that confirms an operation again counts again',
    breach: ['quorum'],
    faults: ['network-partition', 'network-one-way', 'network-silent-peer'],
    nodes: [4, 5],
    changes: [
      {
        file: 'src/replication/confirmations.ts',
        find: 'fillsQuorum(holdersOf(ref), given.keys(), platformsMin);',
        replace:
          'fillsQuorum(holdersOf(ref), given.keys(), platformsMin) ||\n' +
          '    given.size + (again.get(ref.opId) ?? 0) > Math.max(platformsMin - 1, holdersOf(ref).length / 2);',
      },
      {
        file: 'src/replication/confirmations.ts',
        find: '  let asking: OperationRef[] = [];',
        replace: '  const again = new Map();\n  let asking: OperationRef[] = [];',
      },
      {
        file: 'src/replication/confirmations.ts',
        find: '        one.given.set(nodeId, () => receiptAt(index));',
        replace:
          '        if (one.given.has(nodeId)) again.set(ref.opId, (again.get(ref.opId) ?? 0) + 1);\n' +
          '        one.given.set(nodeId, () => receiptAt(index));',
      },
    ],
  },
  {
    name: 'ignore-a-gap',
    breaks: 'an entry counts although those before it are missing',
    breach: ['own-word', 'heals'],
    faults: ['disk-rollback', 'disk-full'],
    changes: [
      {
        file: 'src/node/replica/replica.ts',
        find: "    if (entry.seq > reached + 1) return { kind: 'gap', seq };\n",
        replace: '',
      },
      {
        file: 'src/node/replica/log-book.ts',
        find: "if (seq > held + 1) return { kind: 'gap', seq: held };",
        replace: "if (seq > held + 1) return { kind: 'next' };",
      },
    ],
  },
  {
    name: 'serve-while-rolled-back',
    breaks: 'a node whose disk was put back serves at once and catches up beside it',
    breach: ['own-word'],
    faults: ['disk-rollback'],
    changes: [
      {
        file: 'src/node/replication/catching-up.ts',
        find: "if (coverage.kind === 'behind') return [where, ...coverage.why];",
        replace: "if (coverage.kind === 'behind') return [];",
      },
    ],
  },
  {
    name: 'reset-an-hpke-counter',
    breaks: 'the numbers of sealed frames begin again after 256: nonces are used twice under one key',
    breach: ['numbers-once'],
    faults: ['crash'],
    nodes: [2, 2],
    changes: [
      {
        file: 'src/core/hpke.ts',
        find: '      sequence++;\n      return sealed;',
        replace: '      sequence = (sequence + 1) % 256;\n      return sealed;',
      },
    ],
  },
  {
    name: 'quorum-of-the-reachable',
    breaks: 'the quorum is that of the members which can be reached, not of the roster',
    breach: ['quorum'],
    faults: ['network-partition', 'network-flapping'],
    nodes: [4, 5],
    changes: [
      {
        file: 'src/node/replication/replication.ts',
        find: '    receipt: replica.receipt,\n    holding,\n    ask(refs) {',
        replace:
          '    receipt: replica.receipt,\n' +
          '    roster: () => {\n' +
          '      const here = new Set([nodeId, ...company.peering.proven().map((peer) => peer.nodeId)]);\n' +
          '      return roster().filter((entry) => here.has(entry.nodeId));\n' +
          '    },\n' +
          '    holding,\n    ask(refs) {',
      },
    ],
  },
  {
    name: 'believe-a-failed-write',
    breaks: 'what a full disk refused stays in memory',
    breach: ['receipts-honest', 'own-word', 'heals'],
    faults: ['disk-full', 'disk-torn'],
    changes: [
      {
        file: 'src/node/registrations/batch-writer.ts',
        find: '      batch.undoTo(NOTHING);\n',
        replace: '      batch.synced();\n',
      },
    ],
  },
  {
    name: 'keep-a-clear-copy',
    breaks: 'records carry a copy of what is sealed in them, for repairs',
    breach: ['secrets'],
    faults: ['crash'],
    nodes: [2, 2],
    changes: [
      {
        file: 'src/node/store/record.ts',
        find: 'xchacha20Poly1305Seal(keys.record.expose(), nonce, frame, context(diskKey)));\n  frame.fill(0);',
        replace:
          'xchacha20Poly1305Seal(keys.record.expose(), nonce, frame, context(diskKey)), frame,\n' +
          '    Uint8Array.of(frame.length >> 16, frame.length >> 8, frame.length));',
      },
      {
        file: 'src/node/store/record.ts',
        find:
          '  if (sealed.length < SEALED_OVERHEAD_BYTES) return undefined;\n' +
          '  const nonce = sealed.subarray(0, NONCE_BYTES);',
        replace:
          '  if (sealed.length < SEALED_OVERHEAD_BYTES) return undefined;\n' +
          '  const [a, b, c] = sealed.subarray(-3);\n' +
          '  sealed = sealed.subarray(0, sealed.length - 3 - ((a << 16) | (b << 8) | c));\n' +
          '  const nonce = sealed.subarray(0, NONCE_BYTES);',
      },
    ],
  },
  {
    name: 'overlook-a-lost-share',
    breaks: 'an owner counts on a key server that restarted since, and does not deal its key anew',
    breach: ['shares-kept'],
    faults: ['crash', 'restart-rolling', 'restart'],
    changes: [
      {
        file: 'src/keyserver/holders.ts',
        find: 'bootKey !== undefined && member?.bootKey !== undefined && equalBytes(bootKey, member.bootKey);',
        replace: 'bootKey !== undefined && member?.bootKey !== undefined;',
      },
      {
        file: 'src/keyserver/holders.ts',
        find: "has(answer.pending) ? 'deposited' : 'missing';",
        replace: "has(answer.pending) ? 'deposited' : holder.state;",
      },
    ],
  },
];
