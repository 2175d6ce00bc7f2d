import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/env/clock.ts';
import { below, chance, seededRandom } from '../../src/env/random.ts';
import { Datagram, DatagramPool } from '../../src/replication/datagram.ts';
import { BODY_AT } from '../../src/replication/envelope.ts';
import { InStream } from '../../src/replication/in-stream.ts';
import { DELETE, writeBytes } from '../../src/replication/messages.ts';
import { OutStream } from '../../src/replication/out-stream.ts';
import { FIRST_NUMBER, WINDOW } from '../../src/replication/stream.ts';

const MS = 1_000;

/** One message of its own datagram, with a number in it. */
function put(stream: OutStream, content: number): boolean {
  const datagram = stream.room(1_300);
  if (datagram === undefined) return false;
  const payload = new Uint8Array(1_300);
  new DataView(payload.buffer).setUint32(0, content);
  writeBytes(datagram, DELETE, payload, payload.length);
  stream.stamp(datagram, content + 1);
  return true;
}

const contentOf = ({ view }: Datagram): number => view.getUint32(BODY_AT + 3);

function sendAll(stream: OutStream, now: number): Datagram[] {
  const sent: Datagram[] = [];
  for (let next = stream.take(true, 0, now); next !== undefined; next = stream.take(true, 0, now)) {
    next.sentAt = now;
    next.sends++;
    sent.push(next);
  }
  return sent;
}

describe('a pair of streams', () => {
  test('all arrives once and in order, past the wrap of the numbers, whatever is lost', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 60 }), (seed, lossPercent) => {
        const random = seededRandom(seed);
        const pool = new DatagramPool();
        const out = new OutStream(pool);
        const got: number[] = [];
        const incoming = new InStream(pool, (datagram) => got.push(contentOf(datagram)));
        const lost = (): boolean => chance(random, lossPercent / 100);
        const total = 450;
        let written = 0;
        let flying: { bytes: Uint8Array; number: number }[] = [];
        let now = 0;
        while (out.ackedTicket < total) {
          now += 200;
          for (let count = below(random, 20); count > 0 && written < total; count--) {
            expect(put(out, written++)).toBe(true);
          }
          const sending = sendAll(out, now);
          for (let due = out.due(now); due !== undefined; due = out.due(now)) {
            due.sentAt = now;
            due.sends++;
            sending.push(due);
          }
          expect(out.inFlight).toBeLessThanOrEqual(WINDOW);
          for (const { bytes, number } of sending) {
            if (!lost()) flying.push({ bytes: bytes.slice(), number });
            if (chance(random, 0.05)) flying.push({ bytes: bytes.slice(), number });
          }
          const later: typeof flying = [];
          for (const flight of flying) {
            if (chance(random, 0.3)) {
              later.push(flight);
              continue;
            }
            const arriving = pool.take();
            arriving.bytes.set(flight.bytes);
            incoming.receive(arriving, flight.number);
          }
          flying = later;
          const { expected, sackLow, sackHigh } = incoming;
          if (!lost())
            expect(out.acknowledge(expected, expected, sackLow, sackHigh, now)).toBe(true);
          expect(out.ackedTicket).toBeLessThanOrEqual(got.length);
          expect(now).toBeLessThan(100_000 * MS);
        }
        expect(got).toEqual(Array.from({ length: total }, (_, index) => index));
        expect(out.backlog).toBe(0);
        expect(out.nextDeadline()).toBe(NEVER);
        expect(incoming.expected).toBe((FIRST_NUMBER + total) >>> 0);
      }),
      { numRuns: 15 },
    );
  });
});

describe('the sending end', () => {
  test('batches what fits one datagram', () => {
    const out = new OutStream(new DatagramPool());
    const record = new Uint8Array(64);
    for (let count = 0; count < 43; count++) {
      const datagram = out.room(64);
      if (datagram !== undefined) writeBytes(datagram, DELETE, record, 64);
    }
    expect(sendAll(out, 0).length).toBe(3);
    expect(sendAll(out, 0).length).toBe(0);
  });

  test('waits 3 ms or more, twice as long each time, at most 50 ms', () => {
    const out = new OutStream(new DatagramPool());
    put(out, 0);
    sendAll(out, 0);
    out.acknowledge((FIRST_NUMBER + 1) >>> 0, (FIRST_NUMBER + 1) >>> 0, 0, 0, 100);
    expect(out.roundTrip).toBe(100);
    put(out, 1);
    let now = 1_000;
    const [datagram] = sendAll(out, now);
    const waits: number[] = [];
    for (let count = 0; count < 7; count++) {
      expect(out.due(out.nextDeadline() - 1)).toBeUndefined();
      const at = out.nextDeadline();
      expect(out.due(at)).toBe(datagram);
      waits.push(at - now);
      now = at;
      datagram.sentAt = now;
      datagram.sends++;
    }
    expect(waits).toEqual([3, 6, 12, 24, 48, 50, 50].map((ms) => ms * MS));
  });

  test('does not repeat what the receiver holds, and frees it with the rest', () => {
    const out = new OutStream(new DatagramPool());
    for (let content = 0; content < 3; content++) put(out, content);
    const [first] = sendAll(out, 0);
    expect(out.acknowledge(FIRST_NUMBER, FIRST_NUMBER, 0b11, 0, 100)).toBe(true);
    expect(out.ackedTicket).toBe(0);
    expect(out.due(50 * MS)).toBe(first);
    first.sentAt = 50 * MS;
    expect(out.due(50 * MS)).toBeUndefined();
    expect(out.acknowledge((FIRST_NUMBER + 3) >>> 0, (FIRST_NUMBER + 3) >>> 0, 0, 0, 60 * MS)).toBe(
      true,
    );
    expect(out.ackedTicket).toBe(3);
    expect(out.backlog).toBe(0);
  });

  test('refuses an acknowledgment of what was not sent, and ignores an old one', () => {
    const out = new OutStream(new DatagramPool());
    put(out, 0);
    expect(out.acknowledge((FIRST_NUMBER + 1) >>> 0, (FIRST_NUMBER + 1) >>> 0, 0, 0, 0)).toBe(
      false,
    );
    sendAll(out, 0);
    expect(out.acknowledge((FIRST_NUMBER + 2) >>> 0, (FIRST_NUMBER + 2) >>> 0, 0, 0, 0)).toBe(
      false,
    );
    expect(out.acknowledge((FIRST_NUMBER + 1) >>> 0, (FIRST_NUMBER + 1) >>> 0, 0, 0, 0)).toBe(true);
    expect(out.acknowledge(FIRST_NUMBER, FIRST_NUMBER, -1, -1, 0)).toBe(true);
    expect(out.inFlight).toBe(0);
  });

  test('takes tickets in their order only', () => {
    const out = new OutStream(new DatagramPool());
    put(out, 4);
    expect(() => put(out, 4)).toThrow('out of order');
    expect(() => put(out, 3)).toThrow('out of order');
  });

  test('is bounded', () => {
    const out = new OutStream(new DatagramPool());
    let count = 0;
    while (put(out, count)) count++;
    expect(count).toBe(8_191);
    out.reset(5);
    expect(out.backlog).toBe(0);
    expect(out.ackedTicket).toBe(5);
    expect(put(out, 5)).toBe(true);
  });
});

describe('the receiving end', () => {
  test('tells early, duplicate and impossible numbers apart', () => {
    const pool = new DatagramPool();
    const incoming = new InStream(pool, () => {});
    const at = (offset: number): number => (FIRST_NUMBER + offset) >>> 0;
    expect(incoming.receive(new Datagram(), at(WINDOW + 1))).toBe('beyond');
    expect(incoming.receive(new Datagram(), at(WINDOW))).toBe('early');
    expect(incoming.sackHigh >>> 0).toBe(0x8000_0000);
    expect(incoming.receive(new Datagram(), at(2))).toBe('early');
    expect(incoming.receive(new Datagram(), at(2))).toBe('duplicate');
    expect(incoming.sackLow).toBe(0b10);
    expect(incoming.receive(new Datagram(), at(0))).toBe('delivered');
    expect(incoming.receive(new Datagram(), at(0))).toBe('duplicate');
    expect(incoming.expected).toBe(at(1));
    expect(incoming.receive(new Datagram(), at(1))).toBe('delivered');
    expect(incoming.expected).toBe(at(3));
  });

  test('a handler that ends the life of the stream gets no more of it', () => {
    const pool = new DatagramPool();
    let delivered = 0;
    const incoming: InStream = new InStream(pool, () => {
      delivered++;
      incoming.reset();
    });
    incoming.receive(new Datagram(), FIRST_NUMBER + 1);
    incoming.receive(new Datagram(), FIRST_NUMBER);
    expect(delivered).toBe(1);
    expect(incoming.expected).toBe(FIRST_NUMBER);
    expect(incoming.sackLow).toBe(0);
  });
});

describe('a datagram that is not full', () => {
  const message = (stream: OutStream, awaited: boolean) => {
    const datagram = stream.room(100, awaited);
    if (datagram === undefined) throw new Error('no room');
    writeBytes(datagram, DELETE, new Uint8Array(100), 100);
  };

  test('goes at once if somebody waits for it and nothing is in flight', () => {
    const stream = new OutStream(new DatagramPool());
    message(stream, true);
    expect(stream.take(false, 0, 0)).toBeDefined();
    expect(stream.take(false, 0, 0)).toBeUndefined();
  });

  test('waits for company while another is in flight, and not longer', () => {
    const stream = new OutStream(new DatagramPool());
    message(stream, true);
    const first = stream.take(false, 0, 0);
    if (first !== undefined) first.sends = 1;
    message(stream, true);
    message(stream, true);
    expect(stream.take(false, 0, 0)).toBeUndefined();
    stream.acknowledge((first?.number ?? 0) + 1, (first?.number ?? 0) + 1, 0, 0, 0);
    expect(stream.take(false, 0, 0)?.end).toBe(BODY_AT + 2 * 103);
  });

  test('waits for the pace after the last that was not full, if there is one', () => {
    const stream = new OutStream(new DatagramPool());
    message(stream, true);
    expect(stream.partAt(4 * MS)).toBeLessThan(0);
    const first = stream.take(false, 4 * MS, 10 * MS);
    if (first !== undefined) first.sends = 1;
    expect(stream.partAt(4 * MS)).toBe(NEVER);
    message(stream, true);
    stream.acknowledge((first?.number ?? 0) + 1, (first?.number ?? 0) + 1, 0, 0, 11 * MS);
    expect(stream.partAt(4 * MS)).toBe(14 * MS);
    expect(stream.take(false, 4 * MS, 14 * MS - 1)).toBeUndefined();
    // Who has time again hurries.
    expect(stream.partAt(0)).toBe(10 * MS);
    expect(stream.take(false, 4 * MS, 14 * MS)).toBeDefined();
  });

  test('a full one does not wait for the pace', () => {
    const stream = new OutStream(new DatagramPool());
    message(stream, true);
    expect(stream.take(false, 4 * MS, 0)).toBeDefined();
    for (let count = 0; count < 20; count++) message(stream, true);
    expect(stream.take(false, 4 * MS, 1)?.end).toBeGreaterThan(1_000);
    expect(stream.take(false, 4 * MS, 1)).toBeUndefined();
  });

  test('does not wait for acknowledgments if it is urgent, but for the pace', () => {
    const stream = new OutStream(new DatagramPool());
    message(stream, true);
    expect(stream.take(false, 0, 0)).toBeDefined();
    message(stream, false);
    const datagram = stream.room(10, false);
    if (datagram !== undefined) datagram.urgent = true;
    expect(stream.partAt(4 * MS)).toBe(4 * MS);
    expect(stream.take(false, 4 * MS, 3 * MS)).toBeUndefined();
    expect(stream.take(false, 0, 3 * MS)).toBe(datagram);
  });

  test('does not wait for those that nobody waits for', () => {
    const stream = new OutStream(new DatagramPool());
    message(stream, false);
    const first = stream.take(true, 0, 0);
    message(stream, true);
    const second = stream.take(false, 0, 0);
    expect(second).toBeDefined();
    message(stream, true);
    if (first !== undefined) {
      stream.acknowledge(first.number + 1, first.number + 1, 0, 0, 0);
      expect(stream.take(false, 0, 0)).toBeUndefined();
      stream.acknowledge(first.number + 2, first.number + 2, 0, 0, 0);
    }
    expect(stream.take(false, 0, 0)).toBeDefined();
  });

  test('waits until all are sent if nobody waits for it', () => {
    const stream = new OutStream(new DatagramPool());
    message(stream, false);
    expect(stream.take(false, 0, 0)).toBeUndefined();
    message(stream, true);
    expect(stream.take(false, 0, 0)?.end).toBe(BODY_AT + 2 * 103);
    message(stream, false);
    expect(stream.take(true, 0, 0)).toBeDefined();
  });
});
