// What TCP_INFO of Linux tells of a connection, read from its state records. Names are those of `struct
// tcp_info` without its prefix; times are microseconds unless a name says otherwise, sizes bytes.
import { MILLISECOND, type Micros, NEVER } from '../env/clock.ts';
import type { Connection } from './connection.ts';
import type { Phase } from './recovery/state.ts';
import { distance } from './sequence.ts';
import type { State } from './state.ts';

export interface TcpInfo {
  /** RFC 9293, section 3.3.2, in its names. */
  readonly state: State;
  /** Linux's name for what loss recovery is doing. */
  readonly caState: Phase;
  /** Timeouts in a row without an acknowledgment of new data. */
  readonly retransmits: number;
  /** Window or keep-alive probes without an answer. */
  readonly probes: number;
  /** How often the timeout has been doubled. */
  readonly backoff: number;
  /** What both ends agreed on. */
  readonly options: {
    readonly timestamps: boolean;
    readonly sack: boolean;
    readonly wscale: boolean;
    readonly ecn: boolean;
    readonly ecnSeen: boolean;
  };
  readonly sndWscale: number;
  readonly rcvWscale: number;
  /** Retransmission timeout, and the delay of acknowledgments. */
  readonly rto: number;
  readonly ato: number;
  /** Payload of the segments that we send, and of those that the peer sends, as far as can be told. */
  readonly sndMss: number;
  readonly rcvMss: number;
  /** The largest payload that we have offered to take. */
  readonly advmss: number;
  /** The largest packet that the path takes, as far as is known. */
  readonly pmtu: number;
  /** Segments sent and not acknowledged, and those among them that were reported, lost and sent again. */
  readonly unacked: number;
  readonly sacked: number;
  readonly lost: number;
  readonly retrans: number;
  /** Milliseconds since the last data was sent, and since data and an acknowledgment last came. */
  readonly lastDataSent: number;
  readonly lastDataRecv: number;
  readonly lastAckRecv: number;
  readonly rtt: number;
  readonly rttvar: number;
  /** The least round trip lately; 0 before the first. */
  readonly minRtt: number;
  /** Round trip as the receiver sees it. */
  readonly rcvRtt: number;
  /** What the reader takes in a round trip, and the window that may be offered. */
  readonly rcvSpace: number;
  readonly rcvSsthresh: number;
  /** In segments. */
  readonly sndCwnd: number;
  readonly sndSsthresh: number;
  readonly reordering: number;
  /** The peer's window, and ours. */
  readonly sndWnd: number;
  readonly rcvWnd: number;
  readonly totalRetrans: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly bytesRetrans: number;
  readonly notsentBytes: number;
  readonly segsIn: number;
  readonly segsOut: number;
  readonly dataSegsIn: number;
  readonly dataSegsOut: number;
  readonly delivered: number;
  readonly deliveredCe: number;
  readonly dsackDups: number;
  readonly reordSeen: number;
  /** Segments that came ahead of what was expected. */
  readonly rcvOoopack: number;
}

/** Reads the state records; nothing is changed, and nothing of them is kept. */
export function tcpInfo(connection: Connection): TcpInfo {
  const { negotiated, snd, rcv, ack, window, rtt, retransmit, recovery, keepalive } = connection;
  const { congestion, count, ecn, stack, offer, sendBuffer } = connection;
  const now = stack.clock.now();
  const since = (then: Micros): number => Math.floor(Math.max(0, now - then) / MILLISECOND);
  return {
    state: connection.state,
    caState: recovery.phase,
    retransmits: retransmit.timeouts,
    probes: Math.max(retransmit.probes, keepalive.sent),
    backoff: retransmit.backoff,
    options: {
      timestamps: negotiated.timestamps,
      sack: negotiated.sack,
      wscale: negotiated.scaling,
      ecn: ecn.ok,
      ecnSeen: ecn.seen,
    },
    sndWscale: negotiated.sendScale,
    rcvWscale: negotiated.receiveScale,
    rto: rtt.rto,
    ato: ack.timeout,
    sndMss: connection.mss,
    rcvMss: ack.segment,
    advmss: offer.mss,
    pmtu: stack.pathMtu(connection.remote.address),
    unacked: recovery.packetsOut,
    sacked: recovery.sackedOut,
    lost: recovery.lostOut,
    retrans: recovery.retransOut,
    lastDataSent: since(snd.sentAt),
    lastDataRecv: since(ack.receivedAt),
    lastAckRecv: since(connection.heardAt),
    rtt: Math.round(rtt.srtt),
    rttvar: Math.round(rtt.rttvar),
    minRtt: rtt.min === NEVER ? 0 : rtt.min,
    rcvRtt: Math.round(window.rtt),
    rcvSpace: window.space,
    rcvSsthresh: window.threshold,
    sndCwnd: congestion.cwnd,
    sndSsthresh: congestion.ssthresh,
    reordering: recovery.reordering,
    sndWnd: snd.wnd,
    rcvWnd: Math.max(0, distance(rcv.edge, rcv.nxt)),
    totalRetrans: recovery.totalRetrans,
    bytesAcked: recovery.bytesAcked,
    bytesReceived: count.bytesReceived,
    bytesSent: recovery.bytesSent,
    bytesRetrans: recovery.bytesRetrans,
    notsentBytes: Math.max(0, sendBuffer.length - distance(snd.nxt, snd.una)),
    segsIn: count.segmentsIn,
    segsOut: count.segmentsOut,
    dataSegsIn: count.dataSegmentsIn,
    dataSegsOut: count.dataSegmentsOut,
    delivered: recovery.delivered,
    deliveredCe: recovery.deliveredCe,
    dsackDups: recovery.dsackDups,
    reordSeen: recovery.reordSeen,
    rcvOoopack: count.outOfOrder,
  };
}
