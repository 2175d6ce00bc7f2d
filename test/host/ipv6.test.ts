// Streams over IPv6 between two hosts, and both families beside each other.
import { once } from 'node:events';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { formatAddress } from '../../src/ip/address.ts';
import { Simulation } from '../../src/sim/index.ts';
import { TcpServer } from '../../src/tcp/server.ts';
import { connectSocket, type TcpSocket } from '../../src/tcp/socket.ts';
import { address, simulatedHost } from '../sim/hosts.ts';
import { LEFT, LEFT6, Machines, RIGHT6, SERVICE, SERVICE6, until } from './machines.ts';

test('node:http serves and fetches over IPv6, with and without offload', async () => {
  for (const offload of [true, false]) {
    await using machines = new Machines({ offload });
    const web = http.createServer(async (request, response) => {
      response.end((await text(request)).toUpperCase());
    });
    const server = new TcpServer(machines.right.tcp).listen(SERVICE6);
    server.on('connection', (socket) => web.emit('connection', socket));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
    Object.assign(agent, {
      createConnection: () => connectSocket(machines.left.tcp, { local: LEFT6, remote: SERVICE6 }),
    });
    const fetchText = (path: string, body: string) =>
      new Promise<string>((resolve, reject) => {
        const options = { agent, path, method: 'POST', host: '[2001:db8::2]' };
        const request = http.request(options, (response) => resolve(text(response)));
        request.on('error', reject);
        request.end(body);
      });
    const big = 'abc'.repeat(200_000);
    expect(await fetchText('/', 'hello')).toBe('HELLO');
    expect(await fetchText('/big', big)).toBe(big.toUpperCase());
    for (const host of [machines.left, machines.right]) {
      expect(host.tcp.counters).toMatchObject({ malformed: 0, badChecksum: 0 });
      expect(host.ip.ndp.counters.malformed).toBe(0);
      expect(host.ip.arp.counters.sent).toBe(0);
    }
    agent.destroy();
    web.closeAllConnections();
  }
});

test('a socket knows its addresses, and segments fill the packets', async () => {
  await using machines = new Machines();
  const server = new TcpServer(machines.right.tcp).listen(SERVICE6);
  const client = connectSocket(machines.left.tcp, { local: LEFT6, remote: SERVICE6 });
  const [accepted] = (await once(server, 'connection')) as [TcpSocket];
  expect(accepted.remoteAddress).toBe('2001:db8::1');
  expect(accepted.localAddress).toBe('2001:db8::2');
  expect(machines.left.tcp.maximumSegment(RIGHT6)).toBe(1_440);
  // IPv4 goes on beside it, on the same port.
  const other = new TcpServer(machines.right.tcp).listen(SERVICE);
  const second = connectSocket(machines.left.tcp, { local: LEFT, remote: SERVICE });
  const [four] = (await once(other, 'connection')) as [TcpSocket];
  expect(four.remoteAddress).toBe('10.0.0.1');
  for (const socket of [client, second, accepted, four]) socket.destroy();
});

test('datagrams pass over both families', async () => {
  await using machines = new Machines();
  const heard: string[] = [];
  for (const { address: local } of [SERVICE, SERVICE6]) {
    const socket = machines.right.udp.bind({ address: local, port: 53 });
    socket.onDatagram = (from, port, payload) => {
      heard.push(`${formatAddress(from)} ${Buffer.from(payload)}`);
      socket.send(from, port, Uint8Array.from(payload).reverse());
    };
  }
  for (const [from, to] of [
    [LEFT, SERVICE],
    [LEFT6, SERVICE6],
  ] as const) {
    const socket = machines.left.udp.bind({ address: from, port: 9 });
    socket.onDatagram = (_, __, payload) => heard.push(`back ${Buffer.from(payload)}`);
    socket.send(to.address, 53, Buffer.from('abc'));
  }
  await until(() => heard.length === 4);
  expect(heard.sort()).toEqual(['10.0.0.1 abc', '2001:db8::1 abc', 'back cba', 'back cba']);
});

test('one socket serves both families, and gives way to one of a single address', async () => {
  await using machines = new Machines();
  const heard: string[] = [];
  const all = machines.right.udp.bind({ address: address('::'), port: 53 });
  all.onDatagram = (from, port, payload) => all.send(from, port, payload);
  const four = machines.right.udp.bind({ address: address('0.0.0.0'), port: 54 });
  four.onDatagram = (from) => heard.push(`four ${formatAddress(from)}`);
  machines.right.udp.bind({ address: address('::'), port: 54 }).onDatagram = (from) =>
    heard.push(`all ${formatAddress(from)}`);
  for (const [from, to] of [
    [LEFT, SERVICE],
    [LEFT6, SERVICE6],
  ] as const) {
    const socket = machines.left.udp.bind({ address: from, port: 9 });
    socket.onDatagram = (source) => heard.push(formatAddress(source));
    socket.send(to.address, 53, Buffer.from('abc'));
    socket.send(to.address, 54, Buffer.from('abc'));
  }
  await until(() => heard.length === 4);
  expect(heard.sort()).toEqual(['10.0.0.2', '2001:db8::2', 'all 2001:db8::1', 'four 10.0.0.1']);
  four.send(LEFT6, 9, Buffer.from('abc'));
  expect(machines.right.udp.counters.noSource).toBe(1);
  const lonely = machines.right.udp.bind({ address: SERVICE.address, port: 55 });
  lonely.send(LEFT6, 9, Buffer.from('abc'));
  expect(machines.right.udp.counters.noSource).toBe(2);
});

test('a host can find its way by itself', () => {
  const simulation = new Simulation(1);
  const port = simulation.port();
  const options = { link: port, mac: 0x0200_0000_0001, clock: simulation.clock };
  const host = new Host({ ...options, random: seededRandom(1), ipv6: { discoverRouters: true } });
  expect(formatAddress(host.ip.sourceFor(address('2001:db8::1')) ?? LEFT)).toBe('fe80::ff:fe00:1');
  expect(host.ip.ndp.counters.sent).toBe(1);
  expect(host.timers.armed).toBe(1);
});

test('nobody listens, and nobody is there: a connection attempt learns so', () => {
  const simulation = new Simulation(1);
  const [a, b] = [1, 2].map((number) => {
    const host = simulatedHost(simulation, number);
    host.ip.addLinkLocalAddress();
    return host;
  });
  const local = a.ip.sourceFor(address('fe80::1'));
  const there = b.ip.sourceFor(address('fe80::1'));
  if (local === undefined || there === undefined) throw new Error('no link-local address');
  const ends: (string | undefined)[] = [];
  for (const remote of [there, address('fe80::99')]) {
    a.tcp.connect({
      remote: { address: remote, port: 80 },
      local,
      handler: { onClose: (_, error) => ends.push(error?.code) },
    });
  }
  simulation.runFor(10_000_000);
  expect(ends).toEqual(['ECONNREFUSED', 'EHOSTUNREACH']);
});
