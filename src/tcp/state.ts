// What a connection must remember, part by part: plain records that probes, tests, snapshots and the
// protocol itself share. Sequence numbers are uint32; times are microseconds of `Clock`; timers are
// absolute deadlines, `NEVER` when they are off.
import { type Micros, NEVER } from '../env/clock.ts';

/** The states of RFC 9293, section 3.3.2. */
export type State =
  | 'closed'
  | 'syn-sent'
  | 'syn-received'
  | 'established'
  | 'fin-wait-1'
  | 'fin-wait-2'
  | 'close-wait'
  | 'closing'
  | 'last-ack'
  | 'time-wait';

/** What the two ends agreed on in their SYNs. */
export interface Negotiated {
  /** Payload bytes of a segment that the peer takes, before options (RFC 9293, SendMSS). */
  sendMss: number;
  /** Shift of the windows that the peer advertises (Snd.Wind.Shift of RFC 7323). */
  sendScale: number;
  /** Shift of the windows that we advertise (Rcv.Wind.Shift). */
  receiveScale: number;
  /** Whether both ends sent the window scale option. */
  scaling: boolean;
  sack: boolean;
  timestamps: boolean;
}

/** What the sender must know (RFC 9293, 3.3.1). */
export interface SendState {
  /** Initial sequence number (ISS). */
  iss: number;
  /** Oldest unacknowledged sequence number (SND.UNA). */
  una: number;
  /** Next sequence number to send (SND.NXT). */
  nxt: number;
  /** Window in bytes, scaled (SND.WND). */
  wnd: number;
  /** The largest window that the peer ever offered (Max.SND.WND of RFC 5961). */
  maxWnd: number;
  /** Segment sequence and acknowledgment numbers of the last window update (SND.WL1, SND.WL2). */
  wl1: number;
  wl2: number;
  /** The user has closed: a FIN follows the last byte. */
  finQueued: boolean;
  /** The FIN has been sent at least once. */
  finSent: boolean;
  /** Small segments do not wait for acknowledgments (TCP_NODELAY). */
  noDelay: boolean;
  /** When new data was sent last. */
  sentAt: Micros;
}

/** What the receiver must know. */
export interface ReceiveState {
  /** Initial receive sequence number (IRS). */
  irs: number;
  /** Next sequence number expected (RCV.NXT). */
  nxt: number;
  /** Right edge of the window that was advertised last (RCV.NXT + RCV.WND); it never moves back. */
  edge: number;
  /** Bytes that may wait for the reader, the limit of the window. */
  limit: number;
  /** Sequence number of the peer's FIN, which may wait for what precedes it; -1 before it came. */
  finAt: number;
  /** The peer's FIN has been taken. */
  finReceived: boolean;
  /** Sequence number of the last acknowledgment sent (Last.ACK.sent of RFC 7323). */
  lastAckSent: number;
  /** Bytes taken since the last acknowledgment. */
  unacknowledged: number;
  /** Segments that are still acknowledged at once: the peer is in slow start. */
  quickAcks: number;
  /** When a delayed acknowledgment is due. */
  ackAt: Micros;
  /**
   * Nothing beyond this number is acknowledged, though it is kept: the owner has not yet made the bytes
   * safe. -1: no such limit.
   */
  holdAt: number;
}

/** Timestamps (RFC 7323). */
export interface TimestampState {
  /** Added to the host's timestamp clock to give TSval. */
  offset: number;
  /** The last TSval sent, which the peer may echo. */
  lastSent: number;
  /** TS.Recent, and when it was taken. */
  recent: number;
  recentAt: Micros;
}

/** Round trip and retransmission time (RFC 6298). */
export interface RttState {
  /** Smoothed round trip and its variation; 0 before the first sample. */
  srtt: Micros;
  rttvar: Micros;
  /** The timeout, doubled for each expiration since the last sample. */
  rto: Micros;
  /** The segment that is timed when there are no timestamps: its end, and when it left; -1 for none. */
  timedEnd: number;
  timedAt: Micros;
}

/** The timers of the sender, of which one runs at a time. */
export interface RetransmitState {
  /** When the retransmission timer, or with a closed window the persist timer, fires. */
  at: Micros;
  /** Timeouts in a row without an acknowledgment of new data. */
  timeouts: number;
  /** Window probes since the window closed. */
  probes: number;
  /** Timeouts and probes in a row without any word from the peer. */
  unanswered: number;
}

/** Loss recovery (RFC 5681, 6582, 6675). */
export interface RecoveryState {
  phase: 'open' | 'recovery' | 'loss';
  /** SND.NXT when recovery began (RecoveryPoint). */
  point: number;
  /** Everything below was retransmitted in this recovery, or is not to be (HighRxt). */
  highRxt: number;
  /** Duplicate acknowledgments in a row. */
  duplicates: number;
}

/** Congestion control, in bytes. */
export interface CongestionState {
  cwnd: number;
  ssthresh: number;
  /** Bytes acknowledged since the window grew last, in congestion avoidance (RFC 3465). */
  acked: number;
}

/** Keep-alive (RFC 9293, section 3.8.4). */
export interface KeepaliveState {
  idle: Micros;
  interval: Micros;
  attempts: number;
  /** Probes sent without an answer. */
  sent: number;
  /** When to look again; `NEVER` when switched off. */
  at: Micros;
}

export const sendState = (iss: number): SendState => ({
  iss,
  una: iss,
  nxt: iss,
  wnd: 0,
  maxWnd: 0,
  wl1: 0,
  wl2: 0,
  finQueued: false,
  finSent: false,
  noDelay: false,
  sentAt: 0,
});

export const receiveState = (limit: number): ReceiveState => ({
  irs: 0,
  nxt: 0,
  edge: 0,
  limit,
  finAt: -1,
  finReceived: false,
  lastAckSent: 0,
  unacknowledged: 0,
  quickAcks: 16,
  ackAt: NEVER,
  holdAt: -1,
});
