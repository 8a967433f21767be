// What a confirmation must be worth: as many different machines as a majority of the roster, each of which has it.

import { fromBase64Url } from '../../../../src/core/bytes.ts';
import { decodeReceipt, receiptBy } from '../../../../src/core/receipt.ts';
import type { OperationAnswer } from '../../../../src/node/service.ts';
import type { Host } from '../host.ts';
import type { Signed } from '../oracle.ts';
import { upHosts, type World } from '../world.ts';

/** The receipts of a confirmation, as the user got it from `host`, counted without the product's rules. */
export function checkReceipts(world: World, host: Host, signed: Signed, answer: OperationAnswer): void {
  const givers = answer.receipts.map((encoded) =>
    receiptBy(decodeReceipt(fromBase64Url(encoded)), signed.operation.clusterId, signed.opId as never),
  );
  const why = whyTooFew(world, host, givers);
  if (why) world.violate('quorum', `user ${signed.user} at ${host.name}: ${why}`);
  for (const giver of givers) {
    if (!giver) continue;
    signed.givers.add(giver);
    checkHeld(world, giver, signed);
  }
}

function whyTooFew(world: World, { machine }: Host, givers: readonly (string | undefined)[]): string | undefined {
  const members = new Map<string, string>(
    machine.node.service.node().roster.map(({ nodeId, operator }) => [nodeId, operator]),
  );
  const platforms = new Set<string>();
  for (const giver of givers) {
    if (giver === undefined) return 'a receipt proves nothing about the operation';
    const owner = members.get(giver);
    if (owner === undefined) return `a receipt is by ${giver}, who is no member`;
    // Each platform has an operator of its own here.
    if (platforms.has(owner)) return `two receipts are of one platform, ${owner}`;
    platforms.add(owner);
  }
  const needed = Math.max(Math.floor(members.size / 2) + 1, 2, world.sim.cluster.configuration.confirmations);
  return platforms.size < needed
    ? `confirmed by ${platforms.size} of ${members.size} platforms, ${needed} are needed`
    : undefined;
}

/** Who gave a receipt holds the operation, or what outranks it. */
function checkHeld(world: World, nodeId: string, signed: Signed): void {
  for (const { machine, name, tampered } of upHosts(world)) {
    const { running } = machine.node;
    if (tampered || !running || machine.node.service.node().nodeId !== nodeId) continue;
    const { base, renewal } = running.registrations.state(signed.operation.regId);
    const versions = [base, renewal].map((held) => held?.version ?? -1);
    if (Math.max(...versions) < signed.operation.version) {
      const { type, version } = signed.operation;
      const has = versions.join(' and ');
      world.violate(
        'receipts-honest',
        `${name} gave a receipt for a ${type} of version ${version} of user ${signed.user}, and has versions ${has}`,
      );
    }
  }
}
