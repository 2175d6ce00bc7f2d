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
  /** Only full segments leave, until this is over (TCP_CORK). */
  corked: boolean;
  /** When new data was sent last. */
  sentAt: Micros;
  /** The end of the last segment that was not full (Minshall's variant of Nagle's rule). */
  smallEnd: number;
  /** The end of the last write that asked for PSH, and of the last segment that carried it. */
  pushEnd: number;
  pushedAt: number;
  /** Where the piece begins in which what waits is handed over next (Linux: the first unsent skb). */
  pieceAt: number;
  /** Where records of the user end that have not been sent (MSG_EOR); absent until there is one. */
  recordEnds: number[] | undefined;
}

/** What the receiver must know. */
export interface ReceiveState {
  /** Initial receive sequence number (IRS). */
  irs: number;
  /** Next sequence number expected (RCV.NXT). */
  nxt: number;
  /** Right edge of the window that was advertised last (RCV.NXT + RCV.WND); it never moves back. */
  edge: number;
  /** Bytes that may wait for the reader, the limit of the window; auto-tuning raises it. */
  limit: number;
  /** What auto-tuning may raise `limit` to (Linux: tcp_rmem); equal to it when the user has fixed it. */
  maximum: number;
  /** Sequence number of the peer's FIN, which may wait for what precedes it; -1 before it came. */
  finAt: number;
  /** The peer's FIN has been taken. */
  finReceived: boolean;
  /** Sequence number of the last acknowledgment sent (Last.ACK.sent of RFC 7323). */
  lastAckSent: number;
  /** The duplicate to be reported next (RFC 2883), from `dsackStart` to `dsackEnd`; -1: none. */
  dsackStart: number;
  dsackEnd: number;
  /**
   * Nothing beyond this number is acknowledged, though it is kept: the owner has not yet made the bytes
   * safe. -1: no such limit.
   */
  holdAt: number;
}

/** When what has arrived is acknowledged, decided as Linux does it (delayed-ack.ts). */
export interface AckState {
  /** Something has come that no acknowledgment of ours has told of. */
  scheduled: boolean;
  /** The next acknowledgment does not wait. */
  immediate: boolean;
  /** Segments that are still acknowledged at once: the peer may be in slow start. */
  quick: number;
  /** The two sides speak in turn, so that an answer is likely to carry the acknowledgment. */
  interactive: boolean;
  /** Segments since the last acknowledgment that ended what the peer had to say; counts to 2. */
  pushed: number;
  /** How long an acknowledgment waits (Linux: ATO); 0 before the first data. */
  timeout: Micros;
  /** When a delayed acknowledgment is due. */
  at: Micros;
  /** When data came last. */
  receivedAt: Micros;
  /** The payload of the peer's full segments, as far as can be told (Linux: rcv_mss). */
  segment: number;
  /** The payload of the last segment that was not full. */
  lastSegment: number;
}

/** How the receive window grows (receive-window.ts). */
export interface WindowState {
  /** The largest window to offer now (Linux: rcv_ssthresh): it grows with what arrives. */
  threshold: number;
  /** The largest window ever (TCP_WINDOW_CLAMP); Infinity: no such limit. */
  clamp: number;
  /** Round trip as the receiver sees it; 0: unknown. */
  rtt: Micros;
  /** Without timestamps: the number that will have come one window later, and when this was set. */
  measureEnd: number;
  measureAt: Micros;
  /** The last echo that gave a sample. */
  lastEcho: number;
  /** Bytes that the reader took, modulo 2^32. */
  copied: number;
  /** What it had taken at `spaceAt`, and how much it took in the round trip before. */
  spaceFrom: number;
  spaceAt: Micros;
  space: number;
}

/** Explicit congestion notification (RFC 3168). */
export interface EcnState {
  /** Our SYN has asked for it. */
  asked: boolean;
  /** Both ends agreed. */
  ok: boolean;
  /** A packet came with CE, and no CWR since: our segments carry ECE. */
  echo: boolean;
  /** A packet with an ECT code point has come. */
  seen: boolean;
  /** Our window has been reduced: the next new data carries CWR. */
  cwr: boolean;
}

/** What has passed, for `info` (as RFC 4898 and Linux count it). */
export interface CountState {
  segmentsIn: number;
  segmentsOut: number;
  dataSegmentsIn: number;
  dataSegmentsOut: number;
  /** Payload in order that came. */
  bytesReceived: number;
  /** Segments that came ahead of what was expected. */
  outOfOrder: number;
  /** Segments that came with congestion experienced. */
  marked: number;
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
  mdev: Micros;
  /** The largest variation of this round trip, and what the timeout takes: it falls slowly. */
  mdevMax: Micros;
  rttvar: Micros;
  /** SND.NXT when this round trip began. */
  windowEnd: number;
  /** The smallest round trip of the last minutes, `NEVER` before the first sample, and when it was. */
  min: Micros;
  minAt: Micros;
  /** The timeout, doubled for each expiration since the last sample. */
  rto: Micros;
  /** The SYN that is timed: its end, and when it left; -1 for none. */
  timedEnd: number;
  timedAt: Micros;
}

/** What the sender's timer waits for: a timeout, a tail loss probe, what is late, or an open window. */
export type SendTimer = 'rto' | 'probe' | 'reorder' | 'persist';

/** The timers of the sender, of which one runs at a time. */
export interface RetransmitState {
  timer: SendTimer;
  /** When it fires. */
  at: Micros;
  /** Timeouts in a row without an acknowledgment of new data. */
  timeouts: number;
  /** When the first of them was. */
  timeoutsSince: Micros;
  /** Timeouts, or window probes, since the last sample of the round trip or the last open window. */
  backoff: number;
  /** Window probes in a row without an answer. */
  probes: number;
  /** When the first probe of a closed window was due; -1 for none. */
  probesSince: Micros;
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

/** Before the SYNs have been exchanged. */
export const negotiatedState = (): Negotiated => ({
  sendMss: 536,
  sendScale: 0,
  receiveScale: 0,
  scaling: false,
  sack: false,
  timestamps: false,
});

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
  corked: false,
  sentAt: 0,
  smallEnd: iss,
  pushEnd: iss,
  pushedAt: iss,
  pieceAt: iss,
  recordEnds: undefined,
});

export const retransmitState = (): RetransmitState => ({
  timer: 'rto',
  at: NEVER,
  timeouts: 0,
  timeoutsSince: -1,
  backoff: 0,
  probes: 0,
  probesSince: -1,
});

export const receiveState = (limit: number, maximum: number): ReceiveState => ({
  irs: 0,
  nxt: 0,
  edge: 0,
  limit,
  maximum,
  finAt: -1,
  finReceived: false,
  lastAckSent: 0,
  dsackStart: -1,
  dsackEnd: 0,
  holdAt: -1,
});

export const ackState = (now: Micros): AckState => ({
  scheduled: false,
  immediate: false,
  quick: 0,
  interactive: false,
  pushed: 0,
  timeout: 0,
  at: NEVER,
  receivedAt: now,
  segment: 536,
  lastSegment: 0,
});

export const windowState = (now: Micros): WindowState => ({
  threshold: 0,
  clamp: Number.POSITIVE_INFINITY,
  rtt: 0,
  measureEnd: 0,
  measureAt: now,
  lastEcho: 0,
  copied: 0,
  spaceFrom: 0,
  spaceAt: now,
  space: 0,
});

export const ecnState = (): EcnState => ({
  asked: false,
  ok: false,
  echo: false,
  seen: false,
  cwr: false,
});

export const countState = (): CountState => ({
  segmentsIn: 0,
  segmentsOut: 0,
  dataSegmentsIn: 0,
  dataSegmentsOut: 0,
  bytesReceived: 0,
  outOfOrder: 0,
  marked: 0,
});
