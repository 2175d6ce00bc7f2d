/**
 * The topology file of a lab: hosts and proxies joined by switches, what runs in them, and what must
 * hold once all is up.
 */
import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { mustBe } from '../config/describe.ts';
import * as field from '../config/fields.ts';
import { loadYamlFile, parseYaml } from '../config/yaml-file.ts';
import { checkTopology } from './topology-checks.ts';

// A field that is wrong aborts, so that the checks across fields meet only good ones.

/** Also the names of network namespaces and of bridge ports, whose limit is 15 bytes. */
function nodeName(): z.ZodString {
  return field.text(
    /^(?!(br0|lo)$)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/,
    'a name (1 to 15 lower-case letters, digits and hyphens, not br0 or lo)',
  );
}

function ipAddress(): z.ZodString {
  const error = mustBe('an IP address, such as 10.1.0.1');
  return z.string({ error }).refine((text) => isIP(text) !== 0, { error, abort: true });
}

function interfaceAddress(): z.ZodString {
  const error = mustBe('an IP address with its prefix length, such as 10.1.0.1/24');
  return z.string({ error }).refine(hasPrefix, { error, abort: true });
}

function hasPrefix(text: string): boolean {
  const [address, bits, ...rest] = text.split('/');
  const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return rest.length === 0 && /^\d{1,3}$/.test(bits ?? '') && Number(bits) <= longest;
}

function destination(): z.ZodString {
  const error = mustBe('a destination: default, an IP address or a network such as 10.1.0.0/24');
  return z.string({ error }).refine((to) => to === 'default' || isIP(to) !== 0 || hasPrefix(to), {
    error,
    abort: true,
  });
}

export const switchSchema = z.strictObject({
  mtu: field
    .wholeNumber(576, 65_535, 'a number of bytes')
    .default(1500)
    .describe('MTU of the switch and of all interfaces on it'),
});

const interfaceSchema = z.strictObject({
  switch: nodeName().describe('The switch it is plugged into'),
  addresses: z.array(interfaceAddress()).default([]).describe('Addresses with prefix lengths'),
});

const routeSchema = z.strictObject({
  to: destination().describe('default, an address or a network'),
  via: field
    .oneOrMore(ipAddress())
    .describe('The next hop, on a network of one of the interfaces; or several, all of one family'),
  spread: z
    .enum(['flow', 'packet'])
    .default('flow')
    .describe('What keeps to one of several next hops: each flow, or nothing (needs nft)'),
});

const readySchema = z.union([
  z.strictObject({ tcp: field.port().describe('Ready when something listens on this TCP port') }),
  z.strictObject({
    http: field
      .text(/^http:\/\/[^\s/]+(\/\S*)?$/, 'an http:// URL')
      .describe('Ready when this URL of its own, asked from within the host, answers 2xx'),
  }),
]);

const commandSchema = z.union([
  z.string().min(1).describe('A command line for sh'),
  z.array(z.string()).min(1).describe('A program and its arguments'),
]);

const environmentSchema = z
  .record(
    field.text(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable'),
    z.union([z.string(), z.number()]),
  )
  .default({})
  .describe('Environment variables, on top of those the lab was started with');

const readyTimeoutMs = field
  .milliseconds(1, 600_000)
  .default(10_000)
  .describe('Longest wait for the ready check');

const processSchema = z.strictObject({
  name: field.name().describe('Its name within the host'),
  command: commandSchema,
  env: environmentSchema,
  ready: readySchema.optional(),
  readyTimeoutMs,
});

export const filesSchema = z.strictObject({
  root: field
    .text(/^[^\0]+$/, 'the path of a folder')
    .optional()
    .describe('The folder served; a folder of the lab, shared by all its hosts, when absent'),
  port: field.port().default(80),
  server: z
    .enum(['auto', 'nginx', 'node'])
    .default('auto')
    .describe('auto is nginx when it is installed, else a small server of ours'),
});

const hostSchema = z.strictObject({
  interfaces: z.record(field.interfaceName(), interfaceSchema).default({}),
  routes: z.array(routeSchema).default([]),
  forward: z.boolean().default(false).describe('Whether it forwards between its interfaces'),
  sysctls: z
    .record(
      field.text(/^net\.[A-Za-z0-9_.-]+$/, 'a sysctl of the network, such as net.ipv4.tcp_sack'),
      z.union([z.string(), z.number()]),
    )
    .default({})
    .describe('Settings of the host, such as net.ipv4.tcp_sack: 0'),
  run: z.array(processSchema).default([]).describe('Processes, started in this order'),
  files: filesSchema.nullable().optional().describe('Serve a folder over HTTP'),
});

const proxySchema = z.strictObject({
  config: field
    .text(/^[^\0]+$/, 'the path of a file')
    .describe("The proxy's configuration, relative to this file; it names the member"),
  switch: nodeName().describe('The switch its TAP is plugged into'),
  env: environmentSchema,
  readyTimeoutMs,
});

const checkSchema = z.strictObject({
  host: nodeName(),
  run: commandSchema,
  exit: field.wholeNumber(0, 255, 'an exit code').default(0),
  output: z.string().optional().describe('A regular expression that its output must match'),
});

/** The file's own form, before what it refers to is checked. The JSON Schema is made from this. */
export const topologySchema = z.strictObject({
  name: field.name().describe('Name of the lab, by which `suture lab` verbs find it'),
  ipv6: z.boolean().default(false).describe('Whether the hosts speak IPv6'),
  switches: z.record(nodeName(), switchSchema.nullable()).default({}),
  hosts: z.record(nodeName(), hostSchema),
  proxies: z.record(nodeName(), proxySchema).default({}),
  checks: z.array(checkSchema).default([]).describe('What must hold once everything is ready'),
});

const checkedSchema = topologySchema.superRefine((topology, context) => {
  checkTopology(topology, (path, message) => {
    context.addIssue({ code: 'custom', path: [...path], message });
  });
});

/** A topology as a person or a program writes it. */
export type TopologyInput = z.input<typeof topologySchema>;
/** A topology with its defaults filled in. Paths in it are relative to `LoadedTopology.folder`. */
export type Topology = z.infer<typeof topologySchema>;
export type RouteTopology = z.infer<typeof routeSchema>;
export type HostTopology = z.infer<typeof hostSchema>;
export type ProxyTopology = z.infer<typeof proxySchema>;
export type FilesTopology = z.infer<typeof filesSchema>;
export type Ready = z.infer<typeof readySchema>;

/** A checked topology and where its paths start. */
export interface LoadedTopology {
  readonly topology: Topology;
  /** Absolute path. */
  readonly folder: string;
  /** Absolute path of its file; absent when it came from a program. */
  readonly file?: string;
}

/**
 * Loads the topology file at `path`.
 * @throws ConfigError with file, line, field and what is allowed.
 */
export function loadTopology(path: string): LoadedTopology {
  const file = resolve(path);
  return { topology: loadYamlFile(path, checkedSchema), folder: dirname(file), file };
}

/**
 * Checks a topology made by a program; its relative paths start at `folder`.
 * @throws ConfigError with the field and what is allowed.
 */
export function parseTopology(input: TopologyInput, folder: string): LoadedTopology {
  // JSON is YAML, so that the messages are the same.
  const text = JSON.stringify(input, null, 2);
  return { topology: parseYaml(text, 'topology', checkedSchema), folder };
}
