import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Datagram } from '../../src/replication/datagram.ts';
import * as envelope from '../../src/replication/envelope.ts';
import * as messages from '../../src/replication/messages.ts';

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const START = envelope.BODY_AT;

const isValid = (datagram: Datagram, numbered: boolean): boolean =>
  messages.isValidBody(datagram.view, START, datagram.end, numbered);

describe('bodies', () => {
  test('any bytes are judged without an exception, and no message reaches past the end', () => {
    const arbitrary = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // Likelier to be nearly right: real types, small lengths.
      fc
        .tuple(fc.constantFrom(1, 2, 16, 17, 18, 19, 20, 21, 22, 23), fc.nat(80), fc.uint8Array())
        .map(([type, length, rest]) => Uint8Array.of(type, 0, length, ...rest)),
    );
    fc.assert(
      fc.property(arbitrary, fc.boolean(), (body, numbered) => {
        const datagram = new Datagram();
        datagram.bytes.fill(0xff);
        datagram.bytes.set(body, START);
        datagram.end = START + body.length;
        if (!isValid(datagram, numbered)) return;
        let at = START;
        while (at < datagram.end) at = messages.messageEnd(datagram.view, at);
        expect(at).toBe(datagram.end);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a body cut anywhere is refused, unless it is cut between messages', () => {
    const datagram = new Datagram();
    messages.writeKept(datagram, messages.PROPOSE, 7, new Uint8Array(65).fill(1));
    const first = datagram.end;
    messages.writeKept(datagram, messages.DELETE, 8, new Uint8Array(16).fill(8));
    const { end } = datagram;
    for (let cut = START; cut <= end; cut++) {
      datagram.end = cut;
      expect(isValid(datagram, true)).toBe(cut === START || cut === first || cut === end);
    }
  });

  test('numbered and unnumbered messages do not mix', () => {
    const datagram = new Datagram();
    messages.writeHeartbeat(datagram, 1, [], [], []);
    expect(isValid(datagram, false)).toBe(true);
    expect(isValid(datagram, true)).toBe(false);
    messages.writeKept(datagram, messages.DELETE, 1, new Uint8Array(16));
    expect(isValid(datagram, false)).toBe(false);
    expect(isValid(datagram, true)).toBe(false);
  });

  test.each([
    { version: 4, bytes: 64, count: 19 },
    { version: 6, bytes: 112, count: 11 },
  ])(
    '$count proposals of IPv$version are all that a datagram takes',
    ({ bytes: length, count }) => {
      const datagram = new Datagram();
      for (let index = 0; index < count; index++) {
        messages.writeKept(datagram, messages.PROPOSE, index, new Uint8Array(1 + length));
      }
      expect(isValid(datagram, true)).toBe(true);
      const room = envelope.MAX_PLAIN - datagram.end;
      expect(room).toBeGreaterThanOrEqual(0);
      expect(room).toBeLessThan(messages.MESSAGE_HEADER + 5 + length);
    },
  );

  test('a datagram fits an MTU of 1,500, under an IPv6 header and UDP', () => {
    expect(envelope.CLEAR_BYTES + envelope.MAX_PLAIN + envelope.TAG_BYTES + 48).toBe(1_500);
  });

  test('records, keys and flows have the length of one family or the other', () => {
    for (const [type, lengths] of [
      [messages.PROPOSE, [69, 117]],
      [messages.SNAPSHOT_RECORD, [64, 112]],
      [messages.DELETE, [20, 44]],
      [messages.WITHDRAW, [16, 40]],
      [messages.HEAD_DROP, [12, 36]],
    ] as const) {
      const taken = Array.from({ length: 130 }, (_, length) => length).filter((length) => {
        const datagram = new Datagram();
        messages.writeBytes(datagram, type, new Uint8Array(length), length);
        return isValid(datagram, true);
      });
      expect(taken).toEqual(lengths);
    }
  });

  test('a proposal has one of three ranks', () => {
    for (let rank = 0; rank < 256; rank++) {
      const datagram = new Datagram();
      const kept = new Uint8Array(65);
      kept[0] = rank;
      messages.writeKept(datagram, messages.PROPOSE, 0xffff_ffff, kept);
      expect(isValid(datagram, true)).toBe(rank < 3);
      expect(messages.ticketOf(datagram.view, START)).toBe(0xffff_ffff);
      expect(messages.proposalRank(datagram.view, START)).toBe(rank);
    }
  });

  test('the largest part of a head fits beside the longest flow and facts', () => {
    const datagram = new Datagram();
    const facts = new Uint8Array(messages.MAX_FACTS);
    messages.writeHead(
      datagram,
      new Uint8Array(36),
      facts,
      0,
      new Uint8Array(messages.MAX_HEAD_CHUNK),
    );
    expect(datagram.end).toBe(envelope.MAX_PLAIN);
    expect(isValid(datagram, true)).toBe(true);
  });
});

describe('what is written is read', () => {
  test('heartbeat', () => {
    const ids = fc.uniqueArray(fc.nat(255), { maxLength: 255 });
    fc.assert(
      fc.property(uint32, ids, ids, ids, (view, adopted, members, active) => {
        const datagram = new Datagram();
        messages.writeHeartbeat(datagram, view, adopted, members, active);
        expect(isValid(datagram, false)).toBe(true);
        expect(messages.heartbeatView(datagram.view, START)).toBe(view);
        expect(messages.heartbeatAdopted(datagram.view, START)).toEqual(adopted);
        expect(messages.heartbeatMembers(datagram.view, START)).toEqual(members);
        expect(messages.heartbeatActive(datagram.view, START)).toEqual(active);
      }),
    );
  });

  test('fenced', () => {
    fc.assert(
      fc.property(uint32, uint32, uint32, (seconds, salt, evidence) => {
        const datagram = new Datagram();
        messages.writeFenced(datagram, { seconds, salt }, evidence);
        expect(isValid(datagram, false)).toBe(true);
        expect(messages.fencedFloor(datagram.view, START)).toEqual({ seconds, salt });
        expect(messages.fencedEvidence(datagram.view, START)).toBe(evidence);
      }),
    );
  });

  test('head', () => {
    const facts = fc.uint8Array({ maxLength: messages.MAX_FACTS });
    const part = fc.uint8Array({ maxLength: 1_000 });
    fc.assert(
      fc.property(
        fc.oneof(bytes(12), bytes(36)),
        facts,
        uint32,
        part,
        (flow, note, offset, head) => {
          const datagram = new Datagram();
          messages.writeHead(datagram, flow, note, offset, head);
          expect(isValid(datagram, true)).toBe(true);
          const { view } = datagram;
          const flowAt = messages.headFlowAt(START);
          const factsAt = messages.headFactsAt(view, START);
          const headAt = messages.headBytesAt(view, START);
          expect(datagram.bytes.slice(flowAt, factsAt)).toEqual(flow);
          expect(messages.headOffset(view, START)).toBe(offset);
          expect(datagram.bytes.slice(factsAt, headAt)).toEqual(note);
          expect(datagram.bytes.slice(headAt, messages.messageEnd(view, START))).toEqual(head);
        },
      ),
    );
  });

  test('the marks of a snapshot', () => {
    fc.assert(
      fc.property(uint32, uint32, (id, count) => {
        const datagram = new Datagram();
        messages.writeSnapshotMark(datagram, messages.SNAPSHOT_BEGIN, id);
        const second = datagram.end;
        messages.writeSnapshotEnd(datagram, id, count);
        expect(isValid(datagram, true)).toBe(true);
        expect(messages.snapshotId(datagram.view, START)).toBe(id);
        expect(messages.snapshotId(datagram.view, second)).toBe(id);
        expect(messages.snapshotCount(datagram.view, second)).toBe(count);
      }),
    );
  });

  test('the envelope', () => {
    const life = fc.record({ seconds: uint32, salt: uint32 });
    fc.assert(
      fc.property(
        life,
        life,
        fc.nat(255),
        uint32,
        fc.maxSafeNat(),
        (from, to, id, name, number) => {
          const clear = new Uint8Array(envelope.MIN_PAYLOAD);
          const view = new DataView(clear.buffer);
          envelope.writeClear(view, id, name, from);
          envelope.writeCounter(view, number);
          expect(envelope.magic(clear)).toBe(envelope.MAGIC);
          expect(envelope.version(clear)).toBe(envelope.VERSION);
          expect(envelope.sender(clear)).toBe(id);
          expect(envelope.cluster(clear)).toBe(name);
          expect(envelope.senderIncarnation(clear)).toEqual(from);
          expect(envelope.isFrom(clear, from)).toBe(true);
          expect(envelope.counter(clear)).toBe(number);
          const { view: plain } = new Datagram();
          const { seconds, salt } = from;
          envelope.writeInner(plain, to, name, ~name >>> 0, seconds, salt, id, to.salt, 7);
          expect(envelope.isTo(plain, to)).toBe(true);
          expect(envelope.streamNumber(plain)).toBe(name);
          expect(envelope.acknowledgment(plain)).toBe(~name >>> 0);
          expect(envelope.sackLow(plain)).toBe(from.seconds);
          expect(envelope.sackHigh(plain)).toBe(from.salt);
          expect(envelope.accepted(plain)).toBe(id);
          expect(envelope.settled(plain)).toBe(to.salt);
          expect(envelope.flags(plain)).toBe(7);
        },
      ),
    );
  });
});
