// The round-trip estimator and the retransmission timeout (RFC 6298).
import { MILLISECOND, type Micros, SECOND } from '../env/clock.ts';
import type { RttState } from './state.ts';

/** RFC 6298 asks for one second; Linux takes 200 ms, and so do we. */
export const MIN_RTO: Micros = 200 * MILLISECOND;
export const MAX_RTO: Micros = 120 * SECOND;
export const INITIAL_RTO: Micros = SECOND;

export const rttState = (): RttState => ({
  srtt: 0,
  rttvar: 0,
  rto: INITIAL_RTO,
  timedEnd: -1,
  timedAt: 0,
});

/** Takes one sample (RFC 6298, 2.2 and 2.3). */
export function sample(state: RttState, rtt: Micros): void {
  if (state.srtt === 0) {
    state.srtt = Math.max(rtt, 1);
    state.rttvar = rtt / 2;
  } else {
    state.rttvar += (Math.abs(state.srtt - rtt) - state.rttvar) / 4;
    state.srtt += (rtt - state.srtt) / 8;
  }
  // Linux bounds the variation, not the sum, from below: RTO = SRTT + max(4 * RTTVAR, 200 ms).
  state.rto = Math.min(state.srtt + Math.max(4 * state.rttvar, MIN_RTO), MAX_RTO);
}

/** The timeout after `backoff` expirations in a row (RFC 6298, 5.5). */
export const backedOff = (state: RttState, backoff: number): Micros =>
  Math.min(state.rto * 2 ** Math.min(backoff, 20), MAX_RTO);
