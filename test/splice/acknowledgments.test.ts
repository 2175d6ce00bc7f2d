import { describe, expect, test } from 'vitest';
import { MILLISECOND } from '../../src/env/clock.ts';
import { formatAddress } from '../../src/ip/address.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { ANSWER, PACKET, type Packet, RECORD } from './packets.ts';
import { Testbed } from './testbed.ts';

/** The client acknowledges `ack` bytes of what the backend said, and nothing else. */
const acknowledge = (ack: number, more: Partial<Packet> = {}): Packet => ({
  ...PACKET,
  flags: tcp.ACK,
  ack: (PACKET.ack + ack) >>> 0,
  ...more,
});

function bed(): Testbed {
  const made = new Testbed({ gathers: true });
  made.insert();
  // Both directions have been heard.
  made.handle({ ...ANSWER, flags: tcp.ACK });
  made.handle(acknowledge(0));
  made.splicer.flush(made.now);
  made.sent.length = 0;
  return made;
}

const acks = (made: Testbed): number[] => {
  const first = made.header(0).ack;
  return made.sent.map((_, index) => (made.header(index).ack - first) | 0);
};

describe('an acknowledgment of something new', () => {
  test('waits for the end of the breath', () => {
    const made = bed();
    expect(made.handle(acknowledge(100))).toBe(true);
    expect(made.sent).toHaveLength(0);
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(1);
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(1);
  });

  test('is left out when a later one follows', () => {
    const made = bed();
    for (const ack of [100, 200, 300]) made.handle(acknowledge(ack));
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(1);
    expect(made.splicer.counters.acknowledgmentsLeftOut).toBe(2);
  });

  test('is left out when data or a FIN repeat it', () => {
    for (const more of [{ payload: [1, 2, 3] }, { flags: tcp.ACK | tcp.FIN }]) {
      const made = bed();
      made.handle(acknowledge(100));
      made.handle(acknowledge(100, more));
      made.splicer.flush(made.now);
      expect(made.sent).toHaveLength(1);
      expect(made.header().flags).toBe(more.flags ?? tcp.ACK);
    }
  });
});

describe('what its receiver counts passes as it comes', () => {
  test('duplicates, and the acknowledgment before them', () => {
    const made = bed();
    made.handle(acknowledge(100));
    made.handle(acknowledge(100));
    made.handle(acknowledge(100));
    made.splicer.flush(made.now);
    expect(acks(made)).toEqual([0, 0, 0]);
  });

  test('an older one does not overtake, nor is the newer lost', () => {
    const made = bed();
    made.handle(acknowledge(200));
    made.handle(acknowledge(100));
    made.splicer.flush(made.now);
    expect(acks(made)).toEqual([0, -100]);
  });

  test('data with an older acknowledgment', () => {
    const made = bed();
    made.handle(acknowledge(200));
    made.handle(acknowledge(100, { payload: [1] }));
    made.splicer.flush(made.now);
    expect(acks(made)).toEqual([0, -100]);
  });

  test('a reset goes out behind it', () => {
    const made = bed();
    made.handle(acknowledge(100));
    made.handle(acknowledge(100, { flags: tcp.ACK | tcp.RST }));
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(2);
    expect(made.header(1).flags & tcp.RST).not.toBe(0);
  });
});

describe('the acknowledgment of a short request, by who has no time to spare', () => {
  /** The backend acknowledges `ack` bytes of what the client said. */
  const answer = (ack: number, more: Partial<Packet> = {}): Packet => ({
    ...ANSWER,
    flags: tcp.ACK,
    ack: (ANSWER.ack + ack) >>> 0,
    ...more,
  });
  function busyBed(): { made: Testbed; time: { toSpare: boolean } } {
    const time = { toSpare: false };
    const made = new Testbed({ gathers: true, isBusy: () => !time.toSpare });
    made.insert();
    made.handle(acknowledge(0));
    made.handle(answer(0));
    made.splicer.flush(made.now);
    made.splicer.run(made.now);
    made.sent.length = 0;
    return { made, time };
  }

  test('waits for the answer', () => {
    const { made } = busyBed();
    made.handle(answer(60));
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(0);
    made.handle(answer(60, { payload: [1, 2, 3] }));
    made.now += 2 * MILLISECOND;
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(1);
    expect(made.splicer.counters.acknowledgmentsLeftOut).toBe(1);
    expect(made.splicer.nextAt).toBeGreaterThan(made.now);
  });

  test('waits for a millisecond, also when its flow is over by then', () => {
    const { made } = busyBed();
    made.handle(answer(60));
    expect(made.splicer.nextAt).toBe(made.now + MILLISECOND);
    made.table.remove(0);
    made.now += MILLISECOND - 1;
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(0);
    made.now += 1;
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(1);
    expect(made.resolved.at(-1)).toBe(formatAddress(RECORD.client.address));
  });

  test('goes at once when there is time again', () => {
    const { made, time } = busyBed();
    made.handle(answer(60));
    time.toSpare = true;
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(1);
  });

  test('goes before a duplicate, and is repeated by one of more', () => {
    const { made } = busyBed();
    made.handle(answer(60));
    made.handle(answer(60));
    expect(made.sent).toHaveLength(2);
    made.handle(answer(100));
    made.handle(answer(5_000));
    made.splicer.flush(made.now);
    expect(made.sent).toHaveLength(3);
  });
});

test('flows that share a place do not disturb each other', () => {
  const made = new Testbed({ gathers: true, maximum: 400 });
  const ports = Array.from({ length: 200 }, (_, index) => 20_000 + index);
  for (const port of ports) {
    const client = { ...RECORD.client, port };
    const source = { ...RECORD.source, port };
    made.table.insert({ ...RECORD, client, source }, made.now);
    made.handle({ ...acknowledge(0), fromPort: port });
  }
  made.splicer.flush(made.now);
  const before = made.sent.length;
  for (const port of ports) made.handle({ ...acknowledge(50), fromPort: port });
  made.splicer.flush(made.now);
  expect(made.sent.length - before).toBe(ports.length);
});
