// A load generator with a steady rate, in the manner of wrk2: requests are due at fixed moments whatever becomes
// of the earlier ones, and a latency counts from the moment at which the request was due. One that asks only
// when the last answer is there leaves out the very requests that would have waited ("coordinated omission").
//
//   node bench/load/steady.ts --to ADDRESS:PORT --path PATH --connections N --seconds N
//     [--rate N]   requests a second in all; without it each connection asks as soon as it has its answer
//     [--new]      a connection for each request; its set-up is in the latency
//
// Prints one object: {count, p50, p99, p999, max, lateMax}, times in microseconds; lateMax is by how much the
// generator itself was late at most, which is in the latencies too.
import { createHistogram } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { parseAddress } from '../../src/ip/address.ts';
import { close, connect, POLLIN, POLLOUT, PollSet, read, sleepExactly, write } from './sockets.ts';

const { values: options } = parseArgs({
  options: {
    to: { type: 'string', default: '' },
    path: { type: 'string', default: '/' },
    connections: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '1' },
    rate: { type: 'string' },
    new: { type: 'boolean', default: false },
  },
});
/** Longer without any answer, and the run has failed. */
const PATIENCE = 5e6;
/** Of each run the first part is not counted: paths and caches are cold. */
const LEAD_IN = 0.1;

const [host, port = '80'] = options.to.split(':');
const address = parseAddress(host);
if (typeof address !== 'number') throw new Error('--to: an IPv4 address, and a port');
const places = Number(options.connections);
const interval = options.rate === undefined ? 0 : 1e6 / Number(options.rate);
const length = Number(options.seconds) * 1e6;
const head = `GET ${options.path} HTTP/1.1\r\nHost: ${host}\r\n`;
const request = Buffer.from(`${head}${options.new ? 'Connection: close\r\n' : ''}\r\n`);

/** Microseconds of a clock that does not leap. */
const now = (): number => performance.now() * 1_000;
const CONNECTING = 1;
const WAITING = 2;
const IDLE = 0;

const fds = new Int32Array(places).fill(-1);
const states = new Uint8Array(places);
/** When the request under way was due. */
const dueAt = new Float64Array(places);
const got = new Uint32Array(places);
const set = new PollSet(places);
const histogram = createHistogram();
const buffer = Buffer.alloc(1_048_576);
/** Places without a request, first in first out. */
const idle = Array.from({ length: places }, (_, place) => place);
/** Bytes of a response: the same file from the same server every time. */
let whole = 0;
let count = 0;
let lateMax = 0;

function open(place: number): void {
  fds[place] = connect(Number(address), Number(port));
  states[place] = CONNECTING;
  set.set(place, fds[place], POLLOUT);
}

function ask(place: number): void {
  write(fds[place], request);
  states[place] = WAITING;
  got[place] = 0;
  set.set(place, fds[place], POLLIN);
}

/** The request that was due at `due` goes over `place`. */
function start(place: number, due: number): void {
  dueAt[place] = due;
  if (options.new) open(place);
  else ask(place);
}

function lengthOf(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  const body = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
  if (end < 0 || body === undefined || !text.startsWith('HTTP/1.1 200 ')) {
    throw new Error(`not a response with a length: ${text.slice(0, 60)}`);
  }
  return end + 4 + Number(body);
}

/** True when the response is complete. */
function take(place: number): boolean {
  const bytes = read(fds[place], buffer);
  if (bytes === 0) throw new Error('the connection was closed before the response was complete');
  if (bytes < 0) return false;
  if (got[place] === 0 && whole === 0) whole = lengthOf(buffer.toString('latin1', 0, bytes));
  got[place] += bytes;
  return got[place] >= whole;
}

/** Lets connections be made, outside the measurement. */
function openAll(): void {
  for (let place = 0; place < places; place++) open(place);
  let opened = 0;
  const deadline = now() + PATIENCE;
  while (opened < places) {
    if (now() > deadline) throw new Error(`only ${opened} of ${places} connections opened`);
    set.wait(100_000);
    for (let place = 0; place < places; place++) {
      if (states[place] !== CONNECTING || !set.isReady(place)) continue;
      states[place] = IDLE;
      set.set(place, -1, 0);
      opened++;
    }
  }
}

sleepExactly();
if (!options.new) openAll();
const began = now();
const counted = began + length * LEAD_IN;
const end = began + length;
let due = began;
let answeredAt = began;
for (;;) {
  let at = now();
  while (due <= at && due < end && idle.length > 0) {
    const place = idle.shift() ?? 0;
    lateMax = Math.max(lateMax, due >= counted ? at - due : 0);
    start(place, interval === 0 ? at : due);
    due = interval === 0 ? at : due + interval;
    at = now();
  }
  const busy = places - idle.length;
  if (busy === 0 && due >= end) break;
  if (busy > 0 && at - answeredAt > PATIENCE) throw new Error('no answer for 5 s');
  const wait = due < end && idle.length > 0 ? due - at : 100_000;
  if (set.wait(Math.max(0, wait)) <= 0) continue;
  at = now();
  for (let place = 0; place < places; place++) {
    if (fds[place] < 0 || !set.isReady(place)) continue;
    if (states[place] === CONNECTING) ask(place);
    else if (states[place] === WAITING && take(place)) {
      answeredAt = now();
      if (dueAt[place] >= counted) {
        histogram.record(Math.max(1, Math.round((answeredAt - dueAt[place]) * 1_000)));
        count++;
      }
      states[place] = IDLE;
      set.set(place, -1, 0);
      if (options.new) close(fds[place]);
      idle.push(place);
      if (interval === 0) due = answeredAt;
    }
  }
}
const micros = (percent: number): number => histogram.percentile(percent) / 1_000;
process.stdout.write(
  `${JSON.stringify({ count, p50: micros(50), p99: micros(99), p999: micros(99.9), max: histogram.max / 1_000, lateMax })}\n`,
);
