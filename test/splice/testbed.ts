// A splicer on a network that keeps what is sent, with a clock that only the test moves.
import { MILLISECOND, type Micros } from '../../src/env/clock.ts';
import { seededRandom } from '../../src/env/random.ts';
import { type Address, formatAddress } from '../../src/ip/address.ts';
import { NO_HOP } from '../../src/ip/neighbours.ts';
import { Frame } from '../../src/link/frame.ts';
import { IPV4_FORM, type RecordForm } from '../../src/splice/form.ts';
import type { SpliceRecord } from '../../src/splice/record.ts';
import { Splicer, type SplicerOptions } from '../../src/splice/splicer.ts';
import { SpliceTable } from '../../src/splice/table.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { frameOf, type Packet, RECORD, RECORD6 } from './packets.ts';

export interface Sent {
  readonly frame: Frame;
  readonly hop: number;
}

export class Testbed {
  now: Micros = 1_000 * MILLISECOND;
  readonly table: SpliceTable;
  readonly splicer: Splicer;
  readonly sent: Sent[] = [];
  readonly closed: number[] = [];
  /** The records that expired, as they were. */
  readonly expired: SpliceRecord[] = [];
  /** Next hops in the order they were given out; those below `stale` are so no more. */
  readonly resolved: string[] = [];
  stale = 0;
  hasRoute = true;

  constructor(options: Partial<SplicerOptions> & { maximum?: number; form?: RecordForm } = {}) {
    this.table = new SpliceTable({
      maximum: options.maximum ?? 100,
      form: options.form ?? IPV4_FORM,
      random: seededRandom(1),
    });
    this.splicer = new Splicer({
      table: this.table,
      network: {
        resolve: (address: Address) => {
          if (!this.hasRoute) return NO_HOP;
          return this.resolved.push(formatAddress(address)) - 1;
        },
        transmit: (frame, hop) => {
          if (hop < this.stale || hop >= this.resolved.length) return false;
          const copy = new Frame(4_096);
          copy.copyFrom(frame);
          this.sent.push({ frame: copy, hop });
          return true;
        },
      },
      onClose: (slot) => this.closed.push(slot),
      onExpire: (slot) => this.expired.push(this.table.get(slot)),
      ...options,
    });
  }

  insert(record: SpliceRecord = this.table.form === IPV4_FORM ? RECORD : RECORD6): number {
    return this.table.insert(record, this.now);
  }

  handle(packet: Packet): boolean {
    return this.splicer.handle(frameOf(packet), this.now);
  }

  /** Lets time pass, running the splicer whenever it asks for it; at most 10,000 times. */
  advance(millis: number): void {
    const end = this.now + millis * MILLISECOND;
    for (let turn = 0; turn < 10_000; turn++) {
      const next = this.splicer.nextAt;
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.splicer.run(this.now);
    }
    this.now = end;
    this.splicer.run(end);
  }

  /** The TCP header of what was sent last, or before. */
  header(index = -1): {
    from: number | string;
    seq: number;
    ack: number;
    flags: number;
    window: number;
  } {
    const sent = this.sent.at(index);
    if (sent === undefined) throw new Error('nothing was sent');
    const { view } = sent.frame;
    const isIpv6 = view.getUint8(NETWORK_AT) >> 4 === 6;
    const at =
      NETWORK_AT +
      (isIpv6 ? 40 : Math.max(20, ipv4.headerLength(view, NETWORK_AT, sent.frame.end)));
    return {
      from: isIpv6
        ? ipv6.readAddress(view, NETWORK_AT + ipv6.SOURCE_AT)
        : ipv4.source(view, NETWORK_AT),
      seq: tcp.seq(view, at),
      ack: tcp.ack(view, at),
      flags: tcp.flags(view, at),
      window: tcp.window(view, at),
    };
  }
}
