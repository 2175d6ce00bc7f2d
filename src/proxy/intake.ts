// A client's connection from its handshake to its splice: hear what it wants, choose a backend, make the
// splice safe at the peers, and let go.
//
// Until then nothing of what the client says is acknowledged (invariant I1): if this member dies, the
// client repeats it to a survivor. A request head that comes in pieces is the exception, since its sender
// may wait for an acknowledgment before the next piece: it is logged at the peers first.
import type { Pool } from '../backend/pool.ts';
import type { Micros } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Connection, ConnectionHandler } from '../tcp/connection.ts';
import type { Dial } from './dialer.ts';
import { type ErrorStatus, errorResponse } from './error-response.ts';
import { isHeadError, parseRequestHead } from './request-head.ts';
import type { Service } from './service.ts';

type Phase = 'head' | 'dialing' | 'delivering' | 'committing' | 'refusing' | 'over';

const NOTHING = new Uint8Array(0);
/** Bytes that a client may say before it is spliced: the window that its handshake offered. */
const MAX_HELD = 65_535;

export class Intake implements ConnectionHandler {
  readonly #service: Service;
  readonly #client: Connection;
  readonly #timer: Timer;
  #phase: Phase = 'head';
  /** What the client has said, from its first byte. */
  #said: Uint8Array = NOTHING;
  /** How much of it was searched for the end of the head. */
  #searched = 0;
  /** How much of it was handed to the log, and how much the client knows to be safe. */
  #logged = 0;
  #safe = 0;
  #dial: Dial | undefined;
  #backend: Connection | undefined;

  constructor(service: Service, client: Connection) {
    this.#service = service;
    this.#client = client;
    this.#timer = new Timer((now) => this.#expire(now));
    const { stack } = client;
    stack.timers.set(this.#timer, stack.clock.now() + service.headTimeout);
  }

  onConnect(): void {
    // Bytes that another member acknowledged to the client before it died.
    this.#safe = this.#client.receiveBuffer.length;
    this.#logged = this.#safe;
    if (this.#service.isOpaque) this.#choose(this.#service.poolFor('', ''));
  }

  onReadable(): void {
    this.#take();
    if (this.#phase === 'head') this.#hear();
  }

  onEnd(): void {
    this.#take();
    // Half a head and then the end: there is nobody left to tell.
    if (this.#phase === 'head') this.#refuse(400);
  }

  onClose(): void {
    if (this.#phase === 'over') return;
    this.#finish();
    this.#dial?.cancel();
    const backend = this.#backend;
    if (backend !== undefined) {
      backend.handler = {};
      backend.abort();
    }
  }

  /** Takes what has arrived into `#said`. */
  #take(): void {
    for (;;) {
      if (this.#said.length >= MAX_HELD) return;
      const bytes = this.#client.read();
      if (bytes === undefined) return;
      if (this.#phase === 'refusing') continue;
      if (this.#said.length === 0) this.#said = bytes;
      else {
        const joined = new Uint8Array(this.#said.length + bytes.length);
        joined.set(this.#said);
        joined.set(bytes, this.#said.length);
        this.#said = joined;
      }
    }
  }

  /** Looks for a complete head in what was said. */
  #hear(): void {
    const said = this.#said;
    const head = parseRequestHead(said, said.length, this.#service.headLimits, this.#searched);
    this.#searched = said.length;
    if (head === 'incomplete') {
      this.#logHead();
      return;
    }
    if (isHeadError(head)) {
      this.#service.countHead(String(head.status));
      this.#refuse(head.status);
      return;
    }
    this.#service.countHead('accepted');
    this.#choose(this.#service.poolFor(head.host, head.path));
  }

  /** Makes what was said so far safe, and then acknowledges it. */
  #logHead(): void {
    const offset = this.#logged;
    const until = this.#said.length;
    if (until === offset) return;
    this.#logged = until;
    this.#service.logHead(this.#client, offset, this.#said.subarray(offset, until), (ok) => {
      if (!ok || this.#phase !== 'head') return;
      this.#safe = until;
      this.#client.acknowledgeUpTo(until);
    });
  }

  #choose(pool: Pool | undefined): void {
    if (pool === undefined) {
      this.#refuse(503);
      return;
    }
    this.#phase = 'dialing';
    const client = this.#client;
    client.stack.timers.remove(this.#timer);
    const { negotiated, rcv } = client;
    this.#dial = this.#service.dial(pool, {
      iss: rcv.irs,
      // The backend sees in our SYN what the client said in its own.
      offer: {
        mss: negotiated.sendMss,
        windowScale: negotiated.scaling ? negotiated.sendScale : -1,
        sack: negotiated.sack,
        timestamps: negotiated.timestamps,
      },
      onConnect: (backend) => this.#connected(backend),
      onExhausted: () => {
        this.#dial = undefined;
        this.#refuse(503);
      },
    });
  }

  #connected(backend: Connection): void {
    this.#dial = undefined;
    this.#backend = backend;
    backend.handler = {
      onClose: () => {
        this.#backend = undefined;
        if (this.#phase !== 'over') this.#refuse(503);
      },
      onAcknowledged: () => {
        if (this.#phase === 'delivering' && backend.sendBuffer.length === 0) this.#commit(backend);
      },
    };
    if (!this.#service.canSplice(this.#client, backend)) {
      this.#relay(backend);
      return;
    }
    // What the client knows to be safe it will not repeat: it must reach the backend before the splice.
    if (this.#safe > 0) {
      this.#phase = 'delivering';
      backend.snd.noDelay = true;
      backend.write(this.#said.slice(0, this.#safe));
    } else this.#commit(backend);
  }

  #commit(backend: Connection): void {
    this.#phase = 'committing';
    this.#service.commit(this.#client, backend, (splice) => {
      if (this.#phase !== 'committing') {
        splice?.cancel();
        return;
      }
      if (splice === undefined) {
        this.#refuse(503);
        return;
      }
      this.#take();
      this.#finish();
      splice.begin(this.#safe, this.#said.subarray(this.#safe));
      this.#client.detach();
      backend.detach();
    });
  }

  #relay(backend: Connection): void {
    this.#take();
    this.#finish();
    this.#service.relay(this.#client, backend, this.#said);
  }

  /** Answers with an error of our own, or, where no HTTP is spoken, with a reset. */
  #refuse(status: ErrorStatus): void {
    const client = this.#client;
    const backend = this.#backend;
    this.#dial?.cancel();
    this.#dial = undefined;
    this.#backend = undefined;
    this.#phase = 'refusing';
    if (backend !== undefined) {
      backend.handler = {};
      backend.abort();
    }
    this.#service.dropHead(client, this.#logged > 0);
    if (this.#service.isOpaque || client.state === 'closed') {
      this.#finish();
      client.abort();
      return;
    }
    client.release();
    this.#take();
    client.write(errorResponse(status));
    client.end();
    // What the client still says is read and thrown away, or a reset would overtake the answer.
    client.stack.timers.set(this.#timer, client.stack.clock.now() + this.#service.lingerTime);
  }

  #expire(_now: Micros): void {
    if (this.#phase === 'refusing') {
      this.#finish();
      this.#client.abort();
    } else if (this.#phase === 'head') {
      this.#service.countHead('408');
      this.#refuse(408);
    }
  }

  #finish(): void {
    this.#phase = 'over';
    this.#client.stack.timers.remove(this.#timer);
    this.#service.ended(this);
  }
}
