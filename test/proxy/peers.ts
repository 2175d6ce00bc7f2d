// The two ends of a proxied connection, for the simulator: a client that says a script and a server that
// answers what it was asked, both keeping account.
import type { Micros } from '../../src/env/clock.ts';
import { Timer } from '../../src/env/timers.ts';
import type { Host } from '../../src/host/host.ts';
import type { Endpoint } from '../../src/ip/address.ts';
import type { Connection, ConnectionHandler } from '../../src/tcp/connection.ts';
import type { Listener } from '../../src/tcp/listener.ts';

const latin1 = new TextDecoder('latin1');

/** A body that differs at every place where two responses could be mixed up. */
export function bodyOf(path: string, size: number): string {
  let body = '';
  for (let line = 0; body.length < size; line++) body += `${path} ${line}\n`;
  return body.slice(0, size);
}

/** `GET /name/SIZE`, or a POST with `upload` bytes. */
export function request(path: string, upload = 0, extra = ''): string {
  const body = bodyOf(`up${path}`, upload);
  const length = upload > 0 ? `Content-Length: ${upload}\r\n` : '';
  const method = upload > 0 ? 'POST' : 'GET';
  return `${method} ${path} HTTP/1.1\r\nHost: test\r\n${extra}${length}\r\n${body}`;
}

/** What the server must answer. */
export function response(path: string): string {
  const size = Number(path.split('/').at(-1));
  return `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${bodyOf(path, size)}`;
}

/**
 * Answers requests on each of its connections; `/close/...` with the end of the connection after it. The
 * answer comes `thinking` after the request is complete.
 */
export class WebServer {
  /** Complete requests, in their order: method, path and body as they came. */
  readonly requests: string[] = [];
  connections = 0;
  /** Connections that ended with an error. */
  errors = 0;
  thinking: Micros = 0;
  readonly #host: Host;
  readonly #listener: Listener;

  constructor(host: Host, local: Endpoint, greeting?: string) {
    this.#host = host;
    this.#listener = host.tcp.listen({
      local,
      accept: (connection) => {
        this.connections++;
        if (greeting !== undefined) connection.write(Buffer.from(greeting));
        return this.#serve();
      },
    });
  }

  /** Refuses connections from now on. */
  close(): void {
    this.#listener.close();
  }

  #serve(): ConnectionHandler {
    let said = '';
    let owed = 0;
    const take = (connection: Connection): void => {
      for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) {
        said += latin1.decode(bytes);
      }
      for (;;) {
        const end = said.indexOf('\r\n\r\n');
        if (end < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(said.slice(0, end))?.[1] ?? 0);
        if (said.length < end + 4 + length) return;
        const [method, path] = said.split(' ', 2);
        this.requests.push(`${method} ${path} ${said.slice(end + 4, end + 4 + length)}`);
        said = said.slice(end + 4 + length);
        owed++;
        this.#answer(connection, path, () => --owed === 0);
      }
    };
    return {
      onReadable: take,
      onEnd: (connection) => {
        if (owed === 0) connection.end();
      },
      onClose: (_, error) => {
        if (error !== undefined) this.errors++;
      },
    };
  }

  /** @param answered counts the answer; true if it was the last for now */
  #answer(connection: Connection, path: string, answered: () => boolean): void {
    const { timers, clock } = this.#host;
    const timer = new Timer(() => {
      if (connection.state === 'closed') return;
      connection.write(Buffer.from(response(path), 'latin1'));
      const last = answered();
      if (path.startsWith('/close/') || (last && connection.rcv.finReceived)) connection.end();
    });
    timers.set(timer, clock.now() + this.thinking);
  }
}

/** A part of what a client says, and what it waits for before. */
export interface Step {
  readonly say: string;
  /** Bytes that it must have heard. */
  readonly heard?: number;
  /** And how long it waits then. */
  readonly pause?: Micros;
}

export class ScriptedClient implements ConnectionHandler {
  readonly connection: Connection;
  heard = '';
  /** The server's FIN came. */
  ended = false;
  closed = false;
  error: string | undefined;
  readonly #host: Host;
  readonly #steps: Step[];
  readonly #ends: number;
  readonly #timer = new Timer(() => this.#say());
  #next = 0;

  /** @param ends how many bytes it hears before it closes its side; it does not by itself at Infinity */
  constructor(host: Host, remote: Endpoint, local: Endpoint, steps: Step[], ends: number) {
    this.#host = host;
    this.#steps = steps;
    this.#ends = ends;
    this.connection = host.tcp.connect({
      remote,
      local: local.address,
      localPort: local.port,
      handler: this,
    });
  }

  onConnect(): void {
    this.#plan();
  }

  onReadable(): void {
    const { connection } = this;
    for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) {
      this.heard += latin1.decode(bytes);
    }
    this.#plan();
  }

  onEnd(): void {
    this.ended = true;
    this.connection.end();
  }

  onClose(_: Connection, error: { readonly code: string } | undefined): void {
    this.closed = true;
    this.error = error?.code;
    this.#host.timers.remove(this.#timer);
  }

  #plan(): void {
    const { timers, clock } = this.#host;
    const step = this.#steps[this.#next];
    if (step === undefined) {
      if (this.heard.length >= this.#ends) this.connection.end();
      return;
    }
    if (this.heard.length < (step.heard ?? 0) || this.#timer.at !== Number.POSITIVE_INFINITY)
      return;
    timers.set(this.#timer, clock.now() + (step.pause ?? 0));
  }

  #say(): void {
    const step = this.#steps[this.#next++];
    this.connection.write(Buffer.from(step.say, 'latin1'));
    this.#plan();
  }
}
