import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as arp from '../../src/wire/arp.ts';
import { complement, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, FRAME_CAPACITY, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as udp from '../../src/wire/udp.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { anyPart, likely, viewOf } from './views.ts';

const mac = fc.integer({ min: 0, max: 0xffff_ffff_ffff });
const uint8 = fc.integer({ min: 0, max: 255 });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const offset = fc.nat(9);

test('headers lie on words, and the largest packet fits', () => {
  expect([VIRTIO_AT, ETHERNET_AT, NETWORK_AT]).toEqual([0, 10, 24]);
  expect(NETWORK_AT % 4).toBe(0);
  expect(FRAME_CAPACITY).toBeGreaterThanOrEqual(NETWORK_AT + 65_535);
});

describe('Ethernet', () => {
  test('a header comes back as it was written', () => {
    fc.assert(
      fc.property(mac, mac, uint16, offset, (to, from, type, at) => {
        const view = viewOf(at + ethernet.ETHERNET_LENGTH);
        ethernet.write(view, at, to, from, type);
        expect(ethernet.destination(view, at)).toBe(to);
        expect(ethernet.source(view, at)).toBe(from);
        expect(ethernet.type(view, at)).toBe(type);
      }),
    );
  });

  test('a MAC lies as it is spoken', () => {
    const view = viewOf(6);
    ethernet.writeMac(view, 0, 0x0123_4567_89ab);
    expect([...new Uint8Array(view.buffer)]).toEqual([0x01, 0x23, 0x45, 0x67, 0x89, 0xab]);
  });

  test('text and back', () => {
    fc.assert(
      fc.property(mac, (value) => {
        expect(ethernet.parseMac(ethernet.formatMac(value))).toBe(value);
      }),
    );
    expect(ethernet.formatMac(0x0200_0000_00ff)).toBe('02:00:00:00:00:ff');
    for (const text of [
      '',
      '02:00:00:00:00',
      '02:00:00:00:00:0g',
      '02-00-00-00-00-00',
      ' 02:00:00:00:00:00',
    ]) {
      expect(ethernet.parseMac(text)).toBeUndefined();
    }
  });

  test('groups', () => {
    expect(ethernet.isGroup(ethernet.BROADCAST)).toBe(true);
    expect(ethernet.isGroup(0x0100_5e00_0001)).toBe(true);
    expect(ethernet.isGroup(0x0200_0000_0001)).toBe(false);
  });
});

describe('ARP', () => {
  const kind = fc.constantFrom(arp.REQUEST, arp.REPLY);

  test('a packet comes back as it was written', () => {
    fc.assert(
      fc.property(
        kind,
        mac,
        uint32,
        mac,
        uint32,
        offset,
        (operation, from, sender, to, target, at) => {
          const view = viewOf(at + arp.ARP_LENGTH);
          arp.write(view, at, operation, from, sender, to, target);
          expect(arp.isValid(view, at, at + arp.ARP_LENGTH)).toBe(true);
          expect(arp.isValid(view, at, at + arp.ARP_LENGTH - 1)).toBe(false);
          expect(arp.operation(view, at)).toBe(operation);
          expect(arp.senderMac(view, at)).toBe(from);
          expect(arp.senderAddress(view, at)).toBe(sender);
          expect(arp.targetMac(view, at)).toBe(to);
          expect(arp.targetAddress(view, at)).toBe(target);
        },
      ),
    );
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7])('byte %i must be what it is', (at) => {
    const view = viewOf(arp.ARP_LENGTH);
    arp.write(view, 0, arp.REPLY, 1, 2, 3, 4);
    view.setUint8(at, view.getUint8(at) ^ 0x40);
    expect(arp.isValid(view, 0, arp.ARP_LENGTH)).toBe(false);
  });

  test('total', () => {
    fc.assert(
      fc.property(anyPart(40), ({ view, at, end }) => {
        expect(arp.isValid(view, at, end)).toBeTypeOf('boolean');
      }),
    );
  });
});

describe('IPv4', () => {
  test('a header comes back as it was written, its checksum right', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 100 }),
        uint16,
        uint16,
        fc.tuple(uint8, uint8, uint8),
        uint32,
        uint32,
        offset,
        (length, id, fragment, [ttl, protocol, traffic], from, to, at) => {
          const view = viewOf(at + length);
          ipv4.write(view, at, length, id, fragment, ttl, protocol, from, to, traffic);
          const header = ipv4.headerLength(view, at, at + length);
          expect(header).toBe(20);
          expect(ipv4.isIntact(view, at, header)).toBe(true);
          expect(ipv4.totalLength(view, at)).toBe(length);
          expect(ipv4.identification(view, at)).toBe(id);
          expect(ipv4.fragment(view, at)).toBe(fragment);
          expect(ipv4.fragmentOffset(view, at)).toBe((fragment & 0x1fff) * 8);
          expect(ipv4.isFragment(view, at)).toBe((fragment & 0x3fff) !== 0);
          expect(ipv4.timeToLive(view, at)).toBe(ttl);
          expect(ipv4.protocol(view, at)).toBe(protocol);
          expect(ipv4.trafficClass(view, at)).toBe(traffic);
          expect(ipv4.source(view, at)).toBe(from);
          expect(ipv4.destination(view, at)).toBe(to);
        },
      ),
    );
  });

  test('one changed bit of a header is found', () => {
    fc.assert(
      fc.property(fc.nat(159), uint32, uint32, (bit, from, to) => {
        const view = viewOf(20);
        ipv4.write(view, 0, 20, 1, 0, 64, 6, from, to);
        view.setUint8(bit >> 3, view.getUint8(bit >> 3) ^ (1 << (bit & 7)));
        expect(ipv4.isIntact(view, 0, 20)).toBe(false);
      }),
    );
  });

  test.each([
    { what: 'another version', at: 0, value: 0x65 },
    { what: 'a header below 20 bytes', at: 0, value: 0x44 },
    { what: 'a header longer than the packet', at: 0, value: 0x4f },
    { what: 'a packet longer than the frame', at: 3, value: 31 },
    { what: 'a packet shorter than its header', at: 3, value: 19 },
  ])('$what has no header length', ({ at, value }) => {
    const view = viewOf(30);
    ipv4.write(view, 0, 30, 1, 0, 64, 6, 1, 2);
    expect(ipv4.headerLength(view, 0, 30)).toBe(20);
    view.setUint8(at, value);
    expect(ipv4.headerLength(view, 0, 30)).toBe(-1);
  });

  test('the pseudo-header sums as its bytes do', () => {
    fc.assert(
      fc.property(uint32, uint32, uint8, uint16, (from, to, protocol, length) => {
        const view = viewOf(12);
        view.setUint32(0, from);
        view.setUint32(4, to);
        view.setUint16(8, protocol);
        view.setUint16(10, length);
        expect(ipv4.pseudoHeaderSum(from, to, protocol, length)).toBe(sumBytes(view, 0, 12));
      }),
    );
  });

  test('text and back', () => {
    fc.assert(
      fc.property(uint32, (value) => {
        expect(ipv4.parseAddress(ipv4.formatAddress(value))).toBe(value);
      }),
    );
    expect(ipv4.formatAddress(0xc0a8_00ff)).toBe('192.168.0.255');
    for (const text of [
      '',
      '1.2.3',
      '1.2.3.4.5',
      '1.2.3.256',
      '01.2.3.4',
      '1.2.3.',
      ' 1.2.3.4',
      '1.2.3.4x',
    ]) {
      expect(ipv4.parseAddress(text)).toBeUndefined();
    }
  });

  test('total, and what it says lies within the frame', () => {
    const header = [0x45, 0, 0, 24, 0, 0, 0, 0, 64, 6, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    fc.assert(
      fc.property(fc.oneof(anyPart(80), likely(header, 30)), ({ view, at, end }) => {
        const length = ipv4.headerLength(view, at, end);
        if (length < 0) return;
        expect(length).toBeGreaterThanOrEqual(20);
        expect(ipv4.totalLength(view, at)).toBeGreaterThanOrEqual(length);
        expect(at + ipv4.totalLength(view, at)).toBeLessThanOrEqual(end);
        expect(ipv4.isIntact(view, at, length)).toBeTypeOf('boolean');
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('ICMP', () => {
  test('a message comes back as it was written, its checksum right', () => {
    fc.assert(
      fc.property(
        uint8,
        uint8,
        uint32,
        fc.uint8Array({ maxLength: 50 }),
        offset,
        (kind, code, rest, body, at) => {
          const end = at + icmp.ICMP_LENGTH + body.length;
          const view = viewOf(end);
          new Uint8Array(view.buffer).set(body, at + icmp.ICMP_LENGTH);
          icmp.write(view, at, end, kind, code, rest);
          expect(icmp.isIntact(view, at, end)).toBe(true);
          expect(icmp.type(view, at)).toBe(kind);
          expect(icmp.code(view, at)).toBe(code);
          expect(icmp.nextHopMtu(view, at)).toBe(rest & 0xffff);
          view.setUint8(end - 1, view.getUint8(end - 1) ^ 1);
          expect(icmp.isIntact(view, at, end)).toBe(false);
        },
      ),
    );
  });

  test('errors are told from what may be answered', () => {
    const errors = Array.from({ length: 256 }, (_, kind) => kind).filter(icmp.isError);
    expect(errors).toEqual([3, 4, 5, 11, 12]);
  });

  test('total', () => {
    fc.assert(
      fc.property(anyPart(40), ({ view, at, end }) => {
        expect(icmp.isIntact(view, at, end)).toBeTypeOf('boolean');
      }),
    );
  });
});

describe('UDP', () => {
  test('a header comes back as it was written', () => {
    fc.assert(
      fc.property(
        uint16,
        uint16,
        fc.integer({ min: 8, max: 60 }),
        offset,
        (from, to, length, at) => {
          const view = viewOf(at + length);
          udp.write(view, at, from, to, length);
          expect(udp.isValid(view, at, at + length)).toBe(true);
          expect(udp.isValid(view, at, at + length - 1)).toBe(false);
          expect(udp.sourcePort(view, at)).toBe(from);
          expect(udp.destinationPort(view, at)).toBe(to);
          expect(udp.length(view, at)).toBe(length);
          expect(udp.checksum(view, at)).toBe(0);
        },
      ),
    );
  });

  test('total, and a valid length lies within the packet', () => {
    fc.assert(
      fc.property(
        fc.oneof(anyPart(30), likely([0, 1, 0, 2, 0, 9, 0, 0], 10)),
        ({ view, at, end }) => {
          if (!udp.isValid(view, at, end)) return;
          expect(udp.length(view, at)).toBeGreaterThanOrEqual(8);
          expect(at + udp.length(view, at)).toBeLessThanOrEqual(end);
        },
      ),
    );
  });
});

describe('TCP', () => {
  test('a header comes back as it was written', () => {
    fc.assert(
      fc.property(
        fc.tuple(uint16, uint16, uint32, uint32),
        fc.integer({ min: 5, max: 15 }).map((words) => 4 * words),
        uint8,
        uint16,
        offset,
        ([from, to, seq, ack], length, flags, window, at) => {
          const view = viewOf(at + length);
          tcp.write(view, at, from, to, seq, ack, length, flags, window);
          expect(tcp.headerLength(view, at, at + length)).toBe(length);
          expect(tcp.headerLength(view, at, at + length - 1)).toBe(-1);
          expect(tcp.sourcePort(view, at)).toBe(from);
          expect(tcp.destinationPort(view, at)).toBe(to);
          expect(tcp.seq(view, at)).toBe(seq);
          expect(tcp.ack(view, at)).toBe(ack);
          expect(tcp.flags(view, at)).toBe(flags);
          expect(tcp.window(view, at)).toBe(window);
          expect(tcp.checksum(view, at)).toBe(0);
          expect(tcp.urgentPointer(view, at)).toBe(0);
          tcp.setChecksum(view, at, 0xbeef);
          expect(tcp.checksum(view, at)).toBe(0xbeef);
        },
      ),
    );
  });

  test('a checksum over the pseudo-header is found whole again', () => {
    const view = viewOf(24);
    tcp.write(view, 0, 80, 40_000, 1, 2, 20, tcp.ACK, 100);
    view.setUint32(20, 0x6162_6364);
    const pseudo = ipv4.pseudoHeaderSum(0x0a00_0001, 0x0a00_0002, ipv4.PROTOCOL_TCP, 24);
    tcp.setChecksum(view, 0, complement(sumBytes(view, 0, 24, pseudo)));
    expect(complement(sumBytes(view, 0, 24, pseudo))).toBe(0);
  });

  test('total, and the header lies within the packet', () => {
    const header = new Array<number>(20).fill(0).map((_, at) => (at === 12 ? 0x60 : 0));
    fc.assert(
      fc.property(fc.oneof(anyPart(80), likely(header, 30)), ({ view, at, end }) => {
        const length = tcp.headerLength(view, at, end);
        if (length < 0) return;
        expect(length).toBeGreaterThanOrEqual(20);
        expect(at + length).toBeLessThanOrEqual(end);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('virtio', () => {
  test('a header comes back as it was written, little-endian', () => {
    fc.assert(
      fc.property(
        uint8,
        uint8,
        fc.tuple(uint16, uint16, uint16, uint16),
        (flags, type, [length, size, start, at]) => {
          const view = viewOf(virtio.VIRTIO_LENGTH);
          virtio.write(view, 0, flags, type, length, size, start, at);
          expect(virtio.flags(view, 0)).toBe(flags);
          expect(virtio.gsoType(view, 0)).toBe(type);
          expect(virtio.headerLength(view, 0)).toBe(length);
          expect(virtio.gsoSize(view, 0)).toBe(size);
          expect(virtio.checksumStart(view, 0)).toBe(start);
          expect(virtio.checksumOffset(view, 0)).toBe(at);
          expect(view.getUint8(4)).toBe(size & 255);
          virtio.setGsoSize(view, 0, 1_448);
          expect(virtio.gsoSize(view, 0)).toBe(1_448);
          virtio.clear(view, 0);
          expect([...new Uint8Array(view.buffer)]).toEqual(new Array(10).fill(0));
        },
      ),
    );
  });
});
