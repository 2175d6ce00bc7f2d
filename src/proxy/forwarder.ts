// Any packet may come to any member: a router may spread the packets of one connection over all of them. What
// is spliced any member translates. What is not yet, or never will be, belongs to one member, the flow's home:
// the others pass its packets on by rewriting the destination MAC.
//
// A packet is passed on once: what comes from a member's MAC is taken, whatever this one thinks of it. So two
// members whose views differ for a moment cannot send a packet to and fro. Only what another member is about to
// splice is dropped then: its sender repeats it.
//
//   to a source address      the member that holds it now
//   a connection here        ours
//   SYN                      ours: whoever gets it answers, and the answer says who that was; of who leaves, the
//                            member's that has its addresses
//   a flow that is proposed  the member that proposes a record for it
//   a logged flow            the member that logged it, or who holds the addresses of that one
//   an ACK of a cookie       the member that issued it, likewise
//   a flow of the store      the member that may take its record back
//   anything else            ours
import type { Micros } from '../env/clock.ts';
import type { Host } from '../host/host.ts';
import { type Address, addressWords, type Endpoint, fromIpv4 } from '../ip/address.ts';
import { readIpv6 } from '../ip/intern.ts';
import type { Frame } from '../link/frame.ts';
import { JOINING } from '../replication/member.ts';
import type { Replicator } from '../replication/replicator.ts';
import { chosenFor, homeOf, ownerOf } from '../replication/takeover.ts';
import { MAX_FLOW_BYTES } from '../splice/form.ts';
import { writeFlow } from '../splice/record.ts';
import type { Cookies } from '../tcp/cookie.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { Chain, FRAGMENTED, REACHED, walk } from '../wire/ipv6-extensions.ts';
import { ETHERNET_AT, NETWORK_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';

export interface ForwarderMember {
  readonly mac: ethernet.Mac;
  readonly sources: readonly Address[];
}

export interface ForwarderOptions {
  readonly host: Host;
  /** The number of this member, and each member's MAC and source addresses by number. */
  readonly self: number;
  readonly members: readonly ForwarderMember[];
  /** Where clients reach services. */
  readonly services: readonly Address[];
  readonly cookies: Cookies;
  readonly replicator: () => Replicator | undefined;
  /** Told of every frame that came to another member than its home. */
  readonly onStray: (now: Micros) => void;
  /** The member that may take back the record of a flow, if one was found; bytes as a record begins. */
  readonly restorerOf?: (flow: Uint8Array) => number | undefined;
}

export interface ForwarderCounters {
  /** Frames passed on to another member. */
  passedOn: number;
  /** Frames that another member passed on to this one, but for those of flows that were spliced by then. */
  taken: number;
  /** Those of them that were dropped, since a third member is about to splice their flow. */
  untimely: number;
}

/** Instead of a member: a service's address, or one of nobody. */
const SERVICE = -1;
const NOWHERE = -2;
/** Bytes of a TCP header that an ICMP error quotes at least (RFC 792): ports and sequence number. */
const QUOTED = 8;
/** Bits of the keys by which members are chosen. */
const KEY_BITS = 24;

export class Forwarder {
  readonly counters: ForwarderCounters = { passedOn: 0, taken: 0, untimely: 0 };
  readonly #host: Host;
  readonly #self: number;
  readonly #macs: ethernet.Mac[] = [];
  readonly #cookies: Cookies;
  readonly #replicator: () => Replicator | undefined;
  readonly #onStray: (now: Micros) => void;
  readonly #restorerOf: ForwarderOptions['restorerOf'];
  /** Whose source address it is, or `SERVICE`. */
  readonly #addresses = new Map<Address, number>();
  readonly #chain = new Chain();
  readonly #flow = new Uint8Array(MAX_FLOW_BYTES);
  readonly #flowView = new DataView(this.#flow.buffer);
  // The ends of the packet that is being looked at.
  readonly #client = { address: fromIpv4(0), port: 0 };
  readonly #virtual = { address: fromIpv4(0), port: 0 };
  readonly #identity = {
    local: fromIpv4(0),
    localPort: 0,
    remote: fromIpv4(0),
    remotePort: 0,
  };

  constructor(options: ForwarderOptions) {
    const { host, self, members, services, cookies, replicator, restorerOf } = options;
    this.#onStray = options.onStray;
    this.#host = host;
    this.#self = self;
    this.#cookies = cookies;
    this.#replicator = replicator;
    this.#restorerOf = restorerOf;
    for (const member of members) this.add(member);
    for (const address of services) this.#addresses.set(address, SERVICE);
  }

  /** Another member, with the next number. */
  add({ mac, sources }: ForwarderMember): void {
    const id = this.#macs.push(mac) - 1;
    for (const source of sources) this.#addresses.set(source, id);
  }

  /**
   * Takes a frame to us that holds an IP packet of no splice. True: it was passed on. One that is damaged is
   * ours: whoever takes it counts it.
   */
  handle(frame: Frame, now: Micros): boolean {
    const replicator = this.#replicator();
    // Who joins knows neither who lives nor which flows are whose.
    if (replicator === undefined || replicator.state === JOINING) return false;
    const { view } = frame;
    const isIpv6 = ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV6;
    if (frame.end < NETWORK_AT + (isIpv6 ? ipv6.IPV6_LENGTH : ipv4.IPV4_LENGTH)) return false;
    const destination = isIpv6
      ? readIpv6(view, NETWORK_AT + ipv6.DESTINATION_AT)
      : fromIpv4(ipv4.destination(view, NETWORK_AT));
    const owner = this.#addresses.get(destination) ?? NOWHERE;
    if (owner === NOWHERE) return false;
    if (this.#isFromMember(ethernet.source(view, ETHERNET_AT))) {
      this.counters.taken++;
      this.#onStray(now);
      if (owner !== SERVICE || replicator.undecided === 0) return false;
      this.#homeOf(frame, isIpv6, destination, replicator);
      const proposer = replicator.proposerOf(this.#flowBytes());
      if (proposer === undefined || proposer === this.#self) return false;
      this.counters.untimely++;
      return true;
    }
    const home =
      owner === SERVICE
        ? this.#homeOf(frame, isIpv6, destination, replicator)
        : (homeOf(owner, replicator.currentView) ?? this.#self);
    if (home === this.#self) return false;
    const mac = this.#host.ip.mac;
    // Who answered to a group's address is one of many who did.
    if (ethernet.destination(view, ETHERNET_AT) !== mac) return false;
    ethernet.writeMac(view, ETHERNET_AT, this.#macs[home]);
    ethernet.writeMac(view, ETHERNET_AT + 6, mac);
    this.#host.link.send(frame);
    this.counters.passedOn++;
    this.#onStray(now);
    return true;
  }

  #isFromMember(mac: ethernet.Mac): boolean {
    const macs = this.#macs;
    for (let id = 0; id < macs.length; id++) if (macs[id] === mac) return true;
    return false;
  }

  /** The home of a packet to a service's address. */
  #homeOf(frame: Frame, isIpv6: boolean, virtual: Address, replicator: Replicator): number {
    const { view } = frame;
    let at: number;
    let protocol: number;
    let end: number;
    let isFragment: boolean;
    if (isIpv6) {
      if (!ipv6.isValid(view, NETWORK_AT, frame.end)) return this.#self;
      end = NETWORK_AT + ipv6.IPV6_LENGTH + ipv6.payloadLength(view, NETWORK_AT);
      const outcome = walk(view, NETWORK_AT, end, this.#chain);
      isFragment = outcome === FRAGMENTED;
      if (outcome !== REACHED && !isFragment) return this.#self;
      at = this.#chain.payload;
      protocol = this.#chain.protocol;
    } else {
      const length = ipv4.headerLength(view, NETWORK_AT, frame.end);
      if (length < 0) return this.#self;
      end = NETWORK_AT + ipv4.totalLength(view, NETWORK_AT);
      isFragment = ipv4.isFragment(view, NETWORK_AT);
      at = NETWORK_AT + length;
      protocol = ipv4.protocol(view, NETWORK_AT);
    }
    const { active } = replicator.currentView;
    const source = isIpv6
      ? readIpv6(view, NETWORK_AT + ipv6.SOURCE_AT)
      : fromIpv4(ipv4.source(view, NETWORK_AT));
    // Only the first fragment says more than the addresses, and all of them must meet.
    if (isFragment) return chosenFor(keyOf(source, virtual), active) ?? this.#self;
    this.#client.address = source;
    this.#virtual.address = virtual;
    if (protocol === ipv4.PROTOCOL_TCP && at + tcp.TCP_LENGTH <= end) {
      return this.#homeOfSegment(view, at, replicator);
    }
    const quoted = isIpv6 ? quotedIn6(view, at, end, protocol) : quotedIn4(view, at, end, protocol);
    if (quoted < 0) return this.#self;
    // What is quoted went from the service to the client, who need not be who complains.
    const packet = quoted - (isIpv6 ? ipv6.IPV6_LENGTH : ipv4.IPV4_LENGTH);
    this.#client.address = isIpv6
      ? readIpv6(view, packet + ipv6.DESTINATION_AT)
      : fromIpv4(ipv4.destination(view, packet));
    this.#client.port = tcp.destinationPort(view, quoted);
    this.#virtual.port = tcp.sourcePort(view, quoted);
    return this.#pinnedTo(replicator) ?? this.#self;
  }

  #homeOfSegment(view: DataView, at: number, replicator: Replicator): number {
    const [client, virtual] = [this.#client, this.#virtual];
    client.port = tcp.sourcePort(view, at);
    virtual.port = tcp.destinationPort(view, at);
    if (this.#host.tcp.has(virtual.address, virtual.port, client.address, client.port)) {
      return this.#self;
    }
    const pinned = this.#pinnedTo(replicator);
    if (pinned !== undefined) return pinned;
    const flags = tcp.flags(view, at);
    if ((flags & tcp.ACK) === 0 || (flags & tcp.SYN) !== 0) {
      // Who leaves answers no more.
      return ownerOf(this.#self, replicator.currentView.active) ?? this.#self;
    }
    const issuer = this.#issuerOf(client, virtual, tcp.seq(view, at), tcp.ack(view, at));
    const home = issuer < 0 ? this.#restorerOf?.(this.#flowBytes()) : issuer;
    if (home === undefined) return this.#self;
    return homeOf(home, replicator.currentView) ?? this.#self;
  }

  /** True if a segment from a client brings another member's cookie, with the numbers that it came with. */
  isAnothers(client: Endpoint, virtual: Endpoint, seq: number, ack: number): boolean {
    const replicator = this.#replicator();
    if (replicator === undefined) return false;
    const issuer = this.#issuerOf(client, virtual, seq, ack);
    return issuer >= 0 && (homeOf(issuer, replicator.currentView) ?? this.#self) !== this.#self;
  }

  /** The member whose cookie a segment brings, or -1. */
  #issuerOf(client: Endpoint, virtual: Endpoint, seq: number, ack: number): number {
    const identity = this.#identity;
    identity.local = virtual.address;
    identity.localPort = virtual.port;
    identity.remote = client.address;
    identity.remotePort = client.port;
    const [irs, iss] = [(seq - 1) >>> 0, (ack - 1) >>> 0];
    return this.#cookies.issuerOf(identity, irs, iss, this.#host.clock.wall());
  }

  /** Who splices a flow, or goes on with one that a member has logged. */
  #pinnedTo(replicator: Replicator): number | undefined {
    const { heads, undecided, currentView } = replicator;
    if (heads.size === 0 && undecided === 0) return undefined;
    const flow = this.#flowBytes();
    const proposer = replicator.proposerOf(flow);
    if (proposer !== undefined) return homeOf(proposer, currentView);
    const head = heads.get(flow);
    const owner = head === undefined ? undefined : replicator.adopterOf(head);
    return owner === undefined ? undefined : homeOf(owner, currentView);
  }

  #flowBytes(): Uint8Array {
    return this.#flow.subarray(0, writeFlow(this.#flowView, 0, this.#client, this.#virtual));
  }
}

/** Where the TCP header starts that an ICMP error in `[at, end)` quotes, right behind its IP header; or -1. */
function quotedIn4(view: DataView, at: number, end: number, protocol: number): number {
  const quote = at + icmp.ICMP_LENGTH;
  if (protocol !== ipv4.PROTOCOL_ICMP || quote + ipv4.IPV4_LENGTH + QUOTED > end) return -1;
  if (!icmp.isError(icmp.type(view, at)) || view.getUint8(quote) !== 0x45) return -1;
  return ipv4.protocol(view, quote) === ipv4.PROTOCOL_TCP ? quote + ipv4.IPV4_LENGTH : -1;
}

function quotedIn6(view: DataView, at: number, end: number, protocol: number): number {
  const quote = at + icmpv6.ICMPV6_LENGTH;
  if (protocol !== ipv6.PROTOCOL_ICMPV6 || quote + ipv6.IPV6_LENGTH + QUOTED > end) return -1;
  if (!icmpv6.isError(icmpv6.type(view, at)) || view.getUint8(quote) >> 4 !== 6) return -1;
  return ipv6.nextHeader(view, quote) === ipv4.PROTOCOL_TCP ? quote + ipv6.IPV6_LENGTH : -1;
}

const words = new Uint32Array(8);

/** A key for `chosenFor` that two addresses make. */
function keyOf(source: Address, destination: Address): number {
  const count = addressWords(destination, words, addressWords(source, words, 0));
  let mixed = 0;
  for (let word = 0; word < count; word++) {
    mixed = Math.imul(mixed ^ words[word], 0x9e37_79b1);
    mixed ^= mixed >>> 15;
  }
  return mixed >>> (32 - KEY_BITS);
}
