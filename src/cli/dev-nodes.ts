// How the nodes of `kith dev` are started: the words of each, from the places all of them know.

import { findFreePorts } from './dev-ports.ts';

export interface NodePlace {
  readonly name: string;
  /** The words of `kith node`, the same at each of its boots. */
  readonly words: readonly string[];
}

export interface NodePlacesOptions {
  readonly count: number;
  readonly clusterPath: string;
  readonly chainUrl: string;
  /** Where the node with this number, from 1, keeps its data. */
  readonly dataDirOf: (number: number) => string;
}

/** HTTP, admin, mesh. */
const PORTS_PER_NODE = 3;

const multiaddrOf = (port: number): string => `/ip4/127.0.0.1/tcp/${port}`;

/** Each keeps its ports for good and knows the others'; the first founds the roster. */
export async function nodePlaces({ count, ...of }: NodePlacesOptions): Promise<NodePlace[]> {
  const ports = await findFreePorts(PORTS_PER_NODE * count);
  const listening = ports.slice(2 * count);
  return Array.from({ length: count }, (_, i): NodePlace => {
    const number = i + 1;
    const others = listening.filter((port) => port !== listening[i]);
    const words = [
      ...['node', '--cluster', of.clusterPath, '--data-dir', of.dataDirOf(number), '--comet-rpc', of.chainUrl],
      ...['--http', `127.0.0.1:${ports[i]}`, '--admin', `127.0.0.1:${ports[count + i]}`],
      ...['--listen', multiaddrOf(listening[i]!)],
      ...['--quotes', 'simulated', '--simulated-platform', `operator-${number}/platform-${number}`],
      ...others.flatMap((port) => ['--bootstrap', multiaddrOf(port)]),
      ...(number === 1 && count > 1 ? ['--found'] : []),
    ];
    return { name: `node ${number}`, words };
  });
}
