// Both address families, and packets of our own as who gets them reads them.
import { type Address, fromIpv4, fromIpv6 } from '../../src/ip/address.ts';
import type { Frame } from '../../src/link/frame.ts';
import { IPV4_FORM, IPV6_FORM, type RecordForm } from '../../src/splice/form.ts';
import type { SpliceRecord } from '../../src/splice/record.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { Options, readOptions } from '../../src/wire/tcp-options.ts';
import {
  ANSWER,
  ANSWER6,
  isIntact,
  PACKET,
  PACKET6,
  type Packet,
  RECORD,
  RECORD6,
} from './packets.ts';
import { Testbed } from './testbed.ts';

export interface FamilyCase {
  readonly name: string;
  readonly form: RecordForm;
  readonly record: SpliceRecord;
  /** What the client sends, and what the backend does. */
  readonly packet: Packet;
  readonly answer: Packet;
}

export const FAMILIES: readonly FamilyCase[] = [
  { name: 'IPv4', form: IPV4_FORM, record: RECORD, packet: PACKET, answer: ANSWER },
  { name: 'IPv6', form: IPV6_FORM, record: RECORD6, packet: PACKET6, answer: ANSWER6 },
];

/** Both ends of a packet whose IP header is at `at`. */
export function endsOf({ view }: Frame, at: number): { from: Address; to: Address } {
  return view.getUint8(at) >> 4 === 6
    ? {
        from: fromIpv6(ipv6.readAddress(view, at + ipv6.SOURCE_AT)),
        to: fromIpv6(ipv6.readAddress(view, at + ipv6.DESTINATION_AT)),
      }
    : { from: fromIpv4(ipv4.source(view, at)), to: fromIpv4(ipv4.destination(view, at)) };
}

/** A segment in a frame. */
export interface Read {
  readonly from: Address;
  readonly fromPort: number;
  readonly to: Address;
  readonly toPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly options: Options;
  /** Bytes of its data. */
  readonly length: number;
  /** Whether all checksums hold. */
  readonly intact: boolean;
}

/** Reads a segment whose IP header has no options. */
export function read(frame: Frame): Read {
  const { view, end } = frame;
  const at = NETWORK_AT + (view.getUint8(NETWORK_AT) >> 4 === 6 ? 40 : 20);
  const data = at + tcp.headerLength(view, at, end);
  const options = new Options();
  readOptions(view, at + tcp.TCP_LENGTH, data, options);
  return {
    ...endsOf(frame, NETWORK_AT),
    fromPort: tcp.sourcePort(view, at),
    toPort: tcp.destinationPort(view, at),
    seq: tcp.seq(view, at),
    ack: tcp.ack(view, at),
    flags: tcp.flags(view, at),
    window: tcp.window(view, at),
    options,
    length: end - data,
    intact: isIntact(frame),
  };
}

/** A flow in the middle of its life, with numbers about to wrap on both sides. */
export class MidFlow {
  readonly bed: Testbed;
  readonly slot: number;
  readonly #family: FamilyCase;
  readonly #record: SpliceRecord;

  constructor(family: FamilyCase, changes: Partial<SpliceRecord> = {}) {
    this.#family = family;
    const none = { timestampShiftToBackend: 0, timestampShiftToClient: 0 };
    const isPlain = changes.timestamps === false;
    this.#record = { ...family.record, ...changes, ...(isPlain ? none : {}) };
    this.bed = new Testbed({ form: family.form });
    this.slot = this.bed.insert(this.#record);
    if (this.slot < 0) throw new Error('the record is not taken');
  }

  /** The client has sent all before `next`, and what the backend said before `acked` has arrived. */
  client(next: number, acked: number, timestamp = 0): this {
    const { seqShiftToClient } = this.#record;
    this.#pass(this.#family.packet, next, (acked + seqShiftToClient) >>> 0, timestamp);
    return this;
  }

  /** Likewise the backend; both numbers as who counts in them says them. */
  backend(next: number, acked: number, timestamp = 0): this {
    const { seqShiftToBackend } = this.#record;
    this.#pass(this.#family.answer, next, (acked + seqShiftToBackend) >>> 0, timestamp);
    return this;
  }

  #pass(template: Packet, next: number, ack: number, value: number): void {
    const timestamps = { kind: 'timestamps', value, echo: 0 } as const;
    const options = this.#record.timestamps ? [timestamps] : [];
    const passed = this.bed.handle({ ...template, seq: next >>> 0, ack, options });
    if (!passed) throw new Error('it is not spliced');
  }
}
