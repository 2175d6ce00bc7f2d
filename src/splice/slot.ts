// A slot of the splice table: the record (record.ts), the same at all members, then what this member saw of
// the flow. That is not replicated, a member that took a flow over begins without it, and nothing in it
// decides how a packet is translated. The record comes first, since memory is fetched ahead in that direction.

// Offsets in words from where it starts (`RecordForm.seen`).

// Pairs indexed by direction, in the numbers of that direction's sender, as they come in.
/** The highest sequence number seen, plus one. */
export const NEXT = 0;
/** The highest number of this direction that its receiver acknowledged. */
export const ACKED = 2;
/** The last TSval. */
export const TIMESTAMP = 4;
/** The sequence number behind the FIN. */
export const FIN_END = 6;
/** The next hop of what goes out in this direction, or `NO_HOP`. */
export const HOP = 8;
/** When the last packet passed, in milliseconds of the clock, modulo 2^32. */
export const ACTIVITY = 10;
/** The state, and the bits below. */
export const STATUS = 11;
/** Links of the queue that a closing flow stands in, and of the free slots. */
export const PREVIOUS = 12;
export const FOLLOWING = 13;

/** The lowest bits of `STATUS`. */
export const STATE_MASK = 0x07;
export const FREE = 0;
export const OPEN = 1;
/** One end has sent its FIN. */
export const HALF_CLOSED = 2;
/** Both have; not all is acknowledged. */
export const CLOSING = 3;
/** All is acknowledged; packets that come late are still translated. */
export const LINGERING = 4;
/** A reset passed; likewise. */
export const RESET = 5;

// Each of these bits is shifted by the direction.
export const NEXT_KNOWN = 0x08;
export const ACKED_KNOWN = 0x20;
export const FIN_SEEN = 0x80;
export const RST_SEEN = 0x200;

/** A reset passed whose sequence number we could not vouch for. */
export const SUSPECT = 0x800;
/** Probes without an answer, from this bit on. */
export const PROBES_SHIFT = 12;
export const ONE_PROBE = 1 << PROBES_SHIFT;
export const PROBES_MASK = 0xff << PROBES_SHIFT;

/** Facts of the flow's end (facts.ts) that all members were told, from this bit on. */
export const TOLD_SHIFT = 20;

/** The ends have answered a probe, and said nothing new since. */
export const ANSWERED = 0x100_0000;

/** Numbers that lie further back than this are news, not history: 16 MiB, more than windows in use. */
export const REACH = 0x100_0000;
