// CUBIC (RFC 9438), with HyStart++ (RFC 9406) to leave slow start before the queue overflows. Time and window
// are rounded as Linux rounds them: 1/1024 s and whole segments.
import { MILLISECOND, type Micros } from '../../env/clock.ts';
import { avoid, type CongestionControl, type CongestionState, inSlowStart } from './control.ts';
import { growInSlowStart, measureRound } from './hystart.ts';

/** What CUBIC remembers from one congestion event to the next. */
export interface CubicState {
  /** Window before the last reduction (W_max), 0 before the first. */
  lastMax: number;
  /** The window that the curve aims at in the middle of its plateau. */
  origin: number;
  /** When the curve began, in ms; -1 if it has not. */
  epochAt: number;
  /** From there to the plateau (K), in 1/1024 s. */
  k: number;
  /** Segments to be acknowledged for each by which the window grows. */
  per: number;
  /** Window and time (ms) of the last calculation. */
  lastCwnd: number;
  lastAt: number;
  /** Segments acknowledged for the estimate of Reno's window (W_est), and the estimate. */
  renoAcked: number;
  reno: number;
}

/** Multiplicative decrease: 0.7 (RFC 9438, 4.6), in 1024ths. */
const BETA = 717;
const ONE = 1_024;
/** C of RFC 9438, 5.1, in segments / s^3: 0.4, in 1024ths. */
const C = 410;
/** Acknowledged segments for one of Reno's window, per window: 3 (1 - beta) / (1 + beta) inverted, in 8ths. */
const RENO_SCALE = Math.floor((8 * (ONE + BETA)) / 3 / (ONE - BETA));
/** The curve is not calculated again before this many ms while the window stands still. */
const PAUSE = 31;

const cubicState = (): CubicState => ({
  lastMax: 0,
  origin: 0,
  epochAt: -1,
  k: 0,
  per: 0,
  lastCwnd: 0,
  lastAt: 0,
  renoAcked: 0,
  reno: 0,
});

/** Begins a curve: concave up to the window of the last loss if that was larger, else convex. */
function beginEpoch(cubic: CubicState, cwnd: number, acked: number, time: number): void {
  cubic.epochAt = time;
  cubic.renoAcked = acked;
  cubic.reno = cwnd;
  const below = cubic.lastMax - cwnd;
  cubic.k = below > 0 ? Math.floor(Math.cbrt((2 ** 40 / C) * below)) : 0;
  cubic.origin = below > 0 ? cubic.lastMax : cwnd;
}

/** RFC 9438, 4.2: how far the curve is above the window, as segments to be acknowledged for each more. */
function followCurve(cubic: CubicState, cwnd: number, minRtt: Micros, time: number): void {
  const elapsed = time - cubic.epochAt + Math.floor(minRtt / MILLISECOND);
  const offset = Math.floor((elapsed * ONE) / 1_000) - cubic.k;
  const rise = Math.sign(offset) * Math.floor((C * Math.abs(offset) ** 3) / 2 ** 40);
  const target = cubic.origin + rise;
  cubic.per = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : 100 * cwnd;
  // Before the first loss nothing is known of the path, and the curve is too careful.
  if (cubic.lastMax === 0 && cubic.per > 20) cubic.per = 20;
}

/** RFC 9438, 4.3: not slower than Reno would be. */
function followReno(cubic: CubicState, cwnd: number): void {
  const per = (cwnd * RENO_SCALE) >> 3;
  if (per > 0 && cubic.renoAcked > per) {
    const more = Math.ceil(cubic.renoAcked / per) - 1;
    cubic.renoAcked -= more * per;
    cubic.reno += more;
  }
  if (cubic.reno > cwnd) {
    cubic.per = Math.min(cubic.per, Math.floor(cwnd / (cubic.reno - cwnd)));
  }
}

function update(cubic: CubicState, cwnd: number, acked: number, minRtt: Micros, now: Micros): void {
  const time = Math.floor(now / MILLISECOND);
  cubic.renoAcked += acked;
  if (cubic.lastCwnd === cwnd && time - cubic.lastAt <= PAUSE) return;
  if (cubic.epochAt < 0 || time !== cubic.lastAt) {
    cubic.lastCwnd = cwnd;
    cubic.lastAt = time;
    if (cubic.epochAt < 0) beginEpoch(cubic, cwnd, acked, time);
    followCurve(cubic, cwnd, minRtt, time);
  }
  followReno(cubic, cwnd);
  // RFC 9438, 4.4: at most 1.5 times the window in a round trip.
  cubic.per = Math.max(cubic.per, 2);
}

function reduced(state: CongestionState): number {
  state.cubic ??= cubicState();
  const { cubic, cwnd } = state;
  cubic.epochAt = -1;
  // RFC 9438, 4.7: a flow whose window shrinks makes room for others (fast convergence).
  cubic.lastMax = cwnd < cubic.lastMax ? Math.floor((cwnd * (ONE + BETA)) / (2 * ONE)) : cwnd;
  return Math.max(Math.floor((cwnd * BETA) / ONE), 2);
}

export const cubic: CongestionControl = {
  name: 'cubic',

  grow(state, acked, minRtt, now) {
    const left = inSlowStart(state) ? growInSlowStart(state, acked) : acked;
    if (left <= 0) return;
    state.cubic ??= cubicState();
    update(state.cubic, state.cwnd, left, minRtt, now);
    avoid(state, state.cubic.per, left);
  },

  measure(state, rtt, una, nxt) {
    if (inSlowStart(state)) measureRound(state, rtt, una, nxt);
  },

  threshold: reduced,

  expire(state) {
    state.cubic = undefined;
    state.hystart = undefined;
  },

  resume({ cubic: memory }, sentAt, now) {
    // RFC 9438, 4.2: time in which nothing was sent does not move the curve.
    if (memory === undefined || memory.epochAt < 0) return;
    const time = Math.floor(now / MILLISECOND);
    memory.epochAt = Math.min(memory.epochAt + Math.floor((now - sentAt) / MILLISECOND), time);
  },
};
