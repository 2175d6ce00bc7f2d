// An end point on our own TCP, in a lab: iperf3's server, and 1 KB by HTTP a connection. The same HTTP, by
// the same code over the kernel's TCP, when no TAP is named.
//
//   node bench/endpoint/server.ts [--tap NAME --namespace PATH --bridge NAME --address ADDRESS]
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseArgs } from 'node:util';
import { keepConnectionsYoung } from '../../src/host/engine.ts';
import { Host } from '../../src/host/host.ts';
import { parseAddress, parsePrefix } from '../../src/ip/address.ts';
import { TapLink } from '../../src/link/tap.ts';
import { TcpServer } from '../../src/tcp/server.ts';
import { Iperf3Server } from './iperf3-server.ts';

const MAC = 0x0253_0000_0060;
const RESPONSE = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nConnection: close\r\n\r\n${'x'.repeat(1_024)}`,
);

const { values: options } = parseArgs({
  options: {
    tap: { type: 'string' },
    namespace: { type: 'string' },
    bridge: { type: 'string' },
    address: { type: 'string', default: '0.0.0.0' },
  },
});

/** Answers the first thing that is said, whatever it is, and closes. */
function answer(socket: Duplex): void {
  socket.on('error', () => {});
  socket.once('data', () => {
    socket.end(RESPONSE);
    socket.resume();
  });
}

keepConnectionsYoung();
const iperf3 = new Iperf3Server();
if (options.tap === undefined) {
  createServer({ noDelay: true }, (socket: Socket) => answer(socket)).listen(80, options.address);
} else {
  const address = parseAddress(options.address);
  const prefix = parsePrefix(`${options.address}/24`);
  if (address === undefined || prefix === undefined) throw new Error('--address: an IPv4 address');
  const { tap: name, namespace, bridge } = options;
  const host = new Host({ link: new TapLink({ name, namespace, bridge }), mac: MAC });
  host.ip.addAddress(address);
  host.ip.addRoute({ prefix });
  new TcpServer(host.tcp).listen({ address, port: 80 }).on('connection', answer);
  const bulk = new TcpServer(host.tcp).listen({ address, port: 5_201 });
  bulk.on('connection', (socket) => iperf3.accept(socket));
  process.stdout.write('ready\n');
  await host.run();
}
