// The whole stack against the kernel's, curl and sockets of the kernel on the other side.
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { TcpServer } from '../../src/tcp/server.ts';
import { connectSocket } from '../../src/tcp/socket.ts';
import { KERNEL, KERNEL6, TapBench, US, US6, why } from './tap-bench.ts';

test.skipIf(why !== undefined)(
  'curl fetches from node:http over our stack, and we from the kernel',
  async () => {
    await using bench = new TapBench();
    const body = randomBytes(20_000_000);
    const digest = createHash('sha256').update(body).digest('hex');
    const web = http.createServer(async (request, response) => {
      if (request.method === 'POST') response.end(String((await text(request)).length));
      else response.end(body);
    });
    const server = new TcpServer(bench.host.tcp).listen({ address: US, port: 80 });
    server.on('connection', (socket) => web.emit('connection', socket));
    const url = 'http://10.77.0.2/';
    const sum = await bench.inside('sh', '-c', `curl -sS ${url} | sha256sum`);
    expect(sum).toContain(digest);
    // Many requests on one connection, and an upload with `Expect: 100-continue`.
    const again = Array.from({ length: 20 }, () => url).flatMap((each) => [
      '-o',
      '/dev/null',
      each,
    ]);
    expect(await bench.inside('curl', '-sS', '-w', '%{http_code} ', ...again.slice(0, 60))).toBe(
      '200 '.repeat(20),
    );
    expect(
      await bench.inside(
        'sh',
        '-c',
        `head -c 5000000 /dev/zero | curl -sS --data-binary @- ${url}`,
      ),
    ).toBe('5000000');
    // Nobody listens there: the kernel refuses us, and we refuse the kernel.
    const refused = connectSocket(bench.host.tcp, {
      local: US,
      remote: { address: KERNEL, port: 9 },
    });
    const error = await new Promise((resolve) => refused.once('error', resolve));
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    await expect(bench.inside('curl', '-sS', 'http://10.77.0.2:81/')).rejects.toThrow(
      /curl: \(7\)/,
    );
    const { counters } = bench.host.tcp;
    expect(counters).toMatchObject({ malformed: 0, badChecksum: 0, timeouts: 0 });
    expect(bench.host.link.counters.sendErrors).toBe(0);
    expect(bench.captured.length).toBeGreaterThan(100);
  },
);

test.skipIf(why !== undefined)('curl reaches us over IPv6, and we the kernel', async () => {
  await using bench = new TapBench();
  const body = randomBytes(20_000_000);
  const digest = createHash('sha256').update(body).digest('hex');
  const web = http.createServer(async (request, response) => {
    if (request.method === 'POST') response.end(String((await text(request)).length));
    else response.end(body);
  });
  const server = new TcpServer(bench.host.tcp).listen({ address: US6, port: 80 });
  server.on('connection', (socket) => web.emit('connection', socket));
  const url = "'http://[2001:db8:77::2]/'";
  const sum = await bench.inside('sh', '-c', `curl -sS -g ${url} | sha256sum`);
  expect(sum).toContain(digest);
  const upload = `head -c 5000000 /dev/zero | curl -sS -g --data-binary @- ${url}`;
  expect(await bench.inside('sh', '-c', upload)).toBe('5000000');
  const refused = connectSocket(bench.host.tcp, {
    local: US6,
    remote: { address: KERNEL6, port: 9 },
  });
  const error = await new Promise((resolve) => refused.once('error', resolve));
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  const { ip } = bench.host;
  expect(bench.host.tcp.counters).toMatchObject({ malformed: 0, badChecksum: 0 });
  expect(ip.icmpv6.counters.malformed + ip.ndp.counters.malformed).toBe(0);
  expect(bench.host.link.counters.sendErrors).toBe(0);
});

/** Sends a datagram of `size` bytes from the kernel and prints how long its answer is, or what went wrong. */
const ASK = `
const [family, target, size] = process.argv.slice(1);
const socket = require('node:dgram').createSocket(family);
const sent = Buffer.alloc(Number(size), 'abcdefg');
socket.on('message', (answer) => {
  console.log(answer.equals(sent) ? answer.length : 'other bytes');
  socket.close();
});
socket.send(sent, 53, target);
`;

test.skipIf(why !== undefined)(
  'the kernel and we put each other’s fragments together',
  async () => {
    await using bench = new TapBench();
    for (const [family, local, target] of [
      ['udp4', US, '10.77.0.2'],
      ['udp6', US6, '2001:db8:77::2'],
    ] as const) {
      const socket = bench.host.udp.bind({ address: local, port: 53 });
      socket.onDatagram = (from, port, payload) => socket.send(from, port, payload);
      for (const size of ['100', '1500', '3000', '20000', '65000']) {
        const said = await bench.inside(process.execPath, '-e', ASK, '--', family, target, size);
        expect(said.trim()).toBe(size);
      }
    }
    const { reassembler } = bench.host.ip.input;
    expect(reassembler.counters).toMatchObject({ whole: 8, overlaps: 0, malformed: 0 });
    expect(reassembler.held).toEqual({ bytes: 0, datagrams: 0 });
    expect(bench.host.link.counters.sendErrors).toBe(0);
  },
);
