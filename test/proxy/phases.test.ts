import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import type { Connection } from '../../src/tcp/connection.ts';
import { addressOf, Cluster, HTTP, isServing, OPAQUE } from './cluster.ts';
import { request, response } from './peers.ts';
import { begin, faultsOf, type Scenario, scenarios } from './scenarios.ts';

const GET: Scenario = {
  name: 'a request',
  steps: [{ say: request('/file/3000') }],
  hears: response('/file/3000'),
  asks: ['GET /file/3000 '],
};
const backends = ['10.1.0.31', '10.1.0.32'].map(addressOf);

/** A member's connections to backends. */
const dialed = (cluster: Cluster, name: 'a' | 'b' = 'a'): Connection[] =>
  [...cluster.member(name).host.tcp.connections()].filter(
    ({ remote, state }) => state !== 'closed' && backends.includes(remote.address),
  );

/** Lets all that is over be forgotten; TIME-WAIT, where an answer was a member's own, lasts a minute. */
function settle(cluster: Cluster, answered = false): void {
  cluster.simulation.runFor(answered ? 61 * SECOND : 4 * SECOND);
  cluster.expectNothingLeft();
  expect(cluster.violations).toEqual([]);
}

for (const scenario of scenarios) {
  test(`${scenario.name}: nothing is left behind`, () => {
    const run = begin(scenario);
    run.cluster.until(() => run.client.closed, 'the client is done');
    expect(faultsOf(run, scenario)).toEqual([]);
    settle(run.cluster);
  });
}

test('nothing is acknowledged and no backend is told anything before the peers have the record', () => {
  const { cluster, client } = begin(GET);
  cluster.until(() => dialed(cluster)[0]?.state === 'established', 'a backend is connected');
  // The peer hears nothing: it can confirm nothing.
  cluster.pause('b');
  cluster.simulation.runFor(40 * MILLISECOND);
  expect(cluster.requests).toEqual([]);
  expect(client.connection.snd.una).toBe((client.connection.snd.iss + 1) >>> 0);
  expect(cluster.member('a').splices.size).toBe(0);
  // It is suspected, and the splice goes on without it.
  cluster.until(() => client.closed, 'the client is done');
  expect(faultsOf({ cluster, client }, GET)).toEqual([]);
});

test('what a client says during the commit goes along', () => {
  const scenario: Scenario = {
    name: '',
    steps: [
      { say: request('/up/100', 2_000).slice(0, -1_000) },
      { say: request('/up/100', 2_000).slice(-1_000), pause: 20 * MILLISECOND },
    ],
    hears: response('/up/100'),
    asks: [`POST /up/100 ${request('/up/100', 2_000).split('\r\n\r\n')[1]}`],
  };
  const { cluster, client } = begin(scenario);
  cluster.until(() => dialed(cluster)[0]?.state === 'established', 'a backend is connected');
  cluster.pause('b');
  cluster.until(() => client.closed, 'the client is done');
  expect(faultsOf({ cluster, client }, scenario)).toEqual([]);
});

test('a client that closes its side during the commit is answered all the same', () => {
  const cluster = new Cluster();
  const client = cluster.connect([{ say: request('/file/3000') }], 0);
  cluster.until(() => dialed(cluster)[0]?.state === 'established', 'a backend is connected');
  cluster.pause('b');
  cluster.simulation.runFor(20 * MILLISECOND);
  expect(client.connection.state).toBe('fin-wait-1');
  cluster.until(() => client.closed, 'the client is done');
  expect(client.heard).toBe(response('/file/3000'));
  expect(client.error).toBeUndefined();
});

/** The moments of an intake at which one of the two ends may leave. */
const moments: readonly [string, (cluster: Cluster) => boolean][] = [
  ['before it said anything', (cluster) => cluster.member('a').counters.pending > 0],
  ['while a backend is dialed', (cluster) => dialed(cluster)[0]?.state === 'syn-sent'],
  ['during the commit', (cluster) => dialed(cluster)[0]?.state === 'established'],
  ['after the splice', (cluster) => cluster.member('a').splices.size > 0],
];

for (const [moment, reached] of moments) {
  test(`a client that resets ${moment} leaves nothing behind`, () => {
    const cluster = new Cluster();
    const client = cluster.connect([{ say: request('/file/300000') }], 1e9);
    cluster.until(() => reached(cluster), moment);
    client.connection.abort();
    settle(cluster);
    for (const backend of cluster.backends) expect(backend.tcp.connectionCount).toBe(0);
  });
}

test('a client that resets in the middle of the commit takes its record back from the peer', () => {
  const cluster = new Cluster();
  const client = cluster.connect([{ say: request('/file/3000') }], 1e9);
  cluster.until(() => dialed(cluster)[0]?.state === 'established', 'a backend is connected');
  cluster.pause('b');
  client.connection.abort();
  cluster.until(() => cluster.member('a').counters.pending === 0, 'the client is gone');
  cluster.resume('b');
  const { splices, replicator } = cluster.member('b');
  cluster.until(() => replicator?.undecided === 1, 'the peer takes the record');
  const isGone = (): boolean => replicator?.undecided === 0 && splices.size === 0;
  cluster.until(isGone, 'it is taken back', 20 * MILLISECOND);
  expect(cluster.member('a').splices.counters.inserted).toBe(0);
  expect(cluster.requests).toEqual([]);
  settle(cluster);
});

test('a backend that resets its connection during the commit: 503, and nothing is left', () => {
  const { cluster, client } = begin(GET);
  cluster.answered.add(40_000);
  cluster.until(() => dialed(cluster)[0]?.state === 'established', 'a backend is connected');
  cluster.pause('b');
  for (const host of cluster.backends) for (const open of host.tcp.connections()) open.abort();
  cluster.simulation.runFor(30 * MILLISECOND);
  cluster.resume('b');
  cluster.until(() => client.ended, 'the client is answered');
  expect(client.heard).toMatch(/^HTTP\/1.1 503 /);
  expect(cluster.resets).toBe(0);
  settle(cluster, true);
});

test('an answer that comes after its backend was given up gets a reset', () => {
  const cluster = new Cluster({ delay: 110 * MILLISECOND });
  cluster.simulation.runFor(4 * SECOND);
  const client = cluster.connect([{ say: request('/file/3000') }], 1e9);
  cluster.answered.add(40_000);
  // The round trip takes longer than backends may take to answer.
  cluster.until(() => client.ended, 'the client is answered');
  expect(client.heard).toMatch(/^HTTP\/1.1 503 /);
  client.connection.end();
  cluster.simulation.runFor(4 * SECOND);
  for (const backend of cluster.backends) expect(backend.tcp.connectionCount).toBe(0);
  expect(cluster.requests).toEqual([]);
});

test('a full table: 503 for one client more, and room again when another is done', () => {
  const cluster = new Cluster({ maxRecords: 16 });
  const long = Array.from({ length: 16 }, () =>
    cluster.connect([{ say: request('/file/10') }], response('/file/10').length + 1),
  );
  cluster.until(() => long.every(({ heard }) => heard !== ''), 'the table is full');
  const refused = cluster.connect([{ say: request('/file/10') }], 1e9);
  cluster.answered.add(40_016);
  cluster.until(() => refused.ended, 'one is refused');
  expect(refused.heard).toMatch(/^HTTP\/1.1 503 /);
  // A flow that lingers gives way.
  long[3].connection.end();
  cluster.until(() => long[3].closed, 'one is done');
  const next = cluster.connect([{ say: request('/file/10') }], response('/file/10').length);
  cluster.until(() => next.closed, 'the next is served');
  expect(next.heard).toBe(response('/file/10'));
  cluster.simulation.runFor(10 * MILLISECOND);
  for (const member of cluster.members.values()) expect(member.splices.size).toBe(16);
  for (const { connection } of long) connection.end();
  settle(cluster, true);
});

test('a second connection of the same client port soon after the first', () => {
  const cluster = new Cluster();
  for (let turn = 0; turn < 5; turn++) {
    const path = `/close/${1_000 + turn}`;
    const client = cluster.connect([{ say: request(path) }], 1e9, HTTP, 45_000);
    cluster.until(() => client.closed, `client ${turn}`);
    expect(client.heard).toBe(response(path));
    expect(client.error).toBeUndefined();
    // The client may use its port again at once.
    for (const open of [...cluster.client.tcp.connections()]) open.close();
  }
  expect(cluster.resets).toBe(0);
  settle(cluster);
});

test('requests that are refused are answered by the proxy, and the connection closes in order', () => {
  const cluster = new Cluster({ backends: [33, 34] });
  const cases: [string, number][] = [
    ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nHost: a\r\nA: ${'x'.repeat(2_000)}\r\n\r\n`, 431],
    ['GET / HTTP/4.0\r\nHost: a\r\n\r\n', 505],
    ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 503],
    ['GET / HT', 408],
  ];
  for (const [say, status] of cases) {
    const client = cluster.connect([{ say }], 1e9);
    cluster.answered.add(client.connection.local.port);
    cluster.until(() => client.ended, 'the answer');
    expect(client.heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    cluster.until(() => client.closed, 'the end');
    expect([client.error, cluster.resets]).toEqual([undefined, 0]);
  }
  expect(cluster.member('a').heads).toEqual({ 400: 1, 431: 1, 505: 1, accepted: 1, 408: 1 });
  settle(cluster, true);
});

test('who says nothing is let go without an answer', () => {
  const cluster = new Cluster();
  const silent = cluster.connect([], 1);
  const leaving = cluster.connect([], 0);
  leaving.connection.end();
  cluster.until(() => silent.ended && leaving.closed, 'both are gone');
  expect([silent.heard, leaving.heard, cluster.resets]).toEqual(['', '', 0]);
  expect(cluster.member('a').heads).toEqual({});
});

test('an opaque service whose backend refuses resets its client', () => {
  const cluster = new Cluster();
  cluster.mail.close();
  const client = cluster.connect([], 1e9, OPAQUE);
  cluster.until(() => client.closed, 'the client is reset');
  expect(client.error).toBe('ECONNRESET');
  settle(cluster);
});

test('who was stopped says nothing to clients that others serve now', () => {
  const scenario = scenarios.find(({ name }) => name === 'a head in two halves') ?? GET;
  const run = begin(scenario);
  const { cluster, client } = run;
  const a = cluster.member('a');
  cluster.until(() => (cluster.member('b').replicator?.heads.size ?? 0) > 0, 'half a head');
  const port = cluster.ports.get('a');
  if (port === undefined) throw new Error('a has no port');
  // What the others tell it meanwhile does not wait for it.
  cluster.pause('a');
  port.plugged = false;
  const said = cluster.toClients.get('a');
  cluster.until(() => client.heard.length > 0, 'the other member serves');
  // Longer than a head may take: its first thought is to tell the client so.
  cluster.simulation.runFor(6 * SECOND);
  port.plugged = true;
  cluster.resume('a');
  cluster.until(() => isServing(a) && a.counters.fenced > 0, 'it starts anew');
  cluster.simulation.runFor(SECOND);
  expect(faultsOf(run, scenario)).toEqual([]);
  expect(a.counters.yielded).toBe(1);
  expect(cluster.toClients.get('a')).toBe(said);
  settle(cluster);
});

test('a head begun with one member is finished with it, though another comes back meanwhile', () => {
  const head = request('/file/3000');
  const cluster = new Cluster();
  cluster.kill('a');
  cluster.simulation.runFor(SECOND);
  const client = cluster.connect(
    [{ say: head.slice(0, 20) }, { say: head.slice(20), pause: 2 * SECOND }],
    response('/file/3000').length,
  );
  cluster.until(() => cluster.member('b').counters.pending === 1, 'b hears the first half');
  cluster.start('a');
  cluster.until(() => isServing(cluster.member('a')), 'a is back');
  cluster.until(() => client.closed, 'the client is done');
  expect(faultsOf({ cluster, client }, GET)).toEqual([]);
  // The second half came to a, which passed it on.
  expect(cluster.member('b').counters).toMatchObject({ pending: 0, yielded: 0 });
  expect(cluster.member('a').forwarder?.counters.passedOn).toBeGreaterThan(0);
  settle(cluster);
});

test('three members: two die one after the other, in the middle of a head and of a response', () => {
  const scenario: Scenario = {
    name: '',
    steps: [
      { say: 'GET /file/200000 HT' },
      { say: 'TP/1.1\r\nHo', pause: 300 * MILLISECOND },
      { say: 'st: test\r\n\r\n', pause: 600 * MILLISECOND },
    ],
    hears: response('/file/200000'),
    asks: ['GET /file/200000 '],
  };
  const cluster = new Cluster({ members: 3 });
  const client = cluster.connect([...scenario.steps], scenario.hears.length);
  cluster.until(() => cluster.member('a').counters.pending === 1, 'a hears it');
  cluster.simulation.runFor(20 * MILLISECOND);
  cluster.kill('a');
  cluster.until(
    () => [...cluster.members.values()].some(({ counters }) => counters.pending === 1),
    'a survivor goes on with the head',
  );
  cluster.simulation.runFor(500 * MILLISECOND);
  const second = cluster.member('b').counters.pending === 1 ? 'b' : 'c';
  cluster.kill(second);
  cluster.until(() => client.heard.length > 20_000, 'the last one serves');
  cluster.until(() => client.closed, 'the client is done');
  expect(faultsOf({ cluster, client }, scenario)).toEqual([]);
  settle(cluster);
});

test('a member that has not joined yet asks no backend and answers no client', () => {
  const cluster = new Cluster();
  cluster.kill('a');
  cluster.simulation.runFor(500 * MILLISECOND);
  cluster.start('a');
  const { host } = cluster.member('a');
  while (!isServing(cluster.member('a'))) {
    expect(host.tcp.counters).toMatchObject({ connectsOut: 0, cookiesSent: 0, resetsSent: 0 });
    cluster.simulation.step();
  }
  const client = cluster.connect([...GET.steps], GET.hears.length);
  cluster.until(() => client.closed, 'the client is done');
  expect(faultsOf({ cluster, client }, GET)).toEqual([]);
});

test('members come and go, and nothing of that piles up', () => {
  const cluster = new Cluster();
  const { host, holdings } = cluster.member('b');
  const armed = host.timers.size;
  for (let turn = 0; turn < 20; turn++) {
    cluster.kill('a');
    cluster.until(() => holdings.adopted === 4, 'b holds the addresses of a');
    cluster.start('a');
    cluster.until(() => isServing(cluster.member('a')), 'a is back');
    cluster.until(() => holdings.adopted === 0, 'it has them back');
  }
  cluster.simulation.runFor(3 * SECOND);
  expect(holdings.adoptions).toBe(20);
  expect(host.timers.size).toBeLessThanOrEqual(armed + 2);
});

test('a client that waits for a server that is slow to answer is known to the others', () => {
  const hears = `220 hello\r\n${response('/mail/2000')}`;
  const steps = [{ say: request('/mail/2000'), heard: 11 }];
  const cluster = new Cluster();
  const [backend] = cluster.backends;
  backend.fastPath = { handle: () => true };
  const client = cluster.connect(steps, hears.length, OPAQUE);
  cluster.until(() => (cluster.member('b').replicator?.heads.size ?? 0) > 0, 'b has heard of it');
  cluster.kill('a');
  backend.fastPath = undefined;
  cluster.until(() => client.closed, 'the client is done');
  expect([client.heard, client.error, cluster.resets]).toEqual([hears, undefined, 0]);
});

test('of a client that speaks at once the others hear by its record alone', () => {
  const scenario = { ...GET, to: OPAQUE, hears: `220 hello\r\n${GET.hears}` };
  const run = begin(scenario);
  run.cluster.until(() => run.client.closed, 'the client is done');
  expect(faultsOf(run, scenario)).toEqual([]);
  expect(run.cluster.member('a').replicator?.counters).toMatchObject({ commits: 1, headsOut: 0 });
});
