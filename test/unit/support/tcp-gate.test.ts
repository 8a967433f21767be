import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import process from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { socketOwner } from '../../support/socket-owner.ts';
import { startTcpGate, type TcpGate } from '../../support/tcp-gate.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A gate before a server that sends back what it gets. */
async function gateToEcho(whoIs?: (port: number) => string | undefined): Promise<TcpGate> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const gate = await startTcpGate((server.address() as AddressInfo).port, whoIs ? { whoIs } : {});
  open.push(() => gate.stop());
  return gate;
}

async function dial(gate: TcpGate): Promise<Socket> {
  const socket = connect(gate.port, '127.0.0.1');
  open.push(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Resolves once it is gone, however that came. */
async function gone(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise<void>((resolve) => socket.once('close', () => resolve()));
}

async function echo(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [piece] = (await once(socket, 'data')) as [Buffer];
  return String(piece);
}

describe('a gate', () => {
  it('carries both ways, also slowed', async () => {
    const gate = await gateToEcho();
    const socket = await dial(gate);
    expect(await echo(socket, 'first')).toBe('first');
    gate.delay(20);
    expect(await echo(socket, 'second')).toBe('second');
  });

  it('cut ends what is open and what is dialled, and healed carries again', async () => {
    const gate = await gateToEcho();
    const before = await dial(gate);
    await echo(before, 'up');
    gate.cut();
    await gone(before);
    const meanwhile = await dial(gate);
    await gone(meanwhile);
    gate.heal();
    expect(await echo(await dial(gate), 'again')).toBe('again');
  });

  it('cut silently swallows, and a connection that lost something is ended by healing', async () => {
    const gate = await gateToEcho();
    const socket = await dial(gate);
    await echo(socket, 'up');
    gate.cut('silent');
    let heard = '';
    socket.on('data', (piece: Buffer) => {
      heard += String(piece);
    });
    socket.write('lost');
    const during = await dial(gate);
    during.write('lost as well');
    gate.heal();
    await Promise.all([gone(socket), gone(during)]);
    expect(heard).toBe('');
  });

  it('cuts one of those who dial and leaves the others', async () => {
    const names = ['a', 'b'];
    const gate = await gateToEcho(() => names.shift());
    const [a, b] = [await dial(gate), await dial(gate)];
    expect([await echo(a, '1'), await echo(b, '2')]).toEqual(['1', '2']);
    gate.cut('closed', 'a');
    await gone(a);
    expect(await echo(b, '3')).toBe('3');
  });
});

describe('the owner of a socket', () => {
  it('is found among the processes asked for', async () => {
    const gate = await gateToEcho();
    const { localPort } = await dial(gate);
    expect(socketOwner(localPort!, [process.pid])).toBe(process.pid);
    expect(socketOwner(localPort!, [])).toBeUndefined();
    expect(socketOwner(1, [process.pid])).toBeUndefined();
  });
});
