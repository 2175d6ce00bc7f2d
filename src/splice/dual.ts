// Both address families' splicers as one: which of them a frame is for, its header's type says.
import type { Micros } from '../env/clock.ts';
import { type Address, addressLength } from '../ip/address.ts';
import type { Frame } from '../link/frame.ts';
import { TYPE_IPV6 } from '../wire/ethernet.ts';
import { ETHERNET_AT } from '../wire/layout.ts';
import { IPV4_FORM, type RecordForm } from './form.ts';
import type { Splicer } from './splicer.ts';

const TYPE_AT = ETHERNET_AT + 12;

export class DualSplicer {
  readonly ipv4: Splicer;
  readonly ipv6: Splicer;

  constructor(ipv4: Splicer, ipv6: Splicer) {
    this.ipv4 = ipv4;
    this.ipv6 = ipv6;
  }

  /** The splicer of records of a form. */
  of(form: RecordForm): Splicer {
    return form === IPV4_FORM ? this.ipv4 : this.ipv6;
  }

  ofAddress(address: Address): Splicer {
    return addressLength(address) === 4 ? this.ipv4 : this.ipv6;
  }

  /** Takes a frame that holds IPv4 or IPv6; see `Splicer.handle`. */
  handle(frame: Frame, now: Micros): boolean {
    return frame.view.getUint16(TYPE_AT) === TYPE_IPV6
      ? this.ipv6.handle(frame, now)
      : this.ipv4.handle(frame, now);
  }

  /** At the end of every breath. */
  flush(now: Micros): void {
    this.ipv4.flush(now);
    this.ipv6.flush(now);
  }

  run(now: Micros): void {
    this.ipv4.run(now);
    this.ipv6.run(now);
  }

  /** See `Resumer.start`. */
  resume(home: number, now: Micros, wall: number): void {
    this.ipv4.resumer.start(home, now, wall);
    this.ipv6.resumer.start(home, now, wall);
  }

  /** When `run` has something to do. */
  get nextAt(): Micros {
    return Math.min(this.ipv4.nextAt, this.ipv6.nextAt);
  }
}
