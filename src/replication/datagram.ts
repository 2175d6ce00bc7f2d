// The plaintext of one datagram with what its sender or receiver must remember; pooled, never garbage.
import type { Micros } from '../env/clock.ts';
import { BODY_AT, MAX_PLAIN } from './envelope.ts';

export class Datagram {
  /** The sealed part of the envelope, then the messages. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(MAX_PLAIN);
  readonly view: DataView<ArrayBuffer> = new DataView(this.bytes.buffer);
  /** Offset behind the last message. */
  end: number = BODY_AT;
  /** Its number in the stream. */
  number = 0;
  /** The last ticket whose message lies in it, or 0. */
  ticket = 0;
  /** True if somebody waits for a message in it to be acknowledged. */
  awaited = false;
  /** True if it must not wait for an acknowledgment of those before it. */
  urgent = false;
  /** When it was sent last. */
  sentAt: Micros = 0;
  /** How often it was sent. */
  sends = 0;
  /** True once the receiver holds it, though not all before it. */
  held = false;

  reset(): void {
    this.end = BODY_AT;
    this.ticket = 0;
    this.awaited = false;
    this.urgent = false;
    this.sends = 0;
    this.held = false;
  }
}

/** Datagrams for reuse; keeps at most `limit` of those given back. */
export class DatagramPool {
  readonly #free: Datagram[] = [];
  readonly #limit: number;

  constructor(limit = 1_024) {
    this.#limit = limit;
  }

  take(): Datagram {
    const datagram = this.#free.pop() ?? new Datagram();
    datagram.reset();
    return datagram;
  }

  give(datagram: Datagram): void {
    if (this.#free.length < this.#limit) this.#free.push(datagram);
  }
}
