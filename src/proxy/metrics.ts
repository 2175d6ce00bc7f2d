/**
 * The proxy's metrics in Prometheus' text format. Every value is read from its source when it is
 * scraped: the packet path only adds to numbers.
 */
import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { SECOND } from '../env/clock.ts';
import type { LatencyView, MetricSources, Traffic } from './metric-sources.ts';

export interface Metrics {
  readonly contentType: string;
  /** The text of a scrape, now. */
  text(): Promise<string>;
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];
type Samples = () => Iterable<Sample>;

/** A registry of its own with all metrics of one proxy: several proxies may share a process. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];

  const counter = (name: string, help: string, labelNames: string[], samples: Samples): void => {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [labels, value] of samples()) this.inc(labels, value);
      },
    });
  };
  const gauge = (name: string, help: string, labelNames: string[], samples: Samples): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [labels, value] of samples()) this.set(labels, value);
      },
    });
  };

  gauge('suture_info', 'Which member of which cluster this is.', ['cluster', 'member'], () => [
    [{ cluster: sources.cluster, member: sources.member }, 1],
  ]);
  gauge(
    'suture_serving',
    '1 once this member has joined and takes connections, else 0.',
    [],
    () => [[{}, Number(sources.state === 'active')]],
  );
  gauge('suture_state', '1 for the state this member is in.', ['state'], () =>
    ['joining', 'active', 'leaving'].map((state) => [{ state }, Number(sources.state === state)]),
  );
  counter(
    'suture_frames_total',
    'Frames by path: fast ones were only rewritten, slow ones are those of our own stack.',
    ['path', 'direction'],
    () => trafficSamples(sources, 'frames'),
  );
  counter('suture_bytes_total', 'Bytes of the frames.', ['path', 'direction'], () =>
    trafficSamples(sources, 'bytes'),
  );
  counter('suture_drops_total', 'Frames and datagrams dropped.', ['reason'], () =>
    labelled('reason', sources.drops),
  );
  gauge('suture_splices_active', 'Spliced connections in the table.', [], () => [
    [{}, sources.splices.active],
  ]);
  counter('suture_splices_opened_total', 'Records put into the table.', [], () => [
    [{}, sources.splices.opened],
  ]);
  counter('suture_splices_closed_total', 'Records taken out of the table.', [], () => [
    [{}, sources.splices.closed],
  ]);
  gauge('suture_peer_up', '1 for each other member that is alive, else 0.', ['peer'], () =>
    sources.peers.map(({ name, alive }) => [{ peer: name }, Number(alive)]),
  );
  gauge('suture_peer_state', '1 for the state each peer is in.', ['peer', 'state'], () =>
    sources.peers.map(({ name, state }) => [{ peer: name, state }, 1]),
  );
  gauge(
    'suture_peer_suspect_after_seconds',
    'Silence after which each peer is suspected: longer than configured for one that was silent and lived.',
    ['peer'],
    () => sources.peers.map(({ name, suspectAfter }) => [{ peer: name }, suspectAfter / SECOND]),
  );
  gauge('suture_peer_backlog', 'Datagrams that each peer has not acknowledged.', ['peer'], () =>
    sources.peers.map(({ name, backlog }) => [{ peer: name }, backlog]),
  );
  gauge('suture_peer_round_trip_seconds', 'Smoothed round trip to each peer.', ['peer'], () =>
    sources.peers.map(({ name, roundTrip }) => [{ peer: name }, roundTrip / SECOND]),
  );
  gauge('suture_adopted_addresses', "Dead members' addresses that this member has.", [], () => [
    [{}, sources.adoption.addresses],
  ]);
  counter('suture_adoptions_total', "Takeovers of a dead member's addresses.", [], () => [
    [{}, sources.adoption.adoptions],
  ]);
  counter(
    'suture_resumption_asked_total',
    'Connections whose ends were asked where they stand, after an adoption.',
    [],
    () => [[{}, sources.resumption.asked]],
  );
  counter(
    'suture_resumption_urged_total',
    'Times that a sender which waited in vain was urged: by a smaller packet size, or a report of loss.',
    ['by'],
    () => {
      const { urgedBySize, urgedByReport } = sources.resumption;
      return [
        [{ by: 'size' }, urgedBySize],
        [{ by: 'report' }, urgedByReport],
      ];
    },
  );
  gauge(
    'suture_replication_lag_seconds',
    'Age of the oldest message that a live peer has not acknowledged.',
    [],
    () => [[{}, sources.replication.lag / SECOND]],
  );
  gauge(
    'suture_replication_unacked_records',
    'Records that a live peer has not acknowledged.',
    [],
    () => [[{}, sources.replication.unackedRecords]],
  );
  gauge('suture_replication_stalled', '1 while replication does not get on, else 0.', [], () => [
    [{}, Number(sources.replication.stalled)],
  ]);
  gauge('suture_store_up', '1 while the store answers in time, else 0.', [], () =>
    sources.store === undefined ? [] : [[{}, Number(sources.store.reachable)]],
  );
  gauge('suture_store_complete', '1 while the store has every record, else 0.', [], () =>
    sources.store === undefined ? [] : [[{}, Number(sources.store.complete)]],
  );
  counter('suture_replication_stalls_total', 'Times that replication stalled.', [], () => [
    [{}, sources.replication.stalls],
  ]);
  gauge(
    'suture_replication_undecided',
    'Records and deletions that are not known to be with every live peer.',
    [],
    () => [[{}, sources.replication.undecided]],
  );
  counter('suture_commits_total', 'Records that this member committed.', ['result'], () => {
    const { commits, commitsFailed } = sources.replication;
    return [
      [{ result: 'begun' }, commits],
      [{ result: 'failed' }, commitsFailed],
    ];
  });
  gauge('suture_view_number', "Number of this member's view of the cluster.", [], () => [
    [{}, sources.replication.view],
  ]);
  gauge('suture_view_members', 'Members that serve, in the eyes of this one.', [], () => [
    [{}, sources.replication.activeMembers],
  ]);
  gauge('suture_resources', 'What the member has in use, by kind.', ['kind'], () =>
    labelled('kind', sources.resources),
  );
  counter(
    'suture_backend_connects_total',
    'Connections to backends.',
    ['pool', 'backend', 'result'],
    () => backendSamples(sources),
  );
  counter('suture_http_heads_total', 'HTTP request heads.', ['result'], () =>
    labelled('result', sources.heads),
  );
  counter('suture_events_total', 'What happened in a part of the stack.', ['part', 'event'], () =>
    Object.entries(sources.events).flatMap(([part, counters]) =>
      Object.entries(counters).map(([event, value]): Sample => [{ part, event }, value]),
    ),
  );
  counter('process_cpu_seconds_total', 'User and system time of the process.', [], () => {
    const { user, system } = process.cpuUsage();
    return [[{}, (user + system) / SECOND]];
  });
  gauge('process_resident_memory_bytes', 'Resident memory of the process.', [], () => [
    [{}, process.memoryUsage.rss()],
  ]);
  registry.registerMetric(
    histogram(
      'suture_commit_latency_seconds',
      "Time from a backend's answer until every live peer has the record.",
      () => sources.commitLatency,
    ),
  );
  return { contentType: registry.contentType, text: () => registry.metrics() };
}

function trafficSamples({ traffic }: MetricSources, what: keyof Traffic): Sample[] {
  return [
    [{ path: 'fast', direction: 'to_backend' }, traffic.fastToBackend[what]],
    [{ path: 'fast', direction: 'to_client' }, traffic.fastToClient[what]],
    [{ path: 'slow', direction: 'received' }, traffic.slowReceived[what]],
    [{ path: 'slow', direction: 'sent' }, traffic.slowSent[what]],
  ];
}

function* backendSamples({ pools }: MetricSources): Generator<Sample> {
  for (const { name: pool, backends } of pools) {
    for (const { address, port, connections, refusals, timeouts } of backends) {
      const backend = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
      yield [{ pool, backend, result: 'connected' }, connections];
      yield [{ pool, backend, result: 'refused' }, refusals];
      yield [{ pool, backend, result: 'timeout' }, timeouts];
    }
  }
}

function labelled(label: string, counters: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counters).map(([name, value]) => [{ [label]: name }, value]);
}

/** A histogram whose numbers are ours: prom-client's own can only count by itself. */
function histogram(name: string, help: string, view: () => LatencyView): Metric {
  const get = async (): Promise<object> => {
    const source = view();
    const values: { metricName: string; labels: object; value: number }[] = [];
    let total = 0;
    for (const [at, count] of source.counts.entries()) {
      total += count;
      const le = at < source.bounds.length ? source.bounds[at] / SECOND : '+Inf';
      values.push({ metricName: `${name}_bucket`, labels: { le }, value: total });
    }
    values.push({ metricName: `${name}_sum`, labels: {}, value: source.sum / SECOND });
    values.push({ metricName: `${name}_count`, labels: {}, value: total });
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  };
  // A registry asks a metric for its name and its values and for nothing else.
  return { name, get } as unknown as Metric;
}
