// The server's side of iperf3 over any stream sockets, one test at a time: what an unchanged `iperf3 -c`
// needs to measure a TCP that is not the kernel's. TCP only, either direction, any number of streams.
//
// The client sends a cookie on the control connection and on each stream. Then one byte at a time says what
// state the test is in, and two documents in JSON, each after its length in 32 bits, cross the control
// connection: the parameters, and the results of either side.
import type { Duplex } from 'node:stream';
import { TcpSocket } from '../../src/tcp/socket.ts';

const COOKIE_LENGTH = 37;
const TEST_START = 1;
const TEST_RUNNING = 2;
const TEST_END = 4;
const PARAM_EXCHANGE = 9;
const CREATE_STREAMS = 10;
const EXCHANGE_RESULTS = 13;
const DISPLAY_RESULTS = 14;
const IPERF_DONE = 16;
/** Documents of a client are some hundred bytes. */
const MAX_DOCUMENT = 65_536;
const BLOCK = Buffer.alloc(131_072, 'suture ');

interface Parameters {
  readonly parallel?: number;
  readonly reverse?: boolean;
}

interface Stream {
  readonly socket: Duplex;
  bytes: number;
}

/** Counts what arrives, by the way that keeps no bytes where there is one. */
function receive(stream: Stream): void {
  const take = (bytes: Uint8Array): void => {
    stream.bytes += bytes.length;
  };
  if (stream.socket instanceof TcpSocket) stream.socket.consume(take);
  else stream.socket.on('data', take);
}

class Test {
  readonly #control: Duplex;
  readonly #ended: () => void;
  readonly #streams: Stream[] = [];
  #arrived: Buffer = Buffer.alloc(0);
  #parameters: Parameters | undefined;
  #running = false;
  #results = false;
  #startedAt = 0;

  constructor(control: Duplex, ended: () => void) {
    this.#control = control;
    this.#ended = ended;
    control.on('data', (bytes: Buffer) => {
      this.#arrived = Buffer.concat([this.#arrived, bytes]);
      while (this.#step());
    });
    control.on('error', () => {});
    control.on('close', () => this.#close());
    this.#say(PARAM_EXCHANGE);
  }

  addStream(socket: Duplex): void {
    this.#streams.push({ socket, bytes: 0 });
    if (this.#streams.length < (this.#parameters?.parallel ?? 1)) return;
    this.#say(TEST_START);
    this.#say(TEST_RUNNING);
    this.#running = true;
    this.#startedAt = performance.now();
    for (const stream of this.#streams) {
      if (this.#parameters?.reverse === true) this.#pour(stream);
      else receive(stream);
    }
  }

  /** Takes what the client says next; false if it is not complete yet. */
  #step(): boolean {
    if (this.#parameters === undefined) {
      const document = this.#document();
      if (document === undefined) return false;
      this.#parameters = document as Parameters;
      this.#say(CREATE_STREAMS);
      return true;
    }
    if (this.#running) {
      if (this.#arrived.length === 0) return false;
      if (this.#arrived[0] !== TEST_END) {
        this.#control.destroy();
        return false;
      }
      this.#arrived = this.#arrived.subarray(1);
      this.#running = false;
      this.#results = true;
      // The client may wait in a read for the rest of a block.
      for (const { socket } of this.#streams) socket.end();
      this.#say(EXCHANGE_RESULTS);
      return true;
    }
    if (this.#results) {
      if (this.#document() === undefined) return false;
      this.#results = false;
      this.#report();
      this.#say(DISPLAY_RESULTS);
      return true;
    }
    if (this.#arrived[0] === IPERF_DONE) this.#control.end();
    return false;
  }

  #document(): unknown {
    if (this.#arrived.length < 4) return undefined;
    const length = this.#arrived.readUInt32BE(0);
    if (length > MAX_DOCUMENT) this.#control.destroy();
    if (this.#arrived.length < 4 + length) return undefined;
    const text = this.#arrived.toString('utf8', 4, 4 + length);
    this.#arrived = this.#arrived.subarray(4 + length);
    return JSON.parse(text);
  }

  #report(): void {
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const text = JSON.stringify({
      cpu_util_total: 0,
      cpu_util_user: 0,
      cpu_util_system: 0,
      sender_has_retransmits: 0,
      streams: this.#streams.map(({ bytes }, index) => ({
        // iperf3 numbers its streams 1, 3, 4, 5, ...
        id: index === 0 ? 1 : index + 2,
        bytes,
        retransmits: 0,
        jitter: 0,
        errors: 0,
        packets: 0,
        start_time: 0,
        end_time: seconds,
      })),
    });
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(text));
    this.#control.write(Buffer.concat([length, Buffer.from(text)]));
  }

  #pour(stream: Stream): void {
    const { socket } = stream;
    const fill = (): void => {
      while (this.#running && !socket.destroyed) {
        stream.bytes += BLOCK.length;
        if (!socket.write(BLOCK)) return;
      }
    };
    socket.on('drain', fill);
    fill();
  }

  #say(state: number): void {
    this.#control.write(Buffer.of(state));
  }

  #close(): void {
    this.#running = false;
    for (const { socket } of this.#streams) socket.destroy();
    this.#ended();
  }
}

/** Pass it every connection to the port of iperf3. */
export class Iperf3Server {
  readonly #tests = new Map<string, Test>();

  accept(socket: Duplex): void {
    let arrived = Buffer.alloc(0);
    const onData = (bytes: Buffer): void => {
      arrived = Buffer.concat([arrived, bytes]);
      if (arrived.length < COOKIE_LENGTH) return;
      socket.removeListener('data', onData);
      socket.pause();
      const cookie = arrived.toString('latin1', 0, COOKIE_LENGTH);
      const rest = arrived.subarray(COOKIE_LENGTH);
      if (rest.length > 0) socket.unshift(rest);
      const test = this.#tests.get(cookie);
      if (test !== undefined) test.addStream(socket);
      else this.#tests.set(cookie, new Test(socket, () => this.#tests.delete(cookie)));
      socket.resume();
    };
    socket.on('error', () => {});
    socket.on('data', onData);
  }
}
