import { describe, expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { IPV4_FORM } from '../../src/splice/form.ts';
import { TO_BACKEND, TO_CLIENT } from '../../src/splice/record.ts';
import { TOO_BIG_CAPACITY, writeTooBig } from '../../src/splice/too-big.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { endsOf, FAMILIES, MidFlow } from './own.ts';

describe.each(FAMILIES)('a packet too big over $name', (family) => {
  const { record, form } = family;
  const isIpv4 = form === IPV4_FORM;
  const ipLength = isIpv4 ? 20 : 40;
  const messageAt = NETWORK_AT + ipLength;
  const quoteAt = messageAt + 8;
  const segmentAt = quoteAt + ipLength;
  const frame = new Frame(TOO_BIG_CAPACITY);
  const { view } = frame;

  /** Whether the checksums of what carries the quote hold, and its lengths say where it ends. */
  function isIntact(): boolean {
    if (isIpv4) {
      return (
        ipv4.isIntact(view, NETWORK_AT, ipLength) &&
        ipv4.totalLength(view, NETWORK_AT) === frame.end - NETWORK_AT &&
        ipv4.protocol(view, NETWORK_AT) === ipv4.PROTOCOL_ICMP &&
        icmp.isIntact(view, messageAt, frame.end)
      );
    }
    return (
      ipv6.payloadLength(view, NETWORK_AT) === frame.end - messageAt &&
      ipv6.nextHeader(view, NETWORK_AT) === ipv6.PROTOCOL_ICMPV6 &&
      icmpv6.isIntact(view, NETWORK_AT, messageAt, frame.end)
    );
  }

  /** Type, code and MTU. */
  const message = (): number[] =>
    isIpv4
      ? [icmp.type(view, messageAt), icmp.code(view, messageAt), icmp.nextHopMtu(view, messageAt)]
      : [icmpv6.type(view, messageAt), icmpv6.code(view, messageAt), icmpv6.mtu(view, messageAt)];
  const expected = (mtu: number): number[] => (isIpv4 ? [3, 4, mtu] : [2, 0, mtu]);

  const quotedLength = (): number =>
    isIpv4 ? ipv4.totalLength(view, quoteAt) : ipv6.payloadLength(view, quoteAt) + 40;

  /** The ends and the number of the segment that it quotes. */
  const quoted = (): object => ({
    ...endsOf(frame, quoteAt),
    fromPort: tcp.sourcePort(view, segmentAt),
    toPort: tcp.destinationPort(view, segmentAt),
    seq: tcp.seq(view, segmentAt),
  });

  test('to the client quotes its own segment, and comes from where it talks to', () => {
    const { bed, slot } = new MidFlow(family);
    writeTooBig(bed.table, slot, TO_BACKEND, 0xffff_fff0, 1_460, 1_459, frame);
    const { client, virtual } = record;
    expect(endsOf(frame, NETWORK_AT)).toEqual({ from: virtual.address, to: client.address });
    expect(message()).toEqual(expected(ipLength + 20 + 1_459));
    expect(quoted()).toEqual({
      from: client.address,
      to: virtual.address,
      fromPort: client.port,
      toPort: virtual.port,
      seq: 0xffff_fff0,
    });
    expect(quotedLength()).toBe(ipLength + 20 + 1_460);
    expect(isIntact()).toBe(true);
  });

  test('to the backend likewise', () => {
    const { bed, slot } = new MidFlow(family);
    writeTooBig(bed.table, slot, TO_CLIENT, 7, 536, 520, frame);
    const { source, backend } = record;
    expect(endsOf(frame, NETWORK_AT)).toEqual({ from: source.address, to: backend.address });
    expect(message()).toEqual(expected(ipLength + 20 + 520));
    expect(quoted()).toEqual({
      from: backend.address,
      to: source.address,
      fromPort: backend.port,
      toPort: source.port,
      seq: 7,
    });
    expect(quotedLength()).toBe(ipLength + 20 + 536);
    expect(isIntact()).toBe(true);
  });

  test('quotes a header that could have been on the wire', () => {
    const { bed, slot } = new MidFlow(family);
    // What was in the frame before must not show.
    frame.bytes.fill(0xff);
    writeTooBig(bed.table, slot, TO_BACKEND, 1, 1_000, 999, frame);
    expect(tcp.headerLength(view, segmentAt, frame.end)).toBe(20);
    expect(tcp.flags(view, segmentAt)).toBe(tcp.ACK);
    if (isIpv4) {
      expect(ipv4.isIntact(view, quoteAt, ipLength)).toBe(true);
      expect(ipv4.protocol(view, quoteAt)).toBe(ipv4.PROTOCOL_TCP);
      // It could not be cut: else it would have been (RFC 1191, section 4).
      expect(view.getUint16(quoteAt + 6)).toBe(0x4000);
    } else {
      expect(view.getUint32(quoteAt)).toBe(0x6000_0000);
      expect(ipv6.nextHeader(view, quoteAt)).toBe(ipv4.PROTOCOL_TCP);
    }
    expect(isIntact()).toBe(true);
  });

  test('fits into the frames made for it, and quotes enough to be believed', () => {
    const { bed, slot } = new MidFlow(family);
    writeTooBig(bed.table, slot, TO_BACKEND, 1, 1_460, 1_459, frame);
    expect(frame.end).toBe(segmentAt + 20);
    expect(frame.end).toBe(TOO_BIG_CAPACITY - (isIpv4 ? 40 : 0));
  });
});
