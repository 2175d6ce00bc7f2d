// A client's connection from its handshake to its splice: hear what it wants, choose a backend, make the
// splice safe at the peers, and let go.
//
// Until then nothing of what the client says is acknowledged (invariant I1): if this member dies, the
// client repeats it to a survivor. A request head that comes in pieces is the exception, since its sender
// may wait for an acknowledgment before the next piece: it is logged at the peers first.
//
// Nothing is said to the client either before every peer has shown that it still counts this member in: who
// was stopped for a while may find that another member serves the client now, with the same numbers.
import type { Pool } from '../backend/pool.ts';
import { MILLISECOND, type Micros } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Endpoint } from '../ip/address.ts';
import type { Done } from '../replication/pending.ts';
import type { Connection, ConnectionHandler } from '../tcp/connection.ts';
import type { Dial } from './dialer.ts';
import { type ErrorStatus, errorResponse } from './error-response.ts';
import { isHeadError, parseRequestHead } from './request-head.ts';
import type { Service } from './service.ts';

type Phase =
  | 'head'
  | 'dialing'
  /** The backend gets what the client knows to be safe, and will not repeat. */
  | 'delivering'
  | 'committing'
  /** To be relayed, or refused, as soon as the peers agree. */
  | 'confirming'
  /** An answer of our own is on its way. */
  | 'refusing'
  | 'over';

const NOTHING = new Uint8Array(0);
/** Bytes that a client may say before it is spliced: as much as the longest head that can be configured. */
const MAX_HELD = 65_536;
/**
 * How long a client that speaks no HTTP may be silent before the others hear of it. Most say something at once, which
 * they repeat until it is acknowledged, or their record is proposed before.
 */
const SILENCE: Micros = MILLISECOND;

export class Intake implements ConnectionHandler {
  readonly client: Connection;
  readonly #service: Service;
  readonly #timer: Timer;
  #phase: Phase = 'head';
  /** What the client has said, from its first byte. */
  #said: Uint8Array = NOTHING;
  /** How much of it was searched for the end of the head. */
  #searched = 0;
  /** How much of it was handed to the log, and how much the client knows to be safe. */
  #logged = 0;
  #safe = 0;
  #isLogged = false;
  #dial: Dial | undefined;
  #backend: Connection | undefined;

  constructor(service: Service, client: Connection) {
    this.#service = service;
    this.client = client;
    // What is offered beyond this would only wait here.
    client.configure({ receiveBuffer: MAX_HELD });
    this.#timer = new Timer(() => this.#expire());
    this.#expireIn(service.headTimeout);
  }

  get local(): Endpoint {
    return this.client.local;
  }

  get remote(): Endpoint {
    return this.client.remote;
  }

  /** True while the client has said nothing: whoever gets its first word may serve it. */
  get isSilent(): boolean {
    return this.#phase === 'head' && this.heard === 0;
  }

  /** Bytes that the client has said, as far as they came here in order. */
  get heard(): number {
    return this.#said.length;
  }

  onConnect(): void {
    // Bytes that another member logged before it died, and acknowledged to the client, or not yet: from now on they are
    // ours. What it did not acknowledge a record that it proposed may know nothing of: that is for the others to say.
    this.#take();
    this.#safe = this.#said.length;
    if (this.#safe > 0) this.client.acknowledgeUpTo(0);
    if (this.#service.outlivesCookies) this.#log(NOTHING, () => {});
    if (this.#service.isOpaque) {
      if (this.#service.isLogged(this.client)) this.#log(NOTHING, () => {});
      this.#choose(this.#service.poolFor('', ''));
      if (this.#phase === 'dialing' && !this.#isLogged) this.#expireIn(SILENCE);
    } else if (this.#safe > 0) this.#hear();
  }

  onReadable(): void {
    this.#take();
    if (this.#phase === 'head') this.#hear();
  }

  onEnd(): void {
    this.#take();
    if (this.#phase !== 'head') return;
    // Who opens a connection and closes it again wants no answer. Half a request deserves one.
    if (this.#said.length === 0) this.#refuse(undefined);
    else {
      this.#service.countHead('400');
      this.#refuse(400);
    }
  }

  onClose(): void {
    if (this.#phase === 'over') return;
    if (!this.#service.unpin(this.client)) this.#service.dropHead(this.client, this.#isLogged);
    this.#dropBackend();
    this.#finish();
  }

  /**
   * Goes without a word to the client: another member serves it.
   * @param inherits whether that one may go on with the very splice that was to be committed
   */
  yield(inherits = false): void {
    if (this.#phase === 'over') return;
    this.#service.countYield();
    this.#service.unpin(this.client);
    if (inherits && this.#phase === 'committing') {
      // What was proposed the others may have: a reset would end it at the backend.
      this.#backend?.detach();
      this.#backend = undefined;
    }
    this.#dropBackend();
    this.#finish(true);
    this.client.detach();
  }

  /** The same, while nothing was proposed or answered here. (What is committing is for the proposals to decide.) */
  yieldEarly(): void {
    const isEarly = this.#phase === 'head' || this.#phase === 'dialing';
    if (isEarly || this.#phase === 'delivering') this.yield();
  }

  /** Takes what has arrived into `#said`. */
  #take(): void {
    while (this.#phase === 'refusing' || this.#said.length < MAX_HELD) {
      const bytes = this.client.read();
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
    this.#log(this.#said.subarray(offset, until), (ok) => {
      if (this.#phase !== 'head') return;
      if (ok) {
        this.#safe = Math.max(this.#safe, until);
        this.client.acknowledgeUpTo(this.#safe);
        // Without room in the log it is tried again when more comes.
      } else this.#logged = Math.min(this.#logged, offset);
    });
  }

  #log(bytes: Uint8Array, done: Done): void {
    this.#isLogged = true;
    this.#service.logHead(this.client, this.#logged - bytes.length, bytes, done);
  }

  #choose(pool: Pool | undefined): void {
    if (pool === undefined) {
      this.#refuse(503);
      return;
    }
    this.#phase = 'dialing';
    const { client } = this;
    client.stack.timers.remove(this.#timer);
    const { negotiated, rcv } = client;
    const dial = this.#service.dial(pool, {
      iss: rcv.irs,
      // The backend sees in our SYN what the client said in its own.
      offer: {
        mss: negotiated.sendMss,
        windowScale: negotiated.scaling ? negotiated.sendScale : -1,
        sack: negotiated.sack,
        timestamps: negotiated.timestamps,
      },
      like: client.remote.address,
      onConnect: (backend) => this.#connected(backend),
      onExhausted: () => this.#refuse(503),
    });
    // It may have been in vain already.
    if (this.#phase === 'dialing') this.#dial = dial;
  }

  #connected(backend: Connection): void {
    this.#dial = undefined;
    this.#backend = backend;
    backend.handler = {
      onClose: () => {
        this.#backend = undefined;
        this.#refuse(503);
      },
      onAcknowledged: () => {
        if (this.#phase === 'delivering' && backend.sendBuffer.length === 0) this.#commit(backend);
      },
    };
    if (!this.#service.canSplice(this.client, backend)) this.#relay(backend);
    // What the client knows to be safe it will not repeat: it must reach the backend before the splice.
    else if (this.#safe > 0) {
      this.#phase = 'delivering';
      this.#expireIn(this.#service.deliveryTimeout);
      backend.snd.noDelay = true;
      backend.write(this.#said.slice(0, this.#safe));
    } else this.#commit(backend);
  }

  #commit(backend: Connection): void {
    this.#phase = 'committing';
    this.client.stack.timers.remove(this.#timer);
    this.#service.commit(this.client, backend, (outcome) => {
      if (this.#phase !== 'committing') {
        if (typeof outcome === 'object') outcome.cancel();
        return;
      }
      this.#take();
      const held = this.#said.subarray(this.#safe);
      switch (typeof outcome === 'object' ? outcome.begin(this.#safe, held) : outcome) {
        case 'begun':
          this.#service.dropHead(this.client, this.#isLogged);
          this.#finish();
          this.client.detach();
          backend.detach();
          break;
        case 'full':
          this.#refuse(503);
          break;
        case 'lost':
          this.yield(this.#service.isOut);
          break;
      }
    });
  }

  #relay(backend: Connection): void {
    this.#confirm(() => {
      this.#take();
      this.#finish();
      this.#service.relay(this.client, backend, this.#said);
    });
  }

  /**
   * Answers with an error of our own, or with nothing but the end; where no HTTP is spoken, with a reset.
   * @param status undefined for no answer
   */
  #refuse(status: ErrorStatus | undefined): void {
    if (this.#phase === 'refusing' || this.#phase === 'over') return;
    this.#dropBackend();
    this.#confirm(() => {
      const { client } = this;
      if (this.#service.isOpaque) {
        client.abort();
        return;
      }
      this.#phase = 'refusing';
      this.#take();
      // The answer itself acknowledges what was held back.
      client.rcv.holdAt = -1;
      if (status !== undefined) client.write(errorResponse(status));
      client.end();
      // What the client still says is read and thrown away, or a reset would overtake the answer.
      if (client.state !== 'closed') this.#expireIn(this.#service.lingerTime);
    });
  }

  /**
   * Goes on as soon as every peer has shown that it still counts this member in, and knows that what the client
   * says is for this one to answer.
   */
  #confirm(proceed: () => void): void {
    this.#phase = 'confirming';
    this.client.stack.timers.remove(this.#timer);
    const dialed = this.#backend;
    this.#service.pin(this.client, (ok) => {
      if (this.#phase !== 'confirming' || this.#backend !== dialed) return;
      if (ok) proceed();
      else this.yield();
    });
  }

  #expire(): void {
    if (this.#phase === 'refusing') this.client.abort();
    else if (this.#phase === 'delivering') this.#refuse(503);
    else if (this.#phase === 'dialing') {
      // The client may wait for the server to speak. Then it has nothing to repeat, should this member die:
      // the others must know that it is there. Soon the record will tell them.
      if (this.#said.length === 0) this.#log(NOTHING, () => {});
    } else if (this.#phase === 'head') {
      // A connection that somebody opened ahead of time is not answered before it asks.
      if (this.#said.length === 0) this.#refuse(undefined);
      else {
        this.#service.countHead('408');
        this.#refuse(408);
      }
    }
  }

  #expireIn(span: Micros): void {
    const { timers, clock } = this.client.stack;
    timers.set(this.#timer, clock.now() + span);
  }

  #dropBackend(): void {
    this.#dial?.cancel();
    this.#dial = undefined;
    const backend = this.#backend;
    this.#backend = undefined;
    if (backend === undefined) return;
    backend.handler = {};
    backend.abort();
  }

  #finish(isYielded = false): void {
    this.#phase = 'over';
    this.client.stack.timers.remove(this.#timer);
    if (!isYielded) this.#service.settled(this.client);
    this.#service.ended(this);
  }
}
