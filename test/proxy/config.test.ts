import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { jsonSchemaText } from '../../src/config/json-schema.ts';
import {
  loadProxyConfig,
  memberConfig,
  parseProxyConfig,
  proxyFileSchema,
} from '../../src/proxy/config.ts';
import { derivedMac } from '../../src/proxy/derived-mac.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A right file; tests replace a part of it. */
const FILE = `cluster:
  name: duo
  secret: "0123456789abcdef"
network:
  subnet: 10.1.0.0/24
  gateway: 10.1.0.1
members:
  a:
    mesh: 10.1.0.41
    nextHop: 10.1.0.11
    sources: [10.1.0.21]
    link: { tap: suture-a }
    admin: 127.0.0.1:9100
  b:
    mesh: 10.1.0.42
    nextHop: 10.1.0.12
    sources: [10.1.0.22]
    link: { tap: suture-b }
pools:
  web:
    backends: ["10.1.0.31:80", "10.1.0.32:80"]
services:
  - name: web
    address: 10.0.0.100
    port: 80
    protocol: http
    routes:
      - { host: example.org, pool: web }
      - { pool: web }
  - { name: echo, address: 10.0.0.100, port: 7, protocol: tcp, pool: web }
`;

function edited(from: string, to: string): string {
  expect(FILE).toContain(from);
  return FILE.replace(from, to);
}

function problems(text: string): readonly string[] {
  try {
    parseProxyConfig(text, 'f.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('defaults are filled in', () => {
  const config = parseProxyConfig(FILE, 'f.yaml');
  expect(config.cluster).toEqual({
    name: 'duo',
    secrets: ['0123456789abcdef'],
    port: 7946,
    heartbeatMs: 10,
    suspectAfterMs: 30,
  });
  expect(config.network.mtu).toBe(1500);
  expect(config.pools.web).toMatchObject({ connectTimeoutMs: 1000, penaltyMs: 1000 });
  expect(config.services[0]).toMatchObject({ maxHeadBytes: 8192, headTimeoutMs: 10_000 });
  expect(config.splice).toEqual({
    idleTimeoutMs: 300_000,
    lingerMs: 3000,
    maxRecords: 262_144,
    resume: true,
  });
  expect(config.log).toEqual({ level: 'info' });
  expect(memberConfig(config, 'a')).toEqual({
    name: 'a',
    mesh: '10.1.0.41',
    nextHops: ['10.1.0.11'],
    sources: ['10.1.0.21'],
    mac: '02:53:0a:01:00:29',
    link: { tap: 'suture-a' },
    admin: '127.0.0.1:9100',
  });
  expect(memberConfig(config, 'b').admin).toBeUndefined();
});

test('an unknown member is refused with the known ones', () => {
  const config = parseProxyConfig(FILE, 'f.yaml');
  expect(() => memberConfig(config, 'c')).toThrow(
    new ConfigError('no member "c" in cluster "duo" (members: a, b)'),
  );
  expect(() => memberConfig(config, 'constructor')).toThrow(ConfigError);
});

test.each<[from: string, to: string, problem: string]>([
  [
    '  secret: "0123456789abcdef"\n',
    '',
    'f.yaml:1: cluster.secret: is missing: give secret, or secretFile with a path',
  ],
  [
    '"0123456789abcdef"',
    '"short"',
    'f.yaml:3: cluster.secret: must be at least 16 characters, in quotes',
  ],
  [
    '"0123456789abcdef"',
    '1234567890123456',
    'f.yaml:3: cluster.secret: must be at least 16 characters, in quotes',
  ],
  [
    '"0123456789abcdef"',
    '"0123456789abcdef"\n  secretFile: x',
    'f.yaml:4: cluster.secretFile: secret is given too: keep one of the two',
  ],
  [
    'secret: "0123456789abcdef"',
    'secret: ["0123456789abcdef", "0123456789abcdef"]',
    'f.yaml:3: cluster.secret[1]: is the same as one before it',
  ],
  [
    'secret: "0123456789abcdef"',
    'secret: ["0123456789abcdef", "short"]',
    'f.yaml:3: cluster.secret[1]: must be at least 16 characters, in quotes',
  ],
  [
    'name: duo',
    'name: duo\n  heartbeatMs: 40',
    'f.yaml:1: cluster.suspectAfterMs: 30 is too short: it must be at least 80 (two heartbeats)',
  ],
  [
    'gateway: 10.1.0.1',
    'gateway: 10.2.0.1',
    "f.yaml:6: network.gateway: 10.2.0.1 is outside the network's subnet 10.1.0.0/24",
  ],
  [
    'gateway: 10.1.0.1',
    'gateway: 10.1.0.255',
    'f.yaml:6: network.gateway: 10.1.0.255 is the network or broadcast address of 10.1.0.0/24',
  ],
  [
    'nextHop: 10.1.0.12',
    'nextHop: 10.2.0.12',
    "f.yaml:16: members.b.nextHop: 10.2.0.12 is outside the network's subnet 10.1.0.0/24",
  ],
  [
    'nextHop: 10.1.0.12',
    'nextHop: 10.1.0.1',
    'f.yaml:16: members.b.nextHop: 10.1.0.1 is already the gateway',
  ],
  [
    '[10.1.0.22]',
    '[10.1.0.22, 10.1.0.21]',
    'f.yaml:17: members.b.sources[1]: 10.1.0.21 is already a source of member a',
  ],
  ['[10.1.0.22]', '[]', 'f.yaml:17: members.b.sources: has too few entries: at least 1'],
  [
    '[10.1.0.22]',
    '[10.3.0.22]',
    "f.yaml:17: members.b.sources[0]: 10.3.0.22 is outside the network's subnet 10.1.0.0/24",
  ],
  [
    '{ tap: suture-b }',
    '{ tap: suture-b }\n    mac: "02:53:0A:01:00:29"',
    'f.yaml:19: members.b.mac: 02:53:0a:01:00:29 is already the MAC address of member a',
  ],
  [
    'admin: 127.0.0.1:9100',
    'admin: 0.0.0.0:9100',
    'f.yaml:13: members.a.admin: 0.0.0.0 is not a loopback address (127.0.0.0/8, ::1): set adminToken to serve beyond it',
  ],
  [
    '10.1.0.32:80',
    '10.1.0.31:80',
    'f.yaml:21: pools.web.backends[1]: 10.1.0.31:80 is listed twice',
  ],
  [
    '10.1.0.32:80',
    '10.1.0.21:80',
    'f.yaml:21: pools.web.backends[1]: 10.1.0.21 is a source of member a, not a backend',
  ],
  [
    '10.1.0.32:80',
    '10.1.0.0:80',
    'f.yaml:21: pools.web.backends[1]: 10.1.0.0 is the network or broadcast address of 10.1.0.0/24',
  ],
  ['  gateway: 10.1.0.1\nmembers', 'members', ''],
  [
    'pool: web }\n  - {',
    'pool: wbe }\n  - {',
    'f.yaml:29: services[0].routes[1].pool: there is no pool "wbe"; did you mean "web"? (pools: web)',
  ],
  [
    'protocol: tcp, pool: web',
    'protocol: tcp, pool: constructor',
    'f.yaml:30: services[1].pool: there is no pool "constructor" (pools: web)',
  ],
  [
    'protocol: tcp, pool: web',
    'protocol: tcp, pool: web, routes: []',
    'f.yaml:30: services[1]: unknown key "routes"; allowed: name, address, port, protocol, pool',
  ],
  ['name: echo', 'name: web', 'f.yaml:30: services[1].name: another service is called "web" too'],
  ['port: 7', 'port: 80', 'f.yaml:30: services[1].port: service web already has 10.0.0.100:80'],
  [
    '    address: 10.0.0.100',
    '    address: 10.1.0.11',
    'f.yaml:24: services[0].address: 10.1.0.11 is already the next hop of member a',
  ],
  [
    '    address: 10.0.0.100',
    '    address: 10.1.0.31',
    'f.yaml:24: services[0].address: 10.1.0.31 is already a backend',
  ],
  [
    '{ host: example.org, pool: web }',
    '{ pool: web, path: / }',
    'f.yaml:29: services[0].routes[1]: is never reached: routes[0] has the same host and path',
  ],
  [
    '      - { pool: web }\n',
    '      - { pool: web }\n      - { pool: web, path: /a }\n',
    'f.yaml:30: services[0].routes[2]: stands after routes[1], which takes every request: put that one last',
  ],
  [
    '{ pool: web }',
    '{ pool: web, host: EXAMPLE.org, path: / }',
    'f.yaml:29: services[0].routes[1]: is never reached: routes[0] has the same host and path',
  ],
  [
    'host: example.org',
    'host: "example.org:80"',
    'f.yaml:28: services[0].routes[0].host: "example.org:80" is not a host name without a port, such as example.org or *.example.org',
  ],
  [
    'host: example.org',
    'path: api',
    'f.yaml:28: services[0].routes[0].path: "api" is not a path that starts with "/", without "?" and "#"',
  ],
])('%j -> %j', (from, to, problem) => {
  expect(problems(edited(from, to))).toEqual(problem === '' ? [] : [problem]);
});

test('a backend beyond the subnet needs a gateway', () => {
  const far = edited('10.1.0.32:80', '10.9.0.32:80');
  expect(problems(far)).toEqual([]);
  expect(problems(far.replace('  gateway: 10.1.0.1\n', ''))).toEqual([
    'f.yaml:20: pools.web.backends[1]: 10.9.0.32 is outside 10.1.0.0/24 and there is no ' +
      'network.gateway',
  ]);
});

test('admin beyond loopback is allowed with a token, which no message shows', () => {
  const open = edited('admin: 127.0.0.1:9100', 'admin: 0.0.0.0:9100');
  expect(problems(`${open}adminToken: "0123456789abcdef"\n`)).toEqual([]);
  const [problem] = problems(`${open}adminToken: "letmein"\n`);
  expect(problem).toMatch(/^f\.yaml:31: adminToken: must be/);
  expect(problem).not.toContain('letmein');
  expect(problems(`${open}adminToken: "with white space in it"\n`)).toHaveLength(1);
});

test('at least one member and one pool are needed', () => {
  const members = FILE.slice(FILE.indexOf('members:'), FILE.indexOf('pools:'));
  expect(problems(edited(members, 'members: {}\n'))).toEqual([
    'f.yaml:7: members: at least one member is needed',
  ]);
  const pools = FILE.slice(FILE.indexOf('pools:'), FILE.indexOf('services:'));
  expect(problems(edited(pools, 'pools: {}\n'))).toContain(
    'f.yaml:19: pools: at least one pool is needed',
  );
});

test('the secret may be in a file beside the configuration', () => {
  const folder = mkdtempSync(join(tmpdir(), 'suture-config-'));
  try {
    const path = join(folder, 'proxy.yaml');
    const secret = join(folder, 'proxy.secret');
    writeFileSync(path, edited('secret: "0123456789abcdef"', 'secretFile: proxy.secret'));
    expect(() => loadProxyConfig(path)).toThrow(
      new ConfigError(`${path}:3: cluster.secretFile: ${secret} cannot be read (ENOENT)`),
    );
    writeFileSync(secret, 'short\n');
    expect(() => loadProxyConfig(path)).toThrow(
      `${path}:3: cluster.secretFile: ${secret} must hold at least 16 characters`,
    );
    writeFileSync(secret, 'a longer secret than that\n');
    expect(loadProxyConfig(path).cluster).toMatchObject({ secrets: ['a longer secret than that'] });
    expect(loadProxyConfig(path).cluster).not.toHaveProperty('secretFile');
    writeFileSync(secret, 'a longer secret than that\n\nthe secret that comes next\n');
    expect(loadProxyConfig(path).cluster.secrets).toEqual([
      'a longer secret than that',
      'the secret that comes next',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a store has defaults, and a password only in a file', () => {
  const parse = (store: string) => parseProxyConfig(`${FILE}\nstore: ${store}\n`, 'f.yaml');
  expect(parseProxyConfig(FILE, 'f.yaml').store).toBeUndefined();
  expect(parse('{ url: "redis://10.1.0.50:6379" }').store).toEqual({
    url: 'redis://10.1.0.50:6379',
    prefix: 'suture:',
    ttlMs: 600_000,
    timeoutMs: 50,
  });
  for (const url of ['rediss://me@store.example.org', 'redis://[2001:db8::1]:6379/2']) {
    expect(parse(`{ url: "${url}" }`).store?.url).toBe(url);
  }
  for (const url of ['redis://me:secret@host', 'http://host', 'host:6379', 'redis://']) {
    const what = /^f.yaml:\d+: store.url: must be the address of a Redis or Valkey server, such as/;
    expect(() => parse(`{ url: "${url}" }`)).toThrow(what);
  }
  expect(() => parse('{ url: "redis://host:70000" }')).toThrow(
    'store.url: has a port that is none',
  );
  expect(() => parse('{ url: "redis://host", passwordFile: nowhere }')).toThrow(
    /store.passwordFile: .*nowhere cannot be read \(ENOENT\)/,
  );
});

test('the example and the lab configuration are right', () => {
  const example = loadProxyConfig(join(root, 'examples/proxy.yaml'));
  expect([...example.members.keys()]).toEqual(['a', 'b']);
  const lab = loadProxyConfig(join(root, 'labs/duo.proxy.yaml'));
  expect(memberConfig(lab, 'a').sources).toEqual(['10.1.0.21']);
  expect(memberConfig(lab, 'b').nextHops).toEqual(['10.1.0.12']);
});

test('the example shows the defaults', () => {
  const example = readFileSync(join(root, 'examples/proxy.yaml'), 'utf8');
  const defaults = JSON.stringify(parseProxyConfig(FILE, 'f.yaml'));
  for (const [, name, value] of defaults.matchAll(/"(\w+(?:Ms|Bytes|Records)|mtu)":(\d+)/g)) {
    expect(example).toMatch(new RegExp(`\\b${name}: ${value}\\b`));
  }
});

test('the JSON Schema is in step with the schema (node scripts/schemas.mjs)', () => {
  expect(readFileSync(join(root, 'schemas/proxy.schema.json'), 'utf8')).toBe(
    jsonSchemaText(proxyFileSchema, 'Suture proxy configuration'),
  );
});

test('a derived MAC address is unicast, locally administered and of the address alone', () => {
  expect(derivedMac('10.1.0.41')).toBe('02:53:0a:01:00:29');
  expect(derivedMac('fd00::11')).toMatch(/^02:53(:[0-9a-f]{2}){4}$/);
  expect(derivedMac('fd00::11')).not.toBe(derivedMac('fd00::12'));
});

describe('both address families', () => {
  const dual = (from = '', to = ''): string => {
    const text = `cluster:
  name: dual
  secret: "0123456789abcdef"
network:
  subnet: [10.1.0.0/24, "2001:db8:1::/64"]
  gateway: [10.1.0.1, "fe80::1"]
members:
  a:
    mesh: "2001:db8:1::41"
    nextHop: [10.1.0.11, "2001:db8:1::11"]
    sources: [10.1.0.21, "2001:db8:1::21"]
    link: { tap: suture-a }
    admin: "[::1]:9100"
pools:
  web: { backends: ["10.1.0.31:80", "[2001:db8:1::31]:80", "[2001:db8:9::1]:80"] }
services:
  - { name: web, address: [10.0.0.100, "2001:db8::100"], port: 80, protocol: tcp, pool: web }
`;
    const changed = text.replace(from, to);
    expect(changed === text).toBe(from === to);
    return changed;
  };

  test('are read as lists', () => {
    const config = parseProxyConfig(dual(), 'f.yaml');
    expect(config.network).toEqual({
      subnets: ['10.1.0.0/24', '2001:db8:1::/64'],
      gateways: ['10.1.0.1', 'fe80::1'],
      mtu: 1500,
    });
    expect(config.services[0].addresses).toEqual(['10.0.0.100', '2001:db8::100']);
    expect(memberConfig(config, 'a')).toMatchObject({
      mesh: '2001:db8:1::41',
      nextHops: ['10.1.0.11', '2001:db8:1::11'],
      mac: expect.stringMatching(/^02:53(:[0-9a-f]{2}){4}$/),
    });
  });

  test('one value is a list of one', () => {
    const config = parseProxyConfig(FILE, 'f.yaml');
    expect(config.network).toMatchObject({ subnets: ['10.1.0.0/24'], gateways: ['10.1.0.1'] });
    expect(config.services[0].addresses).toEqual(['10.0.0.100']);
    expect(memberConfig(config, 'b').nextHops).toEqual(['10.1.0.12']);
  });

  test.each<[from: string, to: string, problem: string]>([
    [
      'nextHop: [10.1.0.11, "2001:db8:1::11"]',
      'nextHop: 10.1.0.11',
      'f.yaml:10: members.a.nextHop: has no IPv6 address, and a service is IPv6',
    ],
    [
      'sources: [10.1.0.21, "2001:db8:1::21"]',
      'sources: ["2001:db8:1::21"]',
      'f.yaml:11: members.a.sources: has no IPv4 address, and a backend is IPv4',
    ],
    [
      '"2001:db8:1::11"',
      '"2001:db8:2::11"',
      "f.yaml:10: members.a.nextHop[1]: 2001:db8:2::11 is outside the network's subnets 10.1.0.0/24, 2001:db8:1::/64",
    ],
    [
      '"2001:db8:1::21"',
      '"2001:0db8:1:0::11"',
      'f.yaml:11: members.a.sources[1]: 2001:0db8:1:0::11 is already the next hop of member a',
    ],
    [
      ', "fe80::1"]',
      ']',
      'f.yaml:15: pools.web.backends[2]: 2001:db8:9::1 is outside 10.1.0.0/24, 2001:db8:1::/64 and there is no network.gateway of IPv6',
    ],
    [
      '"fe80::1"',
      '10.1.0.2',
      'f.yaml:6: network.gateway[1]: 10.1.0.1 is the gateway of IPv4 already',
    ],
    [
      '"[2001:db8:9::1]:80"',
      '"[2001:db8:1:0::31]:80"',
      'f.yaml:15: pools.web.backends[2]: [2001:db8:1:0::31]:80 is listed twice',
    ],
    [
      '"2001:db8::100"',
      '"2001:db8:1::31"',
      'f.yaml:17: services[0].address[1]: 2001:db8:1::31 is already a backend',
    ],
    [
      '"2001:db8::100"',
      '"2001:db8::1::100"',
      'f.yaml:17: services[0].address[1]: "2001:db8::1::100" is not an IP address, such as 10.1.0.11 or 2001:db8:1::11',
    ],
    [
      'address: [10.0.0.100, "2001:db8::100"]',
      'address: []',
      'f.yaml:17: services[0].address: has too few entries: at least 1',
    ],
    [
      'address: [10.0.0.100, "2001:db8::100"]',
      'address: 300.0.0.1',
      'f.yaml:17: services[0].address: "300.0.0.1" is not an IP address, such as 10.1.0.11 or 2001:db8:1::11',
    ],
    [
      '"[::1]:9100"',
      '"[2001:db8:1::41]:9100"',
      'f.yaml:13: members.a.admin: 2001:db8:1::41 is not a loopback address (127.0.0.0/8, ::1): set adminToken to serve beyond it',
    ],
  ])('%j -> %j', (from, to, problem) => {
    const found = problems(dual(from, to));
    expect(found[0]).toBe(problem);
  });
});
