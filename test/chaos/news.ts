// What the clients tell while they run, a line of JSON each. Times are milliseconds of `monotonic`.

/** An exchange that has ended. */
export interface Ended {
  readonly type: 'ended';
  readonly kind: string;
  readonly from: number;
  readonly to: number;
  readonly requests: number;
  readonly bytes: number;
  /** What went wrong; absent when all is as it should be. */
  readonly fault?: string;
  /** How many requests it went wrong for; 1 when absent. */
  readonly failures?: number;
  /** Other bytes came than were said. */
  readonly wrong?: boolean;
}

/** A stream whose server never rests heard nothing for longer than `SILENCE_MS`. */
export interface Silence {
  readonly type: 'silence';
  readonly kind: string;
  readonly from: number;
  readonly to: number;
}

export type News = Ended | Silence | { readonly type: 'under way' };

/** Twice what servers that never rest wait at most. */
export const SILENCE_MS = 60;
