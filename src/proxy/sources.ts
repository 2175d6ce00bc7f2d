// What the metrics and the health report read of a proxy, at the moment of a scrape.
import { LATENCY_BOUNDS } from '../replication/counters.ts';
import { JOINING } from '../replication/member.ts';
import type { Counters, MetricSources } from './metric-sources.ts';
import type { ProxyMember } from './proxy.ts';

/**
 * Counters only grow, and what is left of a difference does not when what it lacks was counted first: packets
 * that were spliced without having come from the link, or that were left out.
 */
function rising(): (value: number) => number {
  let highest = 0;
  return (value) => {
    highest = Math.max(highest, value);
    return highest;
  };
}

/** A live view of `proxy`: every field is read when it is asked for. */
export function sourcesOf(proxy: ProxyMember): MetricSources {
  const { host, splices, holdings } = proxy;
  const { passed } = splices;
  const slow = {
    framesIn: rising(),
    bytesIn: rising(),
    framesOut: rising(),
    bytesOut: rising(),
  };
  return {
    cluster: proxy.config.cluster.name,
    member: proxy.member,
    get state() {
      const state = proxy.replicator?.state ?? JOINING;
      if (state === JOINING) return 'joining';
      return proxy.isDraining ? 'leaving' : 'active';
    },
    get traffic() {
      const { received, receivedBytes, sent, sentBytes } = host.link.counters;
      const { framesToBackend, framesToClient, bytesToBackend, bytesToClient } = passed;
      const frames = framesToBackend + framesToClient;
      const bytes = bytesToBackend + bytesToClient;
      return {
        fastToBackend: { frames: framesToBackend, bytes: bytesToBackend },
        fastToClient: { frames: framesToClient, bytes: bytesToClient },
        slowReceived: {
          frames: slow.framesIn(received - frames),
          bytes: slow.bytesIn(receivedBytes - bytes),
        },
        slowSent: {
          frames: slow.framesOut(sent - frames + passed.acknowledgmentsLeftOut),
          bytes: slow.bytesOut(sentBytes - bytes),
        },
      };
    },
    get drops() {
      const { replicator } = proxy;
      const mesh = Object.entries(replicator?.counters ?? {})
        .filter(([name]) => name.startsWith('drop'))
        .map(([name, value]): [string, number] => [`mesh${name.slice(4)}`, value]);
      return {
        ...Object.fromEntries(mesh),
        spliceDamaged: passed.damaged,
        spliceTtlExpired: passed.ttlExpired,
        spliceNoRoute: passed.noRoute,
        spliceErrorsRefused: passed.errorsRefused,
        ipMalformed: host.ip.counters.malformed,
        ipBadChecksum: host.ip.counters.badChecksum,
        ipNotForUs: host.ip.counters.notForUs,
        ipFragments: host.ip.counters.fragments,
        ipNoRoute: host.ip.counters.noRoute,
        tcpMalformed: host.tcp.counters.malformed,
        tcpBadChecksum: host.tcp.counters.badChecksum,
        neighbourQueue: host.ip.neighbours.counters.queueDrops,
        linkSend: host.link.counters.sendErrors,
      };
    },
    get splices() {
      return {
        active: splices.size,
        opened: splices.counters.inserted,
        closed: splices.counters.removed,
      };
    },
    get peers() {
      return (proxy.replicator?.peers ?? []).map(
        ({ name, status, suspectAfter, backlog, roundTrip }) => ({
          name,
          state: status,
          alive: status === 'live',
          suspectAfter,
          backlog,
          roundTrip,
        }),
      );
    },
    get adoption() {
      return { addresses: holdings.adopted, adoptions: holdings.adoptions };
    },
    get resumption() {
      const { resumed, urgedBySize, urgedByReport } = passed;
      return { asked: resumed, urgedBySize, urgedByReport };
    },
    get replication() {
      const { replicator, stallAlarm } = proxy;
      return {
        lag: replicator?.lag(host.clock.now()) ?? 0,
        unackedRecords: replicator?.unacked ?? 0,
        stalled: stallAlarm.isOn,
        stalls: stallAlarm.stalls,
        undecided: replicator?.undecided ?? 0,
        commits: replicator?.counters.commits ?? 0,
        commitsFailed: replicator?.counters.commitsFailed ?? 0,
        view: replicator?.currentView.number ?? 0,
        activeMembers: replicator?.currentView.active.length ?? 0,
      };
    },
    get store() {
      const { keeper } = proxy;
      return keeper && { reachable: keeper.isReachable, complete: keeper.isWell };
    },
    get commitLatency() {
      const latency = proxy.replicator?.commitLatency;
      return {
        bounds: LATENCY_BOUNDS,
        counts: latency?.buckets ?? new Array<number>(LATENCY_BOUNDS.length + 1).fill(0),
        sum: latency?.sum ?? 0,
      };
    },
    get resources() {
      const { pending, activeRelays } = proxy.counters;
      return {
        // Accepted, and neither spliced nor relayed yet.
        intakes: pending,
        relays: activeRelays,
        connections: host.tcp.connectionCount,
        timers: host.timers.armed,
        heads: proxy.replicator?.heads.size ?? 0,
        storeRemovals: proxy.keeper?.removalsWaiting ?? 0,
      };
    },
    get pools() {
      return [...proxy.pools.values()].map(({ pool }) => pool);
    },
    heads: proxy.heads,
    get events() {
      return {
        tcp: host.tcp.counters,
        ip: { ...host.ip.counters },
        arp: { ...host.ip.arp.counters },
        icmp: { ...host.ip.icmp.counters },
        icmpv6: { ...host.ip.icmpv6.counters },
        ndp: { ...host.ip.ndp.counters },
        neighbours: { ...host.ip.neighbours.counters },
        table: { ...splices.counters },
        splice: {
          acknowledgmentsLeftOut: passed.acknowledgmentsLeftOut,
          errorsTranslated: passed.errorsTranslated,
          extensionHeaders: passed.extensionHeaders,
          synsChallenged: passed.synsChallenged,
          successors: passed.successors,
        },
        replication: { ...proxy.replicator?.counters },
        store: { ...proxy.keeper?.counters },
        proxy: eventsOf(proxy),
        handshakes: { ...proxy.answers.counters },
        forwarder: {
          ...proxy.forwarder?.counters,
          ...proxy.pins.counters,
          ...proxy.splices.sightings.counters,
        },
      };
    },
  };
}

function eventsOf({ counters: { relays, yielded, fenced } }: ProxyMember): Counters {
  return { relays, yielded, fenced };
}
