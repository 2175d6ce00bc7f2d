// Streams over our own stack, with Node's own users on top: http, tls, pipeline.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import tls from 'node:tls';
import { type buildConnector, Client } from 'undici';
import { expect, test } from 'vitest';
import { TcpServer } from '../../src/tcp/server.ts';
import { connectSocket, type TcpSocket, type TcpSocketOptions } from '../../src/tcp/socket.ts';
import { LEFT, Machines, SERVICE, until } from '../host/machines.ts';

const dial = (machines: Machines, options: TcpSocketOptions = {}): TcpSocket =>
  connectSocket(machines.left.tcp, { local: LEFT, remote: SERVICE, ...options });

/** A server, and the client and server ends of a connection to it. */
async function pair(machines: Machines, options: TcpSocketOptions = {}) {
  const server = new TcpServer(machines.right.tcp, options).listen(SERVICE);
  const client = dial(machines, options);
  const [accepted] = (await once(server, 'connection')) as [TcpSocket];
  if (client.connecting) await once(client, 'connect');
  return { server, client, accepted };
}

test('a connection has the addresses and states of net.Socket', async () => {
  await using machines = new Machines();
  const server = new TcpServer(machines.right.tcp).listen(SERVICE);
  expect(server.address()).toEqual({ address: '10.0.0.2', port: 80, family: 'IPv4' });
  const client = dial(machines);
  expect(client.connecting).toBe(true);
  expect(client.readyState).toBe('opening');
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  expect(client.readyState).toBe('open');
  expect(client.remoteAddress).toBe('10.0.0.2');
  expect(client.remotePort).toBe(80);
  expect(accepted.remoteAddress).toBe('10.0.0.1');
  expect(accepted.remotePort).toBe(client.localPort);
  client.end();
  expect(client.readyState).toBe('readOnly');
  accepted.resume();
  await Promise.all([once(client.resume(), 'close'), once(accepted, 'close')]);
  expect(client.readyState).toBe('closed');
});

test.each([
  ['trains', true],
  ['single segments', false],
])('megabytes come through in both directions, in %s', async (_, offload) => {
  await using machines = new Machines({ offload });
  const { client, accepted } = await pair(machines);
  const bytes = randomBytes(offload ? 8_000_000 : 1_000_000);
  const echo = pipeline(accepted, accepted);
  const heard: Buffer[] = [];
  client.on('data', (chunk) => heard.push(chunk));
  client.end(bytes);
  await once(client, 'end');
  await echo;
  expect(Buffer.concat(heard).equals(bytes)).toBe(true);
  expect(client.bytesWritten).toBe(bytes.length);
  expect(client.bytesRead).toBe(bytes.length);
});

test('a writer has to wait for a reader that does not read', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  let accepts = true;
  let written = 0;
  const chunk = Buffer.alloc(100_000, 'x');
  while (accepts) {
    accepts = client.write(chunk);
    written += chunk.length;
    await new Promise(setImmediate);
    expect(written).toBeLessThan(20_000_000);
  }
  const { connection } = client;
  await until(() => connection?.snd.wnd === 0);
  expect(connection?.sendBuffer.length).toBeLessThan(2_000_000);
  client.end();
  expect((await text(accepted)).length).toBe(written);
});

test('a chunk may be used again as soon as it was written', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  const chunk = Buffer.alloc(50_000, 'a');
  await new Promise((resolve) => client.write(chunk, resolve));
  chunk.fill('b');
  client.end();
  expect(await text(accepted)).toBe('a'.repeat(50_000));
});

test('the other side stays open with allowHalfOpen', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines, { allowHalfOpen: true });
  client.end('question');
  // A loop over a stream destroys it at its end.
  let heard = '';
  accepted.on('data', (chunk) => {
    heard += chunk;
  });
  await once(accepted, 'end');
  expect(heard).toBe('question');
  expect(accepted.writable).toBe(true);
  accepted.end('answer');
  expect(await text(client)).toBe('answer');
});

test('without it an end is answered by an end', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  accepted.resume();
  client.resume().end();
  await Promise.all([once(client, 'close'), once(accepted, 'close')]);
  expect(accepted.writableFinished).toBe(true);
  await until(() => machines.right.tcp.connectionCount === 0);
});

test('a refused connection is an error with its code', async () => {
  await using machines = new Machines();
  const client = dial(machines);
  const [error] = await once(client, 'error');
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  expect(client.destroyed).toBe(true);
});

test('destroy while connecting leaves nothing behind', async () => {
  await using machines = new Machines();
  const client = dial(machines);
  client.write('never');
  client.destroy();
  await once(client, 'close');
  expect(machines.left.tcp.connectionCount).toBe(0);
});

test('destroy of an idle connection is an orderly close', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  accepted.resume();
  client.destroy();
  await once(accepted, 'close');
  expect(accepted.errored).toBeNull();
  expect(accepted.readableEnded).toBe(true);
});

test('destroy with unread bytes resets', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  accepted.write('unread');
  await once(client, 'readable');
  client.destroy();
  const [error] = await once(accepted, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
});

test('destroy in the middle of a stream resets what still comes', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  const more = () => {
    while (accepted.write(Buffer.alloc(10_000)));
  };
  accepted.on('drain', more);
  more();
  await once(client, 'data');
  client.destroy();
  const [error] = await once(accepted, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
});

test('what was written before destroySoon arrives, and the end after it', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  accepted.write(Buffer.alloc(500_000, 'y'));
  accepted.destroySoon();
  const heard = await text(client);
  expect(heard).toHaveLength(500_000);
});

test('resetAndDestroy resets', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  client.resetAndDestroy();
  const [error] = await once(accepted, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
});

test('a write after a reset fails', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  accepted.resetAndDestroy();
  const [error] = await once(client, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
  const failed = await new Promise((resolve) => client.write('x', resolve));
  expect(failed).toBeInstanceOf(Error);
});

test('silence is a timeout event, traffic puts it off, zero switches it off', async () => {
  await using machines = new Machines();
  const { client, accepted } = await pair(machines);
  let fired = 0;
  client.setTimeout(20, () => fired++);
  await once(client, 'timeout');
  expect(client.destroyed).toBe(false);
  accepted.write('x');
  await once(client.resume(), 'timeout');
  expect(fired).toBe(1);
  client.setTimeout(0);
  expect(machines.left.timers.armed).toBeLessThanOrEqual(1);
});

test('setNoDelay and setKeepAlive reach the connection', async () => {
  await using machines = new Machines();
  const { client } = await pair(machines);
  client.setNoDelay().setKeepAlive(true, 5_000);
  expect(client.connection?.snd.noDelay).toBe(true);
  expect(client.connection?.keepalive).toMatchObject({ idle: 5_000_000, interval: 1_000_000 });
  client.setKeepAlive(false);
  expect(client.connection?.keepalive.at).toBe(Number.POSITIVE_INFINITY);
});

test('await using closes', async () => {
  await using machines = new Machines();
  {
    await using server = new TcpServer(machines.right.tcp).listen(SERVICE);
    const heard: Promise<string>[] = [];
    server.on('connection', (socket) => heard.push(text(socket)));
    {
      await using client = dial(machines);
      await once(client, 'connect');
      client.write('bye');
      await until(() => heard.length > 0);
    }
    expect(await heard[0]).toBe('bye');
    await using _open = dial(machines);
    await until(() => heard.length > 1);
    heard[1].catch(() => {});
  }
  expect(() => new TcpServer(machines.right.tcp).listen(SERVICE)).not.toThrow();
});

test('a closed server refuses, and its connections go on', async () => {
  await using machines = new Machines();
  const { server, client, accepted } = await pair(machines);
  let closed = false;
  server.close(() => {
    closed = true;
  });
  expect(server.listening).toBe(false);
  const [error] = await once(dial(machines), 'error');
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  accepted.write('still here');
  expect(String((await once(client, 'data'))[0])).toBe('still here');
  expect(closed).toBe(false);
  accepted.resume();
  client.end();
  await once(server, 'close');
  expect(closed).toBe(true);
});

test('node:http serves and fetches over these sockets', async () => {
  await using machines = new Machines();
  const web = http.createServer(async (request, response) => {
    const body = await text(request);
    response.setHeader('x-path', request.url ?? '');
    response.end(body.toUpperCase());
  });
  const server = new TcpServer(machines.right.tcp).listen(SERVICE);
  server.on('connection', (socket) => web.emit('connection', socket));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
  let dialed = 0;
  Object.assign(agent, {
    createConnection: () => {
      dialed++;
      return dial(machines);
    },
  });
  const fetchText = (path: string, body: string) =>
    new Promise<string>((resolve, reject) => {
      const request = http.request({ agent, path, method: 'POST', host: 'x' }, (response) => {
        expect(response.headers['x-path']).toBe(path);
        resolve(text(response));
      });
      request.on('error', reject);
      request.end(body);
    });
  const big = 'abc'.repeat(200_000);
  expect(await fetchText('/first', 'hello')).toBe('HELLO');
  expect(await fetchText('/big', big)).toBe(big.toUpperCase());
  const many = Array.from({ length: 50 }, (_, i) => fetchText(`/${i}`, `body ${i}`));
  expect(await Promise.all(many)).toEqual(many.map((_, i) => `BODY ${i}`));
  expect(dialed).toBeLessThanOrEqual(3);
  agent.destroy();
  web.closeAllConnections();
});

test('undici fetches over these sockets', async () => {
  await using machines = new Machines();
  const web = http.createServer((request, response) =>
    response.end(`you asked for ${request.url}`),
  );
  const server = new TcpServer(machines.right.tcp).listen(SERVICE);
  server.on('connection', (socket) => web.emit('connection', socket));
  const connect: buildConnector.connector = (_, done) => {
    const socket = dial(machines);
    socket.once('connect', () => done(null, socket as unknown as Socket));
    socket.once('error', (error) => done(error, null));
  };
  const client = new Client('http://10.0.0.2', { connect });
  for (const path of ['/one', '/two']) {
    const { statusCode, body } = await client.request({ path, method: 'GET' });
    expect(statusCode).toBe(200);
    expect(await body.text()).toBe(`you asked for ${path}`);
  }
  await client.close();
  web.closeAllConnections();
});

test('an http response without keep-alive ends the connection in order', async () => {
  await using machines = new Machines();
  const web = http.createServer((_, response) => {
    response.setHeader('connection', 'close');
    response.end('x'.repeat(300_000));
  });
  const server = new TcpServer(machines.right.tcp).listen(SERVICE);
  server.on('connection', (socket) => web.emit('connection', socket));
  const socket = dial(machines);
  socket.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const heard = await text(socket);
  expect(heard).toMatch(/^HTTP\/1.1 200 OK/);
  expect(heard.endsWith('x'.repeat(300_000))).toBe(true);
  await until(() => machines.right.tcp.connectionCount + machines.left.tcp.connectionCount <= 1);
});

test('tls runs over these sockets', async () => {
  await using machines = new Machines();
  const psk = Buffer.from('0123456789abcdef');
  const common = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
  const secure = tls.createServer({ ...common, pskCallback: () => psk }, (stream) => {
    stream.end(`secret for ${stream.getCipher().name}`);
  });
  const server = new TcpServer(machines.right.tcp).listen(SERVICE);
  server.on('connection', (socket) => secure.emit('connection', socket));
  const client = tls.connect({
    ...common,
    socket: dial(machines),
    checkServerIdentity: () => undefined,
    pskCallback: () => ({ psk, identity: 'test' }),
  });
  expect(await text(client)).toMatch(/^secret for .*PSK/);
});
