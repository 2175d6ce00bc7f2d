import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/env/clock.ts';
import { CLOSING, HALF_CLOSED, LINGERING, OPEN, RESET } from '../../src/splice/slot.ts';
import { ACK, FIN, RST } from '../../src/wire/tcp.ts';
import { Flow } from './flow.ts';
import { FAMILIES } from './own.ts';

describe.each(FAMILIES)('over $name', (family) => {
  const RECORD = family.record;
  const VIRTUAL = RECORD.virtual.address;
  const { seqShiftToBackend: AHEAD } = RECORD;
  const start = (options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
    new Flow(family, options);

  describe('closing by FINs', () => {
    test('either end first, and across the wrap', () => {
      for (const seq of [1_000, 0xffff_ff9c - 1, 0xffff_ffff]) {
        for (const clientFirst of [true, false]) {
          const flow = start({ seq, peer: seq }).talk();
          const first = clientFirst ? flow.client.bind(flow) : flow.backend.bind(flow);
          const second = clientFirst ? flow.backend.bind(flow) : flow.client.bind(flow);
          expect(flow.state).toBe(OPEN);
          first(ACK | FIN);
          expect(flow.state).toBe(HALF_CLOSED);
          second(ACK, 50);
          expect(flow.state).toBe(HALF_CLOSED);
          second(ACK | FIN, 10);
          expect(flow.state).toBe(CLOSING);
          expect(flow.closed).toEqual([]);
          first(ACK);
          expect(flow.state).toBe(LINGERING);
          expect(flow.closed).toEqual([flow.slot]);
          expect(flow.sent).toHaveLength(7);
        }
      }
    });

    test('both at once', () => {
      const flow = start().talk();
      const { seq, peer } = flow;
      flow.client(ACK | FIN);
      flow.backend(ACK | FIN, 0, { ack: (seq + AHEAD) >>> 0 });
      expect(flow.state).toBe(CLOSING);
      flow.client(ACK);
      expect(flow.state).toBe(CLOSING);
      flow.backend(ACK);
      expect(flow.state).toBe(LINGERING);
      expect(flow.peer).toBe(peer + 1);
    });

    test('a FIN that comes after the ACK of it, as when paths differ', () => {
      const flow = start().talk();
      flow.client(ACK | FIN);
      flow.peer++;
      flow.client(ACK);
      flow.backend(ACK);
      flow.peer--;
      flow.backend(ACK | FIN);
      expect(flow.state).toBe(LINGERING);
    });

    test('a FIN that ends at 0 is not acknowledged by nobody', () => {
      const flow = start({ seq: 0xffff_ffff, peer: 0xffff_ffff });
      flow.client(FIN);
      flow.backend(FIN);
      expect(flow.state).toBe(CLOSING);
      flow.client(ACK);
      flow.backend(ACK);
      expect(flow.state).toBe(LINGERING);
    });

    test('a repeated FIN does not matter', () => {
      const flow = start().talk();
      flow.client(ACK | FIN);
      flow.seq--;
      flow.client(ACK | FIN);
      flow.backend(ACK | FIN);
      flow.peer--;
      flow.backend(ACK | FIN);
      expect(flow.state).toBe(CLOSING);
      flow.client(ACK);
      expect(flow.state).toBe(LINGERING);
      expect(flow.closed).toHaveLength(1);
    });

    test('the record goes a linger after the last packet', () => {
      const flow = start({ lingerMillis: 1_000 }).talk();
      flow.client(ACK | FIN);
      flow.backend(ACK | FIN);
      flow.client(ACK);
      flow.advance(900);
      // The last ACK was lost: the backend repeats its FIN, and it is still translated.
      flow.peer--;
      expect(flow.backend(ACK | FIN)).toBe(true);
      expect(flow.client(ACK)).toBe(true);
      flow.advance(999);
      expect(flow.table.size).toBe(1);
      flow.advance(1);
      expect(flow.table.size).toBe(0);
      expect(flow.expired).toEqual([RECORD]);
      expect(flow.closed).toHaveLength(1);
      expect(flow.client(ACK)).toBe(false);
      expect(flow.splicer.nextAt).toBe(NEVER);
    });

    test('a FIN that a stranger sent is not believed for long', () => {
      const flow = start().talk();
      flow.client(ACK | FIN, 0, { seq: flow.seq + 500 });
      flow.seq--;
      flow.backend(ACK | FIN);
      flow.client(ACK, 600);
      expect(flow.state).toBe(HALF_CLOSED);
      flow.client(ACK | FIN);
      flow.backend(ACK);
      expect(flow.state).toBe(LINGERING);
    });

    test('a FIN from far away is not believed at all', () => {
      const flow = start().talk();
      flow.client(ACK | FIN, 0, { seq: (flow.seq + 0x3000_0000) >>> 0 });
      expect(flow.state).toBe(OPEN);
      expect(flow.sent).toHaveLength(4);
    });

    test('data behind both FINs opens a flow that seemed closed', () => {
      const flow = start().talk();
      flow.client(ACK | FIN);
      flow.backend(ACK | FIN);
      flow.client(ACK);
      expect(flow.state).toBe(LINGERING);
      flow.client(ACK, 100);
      expect(flow.state).toBe(HALF_CLOSED);
      flow.advance(20_000);
      expect(flow.table.size).toBe(1);
    });
  });

  describe('closing by a reset', () => {
    test('from either end; what is on its way is still translated', () => {
      for (const end of ['client', 'backend'] as const) {
        const flow = start({ resetLingerMillis: 500 }).talk();
        flow[end](RST);
        expect(flow.state).toBe(RESET);
        expect(flow.closed).toEqual([flow.slot]);
        const other = end === 'client' ? 'backend' : 'client';
        flow.advance(400);
        expect(flow[other](ACK, 100)).toBe(true);
        flow.advance(499);
        expect(flow.table.size).toBe(1);
        flow.advance(1);
        expect(flow.expired).toEqual([RECORD]);
      }
    });

    test('within what is in flight, as a sender that gives up would place it', () => {
      const flow = start().talk();
      const una = flow.seq;
      flow.client(ACK, 1_000);
      for (const seq of [una, una + 500, una + 1_000]) {
        const again = start({ seq: una - 100, peer: flow.peer - 200 }).talk();
        again.client(ACK, 1_000);
        again.client(RST, 0, { seq });
        expect(again.state).toBe(RESET);
      }
    });

    test('a reset that a stranger sent passes, but does not close: the ends are asked', () => {
      for (const off of [-1, 1, 100_000, -100_000]) {
        const flow = start({ resetLingerMillis: 2_000 }).talk();
        flow.client(RST, 0, { seq: flow.seq + off });
        expect(flow.state).toBe(OPEN);
        expect(flow.sent).toHaveLength(4);
        flow.advance(2_300);
        expect(flow.sent).toHaveLength(6);
        // The ends are there, and say so; nobody asks again.
        flow.backend(ACK);
        flow.client(ACK);
        flow.advance(30_000);
        expect(flow.sent).toHaveLength(8);
        expect(flow.state).toBe(OPEN);
      }
    });

    test('a reset that we could not place is found out by asking', () => {
      const flow = start().talk();
      // Another member saw what came before it.
      flow.client(RST, 0, { seq: flow.seq + 5_000 });
      flow.advance(2_300);
      const probe = flow.header(-2);
      flow.backend(RST, 0, { seq: probe.ack });
      expect(flow.state).toBe(RESET);
      flow.advance(2_300);
      expect(flow.table.size).toBe(0);
    });

    test('whoever goes on sending has not reset the connection', () => {
      const flow = start().talk();
      flow.client(RST);
      expect(flow.state).toBe(RESET);
      flow.client(ACK, 100);
      expect(flow.state).toBe(OPEN);
      flow.advance(20_000);
      expect(flow.table.size).toBe(1);
    });

    test('where the flow is now, though most of it passed elsewhere', () => {
      for (const passed of [0x2000_0000, 0xa000_0000, 0xe000_0000]) {
        const flow = start().talk();
        flow.seq += passed;
        flow.peer += passed;
        flow.talk();
        flow.client(RST);
        expect(flow.state).toBe(RESET);
      }
    });

    test('as the first packet that is seen, as after a failover, is doubted: the ends are asked', () => {
      const flow = start({ resetLingerMillis: 2_000, probeMillis: 1_000 });
      flow.backend(RST);
      expect(flow.state).toBe(OPEN);
      flow.client(ACK, 10);
      flow.advance(2_300);
      expect(flow.sent).toHaveLength(4);
      // It was the answer to a question, of an end that had not seen the handshake's end.
      flow.backend(ACK, 10);
      flow.advance(20_000);
      expect(flow.state).toBe(OPEN);
    });

    test('likewise, and the ends answer with resets, or not at all: it goes', () => {
      for (const answers of [true, false]) {
        const flow = start({ resetLingerMillis: 2_000, probeMillis: 1_000 });
        flow.backend(RST);
        for (let second = 0; second < 20; second++) {
          const before = flow.sent.length;
          flow.advance(1_000);
          if (answers && flow.sent.length > before) flow.client(RST);
        }
        expect(flow.table.size).toBe(0);
      }
    });
  });

  test('whatever passes, the record goes at last and nothing is left behind', () => {
    const event = fc.record({
      fromClient: fc.boolean(),
      flags: fc.integer({ min: 0, max: 31 }),
      seq: fc.integer({ min: -70_000, max: 70_000 }),
      ack: fc.integer({ min: -70_000, max: 70_000 }),
      length: fc.integer({ min: 0, max: 30 }),
      wait: fc.integer({ min: 0, max: 4_000 }),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), fc.boolean(), (events, insertTwice) => {
        const flow = start({ idleMillis: 5_000, closingIdleMillis: 2_000, probeMillis: 500 });
        if (insertTwice) flow.insert({ ...RECORD, epoch: 2 });
        for (const { fromClient, flags, seq, ack, length, wait } of events) {
          const changes = { seq: seq >>> 0, ack: ack >>> 0 };
          if (fromClient) flow.client(flags, length, changes);
          else flow.backend(flags, length, changes);
          flow.advance(wait);
        }
        flow.advance(130_000);
        expect(flow.table.size).toBe(0);
        expect(flow.expired).toHaveLength(1);
        expect(flow.table.lingering.first).toBe(-1);
        expect(flow.table.reset.first).toBe(-1);
        expect(flow.splicer.nextAt).toBe(NEVER);
      }),
      { numRuns: 300 },
    );
  });

  test('a new backend under a higher epoch: the FIN of the client still counts', () => {
    const flow = start().talk();
    flow.client(ACK | FIN);
    flow.insert({ ...RECORD, epoch: 2, backend: { ...RECORD.backend, port: 8_081 } });
    expect(flow.state).toBe(HALF_CLOSED);
    const answer = { fromPort: 8_081 };
    flow.backend(ACK | FIN, 100, answer);
    expect(flow.header().from).toBe(VIRTUAL);
    flow.client(ACK);
    expect(flow.state).toBe(LINGERING);
  });
});
