// What our acknowledgments report by SACK (RFC 2018, section 4) and DSACK (RFC 2883, section 4).
import * as options from '../wire/tcp-options.ts';
import type { Connection } from './connection.ts';
import { isAfter, isBefore } from './sequence.ts';

const edges = new Uint32Array(2 * options.MAX_SACK_BLOCKS);

/** True if an acknowledgment has something to report. */
export const hasSackBlocks = ({ rcv, receiveBuffer }: Connection): boolean =>
  rcv.dsackStart >= 0 || receiveBuffer.gaps.count > 0;

/** The peer sent `[start, end)` though it has come before. */
export function noteDuplicate({ rcv, negotiated }: Connection, start: number, end: number): void {
  if (!negotiated.sack || !isBefore(start, end)) return;
  const adjacent =
    rcv.dsackStart >= 0 && !isBefore(rcv.dsackEnd, start) && !isBefore(end, rcv.dsackStart);
  if (adjacent) {
    if (isBefore(start, rcv.dsackStart)) rcv.dsackStart = start;
    if (isAfter(end, rcv.dsackEnd)) rcv.dsackEnd = end;
    return;
  }
  rcv.dsackStart = start;
  rcv.dsackEnd = end;
}

/** Writes the option at `at`, and returns where it ends. A duplicate is reported once, and first. */
export function writeSackBlocks(connection: Connection, at: number): number {
  const { rcv, receiveBuffer, negotiated, stack } = connection;
  const room = negotiated.timestamps ? 3 : 4;
  let blocks = 0;
  if (rcv.dsackStart >= 0) {
    edges[0] = rcv.dsackStart;
    edges[1] = rcv.dsackEnd;
    rcv.dsackStart = -1;
    blocks = 1;
  }
  const { gaps } = receiveBuffer;
  // The range that the latest segment fell into comes first, then those reported before it.
  for (let i = 0; i < receiveBuffer.recentCount && blocks < room; i++) {
    const index = gaps.indexOf(receiveBuffer.recent(i));
    if (index < 0) continue;
    edges[2 * blocks] = gaps.start(index);
    edges[2 * blocks + 1] = gaps.end(index);
    blocks++;
  }
  return blocks > 0 ? options.writeSack(stack.frame.view, at, edges, blocks) : at;
}
