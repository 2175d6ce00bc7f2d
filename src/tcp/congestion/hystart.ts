// HyStart++ (RFC 9406): slow start is left when the round trip grows, by way of a slower slow start that can
// be taken back.
import { MILLISECOND, type Micros, NEVER } from '../../env/clock.ts';
import { isBefore } from '../sequence.ts';
import { type CongestionState, NO_THRESHOLD, slowStart } from './control.ts';

/** The rounds of slow start. */
export interface HystartState {
  /** SND.NXT when the round began: its acknowledgment ends it. */
  windowEnd: number;
  /** The smallest round trips of the round before and of this one; `NEVER` without a sample. */
  lastMin: Micros;
  currentMin: Micros;
  samples: number;
  /** The round trip that conservative slow start began with; `NEVER` outside of it. */
  baseline: Micros;
  /** Rounds of conservative slow start so far. */
  rounds: number;
  /** Segments acknowledged in it that have not made the window grow yet. */
  carried: number;
}

// RFC 9406, section 4.3.
const MIN_RISE: Micros = 4 * MILLISECOND;
const MAX_RISE: Micros = 16 * MILLISECOND;
const RISE_DIVISOR = 8;
const SAMPLES = 8;
const GROWTH_DIVISOR = 4;
const ROUNDS = 5;
/** A smaller window does not fill the queue of any path (Linux: hystart_low_window). */
const LOW_WINDOW = 16;

/** Takes a round trip; may begin, take back or complete conservative slow start. */
export function measureRound(state: CongestionState, rtt: Micros, una: number, nxt: number): void {
  // Once the threshold is known, standard slow start is enough.
  if (state.ssthresh !== NO_THRESHOLD || state.cwnd < LOW_WINDOW) return;
  state.hystart ??= {
    windowEnd: nxt,
    lastMin: NEVER,
    currentMin: NEVER,
    samples: 0,
    baseline: NEVER,
    rounds: 0,
    carried: 0,
  };
  const round = state.hystart;
  round.currentMin = Math.min(round.currentMin, rtt);
  round.samples++;
  if (round.samples >= SAMPLES) {
    if (round.baseline !== NEVER) {
      if (round.currentMin < round.baseline) round.baseline = NEVER;
    } else if (round.lastMin !== NEVER) {
      const rise = Math.max(MIN_RISE, Math.min(round.lastMin / RISE_DIVISOR, MAX_RISE));
      if (round.currentMin >= round.lastMin + rise) {
        round.baseline = round.currentMin;
        round.rounds = 0;
      }
    }
  }
  if (isBefore(una, round.windowEnd)) return;
  round.lastMin = round.currentMin;
  round.currentMin = NEVER;
  round.samples = 0;
  round.windowEnd = nxt;
  if (round.baseline !== NEVER && ++round.rounds >= ROUNDS) {
    state.ssthresh = state.cwnd;
    state.hystart = undefined;
  }
}

/** Slow start, by a quarter of it while conservative; what is left of `acked` beyond the threshold. */
export function growInSlowStart(state: CongestionState, acked: number): number {
  const round = state.hystart;
  if (round === undefined || round.baseline === NEVER) return slowStart(state, acked);
  round.carried += acked;
  const whole = Math.floor(round.carried / GROWTH_DIVISOR);
  round.carried -= whole * GROWTH_DIVISOR;
  return slowStart(state, whole);
}
