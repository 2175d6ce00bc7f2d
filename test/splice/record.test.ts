import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formOfAddress,
  formOfRecord,
  IPV4_FORM,
  IPV6_FORM,
  MAX_RECORD_BYTES,
} from '../../src/splice/form.ts';
import { decodeRecord, encodeRecord, isValidRecord } from '../../src/splice/record.ts';
import { arbitraryRecord, RECORD, RECORD6 } from './packets.ts';

function encoded(record = RECORD): DataView {
  const view = new DataView(new ArrayBuffer(formOfAddress(record.client.address).recordBytes));
  encodeRecord(record, view, 0);
  return view;
}

describe('the record', () => {
  test('comes back as it was, at any offset', () => {
    fc.assert(
      fc.property(arbitraryRecord, fc.integer({ min: 0, max: 9 }), (record, at) => {
        const view = new DataView(new ArrayBuffer(MAX_RECORD_BYTES + 9));
        encodeRecord(record, view, at);
        expect(decodeRecord(view, at, formOfAddress(record.client.address))).toEqual(record);
      }),
    );
  });

  test('keeps addresses and ports as they lie in a frame', () => {
    const view = encoded();
    expect([...new Uint8Array(view.buffer, 0, 12)]).toEqual([
      10,
      0,
      10,
      2,
      10,
      0,
      0,
      100,
      40_001 >> 8,
      40_001 & 255,
      0,
      80,
    ]);
  });

  test('reading is total, and what it accepts is what would be written', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 130 }),
        fc.integer({ min: -2, max: 140 }),
        fc.constantFrom(IPV4_FORM, IPV6_FORM),
        (bytes, at, form) => {
          const record = decodeRecord(new DataView(bytes.slice().buffer), at, form);
          if (record === undefined) return;
          const again = encoded(record);
          expect([...new Uint8Array(again.buffer)]).toEqual([
            ...bytes.subarray(at, at + form.recordBytes),
          ]);
        },
      ),
    );
  });

  test('one changed byte is refused, or read as the record that it makes', () => {
    fc.assert(
      fc.property(
        arbitraryRecord,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (record, where, flip) => {
          const form = formOfAddress(record.client.address);
          const view = encoded(record);
          const at = where % form.recordBytes;
          view.setUint8(at, view.getUint8(at) ^ flip);
          const read = decodeRecord(view, 0, form);
          if (read !== undefined) expect(encoded(read)).toEqual(view);
        },
      ),
    );
  });

  test.each([
    { what: 'a client without address', at: 0, bytes: [0, 0, 0, 0] },
    { what: 'a source without address', at: 16, bytes: [0, 0, 0, 0] },
    { what: 'port 0 at the client', at: 8, bytes: [0, 0] },
    { what: 'port 0 at the service', at: 10, bytes: [0, 0] },
    { what: 'port 0 at the backend', at: 20, bytes: [0, 0] },
    { what: 'port 0 at the source', at: 22, bytes: [0, 0] },
    { what: 'a scale of 15', at: 40, bytes: [0x0f] },
    { what: 'a scale of 15 towards the client', at: 41, bytes: [0xf0] },
    { what: 'an unknown flag', at: 42, bytes: [0x0f] },
    { what: 'timestamp shifts without timestamps', at: 42, bytes: [0x06] },
    { what: 'an MSS too small to use', at: 44, bytes: [47, 0] },
    { what: 'a client MSS too small to use', at: 46, bytes: [47, 0] },
    { what: 'an unknown recovery policy', at: 53, bytes: [3] },
    { what: 'another form', at: 56, bytes: [6] },
    { what: 'anything in the first reserved byte', at: 57, bytes: [1] },
    { what: 'anything in the last reserved byte', at: 63, bytes: [1] },
    { what: 'two ways that are one', at: 12, bytes: 'first' as const },
  ])('refuses $what', ({ at, bytes }) => {
    const view = encoded();
    expect(isValidRecord(view, 0, IPV4_FORM)).toBe(true);
    const all = new Uint8Array(view.buffer);
    all.set(bytes === 'first' ? all.slice(0, 12) : bytes, at);
    expect(decodeRecord(view, 0, IPV4_FORM)).toBeUndefined();
  });

  test.each([
    { what: 'a client without address', at: 0, bytes: new Array(16).fill(0) },
    { what: 'a source without address', at: 52, bytes: new Array(16).fill(0) },
    { what: 'port 0 at the client', at: 32, bytes: [0, 0] },
    { what: 'port 0 at the source', at: 70, bytes: [0, 0] },
    { what: 'a scale of 15', at: 88, bytes: [0x0f] },
    { what: 'an unknown flag', at: 90, bytes: [0x0f] },
    { what: 'an MSS too small to use', at: 92, bytes: [47, 0] },
    { what: 'an unknown recovery policy', at: 101, bytes: [3] },
    { what: 'the form of IPv4', at: 104, bytes: [4] },
    { what: 'anything in the last reserved byte', at: 111, bytes: [1] },
    { what: 'two ways that are one', at: 36, bytes: 'first' as const },
  ])('refuses over IPv6 $what', ({ at, bytes }) => {
    const view = encoded(RECORD6);
    expect(isValidRecord(view, 0, IPV6_FORM)).toBe(true);
    const all = new Uint8Array(view.buffer);
    all.set(bytes === 'first' ? all.slice(0, 36) : bytes, at);
    expect(decodeRecord(view, 0, IPV6_FORM)).toBeUndefined();
  });

  test('has a form by its length, and is of one family', () => {
    expect([64, 112, 63, 0].map(formOfRecord)).toEqual([
      IPV4_FORM,
      IPV6_FORM,
      undefined,
      undefined,
    ]);
    const mixed = { ...RECORD6, backend: RECORD.backend, source: RECORD.source };
    expect(() => encoded(mixed)).toThrow(TypeError);
  });
});
