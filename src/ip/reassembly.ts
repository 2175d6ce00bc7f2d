// Fragments become datagrams again (RFC 791, RFC 815, RFC 8200 section 4.5), with limits on bytes, count and
// time. Fragments that overlap spoil their datagram (RFC 5722), in both families.
import { type Micros, SECOND } from '../env/clock.ts';
import { Timer, type Timers } from '../env/timers.ts';
import { Frame } from '../link/frame.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as virtio from '../wire/virtio.ts';
import type { Address } from './address.ts';
import { CONFLICT, FragmentSet, REPEATED } from './datagram.ts';

/** Bytes kept for all datagrams together. */
const BYTES = 4 * 1_024 * 1_024;
/** What a fragment costs beside its bytes. */
const OVERHEAD = 256;
const DATAGRAMS = 1_024;
/** Datagrams of one source. */
const PER_SOURCE = 64;
/** As Linux (ipfrag_time, ip6frag_time; RFC 8200, section 4.5). */
const TIME_IPV4: Micros = 30 * SECOND;
const TIME_IPV6: Micros = 60 * SECOND;
const LONGEST = 65_535;
const ECN_BITS = 0x03;
const CONGESTION_EXPERIENCED = 0x03;

/** A fragment as its family read it; one instance serves all, one at a time. */
export class Fragment {
  source = 0 as Address;
  destination = 0 as Address;
  identification = 0;
  protocol = 0;
  /** Where its part of the payload lies in the frame, and in the datagram's payload. */
  at = 0;
  end = 0;
  offset = 0;
  more = false;
  /** Where the headers end that belong to the whole datagram; IPv6: the fragment header stands there. */
  headersEnd = 0;
  /** IPv6: the Next Header field that names the fragment header. */
  nextHeaderAt = 0;
  /** DSCP and ECN. */
  trafficClass = 0;
}

interface Datagram {
  readonly key: string;
  readonly source: Address;
  readonly set: FragmentSet;
  readonly timer: Timer;
  /** The frame of the first fragment, once it came. */
  first: Frame | undefined;
  headersEnd: number;
  nextHeaderAt: number;
  protocol: number;
  /** One bit for each value of ECN that was seen. */
  ecn: number;
  cost: number;
  /** True if it is only kept to swallow what is still to come of it. */
  spoilt: boolean;
}

export interface ReassemblyOptions {
  timers: Timers;
  /** Told of the first fragment of a datagram whose rest did not come in time. */
  expired: (first: Frame, now: Micros) => void;
}

export class Reassembler {
  readonly counters = {
    fragments: 0,
    whole: 0,
    repeated: 0,
    /** Datagrams with fragments that overlap or contradict each other. */
    overlaps: 0,
    expired: 0,
    /** Datagrams given up for want of room. */
    evicted: 0,
    malformed: 0,
  };
  readonly #options: ReassemblyOptions;
  readonly #datagrams = new Map<string, Datagram>();
  readonly #sources = new Map<Address, number>();
  #bytes = 0;
  #whole: Frame | undefined;

  constructor(options: ReassemblyOptions) {
    this.#options = options;
  }

  /** Bytes and datagrams that are kept at present. */
  get held(): { bytes: number; datagrams: number } {
    return { bytes: this.#bytes, datagrams: this.#datagrams.size };
  }

  /**
   * Takes a fragment.
   * @returns the frame of the whole packet, good until the next call, once its last fragment is there
   */
  add(frame: Frame, fragment: Fragment, now: Micros): Frame | undefined {
    this.counters.fragments++;
    const length = fragment.end - fragment.at;
    const headers = fragment.headersEnd - NETWORK_AT;
    if (length <= 0 || headers + fragment.offset + length > LONGEST) {
      this.counters.malformed++;
      return undefined;
    }
    const datagram = this.#find(fragment) ?? this.#open(fragment, now);
    if (datagram.spoilt) return undefined;
    const part = frame.bytes.subarray(fragment.at, fragment.end);
    const outcome = datagram.set.add(fragment.offset, part, fragment.more);
    if (outcome === REPEATED) {
      this.counters.repeated++;
      return undefined;
    }
    if (outcome === CONFLICT) {
      this.counters.overlaps++;
      this.#spoil(datagram);
      return undefined;
    }
    datagram.ecn |= 1 << (fragment.trafficClass & ECN_BITS);
    if (fragment.offset === 0) this.#keepFirst(datagram, frame, fragment);
    this.#charge(datagram, length + OVERHEAD);
    if (!datagram.set.isComplete) {
      this.#makeRoom(datagram);
      return undefined;
    }
    this.#close(datagram);
    return this.#assemble(datagram);
  }

  #find({ source, destination, identification, protocol }: Fragment): Datagram | undefined {
    return this.#datagrams.get(keyOf(source, destination, identification, protocol));
  }

  #open(fragment: Fragment, now: Micros): Datagram {
    const { source, destination, identification, protocol } = fragment;
    const key = keyOf(source, destination, identification, protocol);
    if ((this.#sources.get(source) ?? 0) >= PER_SOURCE) {
      for (const each of this.#datagrams.values()) {
        if (each.source !== source) continue;
        this.#evict(each);
        break;
      }
    }
    const datagram: Datagram = {
      key,
      source,
      set: new FragmentSet(),
      timer: new Timer((due) => this.#expire(datagram, due)),
      first: undefined,
      headersEnd: 0,
      nextHeaderAt: 0,
      protocol: 0,
      ecn: 0,
      cost: 0,
      spoilt: false,
    };
    this.#datagrams.set(key, datagram);
    this.#sources.set(source, (this.#sources.get(source) ?? 0) + 1);
    this.#charge(datagram, OVERHEAD);
    const time = typeof source === 'number' ? TIME_IPV4 : TIME_IPV6;
    this.#options.timers.set(datagram.timer, now + time);
    return datagram;
  }

  #keepFirst(datagram: Datagram, frame: Frame, fragment: Fragment): void {
    const first = new Frame(fragment.end);
    first.bytes.set(frame.bytes.subarray(0, fragment.end));
    first.end = fragment.end;
    datagram.first = first;
    datagram.headersEnd = fragment.headersEnd;
    datagram.nextHeaderAt = fragment.nextHeaderAt;
    datagram.protocol = fragment.protocol;
    this.#charge(datagram, fragment.end);
  }

  #charge(datagram: Datagram, bytes: number): void {
    datagram.cost += bytes;
    this.#bytes += bytes;
  }

  /** Gives up the oldest datagrams, but not `kept`. */
  #makeRoom(kept: Datagram): void {
    while (this.#bytes > BYTES || this.#datagrams.size > DATAGRAMS) {
      let oldest: Datagram | undefined;
      for (const each of this.#datagrams.values()) {
        if (each === kept) continue;
        oldest = each;
        break;
      }
      if (oldest === undefined) return;
      this.#evict(oldest);
    }
  }

  #evict(datagram: Datagram): void {
    this.counters.evicted++;
    this.#close(datagram);
  }

  /** Forgets the fragments, and remembers until the time is over that nothing can come of them. */
  #spoil(datagram: Datagram): void {
    datagram.spoilt = true;
    datagram.first = undefined;
    this.#bytes -= datagram.cost - OVERHEAD;
    datagram.cost = OVERHEAD;
    datagram.set.clear();
  }

  #close(datagram: Datagram): void {
    this.#options.timers.remove(datagram.timer);
    this.#datagrams.delete(datagram.key);
    this.#bytes -= datagram.cost;
    const left = (this.#sources.get(datagram.source) ?? 1) - 1;
    if (left > 0) this.#sources.set(datagram.source, left);
    else this.#sources.delete(datagram.source);
  }

  #expire(datagram: Datagram, now: Micros): void {
    this.#close(datagram);
    if (datagram.spoilt) return;
    this.counters.expired++;
    if (datagram.first !== undefined) this.#options.expired(datagram.first, now);
  }

  /** The headers of the first fragment and the payload of all. */
  #assemble({ first, set, headersEnd, nextHeaderAt, protocol, ecn }: Datagram): Frame | undefined {
    // RFC 3168, section 5.3: one part says that ECN is not spoken, another that there was congestion.
    const congested = (ecn & (1 << CONGESTION_EXPERIENCED)) !== 0;
    if (first === undefined || (congested && (ecn & 1) !== 0)) {
      this.counters.malformed++;
      return undefined;
    }
    if (headersEnd - NETWORK_AT + set.bytes > LONGEST) {
      this.counters.malformed++;
      return undefined;
    }
    this.#whole ??= new Frame();
    const whole = this.#whole;
    const { view, bytes } = whole;
    bytes.set(first.bytes.subarray(0, headersEnd));
    whole.end = set.copyTo(bytes, headersEnd);
    virtio.clear(view, VIRTIO_AT);
    if (view.getUint8(NETWORK_AT) >> 4 === 4) {
      if (congested) view.setUint8(NETWORK_AT + 1, view.getUint8(NETWORK_AT + 1) | ECN_BITS);
      view.setUint16(NETWORK_AT + 2, whole.end - NETWORK_AT);
      view.setUint16(NETWORK_AT + 6, 0);
      view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, 0);
      const sum = sumBytes(view, NETWORK_AT, headersEnd);
      view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, complement(sum));
    } else {
      if (congested) view.setUint8(NETWORK_AT + 1, view.getUint8(NETWORK_AT + 1) | (ECN_BITS << 4));
      view.setUint8(nextHeaderAt, protocol);
      view.setUint16(
        NETWORK_AT + ipv6.PAYLOAD_LENGTH_AT,
        whole.end - NETWORK_AT - ipv6.IPV6_LENGTH,
      );
    }
    this.counters.whole++;
    return whole;
  }
}

/** RFC 791, section 3.2 counts the protocol in; RFC 8200, section 4.5 does not. */
const keyOf = (
  source: Address,
  destination: Address,
  identification: number,
  protocol: number,
): string =>
  typeof source === 'number'
    ? `${source}>${destination}/${identification}/${protocol}`
    : `${source}>${destination}/${identification}`;
