// What lenient mode leaves to the system that a script was written for. Each entry is a choice that the RFCs
// leave open, and no more than that choice.
//
// - Windows and buffer sizes, and so where the right edge of its window lies (`World.shifted`).
// - Timestamps and window scale, the order of options and their padding; the values of options are compared.
// - PSH, a hint to the receiver (RFC 9293, 3.9.1.2).
// - A FIN that is repeated with the acknowledgment of the peer's FIN (`repeatsFin`).
// - The constant that FreeBSD adds to its retransmission timeout (`rexmit_slop`).
// - When a lone acknowledgment of new data leaves (`mayWait`).
import { MILLISECOND, type Micros } from '../../src/env/clock.ts';
import * as tcp from '../../src/wire/tcp.ts';
import type { Flow } from './flow.ts';
import type { Observed } from './frames.ts';
import type { OptionSpec, TcpSpec } from './script.ts';

/** How long we delay an acknowledgment, as Linux does; RFC 9293, 3.8.6.3 allows 500 ms. */
const ACK_DELAY: Micros = 40 * MILLISECOND;

/** The options of one side that count, in a fixed order. Timestamps count where both sides have them. */
export function comparable(
  options: readonly OptionSpec[],
  others: readonly OptionSpec[],
): OptionSpec[] {
  const both = others.some(({ kind }) => kind === 'timestamps');
  return options
    .filter(({ kind }) => kind !== 'nop' && kind !== 'eol' && kind !== 'wscale')
    .filter(({ kind }) => both || kind !== 'timestamps')
    .sort((one, other) => (one.kind < other.kind ? -1 : 1));
}

/**
 * The script's system has its FIN, which is not acknowledged, in the acknowledgment of the peer's FIN; ours sends
 * what RFC 9293, 3.10.7.4 asks for: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. Both acknowledge the same, and both say
 * where our stream ends.
 */
export function repeatsFin(spec: TcpSpec, seen: Observed, flow: Flow): boolean {
  return (
    spec.flags === (tcp.FIN | tcp.ACK) &&
    seen.flags === tcp.ACK &&
    spec.length === 0 &&
    seen.length === 0 &&
    spec.seq !== undefined &&
    spec.ack === flow.theirsToScript(seen.ack) &&
    flow.oursToScript(seen.seq) === (spec.seq + 1) >>> 0 &&
    flow.hasSentFin
  );
}

/** How much later than the script says an acknowledgment may come: that of new data, which nothing else makes urgent. */
export function mayWait({ flags, length, options }: TcpSpec): Micros {
  const lone = flags === tcp.ACK && length === 0;
  const urgent = options !== 'any' && options.some(({ kind }) => kind === 'sack');
  return lone && !urgent ? ACK_DELAY : 0;
}
