// Congestion control behind one small interface; NewReno (RFC 5681, RFC 6928) is the first behind it.
import type { CongestionState } from './state.ts';

/** Reacts to what recovery finds out. All sizes are bytes, `mss` is the sender's segment size. */
export interface CongestionControl {
  readonly name: string;
  /** `acked` bytes arrived while nothing was lost; `limited` if the window was in full use. */
  onAcknowledged(state: CongestionState, acked: number, mss: number, limited: boolean): void;
  /** Loss was inferred with `inFlight` bytes outstanding. */
  onLoss(state: CongestionState, inFlight: number, mss: number): void;
  /** The retransmission timer expired. */
  onTimeout(state: CongestionState, inFlight: number, mss: number): void;
}

/** Ten segments (RFC 6928). */
export const initialWindow = (mss: number): number => Math.min(10 * mss, Math.max(2 * mss, 14_600));

export const congestionState = (mss: number): CongestionState => ({
  cwnd: initialWindow(mss),
  ssthresh: 0x7fff_ffff,
  acked: 0,
});

export const newReno: CongestionControl = {
  name: 'newreno',

  onAcknowledged(state, acked, mss, limited) {
    if (!limited) return;
    if (state.cwnd < state.ssthresh) {
      // Slow start, counting bytes (RFC 3465), so that stretched acknowledgments lose nothing.
      state.cwnd += Math.min(acked, state.ssthresh - state.cwnd + mss);
      return;
    }
    state.acked += acked;
    if (state.acked >= state.cwnd) {
      state.acked -= state.cwnd;
      state.cwnd += mss;
    }
  },

  onLoss(state, inFlight, mss) {
    state.ssthresh = Math.max(inFlight / 2, 2 * mss);
    state.cwnd = state.ssthresh;
    state.acked = 0;
  },

  onTimeout(state, inFlight, mss) {
    state.ssthresh = Math.max(inFlight / 2, 2 * mss);
    state.cwnd = mss;
    state.acked = 0;
  },
};
