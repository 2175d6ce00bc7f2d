import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Frame } from '../../src/link/frame.ts';
import { formOfAddress } from '../../src/splice/form.ts';
import type { SpliceRecord } from '../../src/splice/record.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as virtio from '../../src/wire/virtio.ts';
import {
  ANSWER,
  arbitraryPacket,
  arbitraryRecord,
  contents,
  frameOf,
  isIntact,
  PACKET,
  type Packet,
  RECORD,
  tcpAt,
  translated,
} from './packets.ts';
import { Testbed } from './testbed.ts';

/** The frame that comes out for a packet that goes in. */
function rewritten(packet: Packet, record: SpliceRecord = RECORD): Frame {
  const bed = new Testbed({ form: formOfAddress(record.client.address) });
  if (bed.insert(record) < 0) throw new Error('the record was refused');
  expect(bed.handle(packet)).toBe(true);
  expect(bed.sent).toHaveLength(1);
  return bed.sent[0].frame;
}

function expectTranslation(packet: Packet, record: SpliceRecord, toBackend: boolean): void {
  const expected = frameOf(translated(packet, record, toBackend));
  expect(contents(rewritten(packet, record))).toEqual(contents(expected));
}

/** True for a reset that, on its way there or back, looks like the answer to a probe: it is not passed on. */
const isDenial = ({ flags, seq }: Packet, record: SpliceRecord): boolean =>
  (flags & tcp.RST) !== 0 &&
  (seq === record.seqShiftToClient ||
    (seq + record.seqShiftToBackend + record.seqShiftToClient) >>> 0 === 0);

const anyCase = fc
  .tuple(arbitraryRecord, fc.boolean())
  .chain(([record, toBackend]) =>
    fc.tuple(fc.constant(record), fc.constant(toBackend), arbitraryPacket(record, toBackend)),
  )
  .filter(([record, , packet]) => !isDenial(packet, record));

describe('the whole rewrite', () => {
  test('equals the packet made from scratch, checksums full or partial', () => {
    fc.assert(
      fc.property(anyCase, ([record, toBackend, packet]) => {
        expectTranslation(packet, record, toBackend);
      }),
      { numRuns: 800 },
    );
  });

  test('there and back through the mirrored record gives the original', () => {
    fc.assert(
      fc.property(anyCase, ([drawn, , packet]) => {
        // What rounds or lowers cannot be undone: scales that agree, SACK everywhere, MSS without bound.
        const record: SpliceRecord = {
          ...drawn,
          scaleToBackend: drawn.clientScale,
          scaleToClient: drawn.backendScale,
          clientSack: true,
          backendSack: true,
          clientMss: 0xffff,
          backendMss: 0xffff,
        };
        const mirror: SpliceRecord = {
          ...record,
          client: record.source,
          virtual: record.backend,
          source: record.client,
          backend: record.virtual,
          seqShiftToBackend: -record.seqShiftToBackend >>> 0,
          seqShiftToClient: -record.seqShiftToClient >>> 0,
          timestampShiftToBackend: -record.timestampShiftToBackend >>> 0,
          timestampShiftToClient: -record.timestampShiftToClient >>> 0,
        };
        fc.pre(packet.ttl > 2);
        fc.pre(packet.gsoType === virtio.GSO_NONE);
        const form = formOfAddress(record.client.address);
        const there = new Testbed({ form });
        const back = new Testbed({ form });
        fc.pre(there.insert(record) >= 0 && back.insert(mirror) >= 0);
        const frame = frameOf(packet);
        expect(there.splicer.handle(frame, there.now)).toBe(true);
        expect(back.splicer.handle(frame, back.now)).toBe(true);
        const { frame: result } = back.sent[0];
        expect(contents(result)).toEqual(
          contents(frameOf({ ...packet, ttl: packet.ttl - 2, flowLabel: 0 })),
        );
      }),
      { numRuns: 500 },
    );
  });

  test('a wrong checksum stays wrong', () => {
    fc.assert(
      fc.property(anyCase, fc.integer({ min: 1, max: 0xfffe }), ([record, , packet], error) => {
        const full = { ...packet, partial: false };
        const bed = new Testbed({ form: formOfAddress(record.client.address) });
        bed.insert(record);
        const frame = frameOf(full);
        const at = tcpAt(full) + tcp.CHECKSUM_AT;
        frame.view.setUint16(at, (frame.view.getUint16(at) + error) % 0xffff);
        expect(bed.splicer.handle(frame, bed.now)).toBe(true);
        expect(isIntact(bed.sent[0].frame)).toBe(false);
      }),
    );
  });

  test('option bytes of any kind leave the checksum right', () => {
    fc.assert(
      fc.property(anyCase, fc.uint8Array({ maxLength: 40 }), ([record, , packet], options) => {
        const raw: Packet = {
          ...packet,
          partial: false,
          options: [...options].map((): { kind: 'nop' } => ({ kind: 'nop' })),
        };
        // The bytes replace NOPs, and the checksum is computed over them.
        const frame = frameOf(raw);
        const at = tcpAt(raw);
        frame.bytes.set(options, at + 20);
        frame.view.setUint16(at + tcp.CHECKSUM_AT, 0);
        const sum = checksumOf(frame, at);
        frame.view.setUint16(at + tcp.CHECKSUM_AT, sum);
        expect(isIntact(frame)).toBe(true);
        const bed = new Testbed({ form: formOfAddress(record.client.address) });
        bed.insert(record);
        expect(bed.splicer.handle(frame, bed.now)).toBe(true);
        expect(isIntact(bed.sent[0].frame)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

/** The checksum of a frame whose checksum field is zero, byte by byte. */
function checksumOf(frame: Frame, at: number): number {
  let total = 6 + frame.end - at;
  const { view } = frame;
  const [from, to] = view.getUint8(NETWORK_AT) >> 4 === 6 ? [8, 40] : [12, 20];
  for (let word = from; word < to; word += 2) total += view.getUint16(NETWORK_AT + word);
  for (let byte = at; byte < frame.end; byte++) {
    total += (byte - at) % 2 === 0 ? view.getUint8(byte) << 8 : view.getUint8(byte);
  }
  while (total > 0xffff) total = (total % 0x1_0000) + Math.floor(total / 0x1_0000);
  return 0xffff - total;
}

describe('field by field', () => {
  test('a segment from the client', () => {
    const frame = rewritten({ ...PACKET, payload: [1, 2, 3] });
    const { view } = frame;
    const at = NETWORK_AT + 20;
    expect(ipv4.formatAddress(ipv4.source(view, NETWORK_AT))).toBe('10.0.1.1');
    expect(ipv4.formatAddress(ipv4.destination(view, NETWORK_AT))).toBe('10.0.1.32');
    expect(tcp.sourcePort(view, at)).toBe(20_002);
    expect(tcp.destinationPort(view, at)).toBe(8_080);
    expect(tcp.seq(view, at)).toBe(1_000 + 0x1234_5678);
    expect(tcp.ack(view, at)).toBe((5_000 - 0xfedc_ba98) >>> 0);
    expect(ipv4.timeToLive(view, NETWORK_AT)).toBe(63);
    expect(isIntact(frame)).toBe(true);
  });

  test('sequence numbers wrap', () => {
    const record = { ...RECORD, seqShiftToBackend: 10 };
    const { view } = rewritten({ ...PACKET, seq: 0xffff_fffa }, record);
    expect(tcp.seq(view, NETWORK_AT + 20)).toBe(4);
  });

  test('without ACK the acknowledgment field is none', () => {
    const { view } = rewritten({ ...PACKET, flags: tcp.RST, ack: 0 });
    expect(tcp.ack(view, NETWORK_AT + 20)).toBe(0);
  });

  test.each([
    { what: 'grows without loss', from: 8, to: 7, window: 100, expected: 200 },
    { what: 'saturates', from: 14, to: 0, window: 5, expected: 65_535 },
    { what: 'is rounded down', from: 0, to: 7, window: 300, expected: 2 },
    { what: 'may become none', from: 0, to: 7, window: 127, expected: 0 },
  ])('a window that $what', ({ from, to, window, expected }) => {
    const record = { ...RECORD, clientScale: from, scaleToBackend: to };
    const { view } = rewritten({ ...PACKET, window }, record);
    expect(tcp.window(view, NETWORK_AT + 20)).toBe(expected);
  });

  test('the window of a SYN is not scaled, and its MSS not above the splice', () => {
    const record = { ...RECORD, backendScale: 9, scaleToClient: 2, backendMss: 1_400 };
    const syn: Packet = {
      ...ANSWER,
      flags: tcp.SYN | tcp.ACK,
      window: 64_240,
      options: [{ kind: 'nop' }, { kind: 'mss', value: 8_960 }],
    };
    const frame = rewritten(syn, record);
    const at = NETWORK_AT + 20;
    expect(tcp.window(frame.view, at)).toBe(64_240);
    expect(frame.view.getUint16(at + 20 + 3)).toBe(1_400);
    expect(isIntact(frame)).toBe(true);
  });

  test('SACK towards an end that did not permit it becomes NOPs', () => {
    const record = { ...RECORD, backendSack: false };
    const frame = rewritten(
      { ...PACKET, options: [{ kind: 'nop' }, { kind: 'sack', edges: [1, 2, 3, 4] }] },
      record,
    );
    const at = NETWORK_AT + 40;
    expect([...frame.bytes.subarray(at, at + 19)]).toEqual(new Array(19).fill(1));
    expect(isIntact(frame)).toBe(true);
  });

  test.each([0, 1, 2, 3])('timestamps and SACK at offset %i of a word', (offset) => {
    const padding = Array.from({ length: offset }, () => ({ kind: 'nop' }) as const);
    for (const partial of [false, true]) {
      expectTranslation(
        {
          ...PACKET,
          partial,
          options: [
            ...padding,
            { kind: 'timestamps', value: 0xffff_ffff, echo: 1 },
            { kind: 'sack', edges: [0xffff_fff0, 16] },
          ],
        },
        RECORD,
        true,
      );
    }
  });

  test('SACK of an impossible length stays as it is, and so does what follows', () => {
    const option = { kind: 'unknown', bytes: [1, 2, 3, 4, 5, 6, 7] } as const;
    const packet: Packet = { ...PACKET, options: [option, { kind: 'mss', value: 1 }] };
    const frame = frameOf(packet);
    const at = NETWORK_AT + 40;
    frame.view.setUint8(at, 5);
    const before = [...frame.bytes.subarray(at, at + 13)];
    const bed = new Testbed();
    bed.insert();
    bed.splicer.handle(frame, bed.now);
    expect([...bed.sent[0].frame.bytes.subarray(at, at + 13)]).toEqual(before);
  });

  test('a train of segments stays whole, each as large as its receiver accepts', () => {
    const train: Packet = {
      ...ANSWER,
      partial: true,
      gsoType: virtio.GSO_TCPV4 | virtio.GSO_ECN,
      gsoSize: 1_448,
      options: [{ kind: 'nop' }, { kind: 'nop' }, { kind: 'timestamps', value: 1, echo: 2 }],
      payload: new Array<number>(3_000).fill(5),
    };
    const frame = rewritten(train, { ...RECORD, clientMss: 1_300 });
    expect(frame.end).toBe(NETWORK_AT + 20 + 32 + 3_000);
    expect(virtio.gsoSize(frame.view, 0)).toBe(1_288);
    expect(virtio.gsoType(frame.view, 0)).toBe(virtio.GSO_TCPV4 | virtio.GSO_ECN);
    expect(virtio.gsoSize(rewritten(train).view, 0)).toBe(1_448);
  });

  test.each([
    { what: '0x0000 before', side: 'before', value: 0x0000 },
    { what: '0x0000 after', side: 'after', value: 0x0000 },
    { what: '0xfffe before', side: 'before', value: 0xfffe },
    { what: '0xfffe after', side: 'after', value: 0xfffe },
  ])('a full checksum of $what', ({ side, value }) => {
    // Two bytes of payload bring the checksum to any value that a segment can have.
    const checksumWith = (payload: number[]): number => {
      const packet = { ...PACKET, payload };
      const made = frameOf(side === 'before' ? packet : translated(packet, RECORD, true));
      return tcp.checksum(made.view, NETWORK_AT + 20);
    };
    const missing = (((checksumWith([0, 0]) - value) % 0xffff) + 0xffff) % 0xffff;
    const payload = [missing >> 8, missing & 255];
    expect(checksumWith(payload)).toBe(value);
    expectTranslation({ ...PACKET, payload }, RECORD, true);
  });

  test.each([0x0000_0000, 0x0000_ffff, 0xffff_0000, 0xffff_ffff])(
    'fields of 0x%s change to any others',
    (extreme) => {
      for (const shift of [0, 1, 0xffff, 0x1_0000, 0xffff_0000, 0xffff_ffff]) {
        const record = { ...RECORD, seqShiftToBackend: shift, seqShiftToClient: shift };
        expectTranslation({ ...PACKET, seq: extreme, ack: extreme }, record, true);
        expectTranslation({ ...PACKET, seq: extreme, ack: extreme, partial: true }, record, true);
      }
    },
  );

  test('IP options are kept', () => {
    expectTranslation({ ...PACKET, ipOptions: [7, 7, 4, 0, 0, 0, 0, 0] }, RECORD, true);
  });

  test('an urgent pointer is kept', () => {
    const frame = frameOf({ ...PACKET, flags: tcp.ACK | tcp.URG, partial: true });
    frame.view.setUint16(NETWORK_AT + 20 + 18, 77);
    const bed = new Testbed();
    bed.insert();
    bed.splicer.handle(frame, bed.now);
    expect(tcp.urgentPointer(bed.sent[0].frame.view, NETWORK_AT + 20)).toBe(77);
  });

  test('what Ethernet padded goes out without the padding', () => {
    const bed = new Testbed();
    bed.insert();
    const frame = frameOf(PACKET);
    frame.end += 6;
    bed.splicer.handle(frame, bed.now);
    expect(bed.sent[0].frame.end).toBe(NETWORK_AT + 40);
  });
});
