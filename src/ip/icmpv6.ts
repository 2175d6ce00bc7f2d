// ICMPv6 (RFC 4443): answers to echo, errors that we send, errors that we get. What neighbour discovery says
// goes to `ndp.ts`.
import type { Micros } from '../env/clock.ts';
import { Frame } from '../link/frame.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmpv6.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as extensions from '../wire/ipv6-extensions.ts';
import { ETHERNET_AT, NETWORK_AT } from '../wire/layout.ts';
import { QUERY } from '../wire/mld.ts';
import { ErrorLimit } from './error-limit.ts';
import type { IcmpCounters, IcmpOutput } from './icmp.ts';
import { readIpv6 } from './intern.ts';
import type { Mld } from './mld.ts';
import type { Ndp } from './ndp.ts';
import type { Packet, PathError, Protocol } from './packet.ts';

const BODY_AT = NETWORK_AT + ipv6.IPV6_LENGTH;
/** What an error quotes: as much as fits the least MTU (RFC 4443, section 2.4 c). */
const QUOTE = ipv6.MINIMUM_MTU - ipv6.IPV6_LENGTH - icmp.ICMPV6_LENGTH;
/** What must be quoted of the transport header: ports and sequence number. */
const QUOTED_PAYLOAD = 8;
const SEGMENT = {
  checksumOffset: icmp.CHECKSUM_AT,
  headerLength: icmp.ICMPV6_LENGTH,
  segmentSize: 0,
};

export interface Icmpv6Counters extends IcmpCounters {
  /** Redirects, which are not followed: routes come from configuration and routers' advertisements. */
  redirects: number;
}

export class Icmpv6 implements Protocol {
  readonly counters: Icmpv6Counters = {
    echoes: 0,
    errorsSent: 0,
    errorsSuppressed: 0,
    errorsReceived: 0,
    malformed: 0,
    ignored: 0,
    redirects: 0,
  };
  /** Answers queries for our groups; when absent they are ignored. */
  mld: Mld | undefined;
  readonly #output: IcmpOutput;
  readonly #ndp: Ndp;
  readonly #limit = new ErrorLimit();
  readonly #chain = new extensions.Chain();
  /** For messages of our own, made when first needed. */
  #own: Frame | undefined;

  constructor(output: IcmpOutput, ndp: Ndp) {
    this.#output = output;
    this.#ndp = ndp;
  }

  receive(packet: Packet, now: Micros): void {
    const { view } = packet.frame;
    const { header, payload, end } = packet;
    if (
      end - payload < icmp.ICMPV6_LENGTH ||
      !(packet.trusted || icmp.isIntact(view, header, payload, end))
    ) {
      this.counters.malformed++;
      return;
    }
    const type = icmp.type(view, payload);
    if (type === icmp.ECHO) this.#echo(packet);
    else if (icmp.isError(type)) this.#error(packet, now);
    else if (type === icmp.REDIRECT) this.counters.redirects++;
    else if (type === QUERY && this.mld !== undefined) this.mld.query(packet);
    else if (!this.#ndp.receive(packet, now)) this.counters.ignored++;
  }

  pathError(): void {
    // An error about an ICMPv6 message of ours: nobody waits for an answer.
  }

  /**
   * Answers a packet with an error, unless the rules forbid it (RFC 4443, section 2.4 e).
   * @param evenToGroup true for what is told even to who sent to a group
   */
  sendError(
    packet: Packet,
    type: number,
    code: number,
    detail: number,
    now: Micros,
    evenToGroup = false,
  ): void {
    const { view, bytes } = packet.frame;
    const aboutError =
      packet.protocol === ipv6.PROTOCOL_ICMPV6 &&
      (packet.end - packet.payload < 1 ||
        icmp.isError(icmp.type(view, packet.payload)) ||
        icmp.type(view, packet.payload) === icmp.REDIRECT);
    const group =
      !this.#output.isLocal(packet.destination) ||
      ethernet.isGroup(ethernet.destination(view, ETHERNET_AT));
    const source = group ? this.#output.sourceFor(packet.source) : packet.destination;
    if (aboutError || (group && !evenToGroup) || source === undefined || !this.#limit.allow(now)) {
      this.counters.errorsSuppressed++;
      return;
    }
    const quoted = Math.min(packet.end - packet.header, QUOTE);
    const at = BODY_AT + icmp.ICMPV6_LENGTH;
    this.#own ??= new Frame();
    const own = this.#own;
    own.bytes.set(bytes.subarray(packet.header, packet.header + quoted), at);
    own.end = at + quoted;
    icmp.write(own.view, BODY_AT, type, code, detail);
    this.counters.errorsSent++;
    this.#output.send(own, source, packet.source, ipv6.PROTOCOL_ICMPV6, SEGMENT);
  }

  #echo(packet: Packet): void {
    const { view, bytes } = packet.frame;
    const source = this.#output.isLocal(packet.destination)
      ? packet.destination
      : this.#output.sourceFor(packet.source);
    if (source === undefined) {
      this.counters.ignored++;
      return;
    }
    this.counters.echoes++;
    const rest = view.getUint32(packet.payload + 4);
    this.#own ??= new Frame();
    const own = this.#own;
    own.bytes.set(bytes.subarray(packet.payload, packet.end), BODY_AT);
    own.end = BODY_AT + packet.end - packet.payload;
    icmp.write(own.view, BODY_AT, icmp.ECHO_REPLY, 0, rest);
    this.#output.send(own, source, packet.source, ipv6.PROTOCOL_ICMPV6, SEGMENT);
  }

  /** Hands an error to the protocol whose packet it quotes. */
  #error(packet: Packet, now: Micros): void {
    this.counters.errorsReceived++;
    const { view } = packet.frame;
    const quoted = packet.payload + icmp.ICMPV6_LENGTH;
    const transport = this.#quotedTransport(view, quoted, packet.end);
    if (transport < 0) {
      this.counters.malformed++;
      return;
    }
    const source = readIpv6(view, quoted + ipv6.SOURCE_AT);
    const kind = errorKind(icmp.type(view, packet.payload), icmp.code(view, packet.payload));
    if (kind === undefined || !this.#output.isLocal(source)) {
      this.counters.ignored++;
      return;
    }
    const error: PathError = {
      kind,
      mtu: kind === 'too-big' ? icmp.mtu(view, packet.payload) : 0,
      source,
      destination: readIpv6(view, quoted + ipv6.DESTINATION_AT),
      protocol: this.#chain.protocol,
      view,
      quote: transport,
    };
    this.#output.protocol(error.protocol)?.pathError(error, now);
  }

  /** Where the transport header of a quoted packet starts, which may be cut short behind it; -1 if it is not there. */
  #quotedTransport(view: DataView, at: number, end: number): number {
    if (end - at < ipv6.IPV6_LENGTH || view.getUint8(at) >> 4 !== 6) return -1;
    const chain = this.#chain;
    const outcome = extensions.walk(view, at, end, chain);
    const first =
      outcome === extensions.REACHED ||
      (outcome === extensions.FRAGMENTED &&
        extensions.fragmentOffset(view, chain.fragmentAt) === 0);
    return first && chain.payload + QUOTED_PAYLOAD <= end ? chain.payload : -1;
  }
}

function errorKind(type: number, code: number): PathError['kind'] | undefined {
  switch (type) {
    case icmp.PACKET_TOO_BIG:
      return 'too-big';
    case icmp.TIME_EXCEEDED:
      return 'expired';
    case icmp.UNREACHABLE:
      return code === icmp.PORT_UNREACHABLE ? 'refused' : 'unreachable';
    case icmp.PARAMETER_PROBLEM:
      return code === extensions.UNKNOWN_NEXT_HEADER ? 'refused' : undefined;
    default:
      return undefined;
  }
}
