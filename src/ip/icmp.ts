// ICMP (RFC 792, RFC 1122 section 3.2.2): answers to echo, errors that we send, errors that we get.
import { type Micros, SECOND } from '../env/clock.ts';
import { Frame } from '../link/frame.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { NETWORK_AT } from '../wire/layout.ts';
import { type Address, fromIpv4 } from './address.ts';
import type { Packet, PathError, Protocol } from './packet.ts';

/** Errors a second that we send at most, to everybody together (RFC 1812, 4.3.2.8). */
const ERRORS_PER_SECOND = 100;
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
  /** Sends the ICMP message in `[BODY_AT, frame.end)`. */
  send(frame: Frame, source: Address, destination: Address, protocol: number): boolean;
  isLocal(address: Address): boolean;
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
  readonly #frame = new Frame(BODY_AT + icmp.ICMP_LENGTH + 65_536);
  #allowance = ERRORS_PER_SECOND;
  #filledAt: Micros = 0;

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
    if (aboutError || !this.#output.isLocal(packet.destination) || !this.#allow(now)) {
      this.counters.errorsSuppressed++;
      return;
    }
    const quoted = Math.min(packet.end - packet.header, QUOTE);
    const at = BODY_AT + icmp.ICMP_LENGTH;
    this.#frame.bytes.set(bytes.subarray(packet.header, packet.header + quoted), at);
    this.#frame.end = at + quoted;
    icmp.write(this.#frame.view, BODY_AT, this.#frame.end, type, code, detail);
    this.counters.errorsSent++;
    this.#output.send(this.#frame, packet.destination, packet.source, ipv4.PROTOCOL_ICMP);
  }

  #echo(packet: Packet): void {
    const { view, bytes } = packet.frame;
    this.counters.echoes++;
    const rest = view.getUint32(packet.payload + 4);
    this.#frame.bytes.set(bytes.subarray(packet.payload, packet.end), BODY_AT);
    this.#frame.end = BODY_AT + packet.end - packet.payload;
    icmp.write(this.#frame.view, BODY_AT, this.#frame.end, icmp.ECHO_REPLY, 0, rest);
    this.#output.send(this.#frame, packet.destination, packet.source, ipv4.PROTOCOL_ICMP);
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
      mtu: kind === 'too-big' ? icmp.nextHopMtu(view, packet.payload) : 0,
      source,
      destination: fromIpv4(ipv4.destination(view, quoted)),
      protocol: ipv4.protocol(view, quoted),
      view,
      quote: quoted + header,
    };
    this.#output.protocol(error.protocol)?.pathError(error, now);
  }

  /** A bucket that fills with time. */
  #allow(now: Micros): boolean {
    const filled = ((now - this.#filledAt) / SECOND) * ERRORS_PER_SECOND;
    this.#allowance = Math.min(ERRORS_PER_SECOND, this.#allowance + filled);
    this.#filledAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}

/** A quote may be cut short, so its total length says nothing. */
function quotedHeaderLength(view: DataView, at: number, end: number): number {
  if (end - at < ipv4.IPV4_LENGTH || view.getUint8(at) >> 4 !== 4) return -1;
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
