// Whether a packet that the stack has sent is the one that the script expects.
import * as tcp from '../../src/wire/tcp.ts';
import type { Flow } from './flow.ts';
import type { Observed } from './frames.ts';
import { comparable, repeatsFin } from './lenient.ts';
import { formatOptions } from './options.ts';
import type { OptionSpec, TcpSpec } from './script.ts';

/**
 * `strict`: all that the script states. `lenient`, for scripts that were written for another system: what the RFCs
 * leave to each system is not compared (lenient.ts says what that is).
 */
export type Mode = 'strict' | 'lenient';

const LETTERS: readonly (readonly [string, number])[] = [
  ['F', tcp.FIN],
  ['S', tcp.SYN],
  ['R', tcp.RST],
  ['P', tcp.PSH],
  ['U', tcp.URG],
  ['E', tcp.ECE],
  ['W', tcp.CWR],
  ['.', tcp.ACK],
];
const ECN = { noecn: [0], ect0: [2], ect1: [1], ect01: [1, 2], ce: [3] } as const;

/** What differs, in a script's words; undefined if the packet is as expected. */
export function difference(
  spec: TcpSpec,
  seen: Observed,
  flow: Flow,
  mode: Mode,
): string | undefined {
  const wrong: string[] = [];
  const check = (what: string, expected: number | undefined, actual: number): void => {
    if (expected !== undefined && expected >>> 0 !== actual) {
      wrong.push(`${what} ${expected} expected, not ${actual}`);
    }
  };
  // Where a train ends, and so where it has its PSH, is up to what each sender hands to its device.
  const hint = mode === 'lenient' || seen.isTrain === true ? tcp.PSH : 0;
  if (mode === 'lenient' && repeatsFin(spec, seen, flow)) return undefined;
  if ((spec.flags | hint) !== (seen.flags | hint)) {
    wrong.push(`flags ${formatFlags(spec.flags)} expected, not ${formatFlags(seen.flags)}`);
  }
  check('seq', spec.seq, spec.absolute ? seen.seq : flow.oursToScript(seen.seq));
  check('length', spec.length, seen.length);
  if ((seen.flags & tcp.ACK) !== 0) check('ack', spec.ack, flow.theirsToScript(seen.ack));
  if (mode === 'strict') check('win', spec.window, seen.window);
  check('urg', spec.urgent, seen.urgent);
  checkIp(spec, seen, check, wrong);
  if (!sameOptions(spec.options, seen.options.map(flow.optionToScript), mode)) {
    wrong.push('other options expected');
  }
  if (wrong.length === 0) return undefined;
  return `${wrong.join(', ')}; sent: ${formatObserved(seen, flow)}`;
}

function checkIp(
  { ip }: TcpSpec,
  seen: Observed,
  check: (what: string, expected: number | undefined, actual: number) => void,
  wrong: string[],
): void {
  const codepoint = seen.trafficClass & 3;
  if (ip.ecn !== undefined && !ECN[ip.ecn].some((value) => value === codepoint)) {
    wrong.push(`ECN ${ip.ecn} expected, not codepoint ${codepoint}`);
  }
  check('traffic class', ip.trafficClass, seen.trafficClass);
  check('time to live', ip.timeToLive, seen.timeToLive);
  check('flow label', ip.flowLabel, seen.flowLabel);
}

function sameOptions(
  expected: TcpSpec['options'],
  actual: readonly OptionSpec[],
  mode: Mode,
): boolean {
  if (expected === 'any') return true;
  if (mode === 'strict') return sameList(expected, actual);
  return sameList(comparable(expected, actual), comparable(actual, expected));
}

const sameList = (expected: readonly OptionSpec[], actual: readonly OptionSpec[]): boolean =>
  expected.length === actual.length &&
  expected.every((option, index) => sameOption(option, actual[index]));

/** TSval is not compared: only their clock knows what it should be. */
function sameOption(expected: OptionSpec, actual: OptionSpec): boolean {
  const open = (wanted: number | undefined, value: number | undefined): boolean =>
    wanted === undefined || wanted === value;
  switch (expected.kind) {
    case 'mss':
      return actual.kind === 'mss' && open(expected.value, actual.value);
    case 'wscale':
      return actual.kind === 'wscale' && open(expected.shift, actual.shift);
    case 'timestamps':
      return actual.kind === 'timestamps' && open(expected.echo, actual.echo);
    case 'sack': {
      if (actual.kind !== 'sack') return false;
      return expected.blocks.flat().join() === actual.blocks.flat().join();
    }
    default:
      return expected.kind === actual.kind;
  }
}

/**
 * Takes from `queue` what the script calls one packet: segments that left together, one behind the other,
 * where it has the whole train that a sender hands to its device.
 */
export function takeTrain(queue: Observed[], length: number): Observed | undefined {
  let train = queue.shift();
  while (train !== undefined && train.length < length) {
    const next = queue[0];
    const follows =
      next !== undefined &&
      next.at === train.at &&
      next.length > 0 &&
      train.length > 0 &&
      next.seq === (train.seq + train.length) >>> 0 &&
      (train.flags & (tcp.FIN | tcp.SYN | tcp.RST)) === 0 &&
      train.length + next.length <= length;
    if (!follows) break;
    queue.shift();
    // CWR is set on the first segment of a train, FIN and PSH on its last.
    train = {
      ...train,
      length: train.length + next.length,
      flags: train.flags | next.flags,
      isTrain: true,
    };
  }
  return train;
}

export const formatFlags = (flags: number): string =>
  LETTERS.filter(([, bit]) => (flags & bit) !== 0)
    .map(([letter]) => letter)
    .join('') || '-';

export function formatObserved(seen: Observed, flow: Flow): string {
  const seq = flow.oursToScript(seen.seq);
  const ack = (seen.flags & tcp.ACK) === 0 ? '' : ` ack ${flow.theirsToScript(seen.ack)}`;
  const options = formatOptions(seen.options.map(flow.optionToScript));
  const range = `${seq}:${(seq + seen.length) >>> 0}(${seen.length})`;
  return `${formatFlags(seen.flags)} ${range}${ack} win ${seen.window}${options}`;
}
