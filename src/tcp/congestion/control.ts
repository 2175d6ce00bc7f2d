// Congestion control behind one small interface. Windows are counted in segments, as Linux counts them: a
// short segment weighs as much as a full one.
import type { Micros } from '../../env/clock.ts';
import type { CubicState } from './cubic.ts';
import type { HystartState } from './hystart.ts';

/** The threshold that slow start never reaches: nothing was lost yet. */
export const NO_THRESHOLD = 0x7fff_ffff;
/** Ten segments, whatever their size (RFC 6928 and Linux). */
export const INITIAL_WINDOW = 10;

/** The congestion window and how it is used, in segments. */
export interface CongestionState {
  /** Segments that may be in flight, at least 1. */
  cwnd: number;
  /** Where slow start ends; `NO_THRESHOLD` until the first loss. */
  ssthresh: number;
  /** Segments acknowledged since the window grew last, in congestion avoidance. */
  count: number;
  /** The window, and nothing else, kept data back in the flight that ends at `usageEnd` (RFC 2861). */
  limited: boolean;
  /** The largest flight before `usageEnd`. */
  maxFlight: number;
  usageEnd: number;
  /** The largest flight since the window was last in full use, and when that was. */
  used: number;
  usedAt: Micros;
  /** What an algorithm remembers by itself; absent until it has something to remember. */
  cubic: CubicState | undefined;
  hystart: HystartState | undefined;
}

/** What loss recovery tells an algorithm, and asks it. One instance serves all connections. */
export interface CongestionControl {
  /** By which the user chooses it. */
  readonly name: string;
  /** `acked` segments were delivered while the window was in full use. */
  grow(state: CongestionState, acked: number, minRtt: Micros, now: Micros): void;
  /** A round trip was measured; `una` and `nxt` say how far the flight has come. */
  measure(state: CongestionState, rtt: Micros, una: number, nxt: number): void;
  /** The threshold after a loss or a congestion mark, at least 2 segments. */
  threshold(state: CongestionState): number;
  /** The retransmission timer has expired. */
  expire(state: CongestionState): void;
  /** Nothing was in flight since `sentAt`, and now something will be. */
  resume(state: CongestionState, sentAt: Micros, now: Micros): void;
}

export const congestionState = (): CongestionState => ({
  cwnd: INITIAL_WINDOW,
  ssthresh: NO_THRESHOLD,
  count: 0,
  limited: false,
  maxFlight: 0,
  usageEnd: 0,
  used: 0,
  usedAt: 0,
  cubic: undefined,
  hystart: undefined,
});

export const inSlowStart = ({ cwnd, ssthresh }: CongestionState): boolean => cwnd < ssthresh;

/** Slow start (RFC 5681, 3.1, counting segments): what is left of `acked` beyond the threshold. */
export function slowStart(state: CongestionState, acked: number): number {
  const cwnd = Math.min(state.cwnd + acked, state.ssthresh);
  const left = acked - (cwnd - state.cwnd);
  state.cwnd = cwnd;
  return left;
}

/** Congestion avoidance: one segment more for each `per` acknowledged. */
export function avoid(state: CongestionState, per: number, acked: number): void {
  // A counter that an earlier, larger `per` has filled gives one segment, not many.
  if (state.count >= per) {
    state.count = 0;
    state.cwnd++;
  }
  state.count += acked;
  if (state.count >= per) {
    const more = Math.floor(state.count / per);
    state.count -= more * per;
    state.cwnd += more;
  }
}
