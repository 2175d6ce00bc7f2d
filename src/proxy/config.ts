/**
 * The proxy's configuration file: its schema with every default, and how it is loaded. All members
 * of a cluster read the same file; `memberConfig` picks the part of one of them.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../config/config-error.ts';
import * as field from '../config/fields.ts';
import { nearest } from '../config/nearest.ts';
import {
  type FieldPath,
  loadYamlSource,
  parseYamlSource,
  type YamlSource,
} from '../config/yaml-file.ts';
import { checkReferences, MAX_SECRETS } from './config-checks.ts';
import { derivedMac } from './derived-mac.ts';

/** Fewest characters of the cluster's secret: 128 bits at one byte a character. */
const SECRET_LENGTH = 16;

/** Never shows the value: a message ends in logs. */
function secretText(pattern: RegExp, what: string): z.ZodString {
  const rule = `must be at least ${SECRET_LENGTH} ${what}, in quotes`;
  const error = ({ input }: { readonly input?: unknown }): string =>
    input === undefined ? `is missing: it ${rule}` : rule;
  return z.string({ error }).min(SECRET_LENGTH, { error }).regex(pattern, { error });
}

function filePath(what: string): z.ZodString {
  return field.text(/^[^\0]+$/, what);
}

const clusterSchema = z.strictObject({
  name: field.name().describe('Name of the cluster'),
  secret: field
    .oneOrMore(secretText(/^[^\0]*$/, 'characters'))
    .optional()
    .describe('What the members share, or several while it is changed; this or secretFile'),
  secretFile: filePath('the path of a file')
    .optional()
    .describe('File with the secret, or one a line, relative to this file'),
  port: field.port().default(7946).describe('UDP port of the messages between members'),
  heartbeatMs: field.milliseconds(1, 10_000).default(10).describe('Time between signs of life'),
  suspectAfterMs: field
    .milliseconds(2, 60_000)
    .default(30)
    .describe('Silence after which a member counts as dead, while the machines are calm'),
});

const networkSchema = z.strictObject({
  subnet: field
    .oneOrMore(field.subnet())
    .describe('The network all members are on, or several: one for each address family'),
  gateway: field
    .oneOrMore(field.address())
    .optional()
    .describe('Next hop to what is outside the subnet, one for each address family'),
  // RFC 791, 3.1: every host takes 576 bytes; 9216 is the largest common jumbo frame.
  mtu: field
    .wholeNumber(576, 9216, 'a number of bytes')
    .default(1500)
    .describe('Largest IP packet'),
});

const linkSchema = z.strictObject({
  tap: field.interfaceName().describe('The TAP interface, made when absent'),
  namespace: filePath('the path of a network namespace, such as /run/netns/lan')
    .optional()
    .describe('Network namespace the TAP is made in'),
  bridge: field.interfaceName().optional().describe('Bridge the TAP is put into'),
});

const memberSchema = z.strictObject({
  mesh: field.address().describe('Where the other members reach it; stays with it'),
  nextHop: field
    .oneOrMore(field.address())
    .describe('Next hop of the packets for the services, one for each address family'),
  sources: z
    .array(field.address())
    .min(1)
    .describe('Where connections to backends start; of every family that backends have'),
  mac: field.mac().optional().describe('Made from mesh when absent'),
  link: linkSchema,
  admin: field.endpoint().optional().describe('Where metrics and health are served'),
});

const poolSchema = z.strictObject({
  backends: z
    .array(field.endpoint())
    .min(1)
    .describe('Servers, address:port; families may be mixed'),
  connectTimeoutMs: field
    .milliseconds(1, 600_000)
    .default(1000)
    .describe('Wait for a backend before the next is asked'),
  penaltyMs: field
    .milliseconds(0, 600_000)
    .default(1000)
    .describe('How long a backend that failed is asked last'),
  balance: z.enum(['round-robin']).default('round-robin'),
});

const routeSchema = z.strictObject({
  host: field
    .text(
      /^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/,
      'a host name without a port, such as example.org or *.example.org',
    )
    .optional(),
  path: field
    .text(/^\/[\x21-\x22\x24-\x3e\x40-\x7e]*$/, 'a path that starts with "/", without "?" and "#"')
    .optional(),
  pool: field.name(),
});

const serviceFields = {
  name: field.name(),
  address: field.oneOrMore(field.address()).describe('Where clients reach it; one address or more'),
  port: field.port(),
};

const httpServiceSchema = z.strictObject({
  ...serviceFields,
  protocol: z.literal('http'),
  routes: z.array(routeSchema).min(1),
  maxHeadBytes: field
    .wholeNumber(256, 65_536, 'a number of bytes')
    .default(8192)
    .describe('Longest request head'),
  headTimeoutMs: field
    .milliseconds(10, 600_000)
    .default(10_000)
    .describe('Wait for a complete request head'),
});

const tcpServiceSchema = z.strictObject({
  ...serviceFields,
  protocol: z.literal('tcp'),
  pool: field.name(),
});

const spliceSchema = z.strictObject({
  idleTimeoutMs: field
    .milliseconds(1000, 604_800_000)
    .default(300_000)
    .describe('Silence after which a connection is probed, then dropped'),
  lingerMs: field
    .milliseconds(0, 600_000)
    .default(3000)
    .describe('How long a closed connection is remembered'),
  maxRecords: field
    .wholeNumber(16, 16_777_216, 'a number of records')
    .default(262_144)
    .describe('Connections at a time'),
  resume: z
    .boolean()
    .default(true)
    .describe('Whether ends are made to go on at once after a takeover, before their timers fire'),
});

/** Never shows the value: a person may have put the password there. */
const storeUrlRule =
  'must be the address of a Redis or Valkey server, such as redis://10.1.0.50:6379 or rediss://user@store.example.org:6380/0; a password goes into passwordFile';

const storeSchema = z.strictObject({
  url: z
    .string({ error: storeUrlRule })
    .regex(
      /^rediss?:\/\/([^\s:@/?#]+@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(\/[0-9]{1,3})?$/,
      { error: storeUrlRule, abort: true },
    )
    .refine((url) => URL.canParse(url), { error: 'has a port that is none (1 to 65535)' })
    .describe('Redis or Valkey server; rediss:// for TLS'),
  passwordFile: filePath('the path of a file')
    .optional()
    .describe('File with the password for it, relative to this file'),
  prefix: field
    .text(/^[\x21-\x7e]{1,64}$/, 'a text of 1 to 64 visible ASCII characters')
    .default('suture:')
    .describe('What the names of all records begin with'),
  ttlMs: field
    .milliseconds(10_000, 86_400_000)
    .default(600_000)
    .describe('How long a record stays that nobody writes again'),
  timeoutMs: field
    .milliseconds(1, 10_000)
    .default(50)
    .describe('How long a new connection waits for the store'),
});

const logSchema = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

/** The file's own form, before what it refers to is checked. The JSON Schema is made from this. */
export const proxyFileSchema = z.strictObject({
  cluster: clusterSchema,
  network: networkSchema,
  members: z.record(field.name(), memberSchema),
  pools: z.record(field.name(), poolSchema),
  services: z.array(z.discriminatedUnion('protocol', [httpServiceSchema, tcpServiceSchema])).min(1),
  splice: spliceSchema.prefault({}),
  store: storeSchema.optional().describe('Where records are kept beside the members'),
  drainTimeoutMs: field
    .milliseconds(0, 86_400_000)
    .default(10_000)
    .describe('How long a member that is told to leave may take to finish what it has begun'),
  user: field
    .text(/^[A-Za-z_][A-Za-z0-9_.-]*$/, 'the name of a user, such as nobody')
    .optional()
    .describe('Whom to become after the start'),
  log: logSchema.prefault({}),
  adminToken: secretText(/^[\x21-\x7e]*$/, 'visible ASCII characters')
    .optional()
    .describe('Bearer token for metrics and health'),
});

/** A configuration file as it was written, with the defaults filled in. */
export type ProxyFile = z.infer<typeof proxyFileSchema>;
export type PoolConfig = z.infer<typeof poolSchema>;
export type RouteConfig = z.infer<typeof routeSchema>;
export type HttpServiceFile = z.infer<typeof httpServiceSchema>;
export type TcpServiceFile = z.infer<typeof tcpServiceSchema>;

interface Addresses {
  /** At least one; families may be mixed. */
  readonly addresses: readonly string[];
}
export type HttpServiceConfig = Omit<HttpServiceFile, 'address'> & Addresses;
export type TcpServiceConfig = Omit<TcpServiceFile, 'address'> & Addresses;
export type ServiceConfig = HttpServiceConfig | TcpServiceConfig;

/** The link that all members are on. */
export interface NetworkConfig {
  /** At least one, in CIDR notation. */
  readonly subnets: readonly string[];
  /** At most one of each family. */
  readonly gateways: readonly string[];
  readonly mtu: number;
}
export type LinkConfig = z.infer<typeof linkSchema>;

/** Where records are kept beside the mesh. */
export type StoreConfig = Omit<z.infer<typeof storeSchema>, 'passwordFile'> & {
  readonly password?: string;
};

/** One member of the cluster. */
export interface MemberConfig {
  readonly name: string;
  /** Its address among the members, which no other member ever takes over. */
  readonly mesh: string;
  /** Where routers send what is for the services; a survivor takes them over. */
  readonly nextHops: readonly string[];
  /** Addresses it connects to backends from; at least one. A survivor takes them over. */
  readonly sources: readonly string[];
  /** As configured, or derived from `mesh`; lower case. */
  readonly mac: string;
  readonly link: LinkConfig;
  /** Where metrics and health are served, `address:port`; nowhere when absent. */
  readonly admin?: string;
}

/** What the proxy works with: the file, its secret read and its members completed. */
export interface ProxyConfig
  extends Omit<ProxyFile, 'cluster' | 'members' | 'network' | 'services' | 'store'> {
  readonly cluster: Omit<ProxyFile['cluster'], 'secret' | 'secretFile'> & {
    /** The first seals and makes cookies; all open and check. */
    readonly secrets: readonly string[];
  };
  readonly network: NetworkConfig;
  readonly services: readonly ServiceConfig[];
  readonly store?: StoreConfig;
  /** By name, in the order of the file. */
  readonly members: ReadonlyMap<string, MemberConfig>;
}

const checkedSchema = proxyFileSchema.superRefine((file, context) => {
  checkReferences(file, (path, message) => {
    context.addIssue({ code: 'custom', path: [...path], message });
  });
});

/**
 * Loads the configuration at `path`.
 * @throws ConfigError with file, line, field and what is allowed.
 */
export function loadProxyConfig(path: string): ProxyConfig {
  return loadProxySource(path).config;
}

/** `loadProxyConfig` for who goes on checking, with line numbers. */
export function loadProxySource(path: string): {
  readonly config: ProxyConfig;
  readonly problem: YamlSource<ProxyFile>['problem'];
} {
  const source = loadYamlSource(path, checkedSchema);
  return { config: complete(source, path), problem: source.problem };
}

/** `loadProxyConfig` for text in memory; `file` is its name in errors and where paths start. */
export function parseProxyConfig(text: string, file: string): ProxyConfig {
  return complete(parseYamlSource(text, file, checkedSchema), file);
}

/**
 * The member called `name`.
 * @throws ConfigError that names the known members.
 */
export function memberConfig(config: ProxyConfig, name: string): MemberConfig {
  const member = config.members.get(name);
  if (member !== undefined) return member;
  const known = [...config.members.keys()];
  const meant = nearest(name, known);
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  throw new ConfigError(
    `no member "${name}" in cluster "${config.cluster.name}"${hint} (members: ${known.join(', ')})`,
  );
}

function complete(source: YamlSource<ProxyFile>, file: string): ProxyConfig {
  const { cluster, members, network, services, store, ...rest } = source.value;
  const { secret: _secret, secretFile: _secretFile, ...clusterRest } = cluster;
  return {
    ...rest,
    cluster: { ...clusterRest, secrets: readSecrets(source, file) },
    ...(store === undefined ? {} : { store: completeStore(store, source, file) }),
    network: {
      subnets: field.listOf(network.subnet),
      gateways: network.gateway === undefined ? [] : field.listOf(network.gateway),
      mtu: network.mtu,
    },
    services: services.map(({ address, ...service }) => ({
      ...service,
      addresses: field.listOf(address),
    })),
    members: new Map(
      Object.entries(members).map(([name, { mac, admin, nextHop, ...member }]) => [
        name,
        {
          ...member,
          name,
          nextHops: field.listOf(nextHop),
          mac: mac?.toLowerCase() ?? derivedMac(member.mesh),
          ...(admin === undefined ? {} : { admin }),
        },
      ]),
    ),
  };
}

function completeStore(
  { passwordFile, ...store }: z.infer<typeof storeSchema>,
  source: YamlSource<ProxyFile>,
  file: string,
): StoreConfig {
  if (passwordFile === undefined) return store;
  const [password] = readLines(source, file, ['store', 'passwordFile'], passwordFile, 1);
  return { ...store, password };
}

function readSecrets(source: YamlSource<ProxyFile>, file: string): readonly string[] {
  const { secret, secretFile } = source.value.cluster;
  if (secretFile === undefined) return secret === undefined ? [] : field.listOf(secret);
  const at = ['cluster', 'secretFile'];
  const secrets = readLines(source, file, at, secretFile, SECRET_LENGTH);
  if (secrets.length > MAX_SECRETS) {
    const reason = `has ${secrets.length} lines: at most ${MAX_SECRETS} secrets are good`;
    throw new ConfigError(source.problem(at, `${resolve(dirname(file), secretFile)} ${reason}`));
  }
  return secrets;
}

/** The lines of the file that the field at `at` names, but for empty ones; at least one. */
function readLines(
  source: YamlSource<ProxyFile>,
  file: string,
  at: FieldPath,
  named: string,
  shortest: number,
): readonly string[] {
  const path = resolve(dirname(file), named);
  const refuse = (reason: string, cause?: unknown): ConfigError =>
    new ConfigError(source.problem(at, reason), { cause });
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw refuse(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
  const lines = content
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
  if (lines.length === 0 || lines.some((line) => line.length < shortest)) {
    const characters = shortest === 1 ? 'one character' : `${shortest} characters in each line`;
    throw refuse(`${path} must hold at least ${characters}`);
  }
  return lines;
}
