// What a client and a backend say to each other: a script that both know byte for byte, so that each can tell at
// any time whether what it heard is the right thing so far.
import type { Micros } from '../env/clock.ts';

/** One request and its response. */
export interface Exchange {
  /** Bytes of a header that only makes the head longer. */
  readonly padding: number;
  /** Bytes of the request's body. */
  readonly up: number;
  /** Bytes of the response's body; with `echo` it is the request's. */
  readonly down: number;
  readonly echo: boolean;
  /** How long the backend takes to answer. */
  readonly thinking: Micros;
  /** How long the client waits before the request, after it heard what came before. */
  readonly pause: Micros;
  /** In how many pieces the client says the head, and how long it waits between them. */
  readonly pieces: number;
  readonly gap: Micros;
}

/** A connection of a client. */
export interface TalkPlan {
  /** Whether the service is plain TCP: then the server speaks first. */
  readonly opaque: boolean;
  /** When the client connects; or how long after the end of the talk that it follows. */
  readonly startAt: Micros;
  /** The number of an earlier talk whose ends, ports included, this one has once that is over; -1 for its own. */
  readonly follows: number;
  readonly exchanges: readonly Exchange[];
  /** Whether requests are said without waiting for earlier responses. */
  readonly pipelined: boolean;
  /** Who closes first: the client behind its last request or its last response, or the server. */
  readonly closing: 'half' | 'client' | 'server';
  /** Bytes that the client hears before it stops reading, and for how long; -1 to read always. */
  readonly deafAt: number;
  readonly deafFor: Micros;
  /** The client's receive buffer in bytes. */
  readonly buffer: number;
  /** Bytes that the client hears before it resets the connection; -1 not to. */
  readonly leavesAt: number;
}

/** Where an exchange lies in the two streams. */
export interface Place {
  readonly exchange: Exchange;
  readonly start: number;
  /** Behind the head, and behind the body. */
  readonly headEnd: number;
  readonly end: number;
  /** The response: its start, its body's, and its end. */
  readonly downStart: number;
  readonly downBody: number;
  readonly downEnd: number;
}

export const GREETING = '220 at your service\r\n';
const PATH = /^[A-Z]+ \/talk\/(\d+)\/(\d+) /;

export class Script {
  readonly number: number;
  readonly plan: TalkPlan;
  /** All that the client says, and all that it is to hear. */
  readonly up: Uint8Array;
  readonly down: Uint8Array;
  readonly places: readonly Place[];

  constructor(number: number, plan: TalkPlan) {
    this.number = number;
    this.plan = plan;
    const ups: Buffer[] = [];
    const downs: Buffer[] = plan.opaque ? [Buffer.from(GREETING)] : [];
    const places: Place[] = [];
    let up = 0;
    let down = plan.opaque ? GREETING.length : 0;
    plan.exchanges.forEach((exchange, index) => {
      const head = Buffer.from(requestHead(number, index, exchange));
      const body = bytesOf(2 * (number * 64 + index), exchange.up);
      const answer = exchange.echo ? body : bytesOf(2 * (number * 64 + index) + 1, exchange.down);
      const status = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n`);
      ups.push(head, body);
      downs.push(status, answer);
      const headEnd = up + head.length;
      const downBody = down + status.length;
      const end = headEnd + body.length;
      const downEnd = downBody + answer.length;
      places.push({ exchange, start: up, headEnd, end, downStart: down, downBody, downEnd });
      up = end;
      down = downEnd;
    });
    this.up = Buffer.concat(ups);
    this.down = Buffer.concat(downs);
    this.places = places;
  }

  /** Bytes that the server may have said when it has heard `heard`: all of it, but for its thinking. */
  owed(heard: number): number {
    let owed = this.plan.opaque ? GREETING.length : 0;
    for (const { exchange, headEnd, end, downBody, downEnd } of this.places) {
      if (exchange.echo && heard >= headEnd) owed = downBody + Math.min(heard, end) - headEnd;
      if (heard < end) return owed;
      owed = downEnd;
    }
    return owed;
  }
}

/** The script that a request's first line names; undefined if it names none. */
export function scriptOf(text: string, scripts: readonly Script[]): Script | undefined {
  const number = PATH.exec(text)?.[1];
  return number === undefined ? undefined : scripts[Number(number)];
}

/** Where `bytes` differ from `right` from `at` on; -1 if they do not. */
export function mismatch(right: Uint8Array, at: number, bytes: Uint8Array): number {
  if (at + bytes.length > right.length) return right.length;
  if (Buffer.compare(right.subarray(at, at + bytes.length), bytes) === 0) return -1;
  let index = 0;
  while (right[at + index] === bytes[index]) index++;
  return at + index;
}

function requestHead(number: number, index: number, { padding, up }: Exchange): string {
  const method = up > 0 ? 'POST' : 'GET';
  const length = up > 0 ? `Content-Length: ${up}\r\n` : '';
  const pad = padding > 0 ? `X-Padding: ${paddingOf(number, padding)}\r\n` : '';
  return `${method} /talk/${number}/${index} HTTP/1.1\r\nHost: simulated\r\n${pad}${length}\r\n`;
}

/** Letters that differ from place to place, so that none can stand for another. */
function paddingOf(key: number, length: number): string {
  let text = '';
  for (let line = 0; text.length < length; line++) text += `${key}.${line}-`;
  return text.slice(0, length);
}

/** Bytes that differ at every place where two streams could be mixed up. */
function bytesOf(key: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at++) {
    bytes[at] = Math.imul(at ^ (key << 7), 0x9e37_79b1) >>> 24;
  }
  return bytes;
}
