// The time as the rest of Suture sees it: injected, so that a simulator can own it.

/** A point in time or a span, in microseconds. */
export type Micros = number;

/** The deadline that never comes. */
export const NEVER: Micros = Number.POSITIVE_INFINITY;

export const MILLISECOND: Micros = 1_000;
export const SECOND: Micros = 1_000_000;

export interface Clock {
  /** Monotonic time in microseconds, from an arbitrary start. */
  now(): Micros;
  /** Time of day in whole seconds since 1970, for what machines must agree on. */
  wall(): number;
}

/** The machine's clocks. */
export const systemClock: Clock = {
  now: () => performance.now() * 1_000,
  wall: () => Math.floor(Date.now() / 1_000),
};
