// What loss recovery must remember of a connection, in segments as Linux counts them.
import type { Micros } from '../../env/clock.ts';

/**
 * Where the sender stands: `open`, `disorder` (something was reported out of order), `cwr` (the window
 * shrinks because of a congestion mark), `recovery` (something is lost and is repaired), `loss` (the timer
 * has expired).
 */
export type Phase = 'open' | 'disorder' | 'cwr' | 'recovery' | 'loss';

export interface RecoveryState {
  phase: Phase;
  /** SND.NXT when the phase began: it lasts until this is acknowledged (RecoveryPoint of RFC 6675). */
  point: number;

  /** Segments sent and not acknowledged cumulatively; of these reported, lost, and repeated. */
  packetsOut: number;
  sackedOut: number;
  lostOut: number;
  retransOut: number;
  /** The end of the highest segment that was reported; void while `sackedOut` is 0. */
  fack: number;
  /** Without reports: duplicates since SND.UNA moved, and how many are believed (RFC 5681, 3.2). */
  duplicates: number;
  duplicateLimit: number;
  /** The peer threw away what it had reported (RFC 2018, section 8). */
  reneged: boolean;

  /** How many segments a segment may be late without being lost, and how often one was late. */
  reordering: number;
  reordSeen: number;

  /** SND.UNA when the window was reduced, if the reduction may be undone; else -1. */
  undoMarker: number;
  /** Retransmissions since then that no DSACK has shown to be needless; -1 before the first. */
  undoRetrans: number;
  /** When the first retransmission since all was well left; -1 for none. */
  retransAt: Micros;
  /** Window and threshold before the reduction; the threshold is 0 if there is no way back. */
  priorCwnd: number;
  priorSsthresh: number;

  /** PRR (RFC 6937): segments delivered, and sent, since the reduction began. */
  prrDelivered: number;
  prrOut: number;

  /** A timeout may have been spurious (F-RTO, RFC 5682). */
  frto: boolean;

  /** Tail loss probe (RFC 8985, 7): SND.NXT when it left, -1 for none; whether it repeated data. */
  tlpEnd: number;
  tlpRetrans: boolean;

  /** RACK (RFC 8985, 5.2): of what was delivered, the segment that was sent last. */
  rackAt: Micros;
  rackEnd: number;
  rackRtt: Micros;
  rackAdvanced: boolean;
  /** The reordering window, in quarters of the smallest round trip, and how it adapts to DSACKs. */
  reoSteps: number;
  reoPersist: number;
  reoDsack: boolean;
  reoDelivered: number;

  /** Segments delivered so far, the SYN among them; those delivered with a congestion mark. */
  delivered: number;
  deliveredCe: number;
  /** Needless segments that the peer has reported (RFC 2883). */
  dsackDups: number;
  /** Segments sent again, and their bytes. */
  totalRetrans: number;
  bytesRetrans: number;
  /** Payload bytes sent, those sent again among them, and acknowledged. */
  bytesSent: number;
  bytesAcked: number;
}

/** Duplicate acknowledgments that mean loss, and the reordering that is assumed (RFC 5681; Linux). */
export const REORDERING = 3;

export const recoveryState = (iss: number): RecoveryState => ({
  phase: 'open',
  point: iss,
  packetsOut: 0,
  sackedOut: 0,
  lostOut: 0,
  retransOut: 0,
  fack: iss,
  duplicates: 0,
  duplicateLimit: 0,
  reneged: false,
  reordering: REORDERING,
  reordSeen: 0,
  undoMarker: -1,
  undoRetrans: 0,
  retransAt: -1,
  priorCwnd: 0,
  priorSsthresh: 0,
  prrDelivered: 0,
  prrOut: 0,
  frto: false,
  tlpEnd: -1,
  tlpRetrans: false,
  rackAt: 0,
  rackEnd: 0,
  rackRtt: 0,
  rackAdvanced: false,
  reoSteps: 1,
  reoPersist: 0,
  reoDsack: false,
  reoDelivered: 0,
  delivered: 1,
  deliveredCe: 0,
  dsackDups: 0,
  totalRetrans: 0,
  bytesRetrans: 0,
  bytesSent: 0,
  bytesAcked: 0,
});

/** True while the window shrinks, step by step (RFC 6937). */
export const isReducing = ({ phase }: RecoveryState): boolean =>
  phase === 'cwr' || phase === 'recovery';

/** True while nothing says that something is lost, or marked. */
export const isCalm = ({ phase }: RecoveryState): boolean =>
  phase === 'open' || phase === 'disorder';
