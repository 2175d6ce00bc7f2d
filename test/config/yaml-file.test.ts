import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import * as field from '../../src/config/fields.ts';
import { nearest } from '../../src/config/nearest.ts';
import { Subnet } from '../../src/config/subnet.ts';
import {
  ConfigError,
  fieldName,
  loadYamlFile,
  parseYaml,
  parseYamlSource,
} from '../../src/config/yaml-file.ts';

const schema = z.strictObject({
  services: z.array(
    z.discriminatedUnion('protocol', [
      z.strictObject({ protocol: z.literal('http'), port: field.port() }),
      z.strictObject({ protocol: z.literal('tcp'), port: field.port(), name: field.name() }),
    ]),
  ),
  hosts: z.record(field.name(), z.strictObject({ address: field.address() })).default({}),
  size: z.union([field.port(), z.strictObject({ bytes: field.port() })]).optional(),
  level: z.enum(['low', 'high']).default('low'),
  on: z.boolean().default(false),
});

/** The problems that `text` is refused with. */
function problems(text: string): readonly string[] {
  try {
    parseYaml(text, 'f.yaml', schema);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('a right file is read, with its defaults', () => {
  const value = parseYaml('services: [{ protocol: http, port: 80 }]\n', 'f.yaml', schema);
  expect(value).toEqual({
    services: [{ protocol: 'http', port: 80 }],
    hosts: {},
    level: 'low',
    on: false,
  });
});

test.each([
  [
    'a value out of range',
    'services:\n  - protocol: http\n    port: 99999\n',
    ['f.yaml:3: services[0].port: 99999 is not a port (1 to 65535)'],
  ],
  [
    'a value of another type',
    'services:\n  - protocol: http\n    port: [80]\n',
    ['f.yaml:3: services[0].port: a list is not a port (1 to 65535)'],
  ],
  [
    'a missing key, at the mapping it is missing in',
    'services:\n\n  - protocol: http\n',
    ['f.yaml:3: services[0].port: is missing: it must be a port (1 to 65535)'],
  ],
  ['a missing section', 'level: low\n', ['f.yaml:1: services: is missing: it must be a list']],
  [
    'an unknown key, with the nearest',
    'services: []\nlevle: low\n',
    [
      'f.yaml:2: unknown key "levle" (did you mean "level"?); ' +
        'allowed: services, hosts, size, level, on',
    ],
  ],
  [
    'an unknown key that is near none',
    'services:\n - protocol: http\n   port: 1\n   zzzzzz: 1\n',
    ['f.yaml:4: services[0]: unknown key "zzzzzz"; allowed: protocol, port'],
  ],
  [
    'an unknown choice of a union',
    'services:\n  - protocol: udp\n',
    ['f.yaml:2: services[0].protocol: "udp" is not "http" or "tcp"'],
  ],
  [
    'an unknown value',
    'services: []\nlevel: middle\n',
    ['f.yaml:2: level: "middle" is not "low" or "high"'],
  ],
  ['a wrong boolean', 'services: []\non: yes\n', ['f.yaml:2: on: "yes" is not true or false']],
  [
    'a wrong key of a record',
    'services: []\nhosts:\n  A b:\n    address: 10.0.0.1\n',
    [
      'f.yaml:3: hosts["A b"]: "A b" is not a name (1 to 32 lower-case letters, digits and hyphens, ' +
        'no hyphen at an end)',
    ],
  ],
  [
    'the branch of a union that got furthest',
    'services: []\nsize:\n  bytes: 0\n',
    ['f.yaml:3: size.bytes: 0 is not a port (1 to 65535)'],
  ],
  [
    'several problems, in the order of the file',
    'level: x\nservices: 3\non: 1\n',
    [
      'f.yaml:1: level: "x" is not "low" or "high"',
      'f.yaml:2: services: 3 is not a list',
      'f.yaml:3: on: 1 is not true or false',
    ],
  ],
  ['a root of another type', '- 1\n', ['f.yaml:1: a list is not a mapping']],
  ['a key twice', 'on: true\non: false\n', ['f.yaml:2: Map keys must be unique']],
  ['an empty file', '# nothing\n', ['f.yaml: the file is empty']],
])('%s is named with its line', (_, text, expected) => {
  expect(problems(text)).toEqual(expected);
});

test('a value behind an alias has the line where it is written', () => {
  const text = 'hosts:\n  a: &x\n    address: 300.1.1.1\n  b: *x\nservices: []\n';
  expect(problems(text)).toEqual([
    'f.yaml:3: hosts.a.address: "300.1.1.1" is not an IP address, such as 10.1.0.11 or 2001:db8:1::11',
    'f.yaml:3: hosts.b.address: "300.1.1.1" is not an IP address, such as 10.1.0.11 or 2001:db8:1::11',
  ]);
});

test('what is no YAML is refused with its line', () => {
  expect(problems('services:\n  - [\n')).toHaveLength(1);
  expect(problems('services:\n  - [\n')[0]).toMatch(/^f\.yaml:\d+: \S/);
  expect(problems('services: *nowhere\n')[0]).toMatch(/^f\.yaml: .*nowhere/);
});

test('aliases that would expand without bound are refused', () => {
  let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 10; i++) {
    text += `a${i}: &a${i} [${Array.from({ length: 9 }, () => `*a${i - 1}`).join(', ')}]\n`;
  }
  expect(problems(text)[0]).toMatch(/^f\.yaml: .*alias/);
});

test('the message is one line and counts what it leaves out', () => {
  const error = new ConfigError(['one', 'two', 'three']);
  expect(error.message).toBe('one (and 2 more problems)');
  expect(new ConfigError('one').message).toBe('one');
  expect(error.problems).toEqual(['one', 'two', 'three']);
});

test('a file that cannot be read is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'suture-config-'));
  try {
    const path = join(folder, 'f.yaml');
    expect(() => loadYamlFile(path, schema)).toThrow(new ConfigError(`${path}: no such file`));
    expect(() => loadYamlFile(folder, schema)).toThrow(/is a directory/);
    writeFileSync(path, 'services: 1\n');
    expect(() => loadYamlFile(path, schema)).toThrow(`${path}:1: services: 1 is not a list`);
    writeFileSync(path, 'services: []\n');
    expect(loadYamlFile(path, schema).services).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('later checks can name lines too', () => {
  const source = parseYamlSource('services: []\nlevel: low\n', 'f.yaml', schema);
  expect(source.problem(['level'], 'is too low')).toBe('f.yaml:2: level: is too low');
  expect(source.problem([], 'is odd')).toBe('f.yaml:1: is odd');
});

test('any text is accepted or refused with ConfigError', () => {
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'a:-[]{}&*!|>\'"%@`#,? \n\t0') }),
    fc.json(),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, (input) => {
      for (const problem of problems(input)) expect(problem).toMatch(/^f\.yaml:/);
    }),
  );
});

test('a field is named as it is written', () => {
  expect(fieldName(['services', 0, 'port'])).toBe('services[0].port');
  expect(fieldName(['a b', 'c'])).toBe('["a b"].c');
});

test('the nearest word is found, if there is one', () => {
  expect(nearest('prot', ['name', 'port', 'pool'])).toBe('port');
  expect(nearest('Heartbeat', ['heartbeatMs', 'name'])).toBe('heartbeatMs');
  expect(nearest('zzz', ['name', 'port'])).toBeUndefined();
  expect(nearest('b', ['a'])).toBeUndefined();
  fc.assert(fc.property(fc.string({ minLength: 1 }), (word) => nearest(word, ['', word]) === word));
});

test.each<[string, z.ZodType, string[], unknown[]]>([
  ['port', field.port(), [], [0, 65536, 1.5, '80', null]],
  [
    'address',
    field.address(),
    ['0.0.0.0', '255.255.255.255', '2001:db8::1', 'FE80::1', '1:2:3:4:5:6:7:8'],
    [
      '256.1.1.1',
      '1.2.3',
      '01.2.3.4',
      ' 1.2.3.4',
      '1.2.3.4\n',
      '::',
      '::1',
      'ff02::1',
      'fe80::1%eth0',
      '1::2::3',
      '::ffff:1.2.3.4',
    ],
  ],
  [
    'subnet',
    field.subnet(),
    ['10.1.0.0/24', '0.0.0.0/1', '10.1.0.4/30', '2001:db8::/64', '2001:db8::4/126'],
    [
      '10.1.0.1/24',
      '10.1.0.0',
      '10.0.0.0/31',
      '10.0.0.0/0',
      '2001:db8::1/64',
      '2001:db8::/127',
      '::/0',
      '2001:db8::/129',
    ],
  ],
  [
    'endpoint',
    field.endpoint(),
    ['10.1.0.31:80', '1.2.3.4:65535', '[2001:db8::1]:80', '[::1]:9100'],
    [
      '2001:db8::1:80',
      '[2001:db8::1]',
      '[1.2.3.4]:80',
      '[2001:db8::1]:0',
      '[::1%lo]:80',
      '10.1.0.31',
      '10.1.0.31:0',
      '1.2.3.4:65536',
      '1.2.3.4:080',
      'host:80',
    ],
  ],
  [
    'mac',
    field.mac(),
    ['02:53:00:00:00:0b', 'FE:FF:FF:FF:FF:FF'],
    ['01:00:5e:00:00:01', '02-53-00-00-00-0b', '02:53:00:00:00'],
  ],
  [
    'interface',
    field.interfaceName(),
    ['br0', 'suture-a', 'eth0.1'],
    ['', '.', '..', 'a/b', 'a b', 'a:1', 'abcdefghijklmnop'],
  ],
  ['name', field.name(), ['a', '0', 'a-b'], ['', '-a', 'a-', 'A', 'a_b', 'a'.repeat(33)]],
])('the field kind %s accepts what it should and nothing else', (_, kind, right, wrong) => {
  for (const value of right) expect(kind.safeParse(value).success, value).toBe(true);
  for (const value of wrong) expect(kind.safeParse(value).success, String(value)).toBe(false);
});

test('every port is a port', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 70_000 }), (port) => {
      const right = port >= 1 && port <= 65_535;
      expect(field.port().safeParse(port).success).toBe(right);
      expect(field.endpoint().safeParse(`10.0.0.1:${port}`).success).toBe(right);
    }),
  );
  expect(field.splitEndpoint('10.0.0.1:80')).toEqual({ address: '10.0.0.1', port: 80 });
  expect(field.splitEndpoint('[2001:db8::1]:80')).toEqual({ address: '2001:db8::1', port: 80 });
});

test('a subnet knows its members and which of them hosts may have', () => {
  const subnet = new Subnet('10.1.0.0/24');
  expect(subnet.contains('10.1.0.0')).toBe(true);
  expect(subnet.contains('10.1.1.0')).toBe(false);
  expect(subnet.isHost('10.1.0.0')).toBe(false);
  expect(subnet.isHost('10.1.0.255')).toBe(false);
  expect(subnet.isHost('10.1.0.254')).toBe(true);
  expect(new Subnet('128.0.0.0/1').isHost('255.255.255.255')).toBe(false);
  const six = new Subnet('2001:db8:0:1::/64');
  expect(six.contains('2001:db8:0:1:ffff::1')).toBe(true);
  expect(six.contains('2001:db8:0:2::1')).toBe(false);
  expect(six.contains('10.1.0.1')).toBe(false);
  expect(six.isHost('2001:0db8::1:0:0:0:0')).toBe(false);
  expect(six.isHost('2001:db8:0:1:ffff:ffff:ffff:ffff')).toBe(true);
});
