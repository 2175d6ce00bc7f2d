// A backend that says its part of a script on each of its connections, and keeps account of what it hears.
import { Timer } from '../env/timers.ts';
import type { Host } from '../host/host.ts';
import type { Endpoint } from '../ip/address.ts';
import type { Connection, ConnectionHandler } from '../tcp/connection.ts';
import type { TcpError } from '../tcp/errors.ts';
import { GREETING, mismatch, type Script, scriptOf } from './talk.ts';

/** Bytes by which a first line is known, at most. */
const FIRST_LINE = 64;

/** One connection of a backend. */
export class Session implements ConnectionHandler {
  script: Script | undefined;
  heard = 0;
  said = 0;
  ended = false;
  closed = false;
  error: TcpError | undefined;
  readonly faults: string[] = [];
  readonly remote: Endpoint;
  readonly #host: Host;
  readonly #scripts: readonly Script[];
  readonly #timer: Timer;
  #first = '';

  constructor(host: Host, connection: Connection, scripts: readonly Script[], opaque: boolean) {
    this.#host = host;
    this.#scripts = scripts;
    this.remote = connection.remote;
    this.#timer = new Timer(() => this.#say(connection));
    connection.configure({ noDelay: true });
    if (opaque) {
      connection.write(Buffer.from(GREETING));
      this.said = GREETING.length;
    }
  }

  /** True once it heard all that the client had to say. */
  get isComplete(): boolean {
    return this.script !== undefined && this.heard === this.script.up.length;
  }

  onReadable(connection: Connection): void {
    for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) {
      this.#hear(bytes);
    }
    this.#plan(connection);
  }

  onEnd(connection: Connection): void {
    this.ended = true;
    this.onReadable(connection);
    if (this.script === undefined) connection.end();
  }

  onClose(_: Connection, error: TcpError | undefined): void {
    this.closed = true;
    this.error = error;
    this.#host.timers.remove(this.#timer);
  }

  #hear(bytes: Uint8Array): void {
    let all = bytes;
    if (this.script === undefined) {
      this.#first += Buffer.from(bytes).toString('latin1');
      this.script = scriptOf(this.#first.slice(0, FIRST_LINE), this.#scripts);
      if (this.script === undefined) {
        if (this.#first.length >= FIRST_LINE && this.faults.length === 0) {
          this.faults.push(`I5: a backend was asked ${JSON.stringify(this.#first.slice(0, 40))}`);
        }
        return;
      }
      all = Buffer.from(this.#first, 'latin1');
    }
    const wrong = mismatch(this.script.up, this.heard, all);
    if (wrong >= 0 && this.faults.length === 0) {
      this.faults.push(`I5: a backend heard something wrong at byte ${wrong}`);
    }
    this.heard += all.length;
  }

  /** Sees to what is to be said next. */
  #plan(connection: Connection): void {
    const { script } = this;
    if (script === undefined || this.closed) return;
    const owed = script.owed(this.heard);
    if (this.said < owed) {
      if (this.#timer.at !== Number.POSITIVE_INFINITY) return;
      const place = script.places.find(({ downEnd }) => this.said < downEnd);
      const thinking = place?.exchange.thinking ?? 0;
      if (thinking > 0 && this.said === place?.downStart) {
        this.#host.timers.set(this.#timer, this.#host.clock.now() + thinking);
      } else this.#say(connection);
      return;
    }
    const done = this.said === script.down.length;
    if (connection.snd.finQueued) return;
    if ((done && script.plan.closing === 'server') || this.ended) connection.end();
  }

  #say(connection: Connection): void {
    const { script } = this;
    if (script === undefined || this.closed || connection.snd.finQueued) return;
    const place = script.places.find(({ downEnd }) => this.said < downEnd);
    const until = Math.min(script.owed(this.heard), place?.downEnd ?? 0);
    connection.write(script.down.subarray(this.said, until));
    this.said = until;
    this.#plan(connection);
  }
}

/** The service of a backend at one port. */
export class TalkServer {
  readonly sessions: Session[] = [];

  /** @param opaque whether it greets */
  constructor(host: Host, local: Endpoint, scripts: readonly Script[], opaque: boolean) {
    host.tcp.listen({
      local,
      accept: (connection) => {
        const session = new Session(host, connection, scripts, opaque);
        this.sessions.push(session);
        return session;
      },
    });
  }
}
