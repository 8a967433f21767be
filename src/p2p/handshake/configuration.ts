// When two nodes of one cluster hold different versions of its configuration: the newer side sends the signed
// successors one by one, the older side checks each before it reads the next, and adopts the last.

import { type Cluster, configurationProposalShape, succeed, versionWithHash } from '../../attestation/index.ts';
import { equalBytes, fromUtf8, utf8 } from '../../core/bytes.ts';
import { isKithError, KithError, messageOf } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import type { FrameReader, FrameWriter } from '../frames.ts';
import { CONFIGURATIONS_MAX, type Hello, readMessage, sendMessage } from './messages.ts';
import type { HandshakeCode, HandshakeDeps } from './ports.ts';

const fail = (code: HandshakeCode, message: string): never => {
  throw new KithError<HandshakeCode>(code, message);
};

/**
 * Brings both sides to one configuration.
 * @returns the cluster in force on both.
 * @throws KithError with a HandshakeCode.
 */
export async function agreeOnConfiguration(
  deps: Pick<HandshakeDeps, 'cluster' | 'adopt'>,
  own: Cluster,
  theirs: Hello,
  wire: { reader: FrameReader; writer: FrameWriter },
): Promise<Cluster> {
  if (equalBytes(own.hash, theirs.configurationHash)) return own;
  const version = own.configuration.version;
  if (theirs.configurationVersion > version) return follow(deps, own, theirs, wire.reader);
  const known = versionWithHash(own, theirs.configurationHash);
  if (known === undefined || known !== theirs.configurationVersion) {
    fail(
      'configuration-fork',
      `version ${theirs.configurationVersion} of the peer is none that led to version ${version}`,
    );
  }
  await sendSuccessors(own, theirs.configurationVersion, wire.writer);
  return own;
}

async function sendSuccessors(own: Cluster, known: number, writer: FrameWriter): Promise<void> {
  const successors = own.versions.slice(known, known + CONFIGURATIONS_MAX);
  for (const { configuration, signatures } of successors) {
    const last = configuration.version === successors.at(-1)!.configuration.version;
    await sendMessage(writer, {
      kind: 'configuration',
      proposal: utf8(JSON.stringify({ configuration, signatures })),
      last,
    });
  }
  if (known + CONFIGURATIONS_MAX < own.versions.length) {
    fail('configuration-behind', `the peer is more than ${CONFIGURATIONS_MAX} versions behind; it should dial again`);
  }
}

async function follow(
  deps: Pick<HandshakeDeps, 'cluster' | 'adopt'>,
  own: Cluster,
  theirs: Hello,
  reader: FrameReader,
): Promise<Cluster> {
  let cluster = own;
  for (let count = 0; ; count++) {
    const message = await readMessage(reader, 'configuration');
    if (!message) return fail('configuration-refused', 'the peer sent no configuration after all');
    if (count === CONFIGURATIONS_MAX) fail('configuration-refused', `more than ${CONFIGURATIONS_MAX} versions at once`);
    cluster = successorOf(cluster, message.proposal);
    if (message.last) break;
  }
  try {
    await deps.adopt(cluster);
  } catch (error) {
    fail('configuration-refused', `the successor was not adopted: ${messageOf(error)}`);
  }
  if (equalBytes(cluster.hash, theirs.configurationHash)) return cluster;
  if (cluster.configuration.version < theirs.configurationVersion) {
    fail('configuration-behind', `version ${cluster.configuration.version} is in force now; dial again for the next`);
  }
  return fail('configuration-refused', 'what the peer sent does not lead to the version it named');
}

function successorOf(cluster: Cluster, proposal: Uint8Array): Cluster {
  try {
    const value = configurationProposalShape.parse(parseJson(fromUtf8(proposal), 'successor'), 'successor');
    return succeed(cluster, value.configuration, value.signatures);
  } catch (error) {
    if (isKithError(error)) return fail('configuration-refused', error.message);
    throw error;
  }
}
