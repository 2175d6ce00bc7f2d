/** From a topology to a plan. Nothing here changes the machine. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileServer } from './backend-server.ts';
import { environment } from './environment.ts';
import { BRIDGE, type Cable, type NamespacePlan, type Plan, type ProcessPlan } from './plan.ts';
import { proxyProcess } from './proxy-process.ts';
import { planRoutes } from './spreading.ts';
import { type HostTopology, type LoadedTopology, switchSchema, type Topology } from './topology.ts';

/** @throws ConfigError for a proxy whose configuration cannot be used. */
export function planOf({ topology, folder }: LoadedTopology): Plan {
  const cables = cablesOf(topology);
  const proxies = Object.entries(topology.proxies).map(([name, proxy]) =>
    proxyProcess(name, proxy, folder),
  );
  return {
    name: topology.name,
    hosts: Object.keys(topology.hosts),
    switches: Object.keys(topology.switches),
    cables,
    taps: proxies.map(({ tap }) => tap),
    creation: creationOf(topology, cables),
    namespaces: [
      ...Object.keys(topology.switches).map((name) => switchPlan(name, topology, cables)),
      ...Object.entries(topology.hosts).map(([name, host]) => hostPlan(name, host, topology)),
      ...Object.keys(topology.proxies).map(loopbackOnly),
    ],
    processes: [
      ...Object.entries(topology.hosts).flatMap(([name, host]) =>
        hostProcesses(name, host, folder, topology.ipv6),
      ),
      ...proxies.map(({ process }) => process),
    ],
    checks: topology.checks.map(({ host, run, exit, output }) => ({
      host,
      argv: shellArgv(run),
      exit,
      ...(output === undefined ? {} : { output }),
    })),
  };
}

function cablesOf(topology: Topology): Cable[] {
  const cables: Cable[] = [];
  for (const [host, { interfaces }] of Object.entries(topology.hosts)) {
    for (const [device, { switch: on, addresses }] of Object.entries(interfaces)) {
      const alone = Object.values(interfaces).filter((other) => other.switch === on).length === 1;
      // A second port of a host gets a number; 15 bytes is the limit of a name.
      const port = alone ? host : `${host.slice(0, 11)}.${cables.length}`;
      cables.push({ host, device, switch: on, port, addresses });
    }
  }
  return cables;
}

function creationOf(topology: Topology, cables: readonly Cable[]): string[] {
  const nodes = [topology.switches, topology.hosts, topology.proxies].flatMap(Object.keys);
  return [
    ...nodes.map((name) => `netns add ${name}`),
    // Names are introduced by `name` or `dev`: a bare `h` or `up` would be a word of ip's own.
    ...cables.map((cable) => {
      const end = `address ${macOf(cable)} mtu ${mtuOf(topology, cable.switch)}`;
      return (
        `link add name ${cable.device} netns ${cable.host} ${end} type veth ` +
        `peer name ${cable.port} mtu ${mtuOf(topology, cable.switch)} netns ${cable.switch}`
      );
    }),
  ];
}

function mtuOf(topology: Topology, name: string): number {
  return (topology.switches[name] ?? switchSchema.parse({})).mtu;
}

/** The same in every run, so that captures compare. Locally administered and unicast. */
function macOf({ host, device }: Cable): string {
  const hash = createHash('sha256').update(`${host} ${device}`).digest('hex');
  return ['02', ...(hash.slice(0, 10).match(/../g) ?? [])].join(':');
}

function switchPlan(name: string, topology: Topology, cables: readonly Cable[]): NamespacePlan {
  return {
    namespace: name,
    sysctls: [...ipv6Settings(false), ...plainBridge()],
    commands: [
      // Multicast snooping and learning delays only blur what a test sees.
      `link add name ${BRIDGE} mtu ${mtuOf(topology, name)} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      ...cables
        .filter((cable) => cable.switch === name)
        .map(({ port }) => `link set dev ${port} master ${BRIDGE} up`),
      `link set dev ${BRIDGE} up`,
    ],
  };
}

/** Where the kernel has it, netfilter would look at every frame of a bridge: a switch filters nothing. */
function plainBridge(): [string, string][] {
  return ['arptables', 'ip6tables', 'iptables']
    .map((tables) => `net/bridge/bridge-nf-call-${tables}`)
    .filter((path) => existsSync(join('/proc/sys', path)))
    .map((path) => [path, '0']);
}

function hostPlan(name: string, host: HostTopology, topology: Topology): NamespacePlan {
  const forward: [string, string][] = [
    ['net/ipv4/ip_forward', '1'],
    ...(topology.ipv6 ? [['net/ipv6/conf/all/forwarding', '1'] as [string, string]] : []),
  ];
  const { sysctls, commands, ...spreading } = planRoutes(host.routes);
  return {
    namespace: name,
    sysctls: [
      ...ipv6Settings(topology.ipv6),
      ...(topology.ipv6 ? withoutDetection(Object.keys(host.interfaces)) : []),
      ...(host.forward ? forward : []),
      ...sysctls,
      ...Object.entries(host.sysctls).map(
        ([key, value]) => [key.replaceAll('.', '/'), String(value)] as const,
      ),
    ],
    commands: [
      'link set dev lo up',
      ...Object.entries(host.interfaces).flatMap(([device, { addresses }]) => [
        ...addresses.map((address) => `address add ${address} dev ${device}${noDad(address)}`),
        `link set dev ${device} up`,
      ]),
      ...commands,
    ],
    ...spreading,
  };
}

/** An address of ours is unique: waiting to find that out would only delay its use. */
function noDad(address: string): string {
  return address.includes(':') ? ' nodad' : '';
}

/**
 * Nor do link-local addresses wait until they are known to be unique, which a router needs at once to ask for
 * its neighbours. The greater of the settings for all and for one interface holds.
 */
function withoutDetection(devices: readonly string[]): [string, string][] {
  return ['all', ...devices].map((device) => [`net/ipv6/conf/${device}/accept_dad`, '0']);
}

function loopbackOnly(name: string): NamespacePlan {
  return { namespace: name, sysctls: ipv6Settings(false), commands: ['link set dev lo up'] };
}

/** Without IPv6 a fresh interface would send router solicitations and multicast reports. */
function ipv6Settings(wanted: boolean): [string, string][] {
  return wanted
    ? []
    : [
        ['net/ipv6/conf/all/disable_ipv6', '1'],
        ['net/ipv6/conf/default/disable_ipv6', '1'],
      ];
}

function hostProcesses(
  name: string,
  host: HostTopology,
  folder: string,
  ipv6: boolean,
): ProcessPlan[] {
  return [
    ...(host.files === undefined ? [] : [fileServer(name, host.files, folder, ipv6)]),
    ...host.run.map((process) => ({
      name: `${name}/${process.name}`,
      namespace: name,
      argv: shellArgv(process.command),
      env: environment(process.env),
      folder,
      files: {},
      folders: [],
      ...(process.ready === undefined ? {} : { ready: process.ready }),
      readyTimeoutMs: process.readyTimeoutMs,
    })),
  ];
}

function shellArgv(command: string | readonly string[]): readonly string[] {
  return typeof command === 'string' ? ['sh', '-c', command] : command;
}
