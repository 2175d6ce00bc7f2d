import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/env/clock.ts';
import { IPV4_FORM, IPV6_FORM } from '../../src/splice/form.ts';
import { CLOSING, HALF_CLOSED, LINGERING, OPEN, RESET } from '../../src/splice/slot.ts';
import { ACK, FIN, RST, SYN } from '../../src/wire/tcp.ts';
import * as packets from './packets.ts';
import { isIntact, type Packet } from './packets.ts';
import { Testbed } from './testbed.ts';

describe.each([IPV4_FORM, IPV6_FORM])('over IPv$version', (form) => {
  const isIpv4 = form === IPV4_FORM;
  const RECORD = isIpv4 ? packets.RECORD : packets.RECORD6;
  const PACKET = isIpv4 ? packets.PACKET : packets.PACKET6;
  const ANSWER = isIpv4 ? packets.ANSWER : packets.ANSWER6;
  const SOURCE = RECORD.source.address;
  const VIRTUAL = RECORD.virtual.address;
  const { seqShiftToBackend: AHEAD, seqShiftToClient: BACK } = RECORD;
  const bytes = (length: number): number[] => new Array<number>(length).fill(7);

  /**
   * A conversation in progress: the client's next byte is `seq`, the backend's is `peer`, both in the numbers
   * that their senders use; each side's acknowledgments are in those that it is shown.
   */
  class Flow extends Testbed {
    seq: number;
    peer: number;
    readonly slot: number;

    constructor(
      options: ConstructorParameters<typeof Testbed>[0] & { seq?: number; peer?: number } = {},
    ) {
      super({ form, ...options });
      this.seq = options.seq ?? 1_000;
      this.peer = options.peer ?? 9_000;
      this.slot = this.insert();
    }

    client(flags: number, length = 0, changes: Partial<Packet> = {}): boolean {
      const packet = {
        ...PACKET,
        flags,
        seq: this.seq >>> 0,
        ack: (this.peer + BACK) >>> 0,
        payload: bytes(length),
        ...changes,
      };
      this.seq += length + (flags & FIN);
      return this.handle(packet);
    }

    backend(flags: number, length = 0, changes: Partial<Packet> = {}): boolean {
      const packet = {
        ...ANSWER,
        flags,
        seq: this.peer >>> 0,
        ack: (this.seq + AHEAD) >>> 0,
        payload: bytes(length),
        ...changes,
      };
      this.peer += length + (flags & FIN);
      return this.handle(packet);
    }

    /** A request and its answer, all acknowledged. */
    talk(): this {
      this.client(ACK, 100);
      this.backend(ACK, 200);
      this.client(ACK);
      return this;
    }

    get state(): number {
      return this.table.state(this.slot);
    }
  }

  describe('several members, of which each sees some of the packets', () => {
    /** Members that hear at once what one of them tells. */
    class Shared {
      readonly members: Flow[];
      told = 0;

      constructor(count: number) {
        this.members = Array.from({ length: count }, (_, index): Flow => {
          return new Flow({ onFacts: (slot, facts) => this.#tell(index, slot, facts) });
        });
      }

      #tell(from: number, slot: number, facts: number): boolean {
        this.told++;
        const { now, splicer } = this.members[from];
        const ends = [0, 1].map((direction) => splicer.lifecycle.finEnd(slot, direction));
        for (const [index, other] of this.members.entries()) {
          if (index !== from) {
            other.splicer.lifecycle.learn(other.slot, facts, ends[0], ends[1], now);
          }
        }
        return true;
      }
    }

    /** Who sends what, in order. */
    const ending = [
      (flow: Flow) => flow.client(FIN | ACK),
      (flow: Flow) => flow.backend(ACK),
      (flow: Flow) => flow.backend(FIN | ACK),
      (flow: Flow) => flow.client(ACK),
    ];

    test('whoever sees which of the last packets, all know the end', () => {
      for (let ways = 0; ways < 3 ** ending.length; ways++) {
        const shared = new Shared(3);
        for (const member of shared.members) member.talk();
        let way = ways;
        for (const send of ending) {
          const seer = shared.members[way % 3];
          way = Math.floor(way / 3);
          send(seer);
          // Both ends go on, whoever sees it.
          for (const member of shared.members) {
            member.seq = seer.seq;
            member.peer = seer.peer;
          }
        }
        expect(shared.members.map(({ state }) => state)).toEqual([LINGERING, LINGERING, LINGERING]);
        expect(shared.told).toBeLessThanOrEqual(4);
      }
    });

    test('packets of the next connection do not go by the record of one that is over', () => {
      const shared = new Shared(2);
      const [one, other] = shared.members;
      for (const member of shared.members) member.talk();
      for (const send of ending) send(one);
      expect(other.state).toBe(LINGERING);
      expect(other.client(ACK, 0, { seq: one.seq })).toBe(true);
      expect(other.client(ACK, 10, { seq: one.seq + 70_000 })).toBe(false);
    });
  });

  describe('closing by FINs', () => {
    test('either end first, and across the wrap', () => {
      for (const seq of [1_000, 0xffff_ff9c - 1, 0xffff_ffff]) {
        for (const clientFirst of [true, false]) {
          const flow = new Flow({ seq, peer: seq }).talk();
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
      const flow = new Flow().talk();
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
      const flow = new Flow().talk();
      flow.client(ACK | FIN);
      flow.peer++;
      flow.client(ACK);
      flow.backend(ACK);
      flow.peer--;
      flow.backend(ACK | FIN);
      expect(flow.state).toBe(LINGERING);
    });

    test('a FIN that ends at 0 is not acknowledged by nobody', () => {
      const flow = new Flow({ seq: 0xffff_ffff, peer: 0xffff_ffff });
      flow.client(FIN);
      flow.backend(FIN);
      expect(flow.state).toBe(CLOSING);
      flow.client(ACK);
      flow.backend(ACK);
      expect(flow.state).toBe(LINGERING);
    });

    test('a repeated FIN does not matter', () => {
      const flow = new Flow().talk();
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
      const flow = new Flow({ lingerMillis: 1_000 }).talk();
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
      const flow = new Flow().talk();
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
      const flow = new Flow().talk();
      flow.client(ACK | FIN, 0, { seq: (flow.seq + 0x3000_0000) >>> 0 });
      expect(flow.state).toBe(OPEN);
      expect(flow.sent).toHaveLength(4);
    });

    test('data behind both FINs opens a flow that seemed closed', () => {
      const flow = new Flow().talk();
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
        const flow = new Flow({ resetLingerMillis: 500 }).talk();
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
      const flow = new Flow().talk();
      const una = flow.seq;
      flow.client(ACK, 1_000);
      for (const seq of [una, una + 500, una + 1_000]) {
        const again = new Flow({ seq: una - 100, peer: flow.peer - 200 }).talk();
        again.client(ACK, 1_000);
        again.client(RST, 0, { seq });
        expect(again.state).toBe(RESET);
      }
    });

    test('a reset that a stranger sent passes, but does not close: the ends are asked', () => {
      for (const off of [-1, 1, 100_000, -100_000]) {
        const flow = new Flow({ resetLingerMillis: 2_000 }).talk();
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
      const flow = new Flow().talk();
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
      const flow = new Flow().talk();
      flow.client(RST);
      expect(flow.state).toBe(RESET);
      flow.client(ACK, 100);
      expect(flow.state).toBe(OPEN);
      flow.advance(20_000);
      expect(flow.table.size).toBe(1);
    });

    test('where the flow is now, though most of it passed elsewhere', () => {
      for (const passed of [0x2000_0000, 0xa000_0000, 0xe000_0000]) {
        const flow = new Flow().talk();
        flow.seq += passed;
        flow.peer += passed;
        flow.talk();
        flow.client(RST);
        expect(flow.state).toBe(RESET);
      }
    });

    test('as the first packet that is seen, as after a failover, is doubted: the ends are asked', () => {
      const flow = new Flow({ resetLingerMillis: 2_000, probeMillis: 1_000 });
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
        const flow = new Flow({ resetLingerMillis: 2_000, probeMillis: 1_000 });
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

  describe('a SYN', () => {
    test('from the client ends a record that lingers, and is not ours', () => {
      for (const finish of ['fin', 'rst']) {
        const flow = new Flow().talk();
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
      const flow = new Flow().talk();
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
      const flow = new Flow().talk();
      flow.client(SYN, 0, { seq: 77, ack: 0 });
      // It denies what it is asked, in the numbers of the question (RFC 9293, section 3.10.7.3).
      flow.client(RST, 0, { seq: flow.header().ack, ack: 0 });
      expect(flow.header()).toMatchObject({ from: SOURCE, flags: RST });
      expect(flow.state).toBe(RESET);
      expect(flow.client(SYN, 0, { seq: 77, ack: 0 })).toBe(false);
      expect(flow.expired).toEqual([RECORD]);
    });

    test('for a record whose flow was never heard of likewise', () => {
      const flow = new Flow();
      expect(flow.client(SYN, 0, { seq: 77, ack: 0 })).toBe(true);
      expect(flow.header()).toMatchObject({ from: VIRTUAL, flags: ACK });
      flow.client(RST, 0, { seq: flow.header().ack, ack: 0 });
      expect(flow.client(SYN, 0, { seq: 77, ack: 0 })).toBe(false);
    });

    test('from the backend, or with ACK, ends nothing', () => {
      const flow = new Flow().talk();
      flow.client(RST);
      expect(flow.backend(SYN)).toBe(true);
      expect(flow.client(SYN | ACK)).toBe(true);
      expect(flow.state).toBe(RESET);
    });
  });

  describe('silence', () => {
    const options = { idleMillis: 10_000, probeMillis: 1_000, probes: 3 };

    test('both ends are probed with what they must answer', () => {
      const flow = new Flow(options).talk();
      flow.advance(10_300);
      expect(flow.sent).toHaveLength(5);
      expect(flow.header(-2)).toEqual({
        from: SOURCE,
        seq: (flow.seq + AHEAD - 1) >>> 0,
        ack: flow.peer,
        flags: ACK,
        window: 0,
      });
      expect(flow.header(-1)).toEqual({
        from: VIRTUAL,
        seq: (flow.peer + BACK - 1) >>> 0,
        ack: flow.seq,
        flags: ACK,
        window: 0,
      });
      for (const { frame } of flow.sent.slice(-2)) expect(isIntact(frame)).toBe(true);
    });

    test('a probe carries timestamps on the clock of its sender', () => {
      const flow = new Flow(options);
      const stamp = (value: number, echo: number): Partial<Packet> => ({
        options: [{ kind: 'nop' }, { kind: 'nop' }, { kind: 'timestamps', value, echo }],
      });
      flow.client(ACK, 10, stamp(500, 0));
      flow.backend(ACK, 10, stamp(900, 0));
      flow.client(ACK, 0, stamp(501, 0));
      flow.advance(10_300);
      const { view } = flow.sent[3].frame;
      const at = 24 + (isIpv4 ? 20 : 40) + 20;
      expect(view.getUint32(at)).toBe(0x0101_080a);
      expect(view.getUint32(at + 4)).toBe(501 + RECORD.timestampShiftToBackend);
      expect(view.getUint32(at + 8)).toBe(900);
    });

    test('an answer from either end keeps the flow', () => {
      for (const end of ['client', 'backend'] as const) {
        const flow = new Flow(options).talk();
        flow.advance(11_500);
        flow[end](ACK);
        for (let turn = 0; turn < 5; turn++) {
          flow.advance(66_500);
          flow[end](ACK);
        }
        expect(flow.sent).toHaveLength(3 + 6 * 5);
        expect(flow.table.size).toBe(1);
        expect(flow.expired).toEqual([]);
      }
    });

    test('ends that only answer are left alone for longer than they are in TIME-WAIT, until they say more', () => {
      const flow = new Flow(options).talk();
      flow.advance(10_300);
      flow.client(ACK);
      flow.backend(ACK);
      const before = flow.sent.length;
      flow.advance(64_900);
      expect(flow.sent).toHaveLength(before);
      flow.advance(400);
      expect(flow.sent).toHaveLength(before + 2);
      flow.client(ACK, 10);
      flow.advance(10_300);
      expect(flow.sent).toHaveLength(before + 5);
    });

    test('no answer to any probe: both ends are reset where they are, and the record goes', () => {
      const flow = new Flow(options).talk();
      flow.advance(20_000);
      expect(flow.sent).toHaveLength(3 + 3 * 2 + 2);
      expect(flow.header(-2)).toMatchObject({ seq: (flow.seq + AHEAD) >>> 0, flags: RST | ACK });
      expect(flow.header(-1)).toMatchObject({ seq: (flow.peer + BACK) >>> 0, flags: RST | ACK });
      expect(flow.expired).toEqual([RECORD]);
      expect(flow.splicer.lifecycle.silent).toBe(1);
      expect(flow.splicer.nextAt).toBe(NEVER);
    });

    test('an end that no longer knows the connection closes it with its reset', () => {
      const flow = new Flow(options).talk();
      flow.advance(10_300);
      const probe = flow.header(-2);
      flow.backend(RST, 0, { seq: probe.ack });
      expect(flow.header()).toMatchObject({ from: VIRTUAL, flags: RST });
      expect(flow.state).toBe(RESET);
      flow.advance(2_000);
      expect(flow.table.size).toBe(0);
    });

    test('traffic in time is no silence', () => {
      const flow = new Flow(options).talk();
      for (let turn = 0; turn < 10; turn++) {
        flow.advance(9_000);
        flow.client(ACK, 1);
      }
      expect(flow.sent).toHaveLength(13);
      expect(flow.splicer.lifecycle.probesSent).toBe(0);
    });

    test('a flow that another member hears is not given up', () => {
      let asked = 0;
      const flow: Flow = new Flow({ ...options, onSilent: () => asked++ });
      flow.talk();
      for (let turn = 0; turn < 3; turn++) {
        // What it heard may be no more than an answer.
        flow.advance(turn === 0 ? 12_000 : 67_000);
        expect(flow.splicer.lifecycle.isHeard(flow.slot, flow.now)).toBe(false);
        flow.splicer.lifecycle.revive(flow.slot, flow.now);
        expect(flow.splicer.lifecycle.isHeard(flow.slot, flow.now)).toBe(true);
      }
      expect(asked).toBeGreaterThan(2);
      expect(flow.state).toBe(OPEN);
      expect(flow.expired).toEqual([]);
    });

    test('a flow whose packets this member never saw is probed too', () => {
      const flow = new Flow(options);
      flow.advance(10_300);
      expect(flow.sent).toHaveLength(2);
      expect(flow.sent.every(({ frame }) => isIntact(frame))).toBe(true);
      flow.backend(ACK);
      flow.advance(9_000);
      expect(flow.sent).toHaveLength(3);
    });

    test('only the member that is responsible asks, and none drops what is not its own', () => {
      let responsible = false;
      const flow = new Flow({ ...options, isResponsible: () => responsible }).talk();
      flow.advance(100_000);
      expect(flow.sent).toHaveLength(3);
      expect(flow.table.size).toBe(1);
      responsible = true;
      flow.advance(11_000);
      expect(flow.sent.length).toBeGreaterThan(3);
    });

    test('a doubtful reset is looked into by whoever saw it, who drops nothing for silence', () => {
      const flow = new Flow({ ...options, isResponsible: () => false }).talk();
      flow.client(RST, 0, { seq: flow.seq + 5_000 });
      flow.advance(9_000);
      expect(flow.sent).toHaveLength(4 + 3 * 2);
      flow.advance(100_000);
      expect(flow.sent).toHaveLength(4 + 3 * 2);
      expect(flow.table.size).toBe(1);
    });

    test('a flow that waits for its last ACKs is asked sooner', () => {
      const flow = new Flow({ ...options, idleMillis: 1_000_000, closingIdleMillis: 3_000 }).talk();
      flow.advance(20_000);
      flow.client(ACK | FIN);
      flow.backend(ACK | FIN);
      expect(flow.state).toBe(CLOSING);
      flow.advance(3_300);
      expect(flow.sent).toHaveLength(5 + 2);
      flow.advance(10_000);
      expect(flow.table.size).toBe(0);
    });

    test('a host whose flows are all busy sleeps between its scans', () => {
      const flow = new Flow({ ...options, idleMillis: 1_000_000 }).talk();
      flow.advance(100_000);
      const wakes: number[] = [];
      for (let turn = 0; turn < 20; turn++) {
        flow.splicer.run(flow.now);
        wakes.push(flow.splicer.nextAt);
        flow.advance(1_000);
        flow.client(ACK, 1);
      }
      expect(new Set(wakes).size).toBe(1);
    });

    test('many flows: each is found, in slices', () => {
      const bed = new Testbed({ form, maximum: 10_000, ...options });
      for (let index = 0; index < 10_000; index++) {
        bed.insert({
          ...RECORD,
          client: { ...RECORD.client, port: 1_000 + index },
          source: { ...RECORD.source, port: 1_000 + index },
        });
      }
      bed.advance(10_500);
      expect(bed.splicer.lifecycle.probesSent).toBe(20_000);
      bed.sent.length = 0;
      bed.advance(5_000);
      expect(bed.table.size).toBe(0);
      expect(bed.expired).toHaveLength(10_000);
    });
  });

  test('milliseconds wrap', () => {
    const flow = new Flow({ idleMillis: 10_000, lingerMillis: 1_000 });
    flow.now = (2 ** 32 - 500) * 1_000;
    flow.talk();
    flow.splicer.run(flow.now);
    flow.advance(9_000);
    expect(flow.table.size).toBe(1);
    expect(flow.splicer.lifecycle.probesSent).toBe(0);
    flow.client(ACK | FIN);
    flow.backend(ACK | FIN);
    flow.now = (2 ** 33 - 300) * 1_000;
    flow.client(ACK);
    flow.advance(999);
    expect(flow.table.size).toBe(1);
    flow.advance(1);
    expect(flow.table.size).toBe(0);
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
        const flow = new Flow({ idleMillis: 5_000, closingIdleMillis: 2_000, probeMillis: 500 });
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
    const flow = new Flow().talk();
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
