// What the mesh counts; plain numbers that only grow.

export interface ReplicationCounters {
  datagramsIn: number;
  datagramsOut: number;
  bytesIn: number;
  bytesOut: number;
  /** Datagrams of the streams that were sent again. */
  retransmissions: number;
  /** Stream datagrams that were here already. */
  duplicates: number;
  /** Stream datagrams that came before one that is missing. */
  early: number;
  /** Dropped: from an address or port that is no member's. */
  dropStranger: number;
  /** Dropped: the sender's id is not the one that belongs to its address. */
  dropUnknownSender: number;
  dropBadMagic: number;
  dropBadVersion: number;
  /** Dropped: another cluster's name. */
  dropOtherCluster: number;
  /** Dropped: wrong secret, or changed on its way. */
  dropNotAuthentic: number;
  dropReplayed: number;
  /** Dropped: from a life of a member that is over. */
  dropStale: number;
  /** Dropped: too many unknown incarnations at once to derive a key for each. */
  dropThrottled: number;
  /** Dropped: authentic, but not what the protocol allows; or too short to be anything. */
  dropMalformed: number;
  /** Records committed, and commits that gave up because this member was fenced or closed. */
  commits: number;
  commitsFailed: number;
  /** Proposals of others that came, and those of them that had to wait for another of the same flow. */
  recordsIn: number;
  proposalsDeferred: number;
  /** Proposals of ours that gave way to another member's. */
  proposalsWithdrawn: number;
  /** Proposals taken over from a member that is gone. */
  proposalsInherited: number;
  /** Records shown to a member that proposed another for their flow. */
  recordsAsserted: number;
  deletesOut: number;
  deletesIn: number;
  headsOut: number;
  headsIn: number;
  /** SYNs that the others were told of, and told. */
  synsOut: number;
  synsIn: number;
  /** Heads refused because a member's share of the log is full. */
  headsRefused: number;
  snapshotRecordsOut: number;
  snapshotRecordsIn: number;
  /** Peers that were silent for a while were asked for a sign of life. */
  probesOut: number;
  suspicions: number;
  /** Suspicions for silence that the peer turned out to live through. */
  suspicionsFalse: number;
  /** Times that this member gave way to one that it does not hear and others do. */
  partialPartitions: number;
  /** Peers that left in order. */
  departures: number;
  /** Peers whose processes ended, by their last words. */
  deathsTold: number;
  fencesOut: number;
  fencesIn: number;
  /** Times that this process did not run when it should have, for a quarter of the suspicion time or more. */
  stalls: number;
}

export const replicationCounters = (): ReplicationCounters => ({
  datagramsIn: 0,
  datagramsOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  retransmissions: 0,
  duplicates: 0,
  early: 0,
  dropStranger: 0,
  dropUnknownSender: 0,
  dropBadMagic: 0,
  dropBadVersion: 0,
  dropOtherCluster: 0,
  dropNotAuthentic: 0,
  dropReplayed: 0,
  dropStale: 0,
  dropThrottled: 0,
  dropMalformed: 0,
  commits: 0,
  commitsFailed: 0,
  recordsIn: 0,
  proposalsDeferred: 0,
  proposalsWithdrawn: 0,
  proposalsInherited: 0,
  recordsAsserted: 0,
  deletesOut: 0,
  deletesIn: 0,
  headsOut: 0,
  headsIn: 0,
  synsOut: 0,
  synsIn: 0,
  headsRefused: 0,
  snapshotRecordsOut: 0,
  snapshotRecordsIn: 0,
  probesOut: 0,
  suspicions: 0,
  suspicionsFalse: 0,
  partialPartitions: 0,
  departures: 0,
  deathsTold: 0,
  fencesOut: 0,
  fencesIn: 0,
  stalls: 0,
});

/** Upper bounds of the buckets of commit latency, in microseconds; one more bucket takes the rest. */
export const LATENCY_BOUNDS: readonly number[] = [
  100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000,
];

/** How long commits waited for their acknowledgments. */
export interface LatencyHistogram {
  count: number;
  /** Microseconds. */
  sum: number;
  /** One count for each bound and one for the rest, not cumulative. */
  readonly buckets: number[];
}

export const latencyHistogram = (): LatencyHistogram => ({
  count: 0,
  sum: 0,
  buckets: new Array(LATENCY_BOUNDS.length + 1).fill(0),
});

export function observe(histogram: LatencyHistogram, micros: number): void {
  histogram.count++;
  histogram.sum += micros;
  let bucket = 0;
  while (bucket < LATENCY_BOUNDS.length && micros > LATENCY_BOUNDS[bucket]) bucket++;
  histogram.buckets[bucket]++;
}
