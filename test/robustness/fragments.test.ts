// Fragments as attackers send them: tiny, overlapping, in every order, too many, never complete.
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/env/random.ts';
import { Frame } from '../../src/link/frame.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import { split } from '../fuzz/split.ts';
import { DATA, established, type Harness } from '../tcp/harness.ts';
import { repairIp, segmentFrame, TRANSPORT_AT } from './tamper.ts';

const TEXT = 'data '.repeat(60);

/** The fragments of a segment with `TEXT`, as if no router had to ask. */
function pieces(t: Harness, size: number, overlap = 0): Frame[] {
  const frame = segmentFrame(t, { ...DATA, seq: 0, data: TEXT });
  frame.view.setUint16(NETWORK_AT + 6, 0);
  repairIp(frame);
  return split(frame, size, overlap);
}

/** What reassembly keeps, and how much of it at most. */
function expectBounded(t: Harness): void {
  const { bytes, datagrams } = t.host.ip.input.reassembler.held;
  expect(bytes).toBeLessThanOrEqual(4 * 1_048_576 + 70_000);
  expect(datagrams).toBeLessThanOrEqual(1_100);
}

function expectNothingKept(t: Harness): void {
  t.pass(120_000);
  expect(t.host.ip.input.reassembler.held).toEqual({ bytes: 0, datagrams: 0 });
}

describe('a segment in fragments', () => {
  test.each([8, 16, 24, 64, 256])('of %i bytes is whole again, in any order', (size) => {
    const random = seededRandom(size);
    for (let round = 0; round < 5; round++) {
      const t = established();
      const shuffled = pieces(t, size)
        .map((frame) => ({ frame, key: random.uint32() }))
        .sort((a, b) => a.key - b.key);
      for (const { frame } of shuffled) t.inject(frame);
      expect(t.read()).toBe(TEXT);
      expectNothingKept(t);
    }
  });

  test('of which each comes twice is whole once', () => {
    const t = established();
    for (const frame of pieces(t, 32)) {
      t.inject(frame);
      t.inject(frame);
    }
    expect(t.read()).toBe(TEXT);
    // The late copies wait for a datagram that does not come.
    expectNothingKept(t);
  });

  test('that overlap is dropped, even where they agree in part (RFC 5722)', () => {
    const t = established();
    for (const frame of pieces(t, 64, 8)) t.inject(frame);
    expect(t.read()).toBe('');
    expectNothingKept(t);
  });

  test('of which one lacks never is, and is forgotten', () => {
    for (let lacking = 0; lacking < 5; lacking++) {
      const t = established();
      const all = pieces(t, 64);
      for (const [index, frame] of all.entries()) if (index !== lacking) t.inject(frame);
      expect(t.read()).toBe('');
      expectNothingKept(t);
    }
  });

  test('whose last comes with two different ends is dropped', () => {
    const t = established();
    const all = pieces(t, 64);
    const other = pieces(t, 64).at(-1);
    if (other === undefined) throw new Error('no fragments');
    // Another end of the same datagram, 8 bytes later.
    other.view.setUint16(NETWORK_AT + 6, other.view.getUint16(NETWORK_AT + 6) + 1);
    repairIp(other);
    t.inject(other);
    for (const frame of all) t.inject(frame);
    expect(t.read()).toBe('');
    expectNothingKept(t);
  });

  test('that rewrite the header of one that came first change nothing (teardrop, tiny overlap)', () => {
    const t = established();
    const [first, ...rest] = pieces(t, 64);
    const evil = new Frame(first.end + 8);
    evil.copyFrom(first);
    evil.view.setUint16(TRANSPORT_AT, 9);
    t.inject(first);
    t.inject(evil);
    for (const frame of rest) t.inject(frame);
    expect(t.read()).toBe('');
    expect(t.sent()).toEqual([]);
    expectNothingKept(t);
  });
});

/** A fragment of a datagram from far away that is never to be complete. */
function orphan(t: Harness): (source: number, id: number, offset: number, more: boolean) => void {
  const frame = segmentFrame(t, { ...DATA, length: 1_400 });
  return (source, id, offset, more) => {
    frame.view.setUint32(NETWORK_AT + ipv4.SOURCE_AT, source);
    frame.view.setUint16(NETWORK_AT + 4, id);
    frame.view.setUint16(NETWORK_AT + 6, (more ? ipv4.MORE_FRAGMENTS : 0) | (offset / 8));
    repairIp(frame);
    t.inject(frame);
  };
}

describe('a flood of fragments', () => {
  test('from one source is bounded, and leaves others their room', () => {
    const t = established();
    const send = orphan(t);
    for (let id = 0; id < 20_000; id++) send(0x0b00_0001, id & 0xffff, 1_480, true);
    expectBounded(t);
    expect(t.host.ip.input.reassembler.held.datagrams).toBeLessThanOrEqual(64);
    for (const frame of pieces(t, 64)) t.inject(frame);
    expect(t.read()).toBe(TEXT);
    expectNothingKept(t);
  });

  test('from everywhere is bounded, and over when the time is', () => {
    const t = established();
    const send = orphan(t);
    for (let i = 0; i < 20_000; i++) send(0x0b00_0001 + i, 7, 8 * (1 + (i % 100)), i % 2 === 0);
    expectBounded(t);
    for (const frame of pieces(t, 64)) t.inject(frame);
    expect(t.read()).toBe(TEXT);
    expectNothingKept(t);
  });

  test('of one datagram in pieces of all sizes is bounded', () => {
    const t = established();
    const send = orphan(t);
    for (let offset = 8; offset < 65_000; offset += 1_416) send(0x0b00_0001, 1, offset, true);
    expectBounded(t);
    expectNothingKept(t);
  });

  test('that reach beyond 65,535 bytes (ping of death) is dropped', () => {
    const t = established();
    const send = orphan(t);
    for (const offset of [65_528, 65_520, 64_800, 64_200]) send(0x0b00_0001, 1, offset, false);
    for (let offset = 0; offset < 65_528; offset += 1_416) send(0x0b00_0001, 1, offset, true);
    expectBounded(t);
    expect(t.sent()).toEqual([]);
    expectNothingKept(t);
  });

  test('without any payload is dropped', () => {
    const t = established();
    const frame = segmentFrame(t, DATA);
    frame.end = TRANSPORT_AT;
    frame.view.setUint16(NETWORK_AT + 2, 20);
    for (let offset = 0; offset < 100; offset++) {
      frame.view.setUint16(NETWORK_AT + 6, ipv4.MORE_FRAGMENTS | offset);
      repairIp(frame);
      t.inject(frame);
    }
    expect(t.host.ip.input.reassembler.held.datagrams).toBe(0);
  });

  test('without end whose lengths are no multiples of 8 is dropped', () => {
    const t = established();
    const frame = segmentFrame(t, { ...DATA, length: 13 });
    frame.view.setUint16(NETWORK_AT + 6, ipv4.MORE_FRAGMENTS);
    repairIp(frame);
    t.inject(frame);
    expect(t.read()).toBe('');
    expectNothingKept(t);
  });
});
