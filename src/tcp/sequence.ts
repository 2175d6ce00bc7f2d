// Sequence numbers live on a circle of 2^32 (RFC 9293, section 3.4): a difference is a signed number.

/** How far `a` is ahead of `b`: from -2^31 to 2^31 - 1. */
export const distance = (a: number, b: number): number => (a - b) | 0;

/** The number `bytes` behind `seq`; `bytes` may be negative. */
export const advance = (seq: number, bytes: number): number => (seq + bytes) >>> 0;

export const isBefore = (a: number, b: number): boolean => ((a - b) | 0) < 0;
export const isAfter = (a: number, b: number): boolean => ((a - b) | 0) > 0;

/** The later of two. */
export const later = (a: number, b: number): number => (isAfter(a, b) ? a : b);
