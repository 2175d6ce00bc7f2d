import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/env/clock.ts';
import { IPV4_FORM } from '../../src/splice/form.ts';
import { CLOSING, OPEN, RESET } from '../../src/splice/slot.ts';
import { ACK, FIN, RST } from '../../src/wire/tcp.ts';
import { Flow } from './flow.ts';
import { FAMILIES } from './own.ts';
import { isIntact, type Packet } from './packets.ts';
import { Testbed } from './testbed.ts';

describe.each(FAMILIES)('over $name', (family) => {
  const RECORD = family.record;
  const SOURCE = RECORD.source.address;
  const VIRTUAL = RECORD.virtual.address;
  const { seqShiftToBackend: AHEAD, seqShiftToClient: BACK } = RECORD;
  const start = (options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
    new Flow(family, options);

  describe('silence', () => {
    const options = { idleMillis: 10_000, probeMillis: 1_000, probes: 3 };

    test('both ends are probed with what they must answer', () => {
      const flow = start(options).talk();
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
      const flow = start(options);
      const stamp = (value: number, echo: number): Partial<Packet> => ({
        options: [{ kind: 'nop' }, { kind: 'nop' }, { kind: 'timestamps', value, echo }],
      });
      flow.client(ACK, 10, stamp(500, 0));
      flow.backend(ACK, 10, stamp(900, 0));
      flow.client(ACK, 0, stamp(501, 0));
      flow.advance(10_300);
      const { view } = flow.sent[3].frame;
      const at = 24 + (family.form === IPV4_FORM ? 20 : 40) + 20;
      expect(view.getUint32(at)).toBe(0x0101_080a);
      expect(view.getUint32(at + 4)).toBe(501 + RECORD.timestampShiftToBackend);
      expect(view.getUint32(at + 8)).toBe(900);
    });

    test('an answer from either end keeps the flow', () => {
      for (const end of ['client', 'backend'] as const) {
        const flow = start(options).talk();
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
      const flow = start(options).talk();
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
      const flow = start(options).talk();
      flow.advance(20_000);
      expect(flow.sent).toHaveLength(3 + 3 * 2 + 2);
      expect(flow.header(-2)).toMatchObject({ seq: (flow.seq + AHEAD) >>> 0, flags: RST | ACK });
      expect(flow.header(-1)).toMatchObject({ seq: (flow.peer + BACK) >>> 0, flags: RST | ACK });
      expect(flow.expired).toEqual([RECORD]);
      expect(flow.splicer.lifecycle.silent).toBe(1);
      expect(flow.splicer.nextAt).toBe(NEVER);
    });

    test('an end that no longer knows the connection closes it with its reset', () => {
      const flow = start(options).talk();
      flow.advance(10_300);
      const probe = flow.header(-2);
      flow.backend(RST, 0, { seq: probe.ack });
      expect(flow.header()).toMatchObject({ from: VIRTUAL, flags: RST });
      expect(flow.state).toBe(RESET);
      flow.advance(2_000);
      expect(flow.table.size).toBe(0);
    });

    test('traffic in time is no silence', () => {
      const flow = start(options).talk();
      for (let turn = 0; turn < 10; turn++) {
        flow.advance(9_000);
        flow.client(ACK, 1);
      }
      expect(flow.sent).toHaveLength(13);
      expect(flow.splicer.lifecycle.probesSent).toBe(0);
    });

    test('a flow that another member hears is not given up', () => {
      let asked = 0;
      const flow: Flow = start({ ...options, onSilent: () => asked++ });
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
      const flow = start(options);
      flow.advance(10_300);
      expect(flow.sent).toHaveLength(2);
      expect(flow.sent.every(({ frame }) => isIntact(frame))).toBe(true);
      flow.backend(ACK);
      flow.advance(9_000);
      expect(flow.sent).toHaveLength(3);
    });

    test('only the member that is responsible asks, and none drops what is not its own', () => {
      let responsible = false;
      const flow = start({ ...options, isResponsible: () => responsible }).talk();
      flow.advance(100_000);
      expect(flow.sent).toHaveLength(3);
      expect(flow.table.size).toBe(1);
      responsible = true;
      flow.advance(11_000);
      expect(flow.sent.length).toBeGreaterThan(3);
    });

    test('a doubtful reset is looked into by whoever saw it, who drops nothing for silence', () => {
      const flow = start({ ...options, isResponsible: () => false }).talk();
      flow.client(RST, 0, { seq: flow.seq + 5_000 });
      flow.advance(9_000);
      expect(flow.sent).toHaveLength(4 + 3 * 2);
      flow.advance(100_000);
      expect(flow.sent).toHaveLength(4 + 3 * 2);
      expect(flow.table.size).toBe(1);
    });

    test('a flow that waits for its last ACKs is asked sooner', () => {
      const flow = start({ ...options, idleMillis: 1_000_000, closingIdleMillis: 3_000 }).talk();
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
      const flow = start({ ...options, idleMillis: 1_000_000 }).talk();
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
      const bed = new Testbed({ form: family.form, maximum: 10_000, ...options });
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
    const flow = start({ idleMillis: 10_000, lingerMillis: 1_000 });
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
});
