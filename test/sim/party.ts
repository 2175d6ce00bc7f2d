// One end of a conversation in the simulator: writes a known stream in random pieces with random pauses, reads
// the peer's in the same manner, closes, half closes, aborts or walks away as its plan says, and keeps account.
import { MILLISECOND, type Micros, NEVER } from '../../src/env/clock.ts';
import { below, chance, type Random } from '../../src/env/random.ts';
import { Timer } from '../../src/env/timers.ts';
import type { Host } from '../../src/host/host.ts';
import type { Connection, ConnectionHandler } from '../../src/tcp/connection.ts';
import type { TcpError } from '../../src/tcp/errors.ts';

/** The byte at `offset` of the stream that `key` names. */
export const byteAt = (key: number, offset: number): number =>
  (Math.imul(offset ^ (key << 3), 0x9e37_79b1) >>> 24) & 0xff;

/** Bytes that a party lets wait in its connection before it stops writing. */
export const SEND_LIMIT = 65_536;

/** What a party is going to do. */
export interface Plan {
  /** The stream that it says, and how many bytes of it. */
  readonly says: number;
  readonly length: number;
  /** The largest piece that it writes at once. */
  readonly piece: number;
  /** The largest piece that it reads at once. */
  readonly gulp: number;
  /** Milliseconds that it pauses at most, now and then. */
  readonly pause: number;
  /** Milliseconds after which it begins to read. */
  readonly deaf: number;
  /** Whether it says something only when the peer has closed. */
  readonly waits: boolean;
  /** Bytes heard or said at which it goes, and how; -1 to stay to the end. */
  readonly leavesAt: number;
  readonly leaving: 'abort' | 'discard' | 'reset';
  /** Whether it asks a silent peer if it is still there: who may be left alone has to. */
  readonly probes: boolean;
}

export function drawPlan(random: Random, says: number, bytes: number, mayLeave: boolean): Plan {
  const length = chance(random, 0.1) ? 0 : below(random, bytes);
  const leaves = mayLeave && chance(random, 0.3);
  return {
    says,
    length,
    piece: chance(random, 0.3) ? 1 + below(random, 100) : 1 + below(random, 20_000),
    gulp: chance(random, 0.3) ? 1 + below(random, 1_000) : 1 + below(random, 60_000),
    pause: chance(random, 0.5) ? 0 : 1 + below(random, 200),
    deaf: chance(random, 0.1) ? below(random, 5_000) : 0,
    waits: false,
    leavesAt: leaves ? below(random, bytes) : -1,
    leaving: (['abort', 'discard', 'reset'] as const)[below(random, 3)],
    probes: mayLeave,
  };
}

export class Party implements ConnectionHandler {
  readonly plan: Plan;
  /** What the peer is going to say. */
  readonly hears: number;
  connection: Connection | undefined;
  said = 0;
  heard = 0;
  /** The peer's stream has ended in order. */
  ended = false;
  closed = false;
  /** It went by its own will, before the end. */
  left = false;
  error: TcpError | undefined;
  /** What was not as it should be. */
  readonly faults: string[] = [];
  readonly #host: Host;
  readonly #random: Random;
  readonly #writing: Timer;
  readonly #reading: Timer;
  #deafUntil: Micros = 0;

  constructor(host: Host, random: Random, plan: Plan, hears: number) {
    this.plan = plan;
    this.hears = hears;
    this.#host = host;
    this.#random = random;
    this.#writing = new Timer(() => this.#write());
    this.#reading = new Timer(() => this.#read());
  }

  onConnect(connection: Connection): void {
    this.connection = connection;
    if (this.plan.probes) connection.setKeepalive(30_000 * MILLISECOND);
    if (this.plan.deaf > 0) {
      this.#deafUntil = this.#host.clock.now() + this.plan.deaf * MILLISECOND;
      this.#host.timers.set(this.#reading, this.#deafUntil);
    }
    if (!this.plan.waits) this.#write();
  }

  onReadable(): void {
    if (this.#reading.at === NEVER) this.#read();
  }

  onAcknowledged(): void {
    if (this.said > 0 && this.#writing.at === NEVER) this.#write();
  }

  onEnd(): void {
    if (this.ended) this.faults.push('a second end');
    this.ended = true;
    this.onReadable();
    if (this.plan.waits) this.#write();
  }

  onClose(connection: Connection, error: TcpError | undefined): void {
    if (this.closed) this.faults.push('a second close');
    this.#end(error);
    this.connection = connection;
    while (this.#take(Number.POSITIVE_INFINITY));
  }

  #end(error: TcpError | undefined): void {
    this.closed = true;
    this.error = error;
    this.#host.timers.remove(this.#writing);
    this.#host.timers.remove(this.#reading);
  }

  #write(): void {
    const { length, piece } = this.plan;
    const { connection } = this;
    if (connection === undefined || this.closed || connection.snd.finQueued) return;
    while (this.said < length && connection.sendBuffer.length < SEND_LIMIT) {
      const size = Math.min(length - this.said, 1 + below(this.#random, piece));
      const bytes = new Uint8Array(size);
      for (let i = 0; i < size; i++) bytes[i] = byteAt(this.plan.says, this.said + i);
      this.said += size;
      connection.write(bytes);
      if (this.#goes() || this.closed || this.#rests(this.#writing)) return;
    }
    if (this.said === length) connection.end();
  }

  #read(): void {
    while (this.#take(1 + below(this.#random, this.plan.gulp))) {
      if (this.#goes() || this.closed || this.#rests(this.#reading)) return;
    }
  }

  /** Walks out when its time has come. */
  #goes(): boolean {
    const { leavesAt, leaving } = this.plan;
    if (leavesAt < 0 || this.left || this.closed || this.said + this.heard < leavesAt) return false;
    const { connection } = this;
    if (connection === undefined || connection.state === 'closed') return false;
    this.left = true;
    if (leaving === 'abort') connection.abort();
    else {
      connection.abandon(leaving);
      this.#end(undefined);
    }
    return true;
  }

  #take(max: number): boolean {
    const bytes = this.connection?.read(max);
    if (bytes === undefined) return false;
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] !== byteAt(this.hears, this.heard + i)) {
        this.faults.push(`byte ${this.heard + i} is wrong`);
        break;
      }
    }
    this.heard += bytes.length;
    return true;
  }

  /** Now and then, goes on later. */
  #rests(timer: Timer): boolean {
    const { pause } = this.plan;
    if (pause === 0 || !chance(this.#random, 0.2)) return false;
    const until = this.#host.clock.now() + below(this.#random, pause) * MILLISECOND;
    this.#host.timers.set(timer, Math.max(until, timer === this.#reading ? this.#deafUntil : 0));
    return true;
  }
}
