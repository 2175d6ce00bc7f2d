// One end of a conversation in the simulator: writes a known stream in random pieces with random pauses, reads
// the peer's in the same manner, closes when it has said all, and keeps account.
import { MILLISECOND, type Micros } from '../../src/env/clock.ts';
import { below, chance, type Random } from '../../src/env/random.ts';
import { Timer, type Timers } from '../../src/env/timers.ts';
import type { Connection, ConnectionHandler } from '../../src/tcp/connection.ts';

/** The byte at `offset` of the stream that `key` names. */
const byteAt = (key: number, offset: number): number =>
  (Math.imul(offset ^ (key << 3), 0x9e37_79b1) >>> 24) & 0xff;

export function streamBytes(key: number, from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(key, from + i);
  return bytes;
}

export interface TalkerOptions {
  random: Random;
  timers: Timers;
  now: () => Micros;
  /** The stream that it sends, and how many bytes of it. */
  says: number;
  length: number;
  /** The stream that it must hear. */
  hears: number;
  /** Bytes that it must hear. */
  expects: number;
  /** Milliseconds that it pauses at most, now and then. */
  pause: number;
  /** Whether it says something only when the peer has closed. */
  waits: boolean;
}

export class Talker implements ConnectionHandler {
  connection: Connection | undefined;
  said = 0;
  heard = 0;
  ended = false;
  closed = false;
  error: unknown;
  /** What was not as it should be. */
  readonly faults: string[] = [];
  readonly #options: TalkerOptions;
  readonly #writing: Timer;
  readonly #reading: Timer;

  constructor(options: TalkerOptions) {
    this.#options = options;
    this.#writing = new Timer(() => this.#write());
    this.#reading = new Timer(() => this.#read());
  }

  onConnect(connection: Connection): void {
    this.connection = connection;
    if (!this.#options.waits) this.#write();
  }

  onReadable(): void {
    if (this.#reading.at === Number.POSITIVE_INFINITY) this.#read();
  }

  onAcknowledged(): void {
    if (this.said > 0 && this.#writing.at === Number.POSITIVE_INFINITY) this.#write();
  }

  onEnd(): void {
    if (this.ended) this.faults.push('a second end');
    this.ended = true;
    this.onReadable();
    if (this.#options.waits) this.#write();
  }

  onClose(connection: Connection, error: unknown): void {
    if (this.closed) this.faults.push('a second close');
    this.closed = true;
    this.error = error;
    this.#options.timers.remove(this.#writing);
    this.#options.timers.remove(this.#reading);
    this.connection = connection;
    while (this.#take(Number.POSITIVE_INFINITY));
    if (this.heard !== this.#options.expects) this.faults.push(`heard ${this.heard} bytes`);
    if (!this.ended) this.faults.push('closed before the end');
  }

  #write(): void {
    const { random, says, length } = this.#options;
    const { connection } = this;
    if (connection === undefined || this.closed || connection.snd.finQueued) return;
    while (this.said < length && connection.sendBuffer.length < 65_536) {
      const size = Math.min(
        length - this.said,
        1 + below(random, chance(random, 0.3) ? 20_000 : 200),
      );
      this.said += size;
      connection.write(streamBytes(says, this.said - size, size));
      if (this.#rest(this.#writing)) return;
    }
    if (this.said === length) connection.end();
  }

  #read(): void {
    while (this.#take(1 + below(this.#options.random, 30_000))) {
      if (this.#rest(this.#reading)) return;
    }
  }

  #take(max: number): boolean {
    const bytes = this.connection?.read(max);
    if (bytes === undefined) return false;
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] !== byteAt(this.#options.hears, this.heard + i)) {
        this.faults.push(`byte ${this.heard + i} is wrong`);
        break;
      }
    }
    this.heard += bytes.length;
    return true;
  }

  /** Now and then, goes on later. */
  #rest(timer: Timer): boolean {
    const { random, pause, timers, now } = this.#options;
    if (pause === 0 || !chance(random, 0.2)) return false;
    timers.set(timer, now() + below(random, pause) * MILLISECOND);
    return true;
  }
}
