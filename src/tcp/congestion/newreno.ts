// NewReno's window (RFC 5681): half after a loss, one segment more for each window that arrives.
import { avoid, type CongestionControl, inSlowStart, slowStart } from './control.ts';

export const newReno: CongestionControl = {
  name: 'newreno',

  grow(state, acked) {
    const left = inSlowStart(state) ? slowStart(state, acked) : acked;
    if (left > 0) avoid(state, state.cwnd, left);
  },

  measure() {},

  threshold: ({ cwnd }) => Math.max(cwnd >> 1, 2),

  expire() {},

  resume() {},
};
