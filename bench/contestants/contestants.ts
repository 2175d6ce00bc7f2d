// Who takes part between the one client and the one server of the contest, and where each is found.

export interface Contestant {
  readonly name: string;
  /** For the report. */
  readonly summary: string;
  /** Where HTTP/1.1 is answered: address, and port if it is not 80. */
  readonly web: string;
  /** Where iperf3 is answered; absent for those that speak HTTP alone. */
  readonly bulk?: { readonly address: string; readonly port: number };
  /** Its processes in the lab: the one whose processor time is its own comes first, its peers follow. */
  readonly processes: readonly string[];
  /** Members of its cluster. */
  readonly members?: number;
}

export const CLIENT = '10.1.0.2';
export const SERVER = '10.1.0.31';
export const SERVER_IPV6 = '2001:db8:1::31';
const IPERF3 = 5_201;
/** The ports on which a service of ours is relayed instead of spliced. */
export const RELAY_WEB = 82;
export const RELAY_BULK = 5_202;

/** Contestants that are a program on a host of their own: its name, address and summary. */
export const PROGRAMS = [
  ['haproxy-tcp', '10.1.0.50', 'HAProxy, TCP mode, one thread'],
  ['haproxy-splice', '10.1.0.51', 'the same with `option splice-auto`: the kernel moves the bytes'],
  ['haproxy-http', '10.1.0.52', 'HAProxy, HTTP mode, one thread, connections to the server reused'],
  ['nginx-stream', '10.1.0.53', 'nginx, stream module, one process'],
  ['nginx-http', '10.1.0.54', 'nginx, HTTP proxy, one process, connections to the server reused'],
  ['node-pipe', '10.1.0.55', "Node's `net` sockets, one piped into the other"],
] as const;

/** The loop's own addresses: what clients ask, and what the server sees. */
export const LOOP = { service: '10.1.0.60', source: '10.1.0.61' } as const;

/** Sizes of the clusters: our splice without, with one, two and three peers. */
export const CLUSTERS = [1, 2, 3, 4] as const;

/** The address of the services of the cluster with so many members. */
export const serviceOf = (members: number): string => `10.0.0.${100 + members}`;

/** The members of the cluster with so many of them: `a2`, `b2`. */
export const membersOf = (members: number): string[] =>
  Array.from({ length: members }, (_, index) => `${'abcd'[index]}${members}`);

const PEERS = ['no peer', 'one peer', 'two peers', 'three peers'];

export const CONTESTANTS: readonly Contestant[] = [
  {
    name: 'direct',
    summary: 'no proxy: the bridge alone',
    web: SERVER,
    bulk: { address: SERVER, port: IPERF3 },
    processes: [],
  },
  {
    name: 'tap-loop',
    summary: 'a bare loop of ours that rewrites addresses on a TAP, without TCP: the ceiling',
    web: LOOP.service,
    bulk: { address: LOOP.service, port: IPERF3 },
    processes: ['tap-loop/loop'],
  },
  ...PROGRAMS.map(([name, address, summary]): Contestant => {
    const processes = [`${name}/${name}`];
    const common = { name, summary, web: address, processes };
    return name.endsWith('-http') ? common : { ...common, bulk: { address, port: IPERF3 } };
  }),
  ...CLUSTERS.map((members): Contestant => {
    const address = serviceOf(members);
    return {
      name: `suture-${members - 1}`,
      summary: `our splice, TCP service, ${PEERS[members - 1]} to replicate to`,
      web: `${address}:81`,
      bulk: { address, port: IPERF3 },
      processes: membersOf(members),
      members,
    };
  }),
  {
    name: 'suture-http',
    summary: 'our splice, HTTP service: the request head is read first; one peer',
    web: serviceOf(2),
    processes: membersOf(2),
    members: 2,
  },
  {
    name: 'suture-relay',
    summary:
      'our relay: two connections of our own TCP, bytes copied, which a server of the other address family forces',
    web: `${serviceOf(2)}:${RELAY_WEB}`,
    bulk: { address: serviceOf(2), port: RELAY_BULK },
    processes: membersOf(2),
    members: 2,
  },
];

/** @throws Error for a name that no contestant has */
export function contestant(name: string): Contestant {
  const found = CONTESTANTS.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no contestant ${name}`);
  return found;
}

/** @throws Error for a contestant that is asked for bulk and does not speak plain TCP */
export function bulkOf(name: string): NonNullable<Contestant['bulk']> {
  const { bulk } = contestant(name);
  if (bulk === undefined) throw new Error(`${name} does not speak plain TCP`);
  return bulk;
}
