import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { MILLISECOND } from '../../src/env/clock.ts';
import { loadProxyConfig, type ProxyConfig } from '../../src/proxy/config.ts';
import { differences, loadAgain } from '../../src/proxy/reload.ts';
import { Cluster, configuration, isServing, type Name } from './cluster.ts';
import { request, response, type ScriptedClient } from './peers.ts';

const FILE = `cluster: { name: duo, secret: "0123456789abcdef" }
network: { subnet: 10.1.0.0/24 }
members:
  a: { mesh: 10.1.0.41, nextHop: 10.1.0.11, sources: [10.1.0.21], link: { tap: a } }
  b: { mesh: 10.1.0.42, nextHop: 10.1.0.12, sources: [10.1.0.22], link: { tap: b } }
pools:
  web: { backends: ["10.1.0.31:80"] }
services:
  - { name: web, address: 10.0.0.100, port: 80, protocol: http, routes: [{ pool: web }] }
`;

describe('a file that is read again', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'suture-reload-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** What comes of reading the file with `from` replaced by `to`. */
  function edited(from: string, to: string): readonly string[] {
    const path = join(folder, 'f.yaml');
    writeFileSync(path, FILE);
    const current = loadProxyConfig(path);
    expect(FILE).toContain(from);
    writeFileSync(path, FILE.replace(from, to));
    try {
      return differences(current, loadAgain(path, current, 'a'));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.problems.map((problem) => problem.slice(folder.length + 1));
    }
  }

  const MEMBER_C =
    '  c: { mesh: 10.1.0.43, nextHop: 10.1.0.13, sources: [10.1.0.23], link: { tap: c } }\n';

  test.each([
    ['pools:', 'log: { level: warn }\npools:', ['log.level']],
    ['"10.1.0.31:80"', '"10.1.0.32:80"', ['pools.web']],
    ['  web: {', '  api: { backends: ["10.1.0.33:80"] }\n  web: {', ['pools.api']],
    ['[{ pool: web }]', '[{ host: x.org, pool: web }]', ['services.web']],
    ['"0123456789abcdef"', '["0123456789abcdef", "fedcba9876543210"]', ['cluster.secret']],
    ['pools:', `${MEMBER_C}pools:`, ['members']],
    ['{ tap: b }', '{ tap: bb }', []],
    ['web: {', 'web: {', []],
  ])('may have %j as %j', (from, to, changed) => {
    expect(edited(from, to)).toEqual(changed);
  });

  test.each([
    ['name: duo', 'name: other', 'f.yaml:1: cluster.name: cannot change without a restart'],
    ['10.1.0.22', '10.1.0.23', 'f.yaml:5: members.b.sources: cannot change without a restart'],
    ['{ tap: a }', '{ tap: aa }', 'f.yaml:4: members.a.link: cannot change without a restart'],
    ['port: 80', 'port: 81', 'f.yaml:9: services[0].port: cannot change without a restart'],
    [
      '10.0.0.100',
      '[10.0.0.100, 10.0.0.101]',
      'f.yaml:9: services[0].address: cannot change without a restart',
    ],
    [
      'pools:',
      'splice: { resume: false }\npools:',
      'f.yaml:6: splice.resume: cannot change without a restart',
    ],
    ['pools:', 'user: nobody\npools:', 'f.yaml:6: user: cannot change without a restart'],
    [
      '  a: {',
      `${MEMBER_C}  a: {`,
      'f.yaml:3: members: cannot change without a restart, but for members added at the end: the first must be a, b',
    ],
    [
      '{ pool: web }',
      '{ pool: wbe }',
      'f.yaml:9: services[0].routes[0].pool: there is no pool "wbe"; did you mean "web"? (pools: web)',
    ],
  ])('may not have %j as %j', (from, to, problem) => {
    expect(edited(from, to)).toEqual([problem]);
  });
});

/** The cluster's configuration with the web pool's backends at these hosts. */
const withBackends = (config: ProxyConfig, numbers: readonly number[]): ProxyConfig => ({
  ...config,
  pools: {
    ...config.pools,
    web: { ...config.pools.web, backends: numbers.map((number) => `10.1.0.${number}:80`) },
  },
});

const withSecrets = (config: ProxyConfig, secrets: readonly string[]): ProxyConfig => ({
  ...config,
  cluster: { ...config.cluster, secrets },
});

function reload(cluster: Cluster, name: Name, config: ProxyConfig): void {
  cluster.config = config;
  cluster.member(name).reload(config);
}

/** Waits until clients are done, and expects each to have heard what it asked for. */
function expectDone(cluster: Cluster, asked: readonly (readonly [ScriptedClient, string])[]): void {
  cluster.until(() => asked.every(([client]) => client.closed), 'the clients are done');
  for (const [client, path] of asked) expect(client.heard).toBe(response(path));
  expect(cluster.violations).toEqual([]);
  expect(cluster.resets).toBe(0);
}

function ask(cluster: Cluster, path: string): readonly [ScriptedClient, string] {
  return [cluster.connect([{ say: request(path) }], response(path).length), path];
}

describe('a member that reads it', () => {
  test('asks other backends from the next connection on, and leaves those that live alone', () => {
    const cluster = new Cluster({ backends: [31] });
    const first = ask(cluster, '/long/400000');
    cluster.until(() => first[0].heard.length > 10_000, 'the first hears');
    const changed = withBackends(cluster.config, [32]);
    for (const name of ['a', 'b'] as const) reload(cluster, name, changed);
    cluster.simulation.runFor(20 * MILLISECOND);
    const entry = cluster.member('a').pools.get('web');
    expect(entry?.pool.backends.map(({ address }) => address)).toEqual(['10.1.0.32']);
    // It has been asked what it can do.
    expect(entry?.pool.backends[0].options).toBeDefined();
    const second = ask(cluster, '/short/100');
    expectDone(cluster, [first, second]);
    const asked = cluster.servers.map(({ requests }) => requests.map((text) => text.split('/')[1]));
    expect(asked.filter((names) => names.length > 0)).toEqual([['long'], ['short']]);
  });

  test('keeps what it knows of a backend that stays', () => {
    const cluster = new Cluster();
    const { pools } = cluster.member('a');
    const stays = pools.get('web')?.pool.backends[1];
    reload(cluster, 'a', withBackends(cluster.config, [32, 33]));
    expect(pools.get('web')?.pool.backends[0]).toBe(stays);
    reload(cluster, 'a', { ...cluster.config, pools: {} });
    expect([...pools.keys()]).toEqual([]);
  });

  test('takes another secret while clients come, in three steps', () => {
    const cluster = new Cluster({ members: 3 });
    const names = ['a', 'b', 'c'] as const;
    const [old] = cluster.config.cluster.secrets;
    const next = 'the secret that comes next';
    const asked = [];
    for (const secrets of [[old, next], [next, old], [next]]) {
      const changed = withSecrets(cluster.config, secrets);
      for (const name of names) {
        // Handshakes under way were begun under the other order.
        for (let count = 0; count < 3; count++) asked.push(ask(cluster, `/x${asked.length}/3000`));
        cluster.simulation.runFor(150);
        reload(cluster, name, changed);
        cluster.simulation.runFor(20 * MILLISECOND);
      }
    }
    expectDone(cluster, asked);
    for (const name of names) {
      const { counters } = cluster.member(name).replicator ?? {};
      expect(counters).toMatchObject({ suspicions: 0, dropNotAuthentic: 0 });
    }
  });

  test('lets a new member in, which serves with the table of the others', () => {
    const cluster = new Cluster({ members: 2 });
    const long = ask(cluster, '/long/3000000');
    cluster.until(() => long[0].heard.length > 10_000, 'it is spliced');
    const wider = configuration({ members: 3 });
    for (const name of ['a', 'b'] as const) reload(cluster, name, wider);
    cluster.simulation.runFor(50 * MILLISECOND);
    // Somebody sees to the addresses of who is not there yet.
    expect(cluster.member('a').holdings.adopted + cluster.member('b').holdings.adopted).toBe(4);
    cluster.start('c');
    cluster.until(
      () => cluster.members.size === 3 && [...cluster.members.values()].every(isServing),
      'all serve',
    );
    expect(cluster.member('c').splices.size).toBe(1);
    cluster.until(
      () => [...cluster.members.values()].every(({ holdings }) => holdings.adopted === 0),
      'each has its own',
    );
    cluster.kill('a');
    const { replicator: b } = cluster.member('b');
    cluster.until(() => b?.currentView.active.includes(0) === false, 'a is missed');
    cluster.kill('b');
    expectDone(cluster, [long, ask(cluster, '/short/100')]);
    for (const { replicator } of cluster.members.values()) {
      expect(replicator?.currentView.active).toEqual([2]);
    }
  });
});
