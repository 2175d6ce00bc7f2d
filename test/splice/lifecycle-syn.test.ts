import { describe, expect, test } from 'vitest';
import { OPEN, RESET } from '../../src/splice/slot.ts';
import { ACK, FIN, RST, SYN } from '../../src/wire/tcp.ts';
import { Flow } from './flow.ts';
import { FAMILIES } from './own.ts';

describe.each(FAMILIES)('over $name', (family) => {
  const RECORD = family.record;
  const SOURCE = RECORD.source.address;
  const VIRTUAL = RECORD.virtual.address;
  const start = (options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
    new Flow(family, options);

  describe('a SYN', () => {
    test('from the client ends a record that lingers, and is not ours', () => {
      for (const finish of ['fin', 'rst']) {
        const flow = start().talk();
        if (finish === 'rst') flow.client(RST);
        else {
          flow.client(ACK | FIN);
          flow.backend(ACK | FIN);
          flow.client(ACK);
        }
        const before = flow.sent.length;
        expect(flow.client(SYN, 0, { seq: 77, ack: 0 })).toBe(false);
        expect(flow.sent).toHaveLength(before);
        expect(flow.expired).toEqual([RECORD]);
        expect(flow.table.size).toBe(0);
      }
    });

    test('from the client for a living record never reaches the backend: the client is asked', () => {
      const flow = start().talk();
      const expected = flow.header();
      const before = flow.sent.length;
      expect(flow.client(SYN, 0, { seq: 77, ack: 0 })).toBe(true);
      expect(flow.sent).toHaveLength(before + 1);
      expect(flow.header()).toMatchObject({ from: VIRTUAL, flags: ACK });
      expect(flow.splicer.counters.synsChallenged).toBe(1);
      // Its numbers are not the flow's, which lives on if that was a stranger's, or a late one.
      expect(flow.state).toBe(OPEN);
      flow.client(ACK, 1);
      expect(flow.header()).toMatchObject({ from: SOURCE, seq: expected.seq });
    });

    test('from a client that began anew is let through once it has denied the old connection', () => {
      const flow = start().talk();
      flow.client(SYN, 0, { seq: 77, ack: 0 });
      // It denies what it is asked, in the numbers of the question (RFC 9293, section 3.10.7.3).
      flow.client(RST, 0, { seq: flow.header().ack, ack: 0 });
      expect(flow.header()).toMatchObject({ from: SOURCE, flags: RST });
      expect(flow.state).toBe(RESET);
      expect(flow.client(SYN, 0, { seq: 77, ack: 0 })).toBe(false);
      expect(flow.expired).toEqual([RECORD]);
    });

    test('for a record whose flow was never heard of likewise', () => {
      const flow = start();
      expect(flow.client(SYN, 0, { seq: 77, ack: 0 })).toBe(true);
      expect(flow.header()).toMatchObject({ from: VIRTUAL, flags: ACK });
      flow.client(RST, 0, { seq: flow.header().ack, ack: 0 });
      expect(flow.client(SYN, 0, { seq: 77, ack: 0 })).toBe(false);
    });

    test('from the backend, or with ACK, ends nothing', () => {
      const flow = start().talk();
      flow.client(RST);
      expect(flow.backend(SYN)).toBe(true);
      expect(flow.client(SYN | ACK)).toBe(true);
      expect(flow.state).toBe(RESET);
    });
  });

  describe("a segment with another member's cookie", () => {
    /** What was asked: the numbers of the segments. */
    const asked: [seq: number, ack: number][] = [];
    const isAnothers = (_: unknown, __: unknown, seq: number, ack: number): boolean =>
      asked.push([seq, ack]) > 0;

    test('far ahead of what the client has said is not ours, and changes nothing', () => {
      const flow = start({ isAnothers });
      // It acknowledges what is known of the client from then on.
      flow.backend(ACK);
      flow.talk();
      asked.length = 0;
      const [before, far] = [flow.sent.length, flow.seq + 200_000];
      expect(flow.client(ACK, 0, { seq: far, ack: 5 })).toBe(false);
      expect(asked).toEqual([[far, 5]]);
      expect(flow.sent).toHaveLength(before);
      expect(flow.splicer.counters.successors).toBe(1);
      expect([flow.state, flow.client(ACK, 10)]).toEqual([OPEN, true]);
    });

    test('is judged where nothing is known of the client, and nowhere else', () => {
      asked.length = 0;
      const flow = start({ isAnothers });
      expect(flow.client(ACK, 10)).toBe(false);
      flow.backend(ACK);
      for (const seq of [flow.seq, flow.seq + 199_999, flow.seq - 1_000]) {
        expect(flow.client(ACK, 0, { seq })).toBe(true);
      }
      expect(asked).toHaveLength(1);
    });

    test('is none if it resets or begins', () => {
      const flow = start({ isAnothers });
      // It acknowledges what is known of the client from then on.
      flow.backend(ACK);
      flow.talk();
      asked.length = 0;
      for (const flags of [RST, RST | ACK, SYN, SYN | ACK]) {
        flow.client(flags, 0, { seq: flow.seq + 1_000_000 });
      }
      expect(asked).toEqual([]);
    });
  });
});
