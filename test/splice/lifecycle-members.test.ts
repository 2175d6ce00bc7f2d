import { describe, expect, test } from 'vitest';
import { LINGERING } from '../../src/splice/slot.ts';
import { ACK, FIN } from '../../src/wire/tcp.ts';
import { Flow } from './flow.ts';
import { FAMILIES } from './own.ts';

describe.each(FAMILIES)('over $name', (family) => {
  const start = (options: ConstructorParameters<typeof Flow>[1] = {}): Flow =>
    new Flow(family, options);

  describe('several members, of which each sees some of the packets', () => {
    /** Members that hear at once what one of them tells. */
    class Shared {
      readonly members: Flow[];
      told = 0;

      constructor(count: number) {
        this.members = Array.from({ length: count }, (_, index): Flow => {
          return start({ onFacts: (slot, facts) => this.#tell(index, slot, facts) });
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
});
