// A client that says its part of a script and keeps account of what it hears.
import { MILLISECOND, type Micros, NEVER, SECOND } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Host } from '../host/host.ts';
import type { Endpoint } from '../ip/address.ts';
import { errorResponse } from '../proxy/error-response.ts';
import type { Connection, ConnectionHandler } from '../tcp/connection.ts';
import type { TcpError } from '../tcp/errors.ts';
import { GREETING, mismatch, type Script } from './talk.ts';

/**
 * A client that waits for a greeting has said nothing that it would repeat: if nobody knows of it any more, it gives up
 * after this time, as people do.
 */
const PATIENCE: Micros = 8 * SECOND;
/** A client whose ends are in TIME-WAIT tries again after this time. */
const AGAIN: Micros = 10 * MILLISECOND;

export class TalkClient implements ConnectionHandler {
  readonly script: Script;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  connection: Connection | undefined;
  begun = false;
  heard = 0;
  said = 0;
  /** The server's stream has ended. */
  ended = false;
  closed = false;
  /** It reset the connection of its own will. */
  left = false;
  /** It was not greeted and went away. */
  unheard = false;
  /** Instead of what it is to hear it heard that no backend can be reached. */
  isRefused = false;
  error: TcpError | undefined;
  /** What was not as it should be, in words. */
  readonly faults: string[] = [];
  readonly #host: Host;
  readonly #saying: Timer;
  readonly #hearing: Timer;
  readonly #giving: Timer;
  readonly #connecting: Timer;
  /** Told when the connection is over. */
  #onOver: (() => void) | undefined;
  #exchange = 0;
  #piece = 0;
  #deaf = false;

  /** @param previous the client whose ends this one has, too, once that one is done with them */
  constructor(
    host: Host,
    script: Script,
    local: Endpoint,
    remote: Endpoint,
    previous?: TalkClient,
  ) {
    this.#host = host;
    this.script = script;
    this.local = local;
    this.remote = remote;
    this.#saying = new Timer(() => this.#say());
    this.#hearing = new Timer(() => this.#hear());
    this.#giving = new Timer(() => this.#giveUp());
    this.#connecting = new Timer(() => this.#connect());
    const begin = (): void =>
      host.timers.set(this.#connecting, host.clock.now() + script.plan.startAt);
    if (previous === undefined) begin();
    else previous.#onOver = begin;
  }

  /** True once nothing more is to come of it. */
  get isOver(): boolean {
    return this.closed;
  }

  /** True while the connection is there and must stay. */
  get isAlive(): boolean {
    return this.connection !== undefined && !this.closed && !this.left && !this.#isDone;
  }

  /** It heard all and the end of it, or said its own end after it heard all: what follows is manners. */
  get #isDone(): boolean {
    return this.heard === this.script.down.length && this.ended;
  }

  /** Does not begin any more. */
  cancel(): void {
    this.#host.timers.remove(this.#connecting);
    this.#onOver = undefined;
  }

  onConnect(connection: Connection): void {
    connection.configure({ noDelay: true });
    if (this.script.plan.opaque) {
      this.#host.timers.set(this.#giving, this.#host.clock.now() + PATIENCE);
    } else this.#plan();
  }

  onReadable(): void {
    if (!this.#deaf) this.#hear();
  }

  onEnd(connection: Connection): void {
    this.ended = true;
    this.onReadable();
    connection.end();
  }

  onClose(connection: Connection, error: TcpError | undefined): void {
    this.closed = true;
    this.error = error;
    for (const timer of [this.#saying, this.#hearing, this.#giving]) {
      this.#host.timers.remove(timer);
    }
    this.connection = connection;
    if (!this.left) while (this.#take());
    this.#onOver?.();
  }

  #connect(): void {
    const { remote, local } = this;
    if (this.#host.tcp.timeWaits.has(local, remote)) {
      this.#host.timers.set(this.#connecting, this.#host.clock.now() + AGAIN);
      return;
    }
    this.begun = true;
    this.connection = this.#host.tcp.connect({
      remote,
      local: local.address,
      localPort: local.port,
      handler: this,
    });
    this.connection.configure({ receiveBuffer: this.script.plan.buffer });
  }

  #hear(): void {
    this.#deaf = false;
    const { deafAt, deafFor } = this.script.plan;
    while (this.#take()) {
      if (this.#leaves()) return;
      if (deafAt >= 0 && this.heard >= deafAt && this.#hearing.at === NEVER && !this.#rested) {
        this.#rested = true;
        this.#deaf = true;
        this.#host.timers.set(this.#hearing, this.#host.clock.now() + deafFor);
        return;
      }
    }
    this.#plan();
  }

  #rested = false;

  #take(): boolean {
    const bytes = this.connection?.read(8_192);
    if (bytes === undefined) return false;
    this.#host.timers.remove(this.#giving);
    const wrong = mismatch(this.script.down, this.heard, bytes);
    if (this.heard === 0 && Buffer.compare(bytes, errorResponse(503)) === 0) this.isRefused = true;
    else if (wrong >= 0 && this.faults.length === 0) {
      const text = Buffer.from(bytes.subarray(0, 40)).toString('latin1');
      this.faults.push(
        `I5: the client heard something wrong at byte ${wrong} of ${this.script.down.length}: ${JSON.stringify(text)}`,
      );
    }
    this.heard += bytes.length;
    return true;
  }

  #leaves(): boolean {
    const { leavesAt } = this.script.plan;
    if (leavesAt < 0 || this.heard < leavesAt || this.left) return this.left;
    this.left = true;
    this.connection?.abort();
    return true;
  }

  /** Sees to what is to be said next. */
  #plan(): void {
    const { connection } = this;
    const { plan, places, down } = this.script;
    if (connection === undefined || this.closed || this.left || connection.snd.finQueued) return;
    if (plan.opaque && this.heard < GREETING.length) return;
    const next = places[this.#exchange];
    if (next === undefined) {
      const mayEnd =
        plan.closing === 'half' || (plan.closing === 'client' && this.heard >= down.length);
      if (mayEnd && this.#exchange === places.length) connection.end();
      return;
    }
    if (this.#saying.at !== NEVER) return;
    if (this.#piece === 0 && !plan.pipelined && this.heard < next.downStart) return;
    const wait = this.#piece === 0 ? next.exchange.pause : next.exchange.gap;
    this.#host.timers.set(this.#saying, this.#host.clock.now() + wait);
  }

  #say(): void {
    const { connection } = this;
    const { places, up } = this.script;
    const { exchange, start, headEnd, end } = places[this.#exchange];
    if (connection === undefined || this.closed || this.left) return;
    const { pieces } = exchange;
    this.#piece++;
    const last = this.#piece === pieces;
    const until = last ? end : start + Math.floor(((headEnd - start) * this.#piece) / pieces);
    connection.write(up.subarray(this.said, until));
    this.said = until;
    if (last) {
      this.#piece = 0;
      this.#exchange++;
    }
    this.#plan();
  }

  #giveUp(): void {
    this.unheard = true;
    this.left = true;
    this.connection?.abort();
  }
}
