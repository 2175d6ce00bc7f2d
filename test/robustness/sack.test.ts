// What a peer may claim to have: outside of the window, reversed, overlapping, another thing on each ACK, and what it
// throws away again. All of it costs bounded memory, and in the end all bytes are sent.
import { expect, test } from 'vitest';
import { below, seededRandom } from '../../src/env/random.ts';
import { ACK, established, type Harness, MSS, type Script } from '../tcp/harness.ts';

const SEGMENTS = 10;

/** A connection with ten segments under way, which the peer may acknowledge as it likes. */
function underWay(): Harness {
  const t = established({ sack: true });
  t.write(SEGMENTS * MSS).sent();
  return t;
}

/** The bytes of each stream offset that was sent, by repeated timeouts if need be, until all is acknowledged. */
function finish(t: Harness): void {
  for (let round = 0; round < 60; round++) {
    if (t.connection.snd.una === t.connection.snd.nxt) return;
    const sent = t.sent().filter(({ length }) => (length ?? 0) > 0);
    const una = t.connection.snd.una - t.iss - 1;
    // An honest peer at last: it acknowledges what is sent again from the left edge on.
    let next = una >>> 0;
    for (const { seq = 0, length = 0 } of sent) {
      if (seq >>> 0 <= next && (seq + length) >>> 0 > next) next = (seq + length) >>> 0;
    }
    if (next !== una >>> 0) t.arrive({ ...ACK, seq: 0, ack: next | 0 });
    else t.pass(t.rto);
  }
  expect.fail('the peer never got everything');
}

const absurd: readonly [string, [number, number][]][] = [
  ['beyond what was sent', [[SEGMENTS * MSS, SEGMENTS * MSS + 1_000]]],
  ['far beyond, half of the sequence space away', [[0x7fff_0000, 0x7fff_1000]]],
  ['from the window to beyond what was sent', [[5 * MSS, SEGMENTS * MSS + 1]]],
  ['below the window', [[-5_000, -4_000]]],
  ['from below into the window', [[-5_000, 3_000]]],
  ['empty', [[2_000, 2_000]]],
  ['reversed', [[3_000, 2_000]]],
  ['the whole space', [[1, 0]]],
];

test.each(absurd)('a report %s changes nothing', (_, sack) => {
  const t = underWay();
  for (let i = 0; i < 5; i++) t.arrive({ ...ACK, seq: 0, ack: 0, sack });
  expect(t.sent().filter(({ length }) => (length ?? 0) > 0)).toEqual([]);
  expect(t.connection.snd.una).toBe((t.iss + 1) >>> 0);
  // A probe may send the last again; the timeout sends the first.
  t.pass(3 * t.rto);
  expect(t.sent()).toContainEqual(expect.objectContaining({ seq: 0, length: MSS }));
  t.arrive({ ...ACK, seq: 0, ack: SEGMENTS * MSS });
  expect(t.connection.snd.una).toBe(t.connection.snd.nxt);
});

test('overlapping reports are one range', () => {
  const t = underWay();
  const sack: [number, number][] = [
    [3_000, 6_000],
    [2_000, 4_000],
    [5_000, 8_000],
    [3_500, 3_600],
  ];
  t.arrive({ ...ACK, seq: 0, ack: 0, sack });
  const again = t.sent().filter(({ length }) => (length ?? 0) > 0);
  for (const { seq = 0, length = 0 } of again) {
    // Nothing of what was reported is sent again.
    expect(seq + length <= 2_000 || seq >= 8_000).toBe(true);
  }
  finish(t);
});

test('reports that change with every ACK cost no more than a few segments each', () => {
  const t = underWay();
  const random = seededRandom(7);
  let sent = 0;
  const edge = () => below(random, SEGMENTS * MSS);
  for (let i = 0; i < 5_000; i++) {
    const sack: [number, number][] = Array.from({ length: 4 }, () => {
      const left = edge();
      return [left, left + 1 + below(random, 3)];
    });
    t.arrive({ ...ACK, seq: 0, ack: 0, sack });
    sent += t.sent().length;
  }
  // What the peer has not is sent again once in a recovery, not once an ACK.
  expect(sent).toBeLessThan(200);
  finish(t);
});

test('a peer that throws away what it has reported gets it again', () => {
  const t = underWay();
  t.arrive({ ...ACK, seq: 0, ack: 0, sack: [[MSS, SEGMENTS * MSS]] });
  t.sent();
  t.arrive({ ...ACK, seq: 0, ack: MSS });
  // It says that it lacks what it had: nothing but a timeout can believe it (RFC 2018, section 8).
  finish(t);
  expect(t.connection.snd.una).toBe((t.iss + 1 + SEGMENTS * MSS) >>> 0);
});

test('a report of what was acknowledged long ago, or twice, is no loss (DSACK)', () => {
  const t = underWay();
  t.arrive({ ...ACK, seq: 0, ack: 3_000 });
  t.sent();
  const duplicate: Script = { ...ACK, seq: 0, ack: 3_000, sack: [[1_000, 2_000]] };
  t.arrive(...Array.from({ length: 10 }, () => duplicate));
  expect(t.sent().filter(({ length }) => (length ?? 0) > 0)).toEqual([]);
  expect(t.connection.snd.una).toBe((t.iss + 1 + 3_000) >>> 0);
});
