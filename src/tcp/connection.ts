// One TCP connection (RFC 9293): its state, part by part, and what its user may do with it. The rules for
// what arrives are in receiver.ts and handshake.ts, those for what leaves in sender.ts and transmit.ts.
import { type Micros, NEVER, SECOND } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Endpoint } from '../ip/address.ts';
import { type Hop, NO_HOP } from '../ip/neighbours.ts';
import { RST } from '../wire/tcp.ts';
import { congestionState } from './congestion.ts';
import { TcpError } from './errors.ts';
import { onKeepalive } from './keepalive.ts';
import { Ranges } from './ranges.ts';
import { ReceiveBuffer } from './receive-buffer.ts';
import { rttState } from './rtt.ts';
import { SendBuffer } from './send-buffer.ts';
import { onTimeout, output } from './sender.ts';
import { advance, distance } from './sequence.ts';
import type { TcpStack } from './stack.ts';
import {
  type CongestionState,
  type KeepaliveState,
  type Negotiated,
  type ReceiveState,
  type RecoveryState,
  type RetransmitState,
  type RttState,
  receiveState,
  type SendState,
  type State,
  sendState,
  type TimestampState,
} from './state.ts';
import { sendAck, transmit } from './transmit.ts';

/** What a connection tells its user. Every call may close or abort the connection. */
export interface ConnectionHandler {
  /** The handshake is complete. */
  onConnect?(connection: Connection): void;
  /** There is something to `read`. */
  onReadable?(connection: Connection): void;
  /** The peer's FIN came: nothing follows what is there to read. */
  onEnd?(connection: Connection): void;
  /** Written bytes were acknowledged. */
  onAcknowledged?(connection: Connection, bytes: number): void;
  /** It is over: without an error after an orderly close. Nothing follows. */
  onClose?(connection: Connection, error: TcpError | undefined): void;
}

/** What our SYN or SYN-ACK offers. */
export interface Offer {
  /** The largest payload that we take in a segment. */
  mss: number;
  /** Shift from 0 to 14, or -1 not to offer scaling. */
  windowScale: number;
  sack: boolean;
  timestamps: boolean;
}

export interface ConnectionOptions {
  stack: TcpStack;
  local: Endpoint;
  remote: Endpoint;
  iss: number;
  offer: Offer;
  /** Added to the timestamp clock. */
  timestampOffset?: number;
  receiveLimit: number;
  handler: ConnectionHandler;
}

/** Segments that the peer has reported out of order: more ranges than this are forgotten. */
const MAX_SCOREBOARD = 256;
const KEEPALIVE_INTERVAL: Micros = 75 * SECOND;
/** How long FIN-WAIT-2 lasts when nobody reads any more (Linux: tcp_fin_timeout). */
const ORPHAN_LIFE: Micros = 60 * SECOND;

/** Reads what has come, for nobody. */
function discardArrived(connection: Connection): void {
  while (connection.read() !== undefined);
}

/** Tells a peer that goes on sending that nobody listens (RFC 9293, 3.6.1; RFC 2525, 2.17). */
function resetArrived(connection: Connection): void {
  connection.abort();
}

export class Connection {
  readonly stack: TcpStack;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly offer: Offer;
  handler: ConnectionHandler;
  state: State = 'closed';
  readonly negotiated: Negotiated;
  readonly snd: SendState;
  readonly rcv: ReceiveState;
  readonly ts: TimestampState;
  readonly rtt: RttState = rttState();
  readonly retransmit: RetransmitState = {
    at: NEVER,
    timeouts: 0,
    probes: 0,
    unanswered: 0,
  };
  readonly recovery: RecoveryState = { phase: 'open', point: 0, highRxt: 0, duplicates: 0 };
  congestion: CongestionState;
  readonly keepalive: KeepaliveState = {
    idle: 7_200 * SECOND,
    interval: KEEPALIVE_INTERVAL,
    attempts: 9,
    sent: 0,
    at: NEVER,
  };
  readonly sendBuffer = new SendBuffer();
  readonly receiveBuffer = new ReceiveBuffer();
  /** What the peer reported by SACK (RFC 6675). */
  readonly scoreboard = new Ranges(MAX_SCOREBOARD);
  /** Payload bytes of the segments that we send: the negotiated MSS less the options in every segment. */
  mss = 536;
  /** Start of the range that arrived out of order last, which SACK reports first. */
  latestGap = 0;
  /** When TIME-WAIT, or a lingering FIN-WAIT-2, ends. */
  endsAt: Micros = NEVER;
  /** When the peer was last answered about an unacceptable segment (RFC 5961, section 5). */
  challengedAt: Micros = Number.NEGATIVE_INFINITY;
  /** When a segment last came. */
  heardAt: Micros;
  /** The user has gone without a reset: what is left to do has a limit. */
  orphaned = false;
  /** The owner of a half-open passive connection: who hears of it once it is established. */
  onAccept: ((connection: Connection) => void) | undefined;
  #hop: Hop = NO_HOP;
  #reported = false;
  readonly #timer: Timer;

  constructor(options: ConnectionOptions) {
    const { stack, local, remote, iss, offer, receiveLimit, handler } = options;
    this.stack = stack;
    this.local = local;
    this.remote = remote;
    this.offer = offer;
    this.handler = handler;
    this.snd = sendState(iss);
    this.rcv = receiveState(receiveLimit);
    this.ts = { offset: options.timestampOffset ?? 0, lastSent: 0, recent: 0, recentAt: 0 };
    this.negotiated = {
      sendMss: 536,
      sendScale: 0,
      receiveScale: 0,
      scaling: false,
      sack: false,
      timestamps: false,
    };
    this.congestion = congestionState(this.mss);
    this.recovery.highRxt = iss;
    this.recovery.point = iss;
    this.#timer = new Timer((now) => this.#onTimer(now));
    this.heardAt = stack.clock.now();
  }

  /** Queues bytes, which must not change any more, and sends what may be sent. */
  write(bytes: Uint8Array): void {
    if (this.snd.finQueued || this.state === 'closed') {
      throw new TcpError('EPIPE', 'this side of the connection is closed');
    }
    this.sendBuffer.append(bytes);
    this.flush();
  }

  /** The next bytes that have arrived, at most `max`; undefined if none wait. They are the caller's. */
  read(max?: number): Uint8Array | undefined {
    const bytes = this.receiveBuffer.read(max);
    if (bytes !== undefined && this.#mayWantRoom()) {
      sendAck(this, this.stack.clock.now());
      this.arm();
    }
    return bytes;
  }

  /** Closes this side: a FIN follows the last byte. The other side may go on sending. */
  end(): void {
    if (this.snd.finQueued) return;
    switch (this.state) {
      case 'syn-sent':
        this.close();
        return;
      case 'syn-received':
      case 'established':
        this.state = this.state === 'established' ? 'fin-wait-1' : this.state;
        break;
      case 'close-wait':
        this.state = 'last-ack';
        break;
      default:
        return;
    }
    this.snd.finQueued = true;
    this.flush();
  }

  /** Resets the connection (RFC 9293, 3.10.5). */
  abort(): void {
    switch (this.state) {
      case 'syn-received':
      case 'established':
      case 'fin-wait-1':
      case 'fin-wait-2':
      case 'close-wait':
        transmit(this, this.snd.nxt, RST, 0, this.stack.clock.now());
        break;
      default:
        break;
    }
    this.close(new TcpError('ECONNABORTED', 'aborted by this side'));
  }

  /** Nothing beyond what has been acknowledged so far is acknowledged until `release`. */
  hold(): void {
    this.rcv.holdAt = this.rcv.lastAckSent;
  }

  /** Acknowledges what was held back, and from now on what arrives. */
  release(): void {
    if (this.rcv.holdAt < 0) return;
    this.rcv.holdAt = -1;
    sendAck(this, this.stack.clock.now());
    this.arm();
  }

  /** Acknowledges the first `bytes` that the peer sent, which have arrived, and holds back the rest. */
  acknowledgeUpTo(bytes: number): void {
    this.rcv.holdAt = advance(this.rcv.irs, 1 + bytes);
    transmit(this, this.snd.nxt, 0, 0, this.stack.clock.now());
    this.arm();
  }

  /**
   * The user goes and leaves the rest to us: what was written still leaves, followed by the FIN. A peer that
   * does not do its part is given up after a while (as orphans are in Linux).
   * @param arriving what happens to data that comes now: it is thrown away, or answered by a reset
   */
  abandon(arriving: 'discard' | 'reset' = 'discard'): void {
    this.#reported = true;
    if (this.state === 'syn-sent') {
      this.#discard();
      return;
    }
    this.orphaned = true;
    this.handler = { onReadable: arriving === 'discard' ? discardArrived : resetArrived };
    discardArrived(this);
    this.end();
    if (this.state === 'fin-wait-2') this.endsAt = this.stack.clock.now() + ORPHAN_LIFE;
    this.arm();
  }

  /** Forgets the connection without a word to the peer: its segments are somebody else's from now on. */
  detach(): void {
    this.#reported = true;
    this.#discard();
  }

  /** Ends the connection and tells its user. */
  close(error?: TcpError): void {
    const reported = this.#reported;
    this.#reported = true;
    this.#discard();
    if (!reported) this.handler.onClose?.(this, error);
  }

  /** Gives the connection up because of an error, telling the peer if it may still care. */
  fail(error: TcpError): void {
    if (this.state !== 'syn-sent' && this.state !== 'closed' && this.state !== 'time-wait') {
      transmit(this, this.snd.nxt, RST, 0, this.stack.clock.now());
    }
    this.close(error);
  }

  setKeepalive(idle: Micros | undefined): void {
    if (idle !== undefined) this.keepalive.idle = idle;
    this.keepalive.at = idle === undefined ? NEVER : this.stack.clock.now() + idle;
    this.arm();
  }

  /** Sends what may be sent, and sets the timers. */
  flush(): void {
    output(this, this.stack.clock.now());
    this.arm();
  }

  /** The next hop towards the peer, looked up again when it has changed. */
  currentHop(): Hop {
    const { ip } = this.stack;
    if (!ip.neighbours.isCurrent(this.#hop)) this.#hop = ip.resolve(this.remote.address);
    return this.#hop;
  }

  /** Sets the timer to the nearest deadline. Every entry point ends with it. */
  arm(): void {
    if (this.state === 'closed') return;
    const at = Math.min(this.retransmit.at, this.rcv.ackAt, this.keepalive.at, this.endsAt);
    this.stack.timers.set(this.#timer, at);
  }

  /** What RFC 9293 calls TIME-WAIT: nothing but late segments are expected. */
  enterTimeWait(now: Micros): void {
    this.state = 'time-wait';
    this.retransmit.at = NEVER;
    this.keepalive.at = NEVER;
    this.sendBuffer.clear();
    this.scoreboard.clear();
    this.endsAt = now + this.stack.timeWait;
    this.stack.enteredTimeWait(this);
    if (!this.#reported) {
      this.#reported = true;
      this.handler.onClose?.(this, undefined);
    }
    // Who used the connection need not stay in memory for as long as TIME-WAIT lasts.
    this.handler = {};
  }

  /** Our FIN was acknowledged before the peer's came. */
  enterFinWait2(now: Micros): void {
    this.state = 'fin-wait-2';
    if (this.orphaned) this.endsAt = now + ORPHAN_LIFE;
  }

  /**
   * True if the peer may be waiting for room that reading has made: the window has at least doubled, and by
   * more than crumbs (RFC 9293, 3.8.6.2.2).
   */
  #mayWantRoom(): boolean {
    const { rcv, receiveBuffer, state } = this;
    if (state === 'closed' || rcv.finReceived || rcv.holdAt >= 0) return false;
    const offered = distance(rcv.edge, rcv.nxt);
    const free = rcv.limit - receiveBuffer.length;
    return free >= 2 * offered && free - offered >= Math.min(this.mss, rcv.limit >> 1);
  }

  #discard(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.stack.connecting.delete(this);
    this.sendBuffer.clear();
    this.scoreboard.clear();
    this.receiveBuffer.gaps.clear();
    this.stack.timers.remove(this.#timer);
    this.stack.forget(this);
  }

  #onTimer(now: Micros): void {
    if (this.rcv.ackAt <= now) sendAck(this, now);
    if (this.retransmit.at <= now) onTimeout(this, now);
    if (this.keepalive.at <= now) onKeepalive(this, now);
    if (this.endsAt <= now) this.close();
    this.arm();
  }
}
