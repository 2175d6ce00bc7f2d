// TIME-WAIT (RFC 9293, section 3.3.2): of a connection that is over, only what its rules need is kept, so that
// its buffers and its user are free.
import { type Micros, NEVER } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Endpoint } from '../ip/address.ts';
import * as tcp from '../wire/tcp.ts';
import * as options from '../wire/tcp-options.ts';
import type { Connection } from './connection.ts';
import { FlowMap } from './demux.ts';
import type { Segment } from './segment.ts';
import { advance, distance, isAfter } from './sequence.ts';
import type { TcpStack } from './stack.ts';
import { CHALLENGE_INTERVAL } from './validate.ts';

/** How far beyond the old connection's numbers a new one with the same ends begins (as in Linux). */
const NEXT_LIFE = 65_537;

/** What is left of a connection. */
export interface TimeWaitRecord {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** SND.NXT and RCV.NXT. */
  readonly sendNext: number;
  readonly receiveNext: number;
  /** RCV.WND in bytes. */
  readonly window: number;
  /** The window field of its acknowledgments. */
  readonly windowField: number;
  /** What is added to the timestamp clock; undefined without timestamps. */
  readonly timestampOffset: number | undefined;
  /** TS.Recent. */
  recent: number;
  /** When it is forgotten. */
  endsAt: Micros;
  /** When it answered last. */
  answeredAt: Micros;
}

export class TimeWaits {
  readonly #stack: TcpStack;
  readonly #duration: Micros;
  readonly #maximum: number;
  readonly #flows: FlowMap<TimeWaitRecord>;
  /** The same, those that end first at the front: every wait has the same length. */
  readonly #order = new Set<TimeWaitRecord>();
  readonly #timer: Timer;

  constructor(stack: TcpStack, duration: Micros, maximum: number) {
    this.#stack = stack;
    this.#duration = duration;
    this.#maximum = maximum;
    this.#flows = new FlowMap(stack.flowSeed);
    this.#timer = new Timer((now) => this.#expire(now));
  }

  get size(): number {
    return this.#flows.size;
  }

  /** Those that wait, the oldest first. */
  values(): IterableIterator<TimeWaitRecord> {
    return this.#order.values();
  }

  find(segment: Segment): TimeWaitRecord | undefined {
    if (this.#flows.size === 0) return undefined;
    const { packet, sourcePort, destinationPort } = segment;
    return this.#flows.get(packet.destination, destinationPort, packet.source, sourcePort);
  }

  has(local: Endpoint, remote: Endpoint): boolean {
    return this.#flows.get(local.address, local.port, remote.address, remote.port) !== undefined;
  }

  /** Takes over from a connection, which the stack has forgotten. The oldest gives way if there are too many. */
  enter(connection: Connection, now: Micros): void {
    const { local, remote, snd, rcv, ts, negotiated } = connection;
    const window = Math.max(0, distance(rcv.edge, rcv.nxt));
    const record: TimeWaitRecord = {
      local,
      remote,
      sendNext: snd.nxt,
      receiveNext: rcv.nxt,
      window,
      windowField: Math.min(window >>> negotiated.receiveScale, 65_535),
      timestampOffset: negotiated.timestamps ? ts.offset : undefined,
      recent: ts.recent,
      endsAt: now + this.#duration,
      answeredAt: Number.NEGATIVE_INFINITY,
    };
    if (this.#flows.size >= this.#maximum) this.#dropOldest();
    if (this.#maximum === 0 || !this.#flows.add(record)) return;
    this.#order.add(record);
    if (this.#timer.at === NEVER) this.#stack.timers.set(this.#timer, record.endsAt);
  }

  forget(record: TimeWaitRecord): void {
    this.#flows.delete(record);
    this.#order.delete(record);
    if (this.#order.size === 0) this.#stack.timers.remove(this.#timer);
  }

  /**
   * A segment for a connection in TIME-WAIT.
   * @param mayBegin whether somebody listens who could take a new connection: without, a forged SYN would end the wait
   * @returns the initial sequence number with which a listener may begin a new connection, or undefined if the
   *   segment is done with
   */
  receive(
    record: TimeWaitRecord,
    segment: Segment,
    mayBegin: boolean,
    now: Micros,
  ): number | undefined {
    const { options: told } = segment;
    const stamped = record.timestampOffset !== undefined && told.hasTimestamps;
    const age = stamped ? distance(told.timestampValue, record.recent) : 0;
    const old = stamped && age < 0 && !segment.has(tcp.RST);
    if (mayBegin && !old && isNewLife(record, segment, age))
      return advance(record.sendNext, NEXT_LIFE);
    // RFC 1337: a reset must not cut TIME-WAIT short.
    if (segment.has(tcp.RST)) return undefined;
    const length = segment.length + (segment.flags & (tcp.SYN | tcp.FIN) ? 1 : 0);
    if (!old && length === 0 && segment.seq === record.receiveNext) {
      // A late acknowledgment.
      if (stamped) record.recent = told.timestampValue;
      this.#restart(record, now);
      return undefined;
    }
    // RFC 9293, 3.10.7.4, fifth: what lies in the window and acknowledges nothing is dropped.
    const offset = distance(segment.seq, record.receiveNext);
    const inside = offset >= 0 && offset < record.window;
    if (!old && inside && !segment.has(tcp.ACK) && !segment.has(tcp.SYN)) return undefined;
    if (old) this.#stack.counters.pawsDrops++;
    // Our last acknowledgment may have been lost: RFC 9293, 3.10.7.4, has it repeated and the wait begin anew.
    if (old || segment.has(tcp.ACK)) this.#restart(record, now);
    this.#answer(record, segment, now);
    return undefined;
  }

  #restart(record: TimeWaitRecord, now: Micros): void {
    record.endsAt = now + this.#duration;
    this.#order.delete(record);
    this.#order.add(record);
  }

  #answer(record: TimeWaitRecord, segment: Segment, now: Micros): void {
    const stack = this.#stack;
    // Data and FINs are sent again for want of an answer; anything else might be a loop of two such hosts.
    const wanted = segment.length > 0 || segment.has(tcp.FIN);
    if (!wanted && now - record.answeredAt < CHALLENGE_INTERVAL) {
      stack.counters.challengesWithheld++;
      return;
    }
    record.answeredAt = now;
    const { view } = stack.frame;
    const at = stack.ip.payloadAt(record.remote.address);
    let end = at + tcp.TCP_LENGTH;
    if (record.timestampOffset !== undefined) {
      const value = stack.timestamp(now, record.timestampOffset);
      end = options.writeTimestamps(view, end, value, record.recent);
    }
    tcp.write(
      view,
      at,
      record.local.port,
      record.remote.port,
      record.sendNext,
      record.receiveNext,
      end - at,
      tcp.ACK,
      record.windowField,
    );
    stack.sendPlain(record.local.address, record.remote.address, end, end - at);
  }

  #dropOldest(): void {
    for (const oldest of this.#order) {
      this.#stack.counters.timeWaitOverflows++;
      this.forget(oldest);
      return;
    }
  }

  #expire(now: Micros): void {
    for (const record of this.#order) {
      if (record.endsAt > now) {
        this.#stack.timers.set(this.#timer, record.endsAt);
        return;
      }
      this.#flows.delete(record);
      this.#order.delete(record);
    }
  }
}

/**
 * A SYN that may begin the next connection between the same ends: it is newer by its number (RFC 1122,
 * 4.2.2.13) or by its timestamp (RFC 6191).
 */
function isNewLife(record: TimeWaitRecord, segment: Segment, age: number): boolean {
  if (!segment.has(tcp.SYN) || segment.has(tcp.ACK | tcp.RST | tcp.FIN)) return false;
  return isAfter(segment.seq, record.receiveNext) || age > 0;
}
