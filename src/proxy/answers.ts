// SYNs of services whose clients may wait for the server to speak. A cookie leaves nothing behind at who made it, and
// that is well where the client speaks next: it repeats its first words until somebody has heard them. Who waits has
// nothing to repeat. If the ACK of the handshake is lost, or the member that got it dies, nobody knows that there is
// a client.
//
// So each of these SYNs is kept until its client is served, and the other members are told of it before it is
// answered. It is answered again, with the same number,
//
//   by this member        after 1 s and again after 2 s more, if nothing came of it
//   by who goes on with   at once, when this member is dead
//   what it began
//
// A client that has had the first answer acknowledges the second, since it is out of place (RFC 9293, 3.10.7.4;
// RFC 5961, section 4), and that ACK completes the handshake: it brings the cookie as the first one did. One that is
// gone answers with a reset, and one whose connection has got on with its present numbers: neither changes anything.
import { MILLISECOND, type Micros, SECOND } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Host } from '../host/host.ts';
import type { Endpoint } from '../ip/address.ts';
import { Packet } from '../ip/packet.ts';
import { Frame } from '../link/frame.ts';
import { Handshakes } from '../replication/handshakes.ts';
import { ACTIVE } from '../replication/member.ts';
import * as messages from '../replication/messages.ts';
import type { Replicator } from '../replication/replicator.ts';
import { endsOf, writeFlow } from '../splice/record.ts';
import { COOKIE_LIFE } from '../tcp/cookie.ts';
import type { SynTaker } from '../tcp/listener.ts';
import { readSegment, Segment } from '../tcp/segment.ts';
import { advance } from '../tcp/sequence.ts';

/** After the first answer; twice that after the second, and so on. */
const FIRST_WAIT: Micros = SECOND;
/** Answers to one SYN, but for those that the client asks for by repeating it. */
const MAX_ANSWERS = 3;
/** How often those are looked for that are due. */
const LOOK_EVERY: Micros = 250 * MILLISECOND;
/** A dead member's SYNs that were told longer ago than this are not answered: it would have answered again itself. */
const MAX_AGE: Micros = 4 * SECOND;
/** SYNs that the others are told of in one breath: two datagrams at most. A flood costs no more. */
const MAX_TOLD = 32;
/** SYNs of dead members that are answered in one breath, and the time between two such. */
const ADOPTED_AT_ONCE = 32;
const ADOPT_EVERY: Micros = MILLISECOND;

export interface AnswersOptions {
  readonly host: Host;
  readonly replicator: () => Replicator | undefined;
  /** True if there is a record for a flow: bytes as a record begins. */
  readonly hasRecord: (flow: Uint8Array) => boolean;
  /** Who answers at a virtual end point. */
  readonly serviceAt: (virtual: Endpoint) => Answerer | undefined;
  /** Seeds the hash of flows. */
  readonly seed: number;
}

/** What a service looks like from here. */
interface Answerer {
  /** True if its clients may wait for the server to speak. */
  readonly isOpaque: boolean;
  answer(segment: Segment, iss: number, now: Micros): void;
}

interface Adopted {
  readonly handshakes: Handshakes;
  next: number;
}

export class Answers implements SynTaker {
  readonly counters = { synsRepeated: 0, synsAdopted: 0 };
  readonly #options: AnswersOptions;
  readonly #own: Handshakes;
  /** Up to which number all of them are answered. */
  #answered = 0;
  #told = 0;
  readonly #adopted: Adopted[] = [];
  readonly #lookTimer = new Timer((now) => this.#look(now));
  readonly #adoptTimer = new Timer((now) => this.#adopt(now));
  readonly #message = new Uint8Array(messages.MAX_SYN_BYTES);
  readonly #view = new DataView(this.#message.buffer);
  readonly #segment = new Segment(new Packet(new Frame(messages.MAX_SYN_BYTES)));

  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#own = new Handshakes(options.seed);
  }

  /** Takes a SYN, to answer it when this breath ends. */
  onSyn({ packet, start, source, destination }: Segment, iss: number): void {
    const view = this.#view;
    const flowLength = writeFlow(view, messages.synFlowAt(0), source, destination);
    messages.writeSynStart(view, iss, flowLength);
    let end = messages.synHeaderAt(view, 0);
    const { bytes } = packet.frame;
    for (let at = packet.payload; at < start; at++) this.#message[end++] = bytes[at];
    this.#begin(view, 0, end, this.#options.host.clock.now());
  }

  /** The client never opened that connection, or has given it up. */
  onReset(segment: Segment): void {
    if (this.#own.open === 0) return;
    const length = writeFlow(this.#view, 0, segment.source, segment.destination);
    const number = this.#own.find(this.#message.subarray(0, length));
    if (number >= 0 && segment.seq === advance(this.#own.irs(number), 1)) this.#own.close(number);
  }

  /** True if a flow's SYN was answered here, and will be again if nothing comes of it. */
  has(flow: Uint8Array): boolean {
    return this.#own.find(flow) >= 0;
  }

  /** A flow's SYN need not be answered again. */
  end(flow: Uint8Array): void {
    this.#own.end(flow);
  }

  /** Answers what came in this breath. Call it at its end, when the others were told. */
  flush(now: Micros): void {
    const own = this.#own;
    this.#told = 0;
    for (; this.#answered < own.next; this.#answered++) {
      if (own.isOpen(this.#answered)) this.#answer(own, this.#answered, now);
    }
    if (own.open > 0 && this.#lookTimer.at > now + LOOK_EVERY) {
      this.#options.host.timers.set(this.#lookTimer, now + LOOK_EVERY);
    }
  }

  /** Goes on with what a member began that is gone; its records and heads come first. */
  adopt(handshakes: Handshakes): void {
    if (handshakes.open === 0) return;
    const { host } = this.#options;
    this.#adopted.push({ handshakes, next: handshakes.first });
    host.timers.set(this.#adoptTimer, host.clock.now());
  }

  /** @param tries how often it was answered unasked before this: what the client asks for by repeating it is not one */
  #begin(view: DataView, at: number, length: number, now: Micros, tries = 0): void {
    const own = this.#own;
    own.note(view, at, length, now, tries);
    if (++this.#told > MAX_TOLD) return;
    const from = own.at(own.next - 1);
    this.#options.replicator()?.tellSyn(own.bytes.subarray(from, from + length));
  }

  #answer(handshakes: Handshakes, number: number, now: Micros): void {
    const { view, bytes } = handshakes;
    const at = handshakes.at(number);
    const ends = endsOf(handshakes.flow(number));
    if (ends === undefined) return;
    const service = this.#options.serviceAt(ends.virtual);
    if (service?.isOpaque !== true) return;
    const { packet } = this.#segment;
    packet.source = ends.client.address;
    packet.destination = ends.virtual.address;
    const header = messages.synHeaderAt(view, at);
    packet.end = at + handshakes.length(number) - header;
    const frame = packet.frame.bytes;
    for (let byte = 0; byte < packet.end; byte++) frame[byte] = bytes[header + byte];
    if (readSegment(packet, this.#segment))
      service.answer(this.#segment, messages.synNumber(view, at), now);
  }

  /** Answers those again of which nothing came for too long. */
  #look(now: Micros): void {
    const own = this.#own;
    // Who does not serve does not know which flows are alive.
    const serves = this.#options.replicator()?.state === ACTIVE;
    for (let number = own.first, end = own.next; number < end; number++) {
      if (!own.isOpen(number)) continue;
      const answers = own.tries(number) + 1;
      const age = now - own.notedAt(number);
      if (age < FIRST_WAIT * 2 ** (answers - 1)) continue;
      if (answers >= MAX_ANSWERS || age > COOKIE_LIFE) own.close(number);
      else if (serves && !this.#isKnown(own.flow(number))) {
        this.counters.synsRepeated++;
        this.#begin(own.view, own.at(number), own.length(number), now, answers);
      }
    }
    if (own.open > 0) this.#options.host.timers.set(this.#lookTimer, now + LOOK_EVERY);
  }

  #adopt(now: Micros): void {
    const [adopted] = this.#adopted;
    if (adopted === undefined) return;
    const { handshakes } = adopted;
    let left = ADOPTED_AT_ONCE;
    for (; left > 0 && adopted.next < handshakes.next; adopted.next++) {
      const number = adopted.next;
      if (!handshakes.isOpen(number) || now - handshakes.notedAt(number) > MAX_AGE) continue;
      if (this.#isKnown(handshakes.flow(number))) continue;
      left--;
      this.counters.synsAdopted++;
      this.#begin(handshakes.view, handshakes.at(number), handshakes.length(number), now);
    }
    if (adopted.next === handshakes.next) this.#adopted.shift();
    if (this.#adopted.length > 0) {
      this.#options.host.timers.set(this.#adoptTimer, now + ADOPT_EVERY);
    }
  }

  /** True if the client of a flow is served, or somebody has begun to serve it. */
  #isKnown(flow: Uint8Array): boolean {
    const { host, hasRecord } = this.#options;
    const replicator = this.#options.replicator();
    if (hasRecord(flow) || replicator?.proposerOf(flow) !== undefined) return true;
    // Who is to go on with an orphan may not have it.
    if (replicator?.heads.get(flow)?.isOrphan === false) return true;
    const ends = endsOf(flow);
    if (ends === undefined) return true;
    const { client, virtual } = ends;
    return host.tcp.has(virtual.address, virtual.port, client.address, client.port);
  }
}
