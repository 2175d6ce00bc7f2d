// The parts that need no network: pending tickets, logged heads, incarnations, who adopts whom.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/env/random.ts';
import { fromIpv4 } from '../../src/ip/address.ts';
import {
  HeadLog,
  MAX_BYTES_PER_MEMBER,
  MAX_HEAD_BYTES,
  MAX_HEADS_PER_MEMBER,
} from '../../src/replication/heads.ts';
import { newIncarnation, PastLives } from '../../src/replication/incarnation.ts';
import { memberList } from '../../src/replication/member.ts';
import { DELETE, PROPOSE } from '../../src/replication/messages.ts';
import { Pending } from '../../src/replication/pending.ts';
import { holdings, ownerOf } from '../../src/replication/takeover.ts';

const ignore = (): void => {};

describe('pending tickets', () => {
  test('are settled in order and once, and show what is not', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { maxLength: 24 }), (steps) => {
        const pending = new Pending();
        const settled: number[] = [];
        let added = 0;
        for (const [index, step] of steps.entries()) {
          if (index % 2 === 0) {
            for (let count = 0; count < step; count++) {
              const id = ++added;
              const payload = Uint8Array.of(id & 255, id >> 8);
              const type = id % 3 === 0 ? DELETE : PROPOSE;
              expect(pending.add(type, payload, () => settled.push(id), id)).toBe(id);
            }
          } else {
            const upTo = pending.settled + step;
            pending.settle(upTo, true, added, ignore);
            expect(pending.settled).toBe(Math.min(upTo, added));
          }
          expect(settled.length).toBe(added - pending.size);
          expect(pending.oldest).toBe(pending.size > 0 ? settled.length + 1 : undefined);
          const open: number[] = [];
          pending.forEach((ticket, type, payload) => {
            open.push(ticket);
            if (type === (ticket % 3 === 0 ? DELETE : PROPOSE) && payload.length === 2) {
              if (payload[0] === (ticket & 255) && payload[1] === ticket >> 8) return;
            }
            throw new Error(`ticket ${ticket} was not kept`);
          });
          expect(open.length).toBe(pending.size);
        }
        expect(settled).toEqual(settled.map((_, index) => index + 1));
      }),
    );
  });

  test('who is called may add more', () => {
    const pending = new Pending();
    const order: string[] = [];
    pending.add(
      PROPOSE,
      new Uint8Array(64),
      () => {
        for (let count = 0; count < 1_000; count++)
          pending.add(PROPOSE, new Uint8Array(64), undefined, 0);
        order.push('first');
      },
      0,
    );
    pending.add(PROPOSE, new Uint8Array(64), () => order.push('second'), 0);
    pending.settle(2, true, 0, ignore);
    expect(order).toEqual(['first', 'second']);
    expect(pending.size).toBe(1_000);
  });
});

describe('logged heads', () => {
  const flow = (id: number): Uint8Array => {
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setUint32(0, id);
    return bytes;
  };
  const facts = Uint8Array.of(1, 2, 3);
  const bytes = (length: number, value = 1): Uint8Array => new Uint8Array(length).fill(value);

  test('grow without gaps, and what comes again changes nothing', () => {
    const log = new HeadLog();
    expect(log.log(1, flow(1), facts, 0, bytes(10), 5)).toBe(true);
    expect(log.log(1, flow(1), facts, 11, bytes(1), 6)).toBe(false);
    expect(log.log(1, flow(1), facts, 10, bytes(5, 2), 7)).toBe(true);
    expect(log.log(1, flow(1), facts, 0, bytes(10), 8)).toBe(true);
    expect(log.get(flow(1))).toEqual({
      owner: 1,
      flow: flow(1),
      facts,
      bytes: Uint8Array.of(...bytes(10), ...bytes(5, 2)),
      loggedAt: 8,
      isOrphan: false,
    });
  });

  test('a new owner starts from the first byte, and the old one has no say any more', () => {
    const log = new HeadLog();
    log.log(1, flow(1), facts, 0, bytes(10), 0);
    expect(log.log(2, flow(1), facts, 10, bytes(1), 0)).toBe(false);
    expect(log.log(2, flow(1), facts, 0, bytes(4), 0)).toBe(true);
    log.drop(flow(1), 1);
    expect(log.get(flow(1))?.bytes.length).toBe(4);
    log.drop(flow(1), 2);
    expect(log.size).toBe(0);
  });

  test('are bounded for each owner, and room comes back', () => {
    const log = new HeadLog();
    expect(log.log(1, flow(0), facts, 0, bytes(MAX_HEAD_BYTES + 1), 0)).toBe(false);
    const whole = MAX_BYTES_PER_MEMBER / MAX_HEAD_BYTES;
    for (let id = 0; id < whole; id++) {
      expect(log.log(1, flow(id), facts, 0, bytes(MAX_HEAD_BYTES), id)).toBe(true);
    }
    expect(log.log(1, flow(whole), facts, 0, bytes(1), 0)).toBe(false);
    expect(log.log(2, flow(whole), facts, 0, bytes(1), 0)).toBe(true);
    log.dropOlder(whole - 1);
    expect(log.size).toBe(1);
    for (let id = 0; id < MAX_HEADS_PER_MEMBER - 1; id++) {
      expect(log.log(1, flow(id + 1_000), facts, 0, bytes(1), 99)).toBe(true);
    }
    expect(log.log(1, flow(1_000 + MAX_HEADS_PER_MEMBER), facts, 0, bytes(1), 99)).toBe(false);
    expect([...log.of(1)].length).toBe(MAX_HEADS_PER_MEMBER);
  });

  test('those without an owner are found', () => {
    const log = new HeadLog();
    for (let owner = 0; owner < 3; owner++) log.log(owner, flow(owner), facts, 0, bytes(1), 0);
    expect(log.orphans()).toEqual([]);
    log.bereave(1, 7);
    log.dropOlder(0, 7);
    expect(log.orphans().map((head) => head.owner)).toEqual([1]);
    expect([...log.of(1)]).toEqual([]);
    // The next life of its owner knows nothing of it, and begins anew.
    expect(log.log(1, flow(1), facts, 1, bytes(1), 0)).toBe(false);
    expect(log.log(1, flow(1), facts, 0, bytes(2), 0)).toBe(true);
    expect(log.orphans()).toEqual([]);
    expect(log.get(flow(1))?.bytes.length).toBe(2);
  });
});

describe('incarnations', () => {
  const clock = (seconds: number) => ({ now: () => 0, wall: () => seconds });

  test('a life is never taken for one that is over', () => {
    const random = seededRandom(3);
    const past = new PastLives();
    const lives = [newIncarnation(clock(100), random), newIncarnation(clock(100), random)];
    for (const life of lives) {
      expect(past.includes(life)).toBe(false);
      past.add(life);
      expect(past.includes(life)).toBe(true);
    }
    const later = newIncarnation(clock(7), random, lives[1]);
    expect(later.seconds).toBe(101);
    expect(past.includes(later)).toBe(false);
    past.add(later);
    for (const life of [...lives, newIncarnation(clock(100), random)]) {
      expect(past.includes(life)).toBe(true);
    }
  });

  test('the starts of one second that are remembered are bounded', () => {
    const random = seededRandom(3);
    const past = new PastLives();
    for (let count = 0; count < 64; count++) past.add(newIncarnation(clock(100), random));
    expect(past.includes(newIncarnation(clock(100), random))).toBe(true);
    expect(past.includes(newIncarnation(clock(101), random))).toBe(false);
  });
});

describe('addresses', () => {
  const views = fc
    .integer({ min: 1, max: 12 })
    .chain((count) =>
      fc.tuple(
        fc.constant(count),
        fc.uniqueArray(fc.nat(count - 1), { minLength: 1, maxLength: count }),
      ),
    );

  test('each member is held by exactly one that serves, and by itself if it serves', () => {
    fc.assert(
      fc.property(views, ([count, active]) => {
        const held = active.flatMap((id) => holdings(id, count, active));
        expect(held.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, id) => id));
        for (const id of active) expect(ownerOf(id, active)).toBe(id);
      }),
    );
  });

  test('when one more goes, only what it held moves', () => {
    fc.assert(
      fc.property(views, ([count, active]) => {
        const [gone, ...rest] = active;
        if (rest.length === 0) return;
        for (let id = 0; id < count; id++) {
          const owner = ownerOf(id, active);
          if (owner !== gone) expect(ownerOf(id, rest)).toBe(owner);
        }
      }),
    );
  });

  test('nobody serves, nobody holds', () => {
    expect(ownerOf(1, [])).toBeUndefined();
  });

  test('are spread over the survivors', () => {
    const survivors = Array.from({ length: 10 }, (_, id) => id);
    const shares = new Map<number, number>();
    for (let id = 10; id < 210; id++) {
      const owner = ownerOf(id, survivors) ?? -1;
      shares.set(owner, (shares.get(owner) ?? 0) + 1);
    }
    expect([...shares.keys()].sort()).toEqual(survivors);
    expect(Math.max(...shares.values())).toBeLessThan(45);
  });
});

test('members are numbered in the order of the configuration', () => {
  const address = fromIpv4(0x0a00_0001);
  expect(
    memberList(
      new Map([
        ['b', { address }],
        ['a', { address }],
      ]),
    ).map(({ name }) => name),
  ).toEqual(['b', 'a']);
  const many = new Map(Array.from({ length: 257 }, (_, id) => [`m${id}`, { address }]));
  expect(() => memberList(many)).toThrow(RangeError);
});
