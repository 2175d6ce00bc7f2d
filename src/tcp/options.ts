// What a user may set on a connection, under one typed record: the socket options of Linux and of Node's
// net.Socket, with their meaning there.
import { MILLISECOND, NEVER } from '../env/clock.ts';
import { CONGESTION_CONTROLS, congestionControl } from './congestion/algorithms.ts';
import type { Connection } from './connection.ts';
import { MIN_DELAY } from './delayed-ack.ts';
import { TcpError } from './errors.ts';

/**
 * Explicit congestion notification (RFC 3168): never, when the peer asks for it, or asking ourselves. Linux's
 * tcp_ecn 0, 2 (its default, and ours) and 1.
 */
export type EcnMode = 'off' | 'passive' | 'on';

/** Options of a connection. What is absent stays as it is. */
export interface TcpSettings {
  /** Small segments do not wait for acknowledgments (TCP_NODELAY). Default: false, as Nagle has it. */
  noDelay?: boolean | undefined;
  /** Only full segments leave until this is over, or 200 ms and more have passed (TCP_CORK). */
  cork?: boolean | undefined;
  /** The peer is asked whether it is still there when it is silent (SO_KEEPALIVE). Default: false. */
  keepAlive?: boolean | undefined;
  /** Milliseconds of silence before the first probe (TCP_KEEPIDLE). Default: 7,200,000. */
  keepAliveIdle?: number | undefined;
  /** Milliseconds between probes (TCP_KEEPINTVL). Default: 75,000. */
  keepAliveInterval?: number | undefined;
  /** Probes without an answer that end the connection (TCP_KEEPCNT). Default: 9. */
  keepAliveProbes?: number | undefined;
  /**
   * Milliseconds that data may stay unacknowledged, or unsent for want of a window, before the connection is
   * given up (TCP_USER_TIMEOUT, RFC 5482). Default: 0, which leaves it to the number of retransmissions.
   */
  userTimeout?: number | undefined;
  /** Bytes that may wait for the reader (SO_RCVBUF, not doubled); ends the tuning of the receive buffer. */
  receiveBuffer?: number | undefined;
  /** Bytes that may wait to be acknowledged before a stream's writer has to wait (SO_SNDBUF, not doubled). */
  sendBuffer?: number | undefined;
  /** The largest window offered, in bytes (TCP_WINDOW_CLAMP). */
  windowClamp?: number | undefined;
  /**
   * Seconds of SO_LINGER: 0 makes closing reset the connection and throw away what was not sent. Any other
   * number changes nothing: closing never blocks here. -1 switches it off, which is the default.
   */
  linger?: number | undefined;
  /** By name: `cubic` or `newreno` (TCP_CONGESTION). */
  congestionControl?: string | undefined;
  /** Before the connection is opened only. */
  ecn?: EcnMode | undefined;
  /** The largest segment offered and sent, before the connection is opened (TCP_MAXSEG); from 88 to 65,495. */
  maximumSegment?: number | undefined;
  /** Acknowledges at once for a while, or lets acknowledgments wait for answers (TCP_QUICKACK). */
  quickAck?: boolean | undefined;
}

/** The least that a receive or send buffer holds (Linux: SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF, halved). */
const MIN_BUFFER = 1_152;
const MAX_BUFFER = 0x3fff_ffff;
const MIN_SEGMENT = 88;
const MAX_SEGMENT = 65_495;
/** Linux's limits for keep-alive: 32,767 s and 127 probes. */
const MAX_KEEPALIVE = 32_767_000;
const MAX_PROBES = 127;

/** A number that must lie in a range. @throws TcpError EINVAL */
function within(name: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new TcpError('EINVAL', `${name} is ${value}; it must lie between ${least} and ${most}`);
}

/**
 * Sets the options that are there.
 * @throws TcpError EINVAL for a value out of range or an unknown name; those before it have been set
 */
export function applySettings(connection: Connection, settings: TcpSettings): void {
  const { rcv, ack, window, offer, state } = connection;
  const { receiveBuffer, sendBuffer, maximumSegment, linger, windowClamp } = settings;
  if (receiveBuffer !== undefined) {
    rcv.limit = Math.max(within('receiveBuffer', receiveBuffer, 1, MAX_BUFFER), MIN_BUFFER);
    rcv.maximum = rcv.limit;
  }
  if (sendBuffer !== undefined) {
    connection.sendLimit = Math.max(within('sendBuffer', sendBuffer, 1, MAX_BUFFER), MIN_BUFFER);
  }
  if (windowClamp !== undefined) {
    window.clamp = Math.max(within('windowClamp', windowClamp, 1, MAX_BUFFER), MIN_BUFFER);
    window.threshold = Math.min(window.threshold, window.clamp);
  }
  if (linger !== undefined) {
    connection.linger = linger < 0 ? undefined : within('linger', linger, 0, 65_535);
  }
  if (maximumSegment !== undefined) {
    within('maximumSegment', maximumSegment, MIN_SEGMENT, MAX_SEGMENT);
    if (state !== 'closed') throw new TcpError('EINVAL', 'maximumSegment is too late now');
    connection.maximumSegment = maximumSegment;
    connection.offer = { ...offer, mss: Math.min(offer.mss, maximumSegment) };
  }
  if (settings.ecn !== undefined) connection.ecnMode = settings.ecn;
  if (settings.congestionControl !== undefined) {
    const control = congestionControl(settings.congestionControl);
    if (control === undefined) {
      const names = CONGESTION_CONTROLS.join(', ');
      throw new TcpError('EINVAL', `${settings.congestionControl} is none of ${names}`);
    }
    connection.congestionControl = control;
  }
  applyKeepalive(connection, settings);
  if (settings.userTimeout !== undefined) {
    const most = Number.MAX_SAFE_INTEGER / MILLISECOND;
    connection.userTimeout = within('userTimeout', settings.userTimeout, 0, most) * MILLISECOND;
    connection.arm();
  }
  if (settings.quickAck === true) {
    ack.interactive = false;
    ack.quick = Math.max(ack.quick, 2);
    ack.timeout = Math.max(ack.timeout, MIN_DELAY);
  } else if (settings.quickAck === false) ack.interactive = true;
  applyPush(connection, settings);
}

/** Nagle and cork: what they have held back leaves when they are switched off. */
function applyPush(connection: Connection, settings: TcpSettings): void {
  const { snd, stack } = connection;
  if (settings.noDelay !== undefined) snd.noDelay = settings.noDelay;
  if (settings.cork !== undefined) snd.corked = settings.cork;
  const released = settings.noDelay === true || settings.cork === false;
  if (released && stack.isLive(connection) && connection.sendBuffer.length > 0) connection.flush();
}

function applyKeepalive(connection: Connection, settings: TcpSettings): void {
  const { keepalive } = connection;
  const { keepAliveIdle: idle, keepAliveInterval: interval, keepAliveProbes: probes } = settings;
  if (idle !== undefined) {
    keepalive.idle = within('keepAliveIdle', idle, 1, MAX_KEEPALIVE) * MILLISECOND;
  }
  if (interval !== undefined) {
    keepalive.interval = within('keepAliveInterval', interval, 1, MAX_KEEPALIVE) * MILLISECOND;
  }
  if (probes !== undefined) {
    keepalive.attempts = within('keepAliveProbes', probes, 1, MAX_PROBES);
  }
  if (settings.keepAlive === true) connection.setKeepalive(keepalive.idle);
  else if (settings.keepAlive === false) connection.setKeepalive(undefined);
  else if (idle !== undefined && keepalive.at !== NEVER) connection.setKeepalive(keepalive.idle);
}
