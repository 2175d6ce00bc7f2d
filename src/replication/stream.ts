// What both ends of a stream of datagrams must agree on.

/** Datagrams in flight at most: as many as one acknowledgment can tell of. */
export const WINDOW = 64;

/** The first number. It lies just below the wrap, so that every run passes it soon. */
export const FIRST_NUMBER = 0xffff_ff00;

/** How far `a` lies behind `b` in the circle of numbers, as uint32. */
export const distance = (from: number, to: number): number => (to - from) >>> 0;
