// `kith leave --lost`: the operator of a member that never comes back takes it off the roster. The operator's key signs
// here; any member takes the statement and tells the others.

import { createFetchTransport, createNodeApi, type NodeApi } from '../client/index.ts';
import { fromBase64Url, toBase64Url, toHex } from '../core/bytes.ts';
import { isKithError, KithError } from '../core/errors.ts';
import { parseNodeId } from '../core/ids.ts';
import { list, shape, Type, text } from '../core/schema.ts';
import { systemClock } from '../core/system.ts';
import { signOperatorLeave } from '../replication/index.ts';
import { saySimulated } from './client-session.ts';
import { readCluster } from './cluster-file.ts';
import { readKey } from './cluster-keys.ts';
import type { CommandContext, Outcome } from './command.ts';
import { usageError } from './command.ts';

export interface LostOptions {
  readonly lost: string;
  readonly node: string;
  readonly key: string;
  readonly cluster: string;
}

/** Far above what full replication carries. */
const ROSTER_MEMBERS_MAX = 1_024;
const rosterShape = shape(
  Type.Object({
    genesisId: text(43, 43),
    members: list(
      Type.Object({ nodeId: text(43, 43), operator: text(128), standing: text(64), joinId: text(43, 43) }),
      ROSTER_MEMBERS_MAX,
    ),
  }),
);
const leftShape = shape(Type.Object({ nodeId: text(43, 43), left: Type.Literal(true) }));

export async function leaveLost(options: LostOptions, { terminal }: CommandContext): Promise<Outcome> {
  const { signal } = terminal;
  const nodeId = lostId(options.lost);
  const api = apiOf(options.node);
  const { id: clusterId, simulated } = await readCluster(options.cluster);
  if (simulated) saySimulated(terminal);
  const { name, secretKey } = await readKey(options.key, 'operator', clusterId);
  try {
    const { genesisId, members } = await api.get('/v1/roster', rosterShape, { signal });
    const member = members.find((one) => one.nodeId === nodeId);
    if (!member) throw new KithError('not-a-member', `node ${nodeId} is not on the roster of ${api.url}`);
    if (member.standing !== 'away') {
      const instead = 'stop it, or run `kith leave` on its machine';
      throw new KithError('still-connected', `node ${nodeId} lives, seen from ${api.url}: ${instead}`);
    }
    // What a node says decides nothing here: it would refuse the signature, or has no place of that operator.
    if (member.operator !== name) {
      throw new KithError('key-file', `node ${nodeId} is of another operator than ${name}, whose key this is`);
    }
    const place = {
      clusterId,
      genesisId: fromBase64Url(genesisId),
      nodeId,
      joinId: toHex(fromBase64Url(member.joinId)),
    };
    const statement = toBase64Url(signOperatorLeave(place, secretKey));
    await api.post('/v1/roster/leaves', { statement }, leftShape, { signal });
    return {
      json: { nodeId, left: true },
      text: `node ${nodeId} is off the roster of its cluster and does not come back under this id\n`,
    };
  } finally {
    secretKey.fill(0);
  }
}

function lostId(value: string) {
  try {
    return parseNodeId(value);
  } catch {
    throw usageError('--lost must be a node id, as `kith status` shows it');
  }
}

function apiOf(url: string): NodeApi {
  try {
    return createNodeApi({ transport: createFetchTransport(), clock: systemClock }, url);
  } catch (error) {
    if (isKithError(error, 'bad-url')) throw usageError(`--node: ${error.message}`, error.code);
    throw error;
  }
}
