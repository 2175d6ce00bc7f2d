// ICMP (RFC 792, RFC 1122 section 3.2.2): answers to echo, errors that we send, errors that we get.
import type { Micros } from '../env/clock.ts';
import { Frame } from '../link/frame.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { NETWORK_AT } from '../wire/layout.ts';
import { type Address, fromIpv4 } from './address.ts';
import { ErrorLimit } from './error-limit.ts';
import type { Packet, PathError, Protocol } from './packet.ts';
import { plateauBelow } from './path-mtu.ts';
import type { TransportSegment } from './transport-checksum.ts';

/** What an error quotes: the IP header and at least 8 bytes (RFC 1812 asks for up to 576 in all). */
const QUOTE = 548;
const BODY_AT = NETWORK_AT + ipv4.IPV4_LENGTH;

export interface IcmpCounters {
  echoes: number;
  errorsSent: number;
  errorsSuppressed: number;
  errorsReceived: number;
  malformed: number;
  ignored: number;
}

/** What ICMP needs of its IP layer. */
export interface IcmpOutput {
  /** Sends the ICMP message behind the place of the IP header. */
  send(
    frame: Frame,
    source: Address,
    destination: Address,
    protocol: number,
    segment?: TransportSegment,
  ): boolean;
  isLocal(address: Address): boolean;
  /** The address of ours to talk to `destination` from. */
  sourceFor(destination: Address): Address | undefined;
  protocol(number: number): Protocol | undefined;
}

export class Icmp implements Protocol {
  readonly counters: IcmpCounters = {
    echoes: 0,
    errorsSent: 0,
    errorsSuppressed: 0,
    errorsReceived: 0,
    malformed: 0,
    ignored: 0,
  };
  readonly #output: IcmpOutput;
  readonly #limit = new ErrorLimit();
  /** For messages of our own, made when first needed. */
  #own: Frame | undefined;

  constructor(output: IcmpOutput) {
    this.#output = output;
  }

  receive(packet: Packet, now: Micros): void {
    const { view } = packet.frame;
    if (!icmp.isIntact(view, packet.payload, packet.end)) {
      this.counters.malformed++;
      return;
    }
    const type = icmp.type(view, packet.payload);
    if (type === icmp.ECHO) this.#echo(packet);
    else if (icmp.isError(type)) this.#error(packet, now);
    else this.counters.ignored++;
  }

  pathError(): void {
    // An error about an ICMP message of ours: nobody waits for an answer.
  }

  /** Answers a packet with `UNREACHABLE` or `TIME_EXCEEDED`, unless the rules forbid it. */
  sendError(packet: Packet, type: number, code: number, detail: number, now: Micros): void {
    const { view, bytes } = packet.frame;
    const aboutError =
      packet.protocol === ipv4.PROTOCOL_ICMP &&
      (packet.end - packet.payload < 1 || icmp.isError(icmp.type(view, packet.payload)));
    if (aboutError || !this.#output.isLocal(packet.destination) || !this.#limit.allow(now)) {
      this.counters.errorsSuppressed++;
      return;
    }
    const quoted = Math.min(packet.end - packet.header, QUOTE);
    const at = BODY_AT + icmp.ICMP_LENGTH;
    this.#own ??= new Frame();
    const own = this.#own;
    own.bytes.set(bytes.subarray(packet.header, packet.header + quoted), at);
    own.end = at + quoted;
    icmp.write(own.view, BODY_AT, own.end, type, code, detail);
    this.counters.errorsSent++;
    this.#output.send(own, packet.destination, packet.source, ipv4.PROTOCOL_ICMP);
  }

  #echo(packet: Packet): void {
    const { view, bytes } = packet.frame;
    this.counters.echoes++;
    const rest = view.getUint32(packet.payload + 4);
    this.#own ??= new Frame();
    const own = this.#own;
    own.bytes.set(bytes.subarray(packet.payload, packet.end), BODY_AT);
    own.end = BODY_AT + packet.end - packet.payload;
    icmp.write(own.view, BODY_AT, own.end, icmp.ECHO_REPLY, 0, rest);
    this.#output.send(own, packet.destination, packet.source, ipv4.PROTOCOL_ICMP);
  }

  /** Hands an error to the protocol whose packet it quotes. */
  #error(packet: Packet, now: Micros): void {
    this.counters.errorsReceived++;
    const { view } = packet.frame;
    const quoted = packet.payload + icmp.ICMP_LENGTH;
    const header = quotedHeaderLength(view, quoted, packet.end);
    if (header < 0 || quoted + header + 8 > packet.end) {
      this.counters.malformed++;
      return;
    }
    const source = fromIpv4(ipv4.source(view, quoted));
    const kind = errorKind(icmp.type(view, packet.payload), icmp.code(view, packet.payload));
    if (kind === undefined || !this.#output.isLocal(source)) {
      this.counters.ignored++;
      return;
    }
    const error: PathError = {
      kind,
      mtu: kind === 'too-big' ? tooBigFor(view, packet.payload, quoted) : 0,
      source,
      destination: fromIpv4(ipv4.destination(view, quoted)),
      protocol: ipv4.protocol(view, quoted),
      view,
      quote: quoted + header,
    };
    this.#output.protocol(error.protocol)?.pathError(error, now);
  }
}

/**
 * A quote may be cut short, so its total length says nothing. Of a later fragment it says nothing that could be
 * told apart from payload.
 */
function quotedHeaderLength(view: DataView, at: number, end: number): number {
  if (end - at < ipv4.IPV4_LENGTH || view.getUint8(at) >> 4 !== 4) return -1;
  if (ipv4.fragmentOffset(view, at) !== 0) return -1;
  const length = (view.getUint8(at) & 0x0f) * 4;
  return length >= ipv4.IPV4_LENGTH ? length : -1;
}

function errorKind(type: number, code: number): PathError['kind'] | undefined {
  if (type === icmp.TIME_EXCEEDED) return 'expired';
  if (type !== icmp.UNREACHABLE) return undefined;
  if (code === icmp.FRAGMENTATION_NEEDED) return 'too-big';
  return code === icmp.PORT_UNREACHABLE || code === icmp.PROTOCOL_UNREACHABLE
    ? 'refused'
    : 'unreachable';
}

/** The MTU that a router names, or for one older than RFC 1191 the next plateau below the packet's length. */
function tooBigFor(view: DataView, at: number, quoted: number): number {
  const named = icmp.nextHopMtu(view, at);
  return named > 0 ? named : plateauBelow(ipv4.totalLength(view, quoted));
}
