import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { jsonSchemaText } from '../../src/config/json-schema.ts';
import { ConfigError, parseYaml } from '../../src/config/yaml-file.ts';
import { planOf } from '../../src/lab/planner.ts';
import {
  loadTopology,
  parseTopology,
  type TopologyInput,
  topologySchema,
} from '../../src/lab/topology.ts';

const root = join(import.meta.dirname, '../..');

/** Two hosts on one switch: what the tests below break. */
const FILE: TopologyInput = {
  name: 'two',
  switches: { lan: {} },
  hosts: {
    client: { interfaces: { eth0: { switch: 'lan', addresses: ['10.1.0.2/24'] } } },
    web: {
      interfaces: { eth0: { switch: 'lan', addresses: ['10.1.0.31/24'] } },
      routes: [{ to: 'default', via: '10.1.0.2' }],
    },
  },
};

/** Every problem of `FILE` with `change` applied. */
function problems(
  change: (topology: typeof FILE & Record<string, unknown>) => void,
): readonly string[] {
  const changed = structuredClone(FILE) as typeof FILE & Record<string, unknown>;
  change(changed);
  try {
    parseTopology(changed, root);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('a good topology has no problems', () => {
  expect(problems(() => {})).toEqual([]);
});

test.each<[string, Parameters<typeof problems>[0], string]>([
  [
    'an unknown switch',
    (t) => Object.assign(t.hosts.web.interfaces?.eth0 ?? {}, { switch: 'lam' }),
    'topology: hosts.web.interfaces.eth0.switch: there is no switch "lam"; there is: lan; did you mean "lan"?',
  ],
  [
    'an address used twice',
    (t) => Object.assign(t.hosts.web.interfaces?.eth0 ?? {}, { addresses: ['10.1.0.2/24'] }),
    'topology: hosts.web.interfaces.eth0.addresses[0]: 10.1.0.2 is already an address of client',
  ],
  [
    'an address without a prefix',
    (t) => Object.assign(t.hosts.web.interfaces?.eth0 ?? {}, { addresses: ['10.1.0.31'] }),
    'topology: hosts.web.interfaces.eth0.addresses[0]: "10.1.0.31" is not an IP address with its prefix length, such as 10.1.0.1/24',
  ],
  [
    'a prefix that is too long',
    (t) => Object.assign(t.hosts.web.interfaces?.eth0 ?? {}, { addresses: ['10.1.0.31/33'] }),
    'topology: hosts.web.interfaces.eth0.addresses[0]: "10.1.0.31/33" is not an IP address with its prefix length, such as 10.1.0.1/24',
  ],
  [
    'an IPv6 address in a topology without IPv6',
    (t) =>
      Object.assign(t.hosts.web.interfaces?.eth0 ?? {}, {
        addresses: ['10.1.0.31/24', 'fd00::31/64'],
      }),
    'topology: hosts.web.interfaces.eth0.addresses[1]: fd00::31 needs "ipv6: true" in the topology',
  ],
  [
    'one IPv6 address in two spellings',
    (t) => {
      t.ipv6 = true;
      Object.assign(t.hosts.client.interfaces?.eth0 ?? {}, { addresses: ['fd00::31/64'] });
      Object.assign(t.hosts.web.interfaces?.eth0 ?? {}, {
        addresses: ['10.1.0.31/24', 'fd00:0::0031/64'],
      });
    },
    'topology: hosts.web.interfaces.eth0.addresses[1]: fd00:0::0031 is already an address of client',
  ],
  [
    'a next hop that no network has',
    (t) => Object.assign(t.hosts.web, { routes: [{ to: 'default', via: '10.9.0.1' }] }),
    'topology: hosts.web.routes[0].via: 10.9.0.1 is on no network of web; it has: 10.1.0.31/24',
  ],
  [
    'next hops of two families',
    (t) =>
      Object.assign(t.hosts.web, { routes: [{ to: 'default', via: ['10.1.0.2', 'fd00::1'] }] }),
    'topology: hosts.web.routes[0].via: fd00::1 is not of the family of 10.1.0.2',
  ],
  [
    'two nodes of one name',
    (t) => Object.assign(t, { switches: { lan: {}, web: {} } }),
    'topology: hosts.web: "web" is already the name of one of the switches',
  ],
  [
    'two processes of one name',
    (t) => Object.assign(t.hosts.web, { files: {}, run: [{ name: 'files', command: 'true' }] }),
    'topology: hosts.web.run[0].name: "files" is already a process of web',
  ],
  [
    'a check on an unknown host',
    (t) => Object.assign(t, { checks: [{ host: 'cleint', run: ['true'] }] }),
    'topology: checks[0].host: there is no host "cleint"; there is: client, web; did you mean "client"?',
  ],
  [
    'a check with a broken pattern',
    (t) => Object.assign(t, { checks: [{ host: 'web', run: ['true'], output: '(' }] }),
    'topology: checks[0].output: "(" is not a regular expression',
  ],
  [
    'a name that the switch itself uses',
    (t) => Object.assign(t.hosts, { br0: {} }),
    'topology: hosts.br0: "br0" is not a name (1 to 15 lower-case letters, digits and hyphens, not br0 or lo)',
  ],
])('%s is one clear line', (_, change, line) => {
  // A topology from a program has lines too, but nobody counts them.
  expect(problems(change).map((text) => text.replace(/^topology:\d+/, 'topology'))).toEqual([line]);
});

test('a misspelt key is shown with its line and what is allowed', () => {
  const text = 'name: x\nhosts:\n  web:\n    interface: {}\n';
  const load = (): unknown => parseYaml(text, 'lab.yaml', topologySchema);
  expect(load).toThrow('lab.yaml:4: hosts.web: unknown key "interface"');
  expect(load).toThrow('did you mean "interfaces"?');
});

test('the shipped labs are in order', () => {
  for (const name of ['duo', 'duo6', 'solo', 'spray', 'ecmp']) {
    const loaded = loadTopology(join(root, 'labs', `${name}.yaml`));
    expect(planOf(loaded).processes.map((process) => process.name)).toContain('a');
  }
});

/** What the plan sets in `client`, of the routes that it is given. */
function planned(routes: object[], ipv6 = false) {
  const changed = structuredClone(FILE) as TopologyInput;
  const addresses = ['10.1.0.2/24', ...(ipv6 ? ['fd00::2/64'] : [])];
  Object.assign(changed, { ipv6 });
  Object.assign(changed.hosts.client, {
    interfaces: { eth0: { switch: 'lan', addresses } },
    routes,
  });
  const plan = planOf(parseTopology(changed, root));
  const found = plan.namespaces.find(({ namespace }) => namespace === 'client');
  return { ...found, commands: found?.commands.filter((line) => /^(route|rule)/.test(line)) };
}

test('several next hops: one for each flow', () => {
  const plan = planned([{ to: '10.0.0.100', via: ['10.1.0.11', '10.1.0.12'] }]);
  expect(plan.commands).toEqual([
    'route add 10.0.0.100 nexthop via 10.1.0.11 nexthop via 10.1.0.12',
  ]);
  expect(plan.sysctls).toContainEqual(['net/ipv4/fib_multipath_hash_policy', '1']);
  expect(plan.ruleset).toBeUndefined();
});

test('several next hops: the next for each packet', () => {
  const via = ['10.1.0.11', '10.1.0.12'];
  const plan = planned(
    [
      { to: '10.0.0.100', via, spread: 'packet' },
      { to: '10.9.0.0/24', via, spread: 'packet' },
      { to: 'fd01::/64', via: ['fd00::11', 'fd00::12'], spread: 'packet' },
    ],
    true,
  );
  expect(plan.commands).toEqual([
    'route add 10.0.0.100 nexthop via 10.1.0.11 nexthop via 10.1.0.12',
    'route add 10.9.0.0/24 nexthop via 10.1.0.11 nexthop via 10.1.0.12',
    'route add fd01::/64 nexthop via fd00::11 nexthop via fd00::12',
    'rule add fwmark 1001 table 1001',
    'rule add fwmark 1002 table 1002',
    'route add 10.0.0.100 via 10.1.0.11 table 1001',
    'route add 10.0.0.100 via 10.1.0.12 table 1002',
    'route add 10.9.0.0/24 via 10.1.0.11 table 1001',
    'route add 10.9.0.0/24 via 10.1.0.12 table 1002',
    'route add fd01::/64 via fd00::11 table 1003',
    'route add fd01::/64 via fd00::12 table 1004',
  ]);
  expect(plan.rules6).toEqual([
    'rule add fwmark 1003 table 1003',
    'rule add fwmark 1004 table 1004',
  ]);
  expect(plan.ruleset?.match(/meta nfproto.*/g)).toEqual([
    'meta nfproto ipv4 ip daddr { 10.0.0.100, 10.9.0.0/24 } meta mark set numgen inc mod 2 offset 1001',
    'meta nfproto ipv6 ip6 daddr { fd01::/64 } meta mark set numgen inc mod 2 offset 1003',
  ]);
});

test('with IPv6, no address waits to be found unique', () => {
  const plan = planOf(loadTopology(join(root, 'labs', 'duo6.yaml')));
  const router = plan.namespaces.find(({ namespace }) => namespace === 'router');
  expect(router?.commands).toContain('address add 2001:db8:1::1/64 dev eth1 nodad');
  expect(router?.commands).toContain('route add 2001:db8::100 via 2001:db8:1::11');
  expect(router?.sysctls).toEqual(
    expect.arrayContaining([
      ['net/ipv6/conf/all/forwarding', '1'],
      ['net/ipv6/conf/eth0/accept_dad', '0'],
      ['net/ipv6/conf/eth1/accept_dad', '0'],
    ]),
  );
  expect(plan.taps[0].addresses).toEqual([
    '2001:db8:1::41',
    ...['10.1.0.11', '2001:db8:1::11', '10.1.0.21', '2001:db8:1::21'],
  ]);
});

test('the plan of a lab is the same every time, and its ports are named after their hosts', () => {
  const loaded = parseTopology(FILE, root);
  const plan = planOf(loaded);
  expect(planOf(loaded)).toEqual(plan);
  expect(plan.cables.map(({ port }) => port)).toEqual(['client', 'web']);
  expect(plan.creation.filter((line) => line.startsWith('netns'))).toEqual([
    'netns add lan',
    'netns add client',
    'netns add web',
  ]);
});

test('a host that is twice on a switch has two ports, each within the limit of a name', () => {
  const changed = structuredClone(FILE);
  changed.hosts['a-very-long-one'] = {
    interfaces: { eth0: { switch: 'lan' }, eth1: { switch: 'lan' } },
  };
  const ports = planOf(parseTopology(changed, root)).cables.map(({ port }) => port);
  expect(new Set(ports).size).toBe(4);
  for (const port of ports) expect(port.length).toBeLessThan(16);
});

test('the JSON Schema is in step with the schema (node scripts/schemas.mjs)', () => {
  expect(readFileSync(join(root, 'schemas/lab.schema.json'), 'utf8')).toBe(
    jsonSchemaText(topologySchema, 'Suture lab topology'),
  );
});
