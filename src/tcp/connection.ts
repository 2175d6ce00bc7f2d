// One TCP connection (RFC 9293): its state, part by part, and what its user may do with it. The rules for
// what arrives are in receiver.ts and handshake.ts, those for what leaves in sender.ts and transmit.ts.
import { type Micros, NEVER } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Endpoint } from '../ip/address.ts';
import { type Hop, NO_HOP } from '../ip/neighbours.ts';
import { RST } from '../wire/tcp.ts';
import {
  type CongestionControl,
  type CongestionState,
  congestionState,
} from './congestion/control.ts';
import { afterReading, onAckTimer } from './delayed-ack.ts';
import { TcpError, type TcpErrorCode } from './errors.ts';
import {
  type ConnectionHandler,
  type ConnectionOptions,
  discardArrived,
  type Offer,
} from './handler.ts';
import { type TcpInfo, tcpInfo } from './info.ts';
import { keepaliveState, onKeepalive, switchKeepalive } from './keepalive.ts';
import { applySettings, type EcnMode, type TcpSettings } from './options.ts';
import { ReceiveBuffer } from './receive-buffer.ts';
import { readerTook } from './receive-window.ts';
import { releaseSent } from './recovery/flight.ts';
import { NOTHING_SENT, type SentQueue } from './recovery/sent-queue.ts';
import { type RecoveryState, recoveryState } from './recovery/state.ts';
import { rttState } from './rtt.ts';
import { SendBuffer } from './send-buffer.ts';
import { onSendTimer } from './send-timers.ts';
import { output, pushWritten } from './sender.ts';
import { advance } from './sequence.ts';
import type { TcpStack } from './stack.ts';
import {
  type AckState,
  ackState,
  type CountState,
  countState,
  type EcnState,
  ecnState,
  type KeepaliveState,
  type Negotiated,
  negotiatedState,
  type ReceiveState,
  type RetransmitState,
  type RttState,
  receiveState,
  retransmitState,
  type SendState,
  type State,
  sendState,
  type TimestampState,
  type WindowState,
  windowState,
} from './state.ts';
import { sendAck, transmit } from './transmit.ts';

export type { ConnectionHandler, Offer } from './handler.ts';

export class Connection {
  readonly stack: TcpStack;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  offer: Offer;
  handler: ConnectionHandler;
  state: State = 'closed';
  readonly negotiated: Negotiated = negotiatedState();
  readonly snd: SendState;
  readonly rcv: ReceiveState;
  readonly ts: TimestampState;
  readonly rtt: RttState = rttState();
  readonly retransmit: RetransmitState = retransmitState();
  readonly recovery: RecoveryState;
  /** What is in flight. */
  sent: SentQueue = NOTHING_SENT;
  readonly congestion: CongestionState = congestionState();
  congestionControl: CongestionControl;
  readonly keepalive: KeepaliveState = keepaliveState();
  readonly ack: AckState;
  readonly window: WindowState;
  readonly ecn: EcnState = ecnState();
  readonly count: CountState = countState();
  readonly sendBuffer: SendBuffer;
  readonly receiveBuffer: ReceiveBuffer;
  /** Payload bytes of the segments that we send: the negotiated MSS less the options in every segment. */
  mss = 536;
  /** When a lingering FIN-WAIT-2 ends. */
  endsAt: Micros = NEVER;
  /** When the peer was last answered about an unacceptable segment (RFC 5961, section 5). */
  challengedAt: Micros = Number.NEGATIVE_INFINITY;
  /** When a segment last came. */
  heardAt: Micros;
  /** The user has gone without a reset: what is left to do has a limit. */
  orphaned = false;
  /** Nobody reads any more: new text after our FIN is answered by a reset (RFC 9293, 3.6.1; RFC 2525, 2.17). */
  refusesText = false;
  /** Whether we ask for ECN, and take it when asked. */
  ecnMode: EcnMode;
  /** What the user allows us to send in a segment, options included (TCP_MAXSEG). */
  maximumSegment = Number.POSITIVE_INFINITY;
  /** Bytes that may wait to be acknowledged before a writer has to wait too. */
  sendLimit: number;
  /** Unacknowledged data ends the connection after this time without progress (RFC 5482); 0: never. */
  userTimeout: Micros = 0;
  /** Seconds of SO_LINGER: 0 means that closing resets. Undefined: switched off. */
  linger: number | undefined;
  /** What ICMP said that did not end the connection (RFC 5461); told if it is given up. */
  softError: TcpErrorCode | undefined;
  /** A segment is being handled: what the user reads meanwhile is acknowledged afterwards. */
  arriving = false;
  hasRead = false;
  /** Its place among the connections in SYN-SENT. */
  place = -1;
  /** The owner of a half-open passive connection: who hears of it once it is established. */
  onAccept: ((connection: Connection) => void) | undefined;
  #hop: Hop = NO_HOP;
  #reported = false;
  readonly #timer: Timer;

  constructor(options: ConnectionOptions) {
    const { stack, local, remote, iss, offer, handler } = options;
    const now = stack.clock.now();
    this.stack = stack;
    this.local = local;
    this.remote = remote;
    this.offer = offer;
    this.handler = handler;
    this.snd = sendState(iss);
    this.rcv = receiveState(stack.receiveInitial, stack.receiveLimit);
    this.ack = ackState(now);
    this.window = windowState(now);
    this.sendBuffer = new SendBuffer(stack.memory);
    this.receiveBuffer = new ReceiveBuffer(stack.memory);
    this.congestionControl = stack.congestionControl;
    this.ecnMode = stack.ecn;
    this.sendLimit = stack.sendLimit;
    this.ts = { offset: 0, lastSent: 0, recent: 0, recentAt: 0 };
    this.recovery = recoveryState(iss);
    this.#timer = new Timer((now) => this.#onTimer(now));
    this.heardAt = now;
  }

  /** What TCP_INFO tells. */
  info(): TcpInfo {
    return tcpInfo(this);
  }

  /** Sets options of the connection, those that are there. */
  configure(settings: TcpSettings): void {
    applySettings(this, settings);
  }

  /**
   * Queues bytes, which must not change any more, and sends what may be sent.
   * @param more more follows at once (MSG_MORE)
   * @param recordEnd a record ends with them, and no segment joins it with the next (MSG_EOR)
   */
  write(bytes: Uint8Array, more = false, recordEnd = false): void {
    this.#assertWritable();
    this.sendBuffer.append(bytes);
    pushWritten(this, this.stack.clock.now(), more, recordEnd);
    this.arm();
  }

  /** Like `write`, for bytes that the caller may change afterwards. */
  writeCopy(bytes: Uint8Array): void {
    this.#assertWritable();
    this.sendBuffer.copy(bytes);
    pushWritten(this, this.stack.clock.now(), false, false);
    this.arm();
  }

  #assertWritable(): void {
    if (this.snd.finQueued || this.state === 'closed') {
      throw new TcpError('EPIPE', 'this side of the connection is closed');
    }
  }

  /** The next bytes that have arrived, at most `max`; undefined if none wait. They are the caller's. */
  read(max?: number): Uint8Array | undefined {
    const bytes = this.receiveBuffer.read(max);
    if (bytes !== undefined) this.#taken(bytes.length);
    return bytes;
  }

  /** Passes all that has arrived to `sink`, which must not keep the bytes: their memory is used again. */
  drain(sink: (bytes: Uint8Array) => void): number {
    const count = this.receiveBuffer.drain(sink);
    if (count > 0) this.#taken(count);
    return count;
  }

  #taken(count: number): void {
    if (this.state === 'closed' || this.state === 'time-wait') return;
    const now = this.stack.clock.now();
    readerTook(this, count, now);
    if (this.arriving) this.hasRead = true;
    else {
      afterReading(this, now);
      this.arm();
    }
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
    if (this.state === 'closed' || this.state === 'time-wait') {
      this.receiveBuffer.clear();
      return;
    }
    if (this.linger === 0 || !this.stack.mayOrphan()) {
      this.abort();
      return;
    }
    if (!this.orphaned) this.stack.orphans++;
    this.orphaned = true;
    this.handler = { onReadable: discardArrived };
    this.refusesText = arriving === 'reset';
    discardArrived(this);
    this.end();
    if (this.state === 'fin-wait-2') {
      this.endsAt = this.stack.clock.now() + this.stack.finWait2Timeout;
    }
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
    this.giveUp(error);
  }

  /** Ends the connection because of an error without a word to the peer, as Linux does after a timeout. */
  giveUp(error: TcpError): void {
    const { softError } = this;
    const told = error.code === 'ETIMEDOUT' && softError !== undefined;
    this.close(
      told ? new TcpError(softError, 'so said a router, and the peer does not answer') : error,
    );
  }

  setKeepalive(idle: Micros | undefined): void {
    switchKeepalive(this.keepalive, idle, this.stack.clock.now());
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

  /** What we sent has arrived, so the next hop passes it on (RFC 4861, section 7.3.1). */
  confirmHop(now: Micros): void {
    this.stack.ip.neighbours.confirm(this.#hop, now);
  }

  /** Sets the timer to the nearest deadline. Every entry point ends with it. */
  arm(): void {
    if (!this.stack.isLive(this)) return;
    const at = Math.min(this.retransmit.at, this.ack.at, this.keepalive.at, this.endsAt);
    this.stack.timers.set(this.#timer, at);
  }

  /** What RFC 9293 calls TIME-WAIT: nothing but late segments are expected, and a small record waits for them. */
  enterTimeWait(now: Micros): void {
    if (this.ack.scheduled) sendAck(this, now);
    const reported = this.#reported;
    this.#reported = true;
    this.#release();
    this.state = 'time-wait';
    this.stack.timeWaits.enter(this, now);
    const { handler } = this;
    // Who used the connection need not stay in memory for as long as somebody looks at its state.
    this.handler = {};
    if (!reported) handler.onClose?.(this, undefined);
  }

  /** Our FIN was acknowledged before the peer's came. */
  enterFinWait2(now: Micros): void {
    this.state = 'fin-wait-2';
    if (this.orphaned) this.endsAt = now + this.stack.finWait2Timeout;
  }

  #discard(): void {
    if (this.state === 'closed' || this.state === 'time-wait') return;
    this.#release();
    this.state = 'closed';
  }

  /** Gives back what a connection holds; what came may still be read. */
  #release(): void {
    const { stack } = this;
    if (this.state === 'syn-sent') stack.connecting.delete(this);
    if (this.orphaned) stack.orphans--;
    this.retransmit.at = NEVER;
    this.keepalive.at = NEVER;
    this.sendBuffer.clear();
    releaseSent(this);
    this.receiveBuffer.disown();
    stack.timers.remove(this.#timer);
    stack.forget(this);
  }

  #onTimer(now: Micros): void {
    if (this.ack.at <= now) onAckTimer(this, now);
    if (this.retransmit.at <= now) onSendTimer(this, now);
    if (this.keepalive.at <= now) onKeepalive(this, now);
    if (this.endsAt <= now) this.close();
    this.arm();
  }
}
