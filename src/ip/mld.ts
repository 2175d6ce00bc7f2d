// Multicast listener discovery (RFC 3810), the host's part: without it a switch that snoops keeps neighbour
// solicitations from us. Nothing is kept but the groups that we are in.
import { type Clock, MILLISECOND, type Micros, NEVER, SECOND } from '../env/clock.ts';
import { below, type Random } from '../env/random.ts';
import { Timer, type Timers } from '../env/timers.ts';
import { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmpv6.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { HOP_BY_HOP } from '../wire/ipv6-extensions.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as mld from '../wire/mld.ts';
import * as virtio from '../wire/virtio.ts';
import { type Address, fromIpv6, isLinkLocal, toIpv6, writeIpv6 } from './address.ts';
import type { LocalAddresses } from './local-addresses.ts';
import { ALL_NODES, ALL_ROUTERS, macOfGroup, UNSPECIFIED_IPV6 } from './multicast.ts';
import type { Packet } from './packet.ts';

const ALERT_AT = NETWORK_AT + ipv6.IPV6_LENGTH;
const BODY_AT = ALERT_AT + mld.ALERT_LENGTH;
const ALL_MLDV2_ROUTERS = fromIpv6('\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x16');
/** Groups in one report, which fits the least MTU. */
const RECORDS = 60;
/** Unsolicited Report Interval, within which a report of a change is repeated once (section 9.11). */
const INTERVAL: Micros = SECOND;
/** No answer waits longer, whatever a query allows. */
const LONGEST: Micros = 10 * SECOND;

export interface MldOptions {
  link: Link;
  mac: ethernet.Mac;
  clock: Clock;
  timers: Timers;
  random: Random;
  local: LocalAddresses;
}

export class Mld {
  readonly counters = { queries: 0, reports: 0, malformed: 0 };
  readonly #options: MldOptions;
  readonly #frame = new Frame(BODY_AT + mld.REPORT_LENGTH + RECORDS * mld.RECORD_LENGTH);
  readonly #answer = new Timer(() =>
    this.#report([...this.#options.local.groups()], mld.IS_EXCLUDE),
  );
  readonly #repeat: Timer;
  /** Changes told once so far; true: joined. */
  readonly #changes = new Map<Address, boolean>();

  constructor(options: MldOptions) {
    this.#options = options;
    this.#repeat = new Timer(() => this.#repeatChanges());
  }

  /** Tells of a group that we joined or left, now and once more. */
  changed(group: Address, joined: boolean): void {
    if (group === ALL_NODES) return;
    this.#changes.set(group, joined);
    this.#report([group], joined ? mld.TO_EXCLUDE : mld.TO_INCLUDE);
    this.#schedule(this.#repeat, INTERVAL);
  }

  /** Takes a query whose checksum holds, and answers it after a while of our choice. */
  query({ frame, source, payload, end, timeToLive }: Packet): void {
    if (timeToLive !== mld.HOP_LIMIT || !isLinkLocal(source) || end - payload < mld.LEAST_QUERY) {
      this.counters.malformed++;
      return;
    }
    this.counters.queries++;
    const delay = mld.maximumDelay(frame.view, payload) * MILLISECOND;
    this.#schedule(this.#answer, Math.min(delay, LONGEST));
  }

  /** Sets a timer to some time within `longest`, unless it is due before. */
  #schedule(timer: Timer, longest: Micros): void {
    const { clock, timers, random } = this.#options;
    const at = clock.now() + below(random, longest + 1);
    if (timer.at === NEVER || at < timer.at) timers.set(timer, at);
  }

  #repeatChanges(): void {
    const joined: Address[] = [];
    const left: Address[] = [];
    for (const [group, here] of this.#changes) (here ? joined : left).push(group);
    this.#changes.clear();
    this.#report(joined, mld.TO_EXCLUDE);
    this.#report(left, mld.TO_INCLUDE);
  }

  #report(groups: readonly Address[], kind: number): void {
    const told = groups.filter((group) => group !== ALL_NODES);
    for (let first = 0; first < told.length; first += RECORDS) {
      this.#send(told.slice(first, first + RECORDS), kind);
    }
  }

  #send(groups: readonly Address[], kind: number): void {
    const { link, mac, local } = this.#options;
    const { view } = this.#frame;
    mld.writeReport(view, BODY_AT, groups.length);
    let end = BODY_AT + mld.REPORT_LENGTH;
    for (const group of groups) {
      mld.writeRecord(view, end, kind);
      writeIpv6(view, end + 4, group);
      end += mld.RECORD_LENGTH;
    }
    this.#frame.end = end;
    const own = local.sourceFor(ALL_ROUTERS);
    const from = own !== undefined && isLinkLocal(own) ? own : UNSPECIFIED_IPV6;
    virtio.clear(view, VIRTIO_AT);
    ethernet.write(view, ETHERNET_AT, macOfGroup(ALL_MLDV2_ROUTERS), mac, ethernet.TYPE_IPV6);
    ipv6.write(
      view,
      NETWORK_AT,
      end - ALERT_AT,
      HOP_BY_HOP,
      mld.HOP_LIMIT,
      toIpv6(from),
      toIpv6(ALL_MLDV2_ROUTERS),
    );
    mld.writeAlert(view, ALERT_AT, ipv6.PROTOCOL_ICMPV6);
    const pseudo = ipv6.pseudoHeaderSum(view, NETWORK_AT, ipv6.PROTOCOL_ICMPV6, end - BODY_AT);
    view.setUint16(BODY_AT + icmp.CHECKSUM_AT, complement(sumBytes(view, BODY_AT, end, pseudo)));
    this.counters.reports++;
    link.send(this.#frame);
  }
}
