// A case of the fuzzer: what is run, cut down and kept.
import { type FlightCase, runFlight } from './flight.ts';
import { type ParserCase, runParser } from './parsers.ts';

export type Case = FlightCase | ParserCase;

/** What went wrong with a case, in a line; undefined if nothing did. */
export function failureOf(each: Case): string | undefined {
  try {
    if (each.kind === 'flight') runFlight(each);
    else runParser(each);
    return undefined;
  } catch (error) {
    return error instanceof Error ? `${error.message} ${frameOf(error)}` : String(error);
  }
}

/** Where an error was thrown, without line numbers, which change. */
const frameOf = ({ stack = '' }: Error): string => /\n\s+at (\S+)/.exec(stack)?.[1] ?? '';

/** Attempts to make a case smaller. */
const MAX_ATTEMPTS = 2_000;

/** The smallest case found that still fails. */
export function shrink(start: Case): Case {
  let best = start;
  let attempts = 0;
  for (let progress = true; progress && attempts < MAX_ATTEMPTS; ) {
    progress = false;
    for (const smaller of best.kind === 'flight' ? fewerEdits(best) : fewerBytes(best)) {
      if (++attempts > MAX_ATTEMPTS) break;
      if (failureOf(smaller) === undefined) continue;
      best = smaller;
      progress = true;
      break;
    }
  }
  return best;
}

function* fewerEdits(flight: FlightCase): Generator<FlightCase> {
  const { edits } = flight;
  for (let size = edits.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= edits.length; at += size) {
      yield { ...flight, edits: [...edits.slice(0, at), ...edits.slice(at + size)] };
    }
  }
}

function* fewerBytes(each: ParserCase): Generator<ParserCase> {
  const bytes = Buffer.from(each.hex, 'hex');
  const withBytes = (smaller: Uint8Array): ParserCase => ({
    ...each,
    hex: Buffer.from(smaller).toString('hex'),
  });
  for (let size = bytes.length; size >= 1; size >>= 1) {
    yield withBytes(bytes.subarray(0, bytes.length - size));
  }
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 0) continue;
    const zeroed = Buffer.from(bytes);
    zeroed[at] = 0;
    yield withBytes(zeroed);
  }
}
