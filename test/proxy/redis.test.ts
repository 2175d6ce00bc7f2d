// A member with a real store, in real time: its process ends, and another one goes on with its connection.
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/env/clock.ts';
import { silentLogger } from '../../src/env/logger.ts';
import { seededRandom, systemRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import { parseProxyConfig } from '../../src/proxy/config.ts';
import { ProxyMember } from '../../src/proxy/proxy.ts';
import { SimulatedNetwork, type SimulatedPort } from '../../src/sim/index.ts';
import { freePort, hasServer, kill, killAll, startServer } from '../replication/store/server.ts';
import { addressOf } from './cluster.ts';
import { request, response, ScriptedClient, WebServer } from './peers.ts';

const PATIENCE = 20_000;
const PATH = '/one/5000';
const NEXT = '/two/5000';

const configuration = (port: number): string => `
cluster: { name: alone, secret: "a secret for the tests", suspectAfterMs: 200 }
network: { subnet: 10.1.0.0/24 }
members: { a: { mesh: 10.1.0.40, nextHop: 10.1.0.10, sources: [10.1.0.20], link: { tap: a } } }
pools: { web: { backends: ["10.1.0.31:80"] } }
services: [{ name: web, address: 10.0.0.100, port: 80, protocol: http, routes: [{ pool: web }] }]
store: { url: "redis://127.0.0.1:${port}", timeoutMs: 2000 }
`;

/** Hosts on a switch that move by the machine's clock. */
class Scene {
  readonly network = new SimulatedNetwork(systemClock, 1);
  readonly hosts = new Set<Host>();
  readonly #config: ReturnType<typeof parseProxyConfig>;

  constructor(port: number) {
    this.#config = parseProxyConfig(configuration(port), 'alone.yaml');
  }

  host(number: number): Host {
    const link = this.network.attach();
    const host = new Host({ link, mac: 0x0200_0000_0000 + number, random: seededRandom(number) });
    host.ip.addAddress(addressOf(`10.1.0.${number}`));
    for (const [text, gateway] of [
      ['10.1.0.0/24', undefined],
      ['10.0.0.100/32', addressOf('10.1.0.10')],
    ] as const) {
      const prefix = parsePrefix(text);
      if (prefix !== undefined) host.ip.addRoute(gateway ? { prefix, gateway } : { prefix });
    }
    this.hosts.add(host);
    return host;
  }

  member(): { readonly member: ProxyMember; readonly port: SimulatedPort } {
    const port = this.network.attach();
    const member = new ProxyMember({
      config: this.#config,
      member: 'a',
      link: port,
      logger: silentLogger,
      random: systemRandom(),
    });
    this.hosts.add(member.host);
    member.start();
    return { member, port };
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`${what}: not in time`);
      this.network.deliver(systemClock.now());
      for (const host of this.hosts) host.breath();
      await new Promise(setImmediate);
    }
  }
}

afterEach(killAll);

test.skipIf(!hasServer)(
  'a connection outlives the only proxy, and the store an outage',
  async () => {
    const port = await freePort();
    const server = startServer(port);
    const scene = new Scene(port);
    const web = new WebServer(scene.host(31), { address: addressOf('10.1.0.31'), port: 80 });
    const first = scene.member();
    await scene.until(() => first.member.keeper?.isWell === true, 'the store is ready');
    const client = new ScriptedClient(
      scene.host(2),
      { address: addressOf('10.0.0.100'), port: 80 },
      { address: addressOf('10.1.0.2'), port: 40_000 },
      [{ say: request(PATH) }],
      Number.POSITIVE_INFINITY,
    );
    await scene.until(() => client.heard === response(PATH), 'the first response');
    expect(first.member.keeper?.counters).toMatchObject({ commits: 1, commitsAlone: 0 });

    // Its process ends without a word.
    scene.hosts.delete(first.member.host);
    scene.network.detach(first.port);
    first.member.stop();
    const second = scene.member();
    await scene.until(() => second.member.keeper?.counters.restored === 1, 'the record is back');
    client.connection.write(Buffer.from(request(NEXT)));
    await scene.until(
      () => client.heard === response(PATH) + response(NEXT),
      'the second response',
    );
    expect(web.connections - web.errors).toBeGreaterThan(0);

    // The store dies; what it had is written into the next one.
    await scene.until(() => second.member.keeper?.isWell === true, 'the store has the record');
    await kill(server);
    await scene.until(() => second.member.keeper?.isReachable === false, 'it is noticed');
    startServer(port);
    await scene.until(() => second.member.keeper?.isWell === true, 'all is written again');
    scene.hosts.delete(second.member.host);
    scene.network.detach(second.port);
    second.member.stop();
    const third = scene.member();
    await scene.until(
      () => third.member.keeper?.counters.restored === 1,
      'the record is back again',
    );
    client.connection.end();
    await scene.until(() => client.closed, 'the client is done');
    expect(client.error).toBeUndefined();
    expect(web.requests).toEqual([`GET ${PATH} `, `GET ${NEXT} `]);
    third.member.stop();
  },
);
