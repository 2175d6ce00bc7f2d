/**
 * What the metrics are read from, at the moment of a scrape: plain numbers that the rest of the
 * proxy counts up, with no word of Prometheus. A field may as well be a getter.
 */
import type { Pool } from '../backend/pool.ts';
import type { Micros } from '../env/clock.ts';

/** Numbers of events by name; each only grows. The names become the values of a label. */
export interface Counters {
  readonly [name: string]: number;
}

/** Frames and their bytes; a segmentation-offload frame counts once, with all its bytes. */
export interface Traffic {
  readonly frames: number;
  readonly bytes: number;
}

/**
 * Frames by the way they took. Fast: a spliced connection's packets, only rewritten. Slow: what our
 * own stack received and sent.
 */
export interface TrafficCounters {
  readonly fastToBackend: Traffic;
  readonly fastToClient: Traffic;
  readonly slowReceived: Traffic;
  readonly slowSent: Traffic;
}

export interface SpliceCounters {
  /** Records now in the table. */
  readonly active: number;
  /** Records put into the table, those of peers included. */
  readonly opened: number;
  /** Records taken out of it. */
  readonly closed: number;
}

/** Another member as this one sees it. */
export interface PeerView {
  readonly name: string;
  /** `alive`, `suspected`, ...: the states of the membership. */
  readonly state: string;
  readonly alive: boolean;
  /** Silence after which it is suspected now. */
  readonly suspectAfter: Micros;
  /** Datagrams that it has not acknowledged. */
  readonly backlog: number;
  /** 0 while none was measured. */
  readonly roundTrip: Micros;
}

export interface ReplicationView {
  /** Age of the oldest message that a live peer has not acknowledged; 0 if there is none. */
  readonly lag: Micros;
  /** Records sent that a live peer has not acknowledged. */
  readonly unackedRecords: number;
  /** Whether the lag is so long that replication counts as stalled. */
  readonly stalled: boolean;
  /** How often it began to stall. */
  readonly stalls: number;
  /** Records and deletions that are not known to be with everybody. */
  readonly undecided: number;
  /** Records that this member wanted to commit, and those that it could not. */
  readonly commits: number;
  readonly commitsFailed: number;
  /** Number of this member's view of the cluster, and how many serve in it. */
  readonly view: number;
  readonly activeMembers: number;
}

export interface AdoptionView {
  /** Addresses of dead members that this one has now. */
  readonly addresses: number;
  /** How often it took over a member's addresses. */
  readonly adoptions: number;
}

/** What was done to make the ends of flows go on after an adoption. */
export interface ResumptionView {
  /** Flows whose ends were asked where they stand. */
  readonly asked: number;
  /** Times that a sender was told that its segments were too big, and that they were lost. */
  readonly urgedBySize: number;
  readonly urgedByReport: number;
}

/** Where records are kept beside the members. */
export interface StoreView {
  /** It answers in time. */
  readonly reachable: boolean;
  /** It has every record that this member writes. */
  readonly complete: boolean;
}

/** How long something took, by classes. */
export interface LatencyView {
  /** Upper bounds of the classes, inclusive, ascending. */
  readonly bounds: readonly Micros[];
  /** How many fell into each; the last class is for what is above every bound. */
  readonly counts: readonly number[];
  readonly sum: Micros;
}

/** Everything `createMetrics` and the health report read. */
export interface MetricSources {
  readonly cluster: string;
  readonly member: string;
  /** Whether this member has joined, and so takes connections, or is about to go. */
  readonly state: 'joining' | 'active' | 'leaving';
  readonly traffic: TrafficCounters;
  /** Frames and datagrams dropped, by reason. */
  readonly drops: Counters;
  readonly splices: SpliceCounters;
  readonly peers: readonly PeerView[];
  readonly adoption: AdoptionView;
  readonly resumption: ResumptionView;
  readonly replication: ReplicationView;
  /** Undefined if there is none. */
  readonly store: StoreView | undefined;
  /** From a backend's SYN-ACK to the last acknowledgment of the record. */
  readonly commitLatency: LatencyView;
  /** What is in use now, by kind: it comes back down when the load is gone. */
  readonly resources: Counters;
  readonly pools: readonly Pool[];
  /** HTTP request heads by result: `accepted`, or the status of the response. */
  readonly heads: Counters;
  /** What happened in a part of the stack, by part and event: `{ tcp: { retransmissions: 3 } }`. */
  readonly events: { readonly [part: string]: Counters };
}
