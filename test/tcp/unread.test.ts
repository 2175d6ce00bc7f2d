// What came before the end of a connection is read before the end, however it came about.
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { TcpServer } from '../../src/tcp/server.ts';
import { connectSocket, TcpSocket } from '../../src/tcp/socket.ts';
import { LEFT, Machines, SERVICE, until } from '../host/machines.ts';
import { ACK, accepted, DATA, FIN, type Harness, RST } from './harness.ts';

/** A socket over the harness's connection, and what it emits, in order. */
function over(t: Harness): { socket: TcpSocket; seen: string[] } {
  const socket = new TcpSocket().attach(t.connection);
  t.connection.handler = socket;
  const seen: string[] = [];
  socket.on('error', (error) => seen.push((error as Error & { code: string }).code));
  for (const event of ['end', 'close']) socket.on(event, () => seen.push(event));
  return { socket, seen };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a reset comes after the bytes that came before it', async () => {
  const t = accepted();
  const { socket, seen } = over(t);
  t.arrive({ ...DATA, length: 50_000 }, { ...RST, seq: 50_000 });
  await turn();
  expect(t.connection.state).toBe('closed');
  expect(seen).toEqual([]);
  let heard = 0;
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.length;
  });
  await new Promise((resolve) => socket.once('close', resolve));
  expect(heard).toBe(50_000);
  expect(seen).toEqual(['ECONNRESET', 'close']);
});

test('bytes in both buffers, read in small pieces', async () => {
  const t = accepted({ tcp: { receiveInitial: 300_000 } });
  const { socket, seen } = over(t);
  for (let i = 0; i < 60; i++) t.arrive({ ...DATA, seq: 1_000 * i, length: 1_000 });
  socket.read(0);
  t.arrive({ ...RST, seq: 60_000 });
  let heard = 0;
  while (!socket.destroyed) {
    const chunk = socket.read(700) ?? socket.read();
    if (chunk !== null) heard += chunk.length;
    await turn();
    expect(heard).toBeLessThanOrEqual(60_000);
  }
  expect(heard).toBe(60_000);
  await turn();
  expect(seen).toEqual(['ECONNRESET', 'close']);
});

test('a reset without anything before it comes at once', async () => {
  const t = accepted();
  const { seen } = over(t);
  t.arrive({ ...RST, seq: 0 });
  await turn();
  expect(seen).toEqual(['ECONNRESET', 'close']);
});

test('a writer hears of the reset though nobody reads', async () => {
  const t = accepted();
  const { socket, seen } = over(t);
  t.arrive({ ...DATA, length: 10 }, { ...RST, seq: 10 });
  socket.write('more');
  await turn();
  expect(seen).toEqual(['EPIPE', 'close']);
});

test('what waits when TIME-WAIT begins is read, and then the end', async () => {
  const t = accepted();
  const { socket, seen } = over(t);
  socket.end();
  await turn();
  t.arrive({ ...FIN, seq: 0, ack: 1, length: 40_000 });
  expect(t.connection.state).toBe('time-wait');
  let heard = 0;
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.length;
  });
  await once(socket, 'close');
  expect(heard).toBe(40_000);
  expect(seen).toEqual(['end', 'close']);
});

test('what waits when LAST-ACK ends is read, and then the end', async () => {
  const t = accepted();
  const { socket, seen } = over(t);
  t.arrive({ ...FIN, seq: 0, ack: 0, length: 40_000 });
  t.connection.end();
  t.arrive({ ...ACK, seq: 40_001, ack: 1 });
  expect(t.connection.state).toBe('closed');
  let heard = 0;
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.length;
  });
  await once(socket, 'close');
  expect(heard).toBe(40_000);
  expect(seen).toEqual(['end', 'close']);
});

test('options, families and TCP_INFO of a socket', async () => {
  await using machines = new Machines();
  const server = new TcpServer(machines.right.tcp, { settings: { noDelay: true } }).listen(SERVICE);
  const client = connectSocket(machines.left.tcp, {
    local: LEFT,
    remote: SERVICE,
    settings: { keepAlive: true, keepAliveIdle: 9_000, linger: 0 },
  });
  const [socket] = (await once(server, 'connection')) as [TcpSocket];
  if (client.connecting) await once(client, 'connect');
  expect(socket.connection?.snd.noDelay).toBe(true);
  expect(socket.info()).toMatchObject({ state: 'established' });
  expect(client.remoteFamily).toBe('IPv4');
  expect(client.address()).toMatchObject({ address: '10.0.0.1', family: 'IPv4' });
  expect(client.connection?.keepalive.idle).toBe(9_000_000);
  expect(client.setCork(true).connection?.snd.corked).toBe(true);
  const failed = once(socket, 'error');
  client.destroy();
  expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' });
  await until(() => machines.left.tcp.connectionCount === 0);
});
