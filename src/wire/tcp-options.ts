// TCP options (RFC 9293 3.2, RFC 7323, RFC 2018): one reader for all of them, and writers that pad as
// Linux does, so that our segments look familiar.

export const END = 0;
export const NOP = 1;
export const MSS = 2;
export const WINDOW_SCALE = 3;
export const SACK_PERMITTED = 4;
export const SACK = 5;
export const TIMESTAMPS = 8;

/** The largest shift that means anything (RFC 7323, section 2.3). */
export const MAX_WINDOW_SCALE = 14;
export const MAX_SACK_BLOCKS = 4;

/** What a segment's options said. One instance serves all segments that a reader sees, one at a time. */
export class Options {
  /** Maximum segment size, or 0 if absent. */
  mss = 0;
  /** Shift from 0 to 14, or -1 if absent. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  /** TSval and TSecr, uint32. */
  timestampValue = 0;
  timestampEcho = 0;
  /** How many pairs of `sackEdges` count. */
  sackBlocks = 0;
  /** Left and right edges in turn, uint32. */
  readonly sackEdges = new Uint32Array(2 * MAX_SACK_BLOCKS);

  clear(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.timestampValue = 0;
    this.timestampEcho = 0;
    this.sackBlocks = 0;
  }
}

/**
 * Reads the options in `[at, end)`. An option of unknown kind is skipped by its length; one whose length
 * is impossible ends the reading, and what stood before it counts (RFC 9293, MUST-5, MUST-7).
 */
export function readOptions(view: DataView, at: number, end: number, into: Options): void {
  into.clear();
  // Nearly every segment of an established connection: NOP NOP TS and nothing else.
  if (end - at === 12 && view.getUint32(at) === 0x0101_080a) {
    into.hasTimestamps = true;
    into.timestampValue = view.getUint32(at + 4);
    into.timestampEcho = view.getUint32(at + 8);
    return;
  }
  let cursor = at;
  while (cursor < end) {
    const kind = view.getUint8(cursor);
    if (kind === END) return;
    if (kind === NOP) {
      cursor++;
      continue;
    }
    if (cursor + 1 >= end) return;
    const length = view.getUint8(cursor + 1);
    if (length < 2 || cursor + length > end) return;
    readOption(view, cursor, kind, length, into);
    cursor += length;
  }
}

function readOption(view: DataView, at: number, kind: number, length: number, into: Options): void {
  if (kind === MSS && length === 4) {
    into.mss = view.getUint16(at + 2);
  } else if (kind === WINDOW_SCALE && length === 3) {
    into.windowScale = Math.min(view.getUint8(at + 2), MAX_WINDOW_SCALE);
  } else if (kind === SACK_PERMITTED && length === 2) {
    into.sackPermitted = true;
  } else if (kind === TIMESTAMPS && length === 10) {
    into.hasTimestamps = true;
    into.timestampValue = view.getUint32(at + 2);
    into.timestampEcho = view.getUint32(at + 6);
  } else if (kind === SACK && length >= 10 && (length - 2) % 8 === 0) {
    into.sackBlocks = Math.min((length - 2) / 8, MAX_SACK_BLOCKS);
    for (let edge = 0; edge < 2 * into.sackBlocks; edge++) {
      into.sackEdges[edge] = view.getUint32(at + 2 + 4 * edge);
    }
  }
}

/** Each writer returns the offset behind what it wrote; all keep 4-byte alignment. */
export function writeMss(view: DataView, at: number, mss: number): number {
  view.setUint32(at, (MSS << 24) | (4 << 16) | mss);
  return at + 4;
}

export function writeWindowScale(view: DataView, at: number, shift: number): number {
  view.setUint32(at, (NOP << 24) | (WINDOW_SCALE << 16) | (3 << 8) | shift);
  return at + 4;
}

export function writeSackPermitted(view: DataView, at: number): number {
  view.setUint32(at, (NOP << 24) | (NOP << 16) | (SACK_PERMITTED << 8) | 2);
  return at + 4;
}

export function writeTimestamps(view: DataView, at: number, value: number, echo: number): number {
  view.setUint32(at, 0x0101_080a);
  view.setUint32(at + 4, value);
  view.setUint32(at + 8, echo);
  return at + 12;
}

/** SACK permitted and timestamps share their padding, as Linux writes them in a SYN. */
export function writeSackPermittedTimestamps(
  view: DataView,
  at: number,
  value: number,
  echo: number,
): number {
  view.setUint32(at, (SACK_PERMITTED << 24) | (2 << 16) | (TIMESTAMPS << 8) | 10);
  view.setUint32(at + 4, value);
  view.setUint32(at + 8, echo);
  return at + 12;
}

/** @param blocks how many pairs of `edges` to write, 1 to 4 (3 beside timestamps) */
export function writeSack(view: DataView, at: number, edges: Uint32Array, blocks: number): number {
  view.setUint32(at, (NOP << 24) | (NOP << 16) | (SACK << 8) | (2 + 8 * blocks));
  for (let edge = 0; edge < 2 * blocks; edge++) view.setUint32(at + 4 + 4 * edge, edges[edge]);
  return at + 4 + 8 * blocks;
}
