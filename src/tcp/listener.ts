// Passive opens: with a half-open connection for each SYN, or with none, by cookie.
import { type Micros, SECOND } from '../env/clock.ts';
import { type Address, type Endpoint, fromIpv4 } from '../ip/address.ts';
import * as tcp from '../wire/tcp.ts';
import * as wire from '../wire/tcp-options.ts';
import { Connection, type ConnectionHandler, type Offer } from './connection.ts';
import { type CookieOptions, Cookies, decodeTimestamp, encodeTimestamp } from './cookie.ts';
import { TcpError } from './errors.ts';
import { establish, openPassively, type Remembered, synAckWindow } from './handshake.ts';
import type { TcpSettings } from './options.ts';
import { segmentArrives } from './receiver.ts';
import type { Segment } from './segment.ts';
import { advance, distance } from './sequence.ts';
import type { SipKey } from './siphash.ts';
import type { TcpStack } from './stack.ts';

/** Where to listen: without an address, on every address that is ours. */
export interface ListenEndpoint {
  readonly address?: Address | undefined;
  readonly port: number;
}

export interface ListenOptions {
  local: ListenEndpoint;
  /** Half-open connections at most; what comes beyond is answered by cookies (RFC 4987, section 3.6). */
  backlog?: number;
  /** Options that its connections begin with. */
  settings?: TcpSettings | undefined;
  /**
   * Key of a handshake that is always stateless. Without it a SYN makes a half-open connection while there is room for it.
   */
  cookieKey?: SipKey | undefined;
  /** The same for a member of a cluster, instead of a key: what all its listeners share. */
  cookies?: Cookies | undefined;
  /** Who has SYNs answered; they are at once when absent. Only with `cookies`. */
  syns?: SynTaker | undefined;
  /**
   * What SYN-ACKs offer; asked for each, since all but the window scale may change. The stack's own offer
   * when absent.
   */
  offer?: (() => Offer) | undefined;
  /** Whether connections begin with nothing acknowledged beyond their SYN (see `Connection.hold`). */
  hold?: boolean;
  /**
   * Looks up a connection that another member began and of which more is acknowledged than its SYN, so
   * that no cookie can prove it.
   */
  recall?: ((segment: Segment) => Recalled | undefined) | undefined;
  /** Gives a new connection its handler. */
  accept: (connection: Connection) => ConnectionHandler;
}

/** Sees to it that the SYNs of a stateless listener are answered. */
export interface SynTaker {
  /** A SYN, which `Listener.answer` is to answer with this initial number. */
  onSyn(segment: Segment, iss: number): void;
  /** A reset that belongs to no connection: the answer to an answer, perhaps. */
  onReset(segment: Segment): void;
}

/** A connection as another member left it. */
export interface Recalled extends Remembered {
  readonly iss: number;
  /** The shift that we announced. */
  readonly ourScale: number;
  /** What was acknowledged to the peer, from its first byte. */
  readonly received: Uint8Array;
  /** The peer's window in bytes. */
  readonly window: number;
  readonly timestampOffset: number;
  readonly timestampRecent: number;
}

const DEFAULT_BACKLOG = 511;
/** How long after the last overflow a cookie may still come back: as long as one is good. */
const COOKIE_LIFE: Micros = 128 * SECOND;

export class Listener {
  readonly options: ListenOptions;
  readonly #stack: TcpStack;
  /** Those that answer every SYN, and those that answer when there is no room for more half-open connections. */
  readonly #cookies: Cookies | undefined;
  #reserve: Cookies | undefined;
  #overflowedAt: Micros = Number.NEGATIVE_INFINITY;
  #halfOpen = 0;
  #closed = false;

  /** @throws TcpError EINVAL for settings that no connection can have */
  constructor(stack: TcpStack, options: ListenOptions) {
    this.#stack = stack;
    const { settings, local } = options;
    if (settings !== undefined) checkSettings(stack, settings, local.port);
    this.options = options;
    const { cookieKey, cookies } = options;
    this.#cookies = cookies ?? (cookieKey === undefined ? undefined : new Cookies([cookieKey]));
  }

  /** Takes no more connections, those among them whose handshake is under way. */
  close(): void {
    this.#closed = true;
    this.#stack.unlisten(this);
  }

  /**
   * Takes a segment that belongs to no connection; false if it deserves a reset.
   * @param iss with which a new connection must begin, if one in TIME-WAIT was between the same ends
   */
  receive(segment: Segment, now: Micros, iss?: number): boolean {
    if (segment.has(tcp.RST)) {
      this.options.syns?.onReset(segment);
      return true;
    }
    if (segment.has(tcp.SYN)) {
      if (segment.has(tcp.ACK)) return false;
      // A SYN may carry data, which is not taken before the handshake is complete, and a FIN, which is
      // nonsense that the field knows as an attack.
      if (!segment.has(tcp.FIN)) this.#syn(segment, iss, now);
      return true;
    }
    if (!segment.has(tcp.ACK)) return true;
    const pressed = now - this.#overflowedAt <= COOKIE_LIFE;
    const cookies = this.#cookies ?? (pressed ? this.#reserve : undefined);
    return cookies !== undefined && this.#completed(segment, cookies, now);
  }

  /** Answers a SYN that this listener had somebody take, now or before, here or at another member. */
  answer(segment: Segment, iss: number, now: Micros): void {
    if (!this.#closed) this.#answerStateless(segment, this.#offerTo(segment), iss, now);
  }

  #offerTo({ packet }: Segment): Offer {
    const { offer, settings } = this.options;
    return offer?.() ?? this.#stack.offerFor(packet.source, settings);
  }

  #syn(segment: Segment, iss: number | undefined, now: Micros): void {
    const stack = this.#stack;
    const { settings, syns } = this.options;
    if (this.#cookies !== undefined) {
      const cookie = this.#cookieFor(segment, this.#cookies);
      if (syns === undefined) this.answer(segment, cookie, now);
      else syns.onSyn(segment, cookie);
      return;
    }
    const offer = this.#offerTo(segment);
    if (this.#halfOpen >= (this.options.backlog ?? DEFAULT_BACKLOG)) {
      stack.counters.backlogOverflows++;
      this.#overflowedAt = now;
      this.#reserve ??= new Cookies([stack.newKey()]);
      this.#answerStateless(segment, offer, this.#cookieFor(segment, this.#reserve), now);
      return;
    }
    const { destination: local, source: remote } = segment;
    this.#halfOpen++;
    const connection = stack.create(local, remote, iss ?? stack.isn(local, remote), offer, {
      onClose: () => {
        this.#halfOpen--;
      },
    });
    if (connection === undefined) {
      this.#halfOpen--;
      return;
    }
    if (settings !== undefined) connection.configure(settings);
    connection.onAccept = () => {
      this.#halfOpen--;
      connection.handler = {};
      if (this.#closed) {
        connection.abort();
        return;
      }
      stack.counters.accepted++;
      if (this.options.hold === true) connection.hold();
      connection.handler = this.options.accept(connection);
    };
    openPassively(connection, segment, now);
  }

  #cookieFor(segment: Segment, cookies: Cookies): number {
    const mss = segment.options.mss || 536;
    return cookies.issue(flowOf(segment), segment.seq, mss, this.#stack.clock.wall());
  }

  /** Answers a SYN and forgets it (RFC 4987, section 3.6). */
  #answerStateless(segment: Segment, offer: Offer, iss: number, now: Micros): void {
    const stack = this.#stack;
    const { packet, options } = segment;
    const { view } = stack.frame;
    const at = stack.ip.payloadAt(packet.source);
    // Scale and SACK can only be remembered in the timestamp that the client echoes.
    const timestamps = offer.timestamps && options.hasTimestamps;
    const remembered: CookieOptions = {
      windowScale: timestamps && offer.windowScale >= 0 ? options.windowScale : -1,
      sack: timestamps && offer.sack && options.sackPermitted,
    };
    let end = wire.writeMss(view, at + tcp.TCP_LENGTH, offer.mss);
    if (timestamps) {
      const value = encodeTimestamp(stack.timestamp(now, 0), remembered);
      end = remembered.sack
        ? wire.writeSackPermittedTimestamps(view, end, value, options.timestampValue)
        : wire.writeTimestamps(view, end, value, options.timestampValue);
    }
    if (remembered.windowScale >= 0) end = wire.writeWindowScale(view, end, offer.windowScale);
    tcp.write(
      view,
      at,
      segment.destinationPort,
      segment.sourcePort,
      iss,
      advance(segment.seq, 1),
      end - at,
      tcp.SYN | tcp.ACK,
      synAckWindow(stack.receiveInitial, offer, timestamps),
    );
    stack.counters.cookiesSent++;
    stack.sendPlain(packet.destination, packet.source, end, end - at);
  }

  /** A segment that completes a handshake of which nothing is remembered but by its numbers. */
  #completed(segment: Segment, cookies: Cookies, now: Micros): boolean {
    const stack = this.#stack;
    const { options } = segment;
    const irs = advance(segment.seq, -1);
    const iss = advance(segment.ack, -1);
    const mss = cookies.check(flowOf(segment), irs, iss, stack.clock.wall());
    if (mss === undefined) {
      const recalled = this.options.recall?.(segment);
      if (recalled !== undefined) {
        const { destination, source } = segment;
        const connection = this.#recreate(destination, source, recalled, now);
        if (connection !== undefined) this.#begin(connection, segment, now);
        return true;
      }
      // A later segment of a handshake of ours, whose first one is late or lost: the peer will repeat it.
      if (cookies.recognizes(flowOf(segment), iss, stack.clock.wall())) {
        stack.counters.cookiesEarly++;
        return true;
      }
      stack.counters.cookiesFailed++;
      return false;
    }
    const { destination: local, source: remote } = segment;
    // What is offered may have changed since the SYN: what the client shows of it counts.
    const { settings } = this.options;
    const { mss: offeredMss, windowScale } = this.#offerTo(segment);
    const offer: Offer = {
      mss: offeredMss,
      windowScale,
      sack: true,
      timestamps: options.hasTimestamps,
    };
    const connection = stack.create(local, remote, iss, offer, {});
    if (connection === undefined) return true;
    stack.counters.cookiesTaken++;
    const memory = options.hasTimestamps
      ? decodeTimestamp(options.timestampEcho)
      : { windowScale: -1, sack: false };
    // Another member may have answered the SYN: its clock is continued, not ours.
    if (options.hasTimestamps) {
      connection.ts.offset = distance(options.timestampEcho, stack.timestamp(now, 0));
      connection.ts.lastSent = options.timestampEcho;
      connection.ts.recent = options.timestampValue;
      connection.ts.recentAt = now;
    }
    const { hasTimestamps: timestamps } = options;
    const { windowScale: clientScale, sack } = memory;
    if (settings !== undefined) connection.configure(settings);
    const window = synAckWindow(stack.receiveInitial, offer, timestamps);
    establish(connection, { irs, mss, windowScale: clientScale, sack, timestamps }, window, now);
    const { snd, negotiated } = connection;
    snd.wnd = segment.window << negotiated.sendScale;
    snd.maxWnd = snd.wnd;
    snd.wl1 = segment.seq;
    snd.wl2 = segment.ack;
    if (this.options.hold === true) connection.hold();
    this.#begin(connection, segment, now);
    return true;
  }

  /**
   * Goes on with a connection where another member left it, without waiting for the peer to say more. Nothing
   * happens if it is here already.
   * @throws TcpError EINVAL if this listener has no address of its own
   */
  resume(remote: Endpoint, recalled: Recalled, now: Micros): void {
    const { address, port } = this.options.local;
    if (address === undefined)
      throw new TcpError('EINVAL', 'which address the connection had is unknown');
    const connection = this.#recreate({ address, port }, remote, recalled, now);
    if (connection !== undefined) this.#accept(connection);
  }

  #recreate(
    local: Endpoint,
    remote: Endpoint,
    recalled: Recalled,
    now: Micros,
  ): Connection | undefined {
    const stack = this.#stack;
    const offer = { ...stack.offerFor(remote.address), windowScale: recalled.ourScale };
    const connection = stack.create(local, remote, recalled.iss, offer, {});
    if (connection === undefined) return undefined;
    stack.counters.resumed++;
    const window = synAckWindow(stack.receiveInitial, offer, recalled.timestamps);
    establish(connection, recalled, window, now);
    const { snd, rcv, ts, receiveBuffer } = connection;
    ts.offset = recalled.timestampOffset;
    ts.lastSent = stack.timestamp(now, ts.offset);
    ts.recent = recalled.timestampRecent;
    ts.recentAt = now;
    snd.wnd = recalled.window;
    snd.maxWnd = recalled.window;
    snd.wl1 = rcv.irs;
    snd.wl2 = snd.una;
    receiveBuffer.append(recalled.received, 0, recalled.received.length);
    rcv.nxt = advance(rcv.nxt, recalled.received.length);
    rcv.lastAckSent = rcv.nxt;
    rcv.edge = advance(rcv.nxt, window);
    if (this.options.hold === true) connection.hold();
    return connection;
  }

  /** Hands a connection to its user, and then the segment that brought it about to the connection. */
  #begin(connection: Connection, segment: Segment, now: Micros): void {
    this.#accept(connection);
    if (this.#stack.isLive(connection)) segmentArrives(connection, segment, now);
  }

  #accept(connection: Connection): void {
    this.#stack.counters.accepted++;
    connection.handler = this.options.accept(connection);
    if (this.#stack.isLive(connection)) connection.handler.onConnect?.(connection);
  }
}

/** Tries settings on a connection that nobody gets: a stranger's SYN would be too late to find out. */
function checkSettings(stack: TcpStack, settings: TcpSettings, port: number): void {
  const nowhere = { address: fromIpv4(0), port };
  const offer = stack.offerFor(nowhere.address);
  const ends = { local: nowhere, remote: nowhere };
  new Connection({ stack, ...ends, iss: 0, offer, handler: {} }).configure(settings);
}

function flowOf(segment: Segment) {
  return {
    local: segment.packet.destination,
    localPort: segment.destinationPort,
    remote: segment.packet.source,
    remotePort: segment.sourcePort,
  };
}
