import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { expect, test } from 'vitest';
import { Pool } from '../../src/backend/pool.ts';
import { AdminServer, healthOf } from '../../src/proxy/admin.ts';
import type { MetricSources } from '../../src/proxy/metric-sources.ts';
import { createMetrics } from '../../src/proxy/metrics.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function sourcesOf(): Writable<MetricSources> {
  const none = { frames: 0, bytes: 0 };
  return {
    cluster: 'duo',
    member: 'a',
    traffic: {
      fastToBackend: { frames: 1, bytes: 100 },
      fastToClient: { frames: 2, bytes: 65_000 },
      slowReceived: none,
      slowSent: none,
    },
    drops: { checksum: 3 },
    splices: { active: 4, opened: 10, closed: 6 },
    peers: [
      { name: 'b', state: 'alive', alive: true, suspectAfter: 30_000, backlog: 3, roundTrip: 250 },
    ],
    adoption: { addresses: 0, adoptions: 0 },
    resumption: { asked: 0, urgedBySize: 0, urgedByReport: 0 },
    replication: {
      lag: 1500,
      unackedRecords: 2,
      stalled: false,
      stalls: 1,
      undecided: 5,
      commits: 9,
      commitsFailed: 2,
      view: 4,
      activeMembers: 2,
    },
    state: 'active',
    store: undefined,
    commitLatency: { bounds: [100, 1000], counts: [0, 0, 0], sum: 0 },
    resources: { intakes: 3 },
    pools: [
      new Pool({
        name: 'web',
        backends: [{ address: '10.1.0.31', port: 80 }],
        penalty: 0,
        now: () => 0,
      }),
    ],
    heads: { accepted: 7, 400: 1 },
    events: { tcp: { retransmissions: 5 } },
  };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function ask(server: AdminServer, options: RequestOptions): Promise<Answer> {
  const request = httpRequest({
    host: server.address,
    port: server.port,
    agent: false,
    ...options,
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const body = (await response.toArray()).join('');
  return { status: response.statusCode, headers: response.headers, body };
}

function start(sources: MetricSources, token?: string): Promise<AdminServer> {
  return AdminServer.start({
    address: '127.0.0.1',
    port: 0,
    token,
    metrics: createMetrics(sources),
    health: () => healthOf(sources),
  });
}

test('metrics are read when they are asked for', async () => {
  const sources = sourcesOf();
  await using server = await start(sources);
  const first = await ask(server, { path: '/metrics?x' });
  expect(first.status).toBe(200);
  expect(first.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  const lines = first.body.split('\n');
  for (const line of [
    'suture_info{cluster="duo",member="a"} 1',
    'suture_frames_total{path="fast",direction="to_backend"} 1',
    'suture_frames_total{path="slow",direction="sent"} 0',
    'suture_bytes_total{path="fast",direction="to_client"} 65000',
    'suture_drops_total{reason="checksum"} 3',
    'suture_splices_active 4',
    'suture_splices_opened_total 10',
    'suture_splices_closed_total 6',
    'suture_peer_up{peer="b"} 1',
    'suture_peer_state{peer="b",state="alive"} 1',
    'suture_peer_suspect_after_seconds{peer="b"} 0.03',
    'suture_resumption_asked_total 0',
    'suture_replication_lag_seconds 0.0015',
    'suture_replication_unacked_records 2',
    'suture_replication_stalled 0',
    'suture_replication_stalls_total 1',
    'suture_replication_undecided 5',
    'suture_commits_total{result="begun"} 9',
    'suture_commits_total{result="failed"} 2',
    'suture_view_number 4',
    'suture_view_members 2',
    'suture_state{state="active"} 1',
    'suture_state{state="leaving"} 0',
    'suture_peer_backlog{peer="b"} 3',
    'suture_peer_round_trip_seconds{peer="b"} 0.00025',
    'suture_resources{kind="intakes"} 3',
    'suture_backend_connects_total{pool="web",backend="10.1.0.31:80",result="refused"} 0',
    'suture_http_heads_total{result="400"} 1',
    'suture_events_total{part="tcp",event="retransmissions"} 5',
    'suture_commit_latency_seconds_count 0',
  ]) {
    expect(lines).toContain(line);
  }

  sources.pools[0].refused(sources.pools[0].backends[0]);
  sources.peers = [
    { name: 'b', state: 'suspected', alive: false, suspectAfter: 60_000, backlog: 0, roundTrip: 0 },
  ];
  sources.adoption = { addresses: 2, adoptions: 1 };
  sources.resumption = { asked: 6, urgedBySize: 3, urgedByReport: 2 };
  sources.commitLatency = { bounds: [100, 1000], counts: [2, 1, 1], sum: 5350 };
  const second = (await ask(server, { path: '/metrics' })).body.split('\n');
  for (const line of [
    'suture_backend_connects_total{pool="web",backend="10.1.0.31:80",result="refused"} 1',
    'suture_peer_up{peer="b"} 0',
    'suture_peer_state{peer="b",state="suspected"} 1',
    'suture_adopted_addresses 2',
    'suture_adoptions_total 1',
    'suture_resumption_asked_total 6',
    'suture_resumption_urged_total{by="size"} 3',
    'suture_resumption_urged_total{by="report"} 2',
    'suture_commit_latency_seconds_bucket{le="0.0001"} 2',
    'suture_commit_latency_seconds_bucket{le="0.001"} 3',
    'suture_commit_latency_seconds_bucket{le="+Inf"} 4',
    'suture_commit_latency_seconds_sum 0.00535',
    'suture_commit_latency_seconds_count 4',
    'suture_http_heads_total{result="accepted"} 7',
  ]) {
    expect(second).toContain(line);
  }
  expect(second).not.toContain('suture_peer_state{peer="b",state="alive"} 1');
});

test('every metric has a help text and one type, and each line is of the format', async () => {
  const text = await createMetrics(sourcesOf()).text();
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name]) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(text).toMatch(new RegExp(`^# HELP ${name} .+$`, 'm'));
  for (const line of text.split('\n').filter((l) => l !== '' && !l.startsWith('#'))) {
    expect(line).toMatch(/^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+$/);
    expect(names.some((name) => line.startsWith(name))).toBe(true);
  }
});

test('two proxies in one process have metrics of their own', async () => {
  const [a, b] = [sourcesOf(), sourcesOf()];
  b.splices = { active: 99, opened: 99, closed: 0 };
  const [textA, textB] = await Promise.all([createMetrics(a).text(), createMetrics(b).text()]);
  expect(textA).toContain('suture_splices_active 4\n');
  expect(textB).toContain('suture_splices_active 99\n');
});

test('health is ok until a peer is away or replication stalls', async () => {
  const sources = sourcesOf();
  await using server = await start(sources);
  const health = async (): Promise<unknown> => {
    const { status, headers, body } = await ask(server, { path: '/health' });
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    return JSON.parse(body);
  };
  expect(await health()).toEqual({
    status: 'ok',
    reasons: [],
    cluster: 'duo',
    member: 'a',
    peers: [{ name: 'b', state: 'alive' }],
    splices: 4,
    adoptedAddresses: 0,
  });
  const calm = sources.replication;
  sources.replication = { ...calm, lag: 1e7, unackedRecords: 9, stalled: true };
  expect(await health()).toMatchObject({
    status: 'degraded',
    reasons: ['replication stalls: 10000 ms behind'],
  });
  sources.replication = calm;
  sources.peers = [
    { name: 'b', state: 'suspected', alive: false, suspectAfter: 60_000, backlog: 0, roundTrip: 0 },
  ];
  expect(await health()).toMatchObject({
    status: 'degraded',
    reasons: ['member b is suspected'],
    peers: [{ name: 'b', state: 'suspected' }],
  });
});

test('a store that is unreachable, or not complete, is visible', async () => {
  const sources = sourcesOf();
  const seen = (): unknown[] => {
    const { status, reasons } = healthOf(sources);
    return [status, ...reasons];
  };
  sources.store = { reachable: false, complete: false };
  expect(seen()).toEqual(['degraded', 'the store is unreachable']);
  expect(await createMetrics(sources).text()).toContain('suture_store_up 0\n');
  sources.store = { reachable: true, complete: false };
  expect(seen()).toEqual(['degraded', 'the store does not have every record yet']);
  sources.store = { reachable: true, complete: true };
  expect(seen()).toEqual(['ok']);
});

test('HEAD has no body, other methods and paths are refused', async () => {
  await using server = await start(sourcesOf());
  const head = await ask(server, { path: '/metrics', method: 'HEAD' });
  expect([head.status, head.body]).toEqual([200, '']);
  expect(Number(head.headers['content-length'])).toBeGreaterThan(0);
  const post = await ask(server, { path: '/metrics', method: 'POST' });
  expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD']);
  expect((await ask(server, { path: '/' })).status).toBe(404);
  expect((await ask(server, { path: '/metrics/x' })).status).toBe(404);
});

test('with a token nothing is shown without it', async () => {
  const token = '0123456789abcdef';
  await using server = await start(sourcesOf(), token);
  const status = async (authorization?: string): Promise<number | undefined> =>
    (
      await ask(server, {
        path: '/health',
        headers: authorization === undefined ? {} : { authorization },
      })
    ).status;
  expect(await status(`Bearer ${token}`)).toBe(200);
  expect(await status(`bearer ${token}`)).toBe(200);
  expect(await status()).toBe(401);
  expect(await status('Bearer ')).toBe(401);
  expect(await status(`Bearer ${token}x`)).toBe(401);
  expect(await status(`Basic ${token}`)).toBe(401);
  const refused = await ask(server, { path: '/nothing' });
  expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Bearer']);
});

test('actions are asked for by POST, and not by pages in a browser', async () => {
  const asked: string[] = [];
  await using server = await AdminServer.start({
    address: '127.0.0.1',
    port: 0,
    metrics: createMetrics(sourcesOf()),
    health: () => healthOf(sourcesOf()),
    actions: {
      '/drain': async (query) => {
        asked.push(query.get('timeoutMs') ?? 'none');
        return { done: true };
      },
      '/reload': async () => {
        throw new Error('f.yaml:1: no');
      },
    },
  });
  const post = async (path: string, headers: Record<string, string>) =>
    ask(server, { path, method: 'POST', headers });
  const json = { 'content-type': 'application/json' };
  expect(await post('/drain?timeoutMs=5', json)).toMatchObject({
    status: 200,
    body: '{"done":true}\n',
  });
  expect(await post('/reload', json)).toMatchObject({ status: 400, body: 'f.yaml:1: no\n' });
  expect((await ask(server, { path: '/drain' })).status).toBe(405);
  expect((await post('/drain', { 'content-type': 'text/plain' })).status).toBe(403);
  expect((await post('/drain', { ...json, host: 'rebound.example:80' })).status).toBe(403);
  expect(asked).toEqual(['5']);
});

test('who joins or leaves is not to be sent to', async () => {
  const sources = sourcesOf();
  await using server = await start(sources);
  for (const state of ['joining', 'leaving'] as const) {
    sources.state = state;
    const { status, body } = await ask(server, { path: '/health' });
    expect([status, (JSON.parse(body) as { status: string }).status]).toEqual([503, state]);
  }
});

test('a failing source is a 500, not the end of the process', async () => {
  const sources = sourcesOf();
  await using server = await AdminServer.start({
    address: '127.0.0.1',
    port: 0,
    metrics: createMetrics(sources),
    health: () => {
      throw new Error('no health');
    },
  });
  expect(await ask(server, { path: '/health' })).toMatchObject({
    status: 500,
    body: 'no health\n',
  });
  Object.defineProperty(sources, 'drops', {
    get: () => {
      throw new Error('no drops');
    },
  });
  expect(await ask(server, { path: '/metrics' })).toMatchObject({ status: 500 });
});

test('an address that is taken is named', async () => {
  await using server = await start(sourcesOf());
  const { port } = server;
  const again = AdminServer.start({
    address: '127.0.0.1',
    port,
    metrics: createMetrics(sourcesOf()),
    health: () => healthOf(sourcesOf()),
  });
  await expect(again).rejects.toThrow(`cannot serve metrics at 127.0.0.1:${port}: another process`);
});
