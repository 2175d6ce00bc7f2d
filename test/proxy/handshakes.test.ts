// A client that waits for the server to speak, from its SYN on: whoever dies, and whatever is lost, it is greeted.
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { writeFlow } from '../../src/splice/record.ts';
import { PROTOCOL_TCP } from '../../src/wire/ipv4.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { Cluster, type ClusterOptions, type Name, OPAQUE } from './cluster.ts';
import { request, response, type ScriptedClient } from './peers.ts';

const HEARS = `220 hello\r\n${response('/mail/2000')}`;

interface Run {
  readonly cluster: Cluster;
  readonly client: ScriptedClient;
  /** Who answered the SYN. */
  readonly home: Name;
}

/** A cluster whose home has just answered a client's SYN. */
function answered(options: ClusterOptions = {}, begun: (cluster: Cluster) => void = () => {}): Run {
  const cluster = new Cluster({ mesh: 4, ...options });
  begun(cluster);
  const client = cluster.connect([{ say: request('/mail/2000'), heard: 11 }], HEARS.length, OPAQUE);
  cluster.until(() => cluster.toClients.size > 0, 'a SYN-ACK');
  const [home] = cluster.toClients.keys() as IterableIterator<Name>;
  return { cluster, client, home };
}

function expectServed({ cluster, client }: Run): void {
  cluster.until(() => client.closed, 'the client is done');
  expect([client.heard, client.error, cluster.resets]).toEqual([HEARS, undefined, 0]);
  expect(cluster.violations).toEqual([]);
  expect(cluster.mail.requests).toHaveLength(1);
  cluster.simulation.runFor(2 * SECOND);
  cluster.expectNothingLeft();
}

/** True if a member was told of the client's handshake, which nobody is known to have completed. */
function isTold({ cluster, client }: Run, name: Name): boolean {
  const flow = new Uint8Array(36);
  const { remote, local } = client.connection;
  const length = writeFlow(new DataView(flow.buffer), 0, local, remote);
  return cluster.member(name).replicator?.handshakes.has(flow.subarray(0, length)) ?? false;
}

/** True once the first member has something to say of a SYN. */
const tells = (cluster: Cluster): boolean =>
  (cluster.member('a').replicator?.counters.synsOut ?? 0) > 0;

const repeated = ({ cluster: { members } }: Run): number =>
  [...members.values()].reduce((sum, { answers }) => sum + answers.counters.synsRepeated, 0);

/** Loses TCP segments of clients of IPv4, or those to them, for a while. */
function loseSegments({ cluster }: Run, span: number, portOf = tcp.destinationPort): void {
  const { network } = cluster.simulation;
  network.passage = (_from, _to, { view }) =>
    view.getUint8(NETWORK_AT) === 0x45 &&
    view.getUint8(NETWORK_AT + 9) === PROTOCOL_TCP &&
    portOf(view, NETWORK_AT + 20) === OPAQUE.port
      ? -1
      : 0;
  cluster.simulation.runFor(span);
  network.passage = undefined;
}

const clusters: readonly (readonly [string, ClusterOptions])[] = [
  ['IPv4', {}],
  ['IPv6', { clients: 6 }],
  ['IPv4, packets sprayed over three members', { members: 3, spray: true }],
  ['IPv6, packets sprayed over three members', { members: 3, spray: true, clients: 6 }],
];

for (const [name, options] of clusters) {
  test(`${name}: the home dies while the ACK is on its way`, () => {
    const run = answered(options);
    run.cluster.until(() => run.client.connection.state === 'established', 'the SYN-ACK');
    run.cluster.kill(run.home);
    run.cluster.until(() => run.client.heard !== '', 'a greeting', SECOND);
    expectServed(run);
  });

  test(`${name}: the home dies with the ACK, before another knows of that`, () => {
    const run = answered(options);
    const { cluster, home } = run;
    cluster.meshPasses = (from) => from !== home;
    cluster.until(() => cluster.member(home).counters.pending > 0, 'the ACK');
    cluster.kill(home);
    cluster.until(() => run.client.heard !== '', 'a greeting', SECOND);
    expectServed(run);
  });
}

test('the others are told before the client is answered', () => {
  const order: string[] = [];
  const run = answered({}, (cluster) => {
    cluster.meshPasses = (from) => {
      if (from === 'a' && tells(cluster)) order.push(cluster.toClients.has('a') ? 'late' : 'told');
      return true;
    };
  });
  expect(order).toEqual(['told']);
  run.cluster.until(() => isTold(run, 'b'), 'b is told');
  run.cluster.until(() => !isTold(run, 'b'), 'b knows that the client is served');
  expectServed(run);
});

test('the ACK is lost: the home answers again', () => {
  const run = answered();
  loseSegments(run, MILLISECOND);
  expect(run.client.connection.state).toBe('established');
  run.cluster.until(() => run.client.heard !== '', 'a greeting', 1_500 * MILLISECOND);
  expect(repeated(run)).toBe(1);
  expectServed(run);
});

test('answers are lost until the client has repeated its SYN twice, and then the ACK', () => {
  const run = answered();
  const { cluster, client, home } = run;
  const answers = (): number => cluster.toClients.get(home) ?? 0;
  loseSegments(run, 2_800 * MILLISECOND, tcp.sourcePort);
  const lost = answers();
  cluster.until(() => answers() > lost, 'the next answer');
  loseSegments(run, MILLISECOND);
  expect(client.connection.state).toBe('established');
  cluster.until(() => client.heard !== '', 'a greeting', 1_500 * MILLISECOND);
  expectServed(run);
});

test('two ACKs are lost, and then the home dies', () => {
  const run = answered();
  loseSegments(run, 1_500 * MILLISECOND);
  expect(repeated(run)).toBe(1);
  run.cluster.kill(run.home);
  run.cluster.until(() => run.client.heard !== '', 'a greeting', SECOND);
  expectServed(run);
});

test('who adopts the addresses was not told, but another was', () => {
  for (const deaf of ['b', 'c'] as const) {
    const run = answered({ members: 3 }, (cluster) => {
      cluster.meshPasses = (from, to) => from !== 'a' || to !== deaf || !tells(cluster);
    });
    run.cluster.until(() => run.client.connection.state === 'established', 'the SYN-ACK');
    run.cluster.kill('a');
    run.cluster.until(() => run.client.heard !== '', 'a greeting', 3 * SECOND);
    expectServed(run);
  }
});

test('nobody was told, and the home is declared dead while it sleeps: it answers again in its next life', () => {
  const run = answered({}, (cluster) => {
    cluster.meshPasses = (from) => from !== 'a' || !tells(cluster);
  });
  const { cluster } = run;
  cluster.pause('a');
  cluster.simulation.runFor(250 * MILLISECOND);
  cluster.meshPasses = () => true;
  cluster.resume('a');
  cluster.until(() => run.client.heard !== '', 'a greeting', 5 * SECOND);
  expect(cluster.member('a').counters.fenced).toBe(1);
  expectServed(run);
});

test('a client that is gone is not asked again', () => {
  const run = answered();
  run.client.connection.abort();
  run.cluster.simulation.runFor(5 * SECOND);
  expect(repeated(run)).toBe(0);
  expect(run.cluster.toClients.get('a')).toBe(1);
});

test('a SYN that nobody stands behind is answered three times', () => {
  const run = answered();
  loseSegments(run, 10 * SECOND);
  expect(repeated(run)).toBe(2);
  expect(run.cluster.toClients.get('a')).toBe(3);
  run.client.connection.abort();
  run.cluster.simulation.runFor(SECOND);
  run.cluster.expectNothingLeft();
});

test('after a takeover those that were served long ago are left alone', () => {
  const cluster = new Cluster();
  for (let count = 0; count < 5; count++) {
    const steps = [{ say: request('/mail/2000'), heard: 11 }];
    const client = cluster.connect(steps, HEARS.length, OPAQUE);
    cluster.until(() => client.closed, 'the client is done');
  }
  cluster.simulation.runFor(700 * MILLISECOND);
  cluster.toClients.clear();
  cluster.kill('a');
  cluster.simulation.runFor(3 * SECOND);
  expect(cluster.member('b').answers.counters).toEqual({ synsRepeated: 0, synsAdopted: 0 });
  expect(cluster.toClients.size).toBe(0);
});
