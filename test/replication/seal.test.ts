import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Datagram } from '../../src/replication/datagram.ts';
import * as envelope from '../../src/replication/envelope.ts';
import { ReplayWindow } from '../../src/replication/replay-window.ts';
import { ClusterKey, Sealer, Session } from '../../src/replication/seal.ts';

const LIFE = { seconds: 1_700_000_000, salt: 0xdead_beef };
const key = new ClusterKey('test', 'a secret');

function filled(body: Uint8Array): Datagram {
  const datagram = new Datagram();
  datagram.bytes.set(body, envelope.BODY_AT);
  datagram.end = envelope.BODY_AT + body.length;
  return datagram;
}

const opens = (session: Session, payload: Uint8Array): boolean =>
  session.open(payload, envelope.counter(payload), new Datagram());

describe('sealing', () => {
  test('what is sealed opens to the same, and no two payloads are alike', () => {
    const sealer = new Sealer(key, 1, LIFE, 2);
    const session = new Session([key], 1, LIFE, 2);
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: envelope.MAX_BODY }), (body) => {
        const before = filled(body);
        const payload = sealer.seal(before);
        expect(payload.length).toBe(envelope.MIN_PAYLOAD + body.length);
        const after = new Datagram();
        expect(session.open(payload, envelope.counter(payload), after)).toBe(true);
        expect(after.end).toBe(before.end);
        expect(after.bytes.subarray(0, after.end)).toEqual(before.bytes.subarray(0, before.end));
        const number = envelope.counter(payload);
        expect(number).toBe(seen.size + 1);
        seen.add(Buffer.from(payload).toString('hex'));
        expect(seen.size).toBe(number);
      }),
    );
  });

  test('one changed bit anywhere, in clear or not, and it does not open', () => {
    const session = new Session([key], 1, LIFE, 2);
    const payload = new Sealer(key, 1, LIFE, 2).seal(filled(new Uint8Array(40))).slice();
    expect(opens(session, payload)).toBe(true);
    for (let bit = 0; bit < payload.length * 8; bit++) {
      const changed = payload.slice();
      changed[bit >>> 3] ^= 1 << (bit & 7);
      expect(session.open(changed, envelope.counter(payload), new Datagram())).toBe(false);
    }
  });

  test('the key belongs to one secret, cluster, sender, life and receiver', () => {
    const payload = new Sealer(key, 1, LIFE, 2).seal(filled(new Uint8Array(9))).slice();
    expect(opens(new Session([key], 1, LIFE, 2), payload)).toBe(true);
    expect(opens(new Session([key], 3, LIFE, 2), payload)).toBe(false);
    expect(opens(new Session([key], 1, LIFE, 3), payload)).toBe(false);
    expect(opens(new Session([key], 1, { ...LIFE, salt: 1 }, 2), payload)).toBe(false);
    expect(opens(new Session([key], 1, { ...LIFE, seconds: 1 }, 2), payload)).toBe(false);
    expect(opens(new Session([new ClusterKey('test', 'another')], 1, LIFE, 2), payload)).toBe(
      false,
    );
    expect(opens(new Session([new ClusterKey('other', 'a secret')], 1, LIFE, 2), payload)).toBe(
      false,
    );
  });

  test('clusters are told apart by their names alone, so that a wrong secret shows as one', () => {
    expect(new ClusterKey('test', 'another').hash).toBe(key.hash);
    expect(new ClusterKey('other', 'a secret').hash).not.toBe(key.hash);
    expect(() => new ClusterKey('test', '')).toThrow(RangeError);
  });
});

describe('replay window', () => {
  test('each number once, and none that is too old', () => {
    const step = fc.oneof(fc.integer({ min: -1_100, max: 40 }), fc.integer({ min: 0, max: 3_000 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let highest = 0;
        for (const offset of steps) {
          const number = Math.max(1, highest + offset);
          const fresh = !seen.has(number) && number > highest - 1_024;
          expect(window.isFresh(number)).toBe(fresh);
          if (!fresh) continue;
          window.mark(number);
          seen.add(number);
          highest = Math.max(highest, number);
          expect(window.highest).toBe(highest);
        }
      }),
    );
  });

  test('numbers beyond 2^32, and the one that stands for nonsense', () => {
    const window = new ReplayWindow();
    window.mark(2 ** 40);
    expect(window.isFresh(2 ** 40)).toBe(false);
    expect(window.isFresh(2 ** 40 - 1)).toBe(true);
    expect(window.isFresh(-1)).toBe(false);
    expect(new ReplayWindow().isFresh(-1)).toBe(false);
    expect(new ReplayWindow().isFresh(0)).toBe(false);
  });
});
