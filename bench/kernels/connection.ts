// What one spliced HTTP connection costs the proxies' own code, kernel and network left away: clients,
// proxies and a backend in one process on memory links. Prints one object: microseconds of each proxy a connection.
//
//   scripts/with-node bench/kernels/connection.ts [CONNECTIONS]
import { silentLogger } from '../../src/env/logger.ts';
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { type Address, parseAddress, parsePrefix } from '../../src/ip/address.ts';
import { parseProxyConfig } from '../../src/proxy/config.ts';
import { ProxyMember } from '../../src/proxy/proxy.ts';
import { Simulation } from '../../src/sim/index.ts';
import type { Connection } from '../../src/tcp/connection.ts';

const CONFIG = `
cluster: { name: kernel, secret: "a secret for the bench" }
network: { subnet: 10.1.0.0/24 }
members:
  a: { mesh: 10.1.0.41, nextHop: 10.1.0.11, sources: [10.1.0.21], link: { tap: a } }
  b: { mesh: 10.1.0.42, nextHop: 10.1.0.12, sources: [10.1.0.22], link: { tap: b } }
pools: { web: { backends: ["10.1.0.31:80"] } }
services:
  - { name: web, address: 10.0.0.100, port: 80, protocol: http, routes: [{ pool: web }] }
splice: { lingerMs: 100 }
`;
const total = Number(process.argv[2] ?? 20_000);
const concurrency = 64;

const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const config = parseProxyConfig(CONFIG, 'kernel.yaml');
const sim = new Simulation(1);
const ports = { offload: true };
const subnet = parsePrefix('10.1.0.0/24');
if (subnet === undefined) throw new Error('subnet');

/** Adds up the time that an actor breathes. */
class Timed<T extends { breath(): unknown; readonly nextAt: number }> {
  micros = 0;
  readonly inner: T;
  constructor(inner: T) {
    this.inner = inner;
  }
  breath(): void {
    const began = performance.now();
    this.inner.breath();
    this.micros += (performance.now() - began) * 1_000;
  }
  get nextAt(): number {
    return this.inner.nextAt;
  }
}

function host(ip: string, mac: number): Host {
  const link = sim.port(ports);
  const made = new Host({
    link,
    mac,
    clock: sim.clock,
    random: seededRandom(mac),
    tcp: { timeWait: 1_000 },
  });
  made.ip.addAddress(address(ip));
  if (subnet !== undefined) made.ip.addRoute({ prefix: subnet });
  sim.add(made, link);
  return made;
}

const members = ['a', 'b'].map((member) => {
  const link = sim.port(ports);
  const random = seededRandom(member.charCodeAt(0));
  const proxy = new ProxyMember({
    config,
    member,
    link,
    logger: silentLogger,
    clock: sim.clock,
    random,
  });
  const timed = new Timed(proxy.host);
  sim.add(timed, link);
  proxy.start();
  return { proxy, timed };
});
const backend = host('10.1.0.31', 0x0200_0000_0031);
const client = host('10.1.0.2', 0x0200_0000_0002);
const service = parsePrefix('10.0.0.100/32');
if (service !== undefined) client.ip.addRoute({ prefix: service, gateway: address('10.1.0.11') });

const response = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n${'x'.repeat(1_024)}`);
const request = Buffer.from('GET /1k HTTP/1.1\r\nHost: 10.0.0.100\r\nConnection: close\r\n\r\n');
backend.tcp.listen({
  local: { address: address('10.1.0.31'), port: 80 },
  accept: () => ({
    onReadable: (connection: Connection) => {
      if (connection.read() === undefined) return;
      connection.write(response);
      connection.end();
    },
  }),
});

let done = 0;
let failed = 0;
let started = 0;
function next(): void {
  if (started >= total) return;
  started++;
  client.tcp.connect({
    remote: { address: address('10.0.0.100'), port: 80 },
    local: address('10.1.0.2'),
    handler: {
      onConnect: (connection) => connection.write(request),
      onReadable: (connection) => {
        while (connection.read() !== undefined);
      },
      onEnd: (connection) => connection.end(),
      onClose: (_connection, error) => {
        if (error === undefined) done++;
        else failed++;
        next();
      },
    },
  });
}

sim.runFor(1_000_000);
for (const { timed } of members) timed.micros = 0;
for (let i = 0; i < concurrency; i++) next();
sim.runUntil(() => done + failed >= total, { maxEvents: 100_000_000 });
if (failed > 0) throw new Error(`${failed} of ${total} connections failed`);
const [serving, peer] = members.map(({ timed }) => timed.micros / total);
process.stdout.write(`${JSON.stringify({ serving, peer })}\n`);
