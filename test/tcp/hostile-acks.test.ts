// A peer whose acknowledgments make no sense: the sender's accounts stay right, memory bounded, and once the
// peer speaks the truth all ends well.
import { expect, test } from 'vitest';
import { below, chance, type Random, seededRandom } from '../../src/env/random.ts';
import { flightFault } from './flight-check.ts';
import { ACK, established, type Harness, MSS, type Script } from './harness.ts';

const WRITTEN = 200 * MSS;

/** How far the sender has come. */
const sentTo = ({ connection: { snd } }: Harness): number => (snd.nxt - snd.iss - 1) | 0;
const ackedTo = ({ connection: { snd } }: Harness): number => (snd.una - snd.iss - 1) | 0;

function nonsense(t: Harness, random: Random): Script {
  const una = ackedTo(t);
  const nxt = sentTo(t);
  const anywhere = () => {
    const seq = una - 3 * MSS + below(random, Math.max(1, nxt - una + 6 * MSS));
    return chance(random, 0.7) ? Math.floor(seq / MSS) * MSS : seq;
  };
  const sack = Array.from({ length: below(random, 4) }, (): [number, number] => [
    anywhere(),
    anywhere(),
  ]);
  const ack = chance(random, 0.7) ? una : Math.min(nxt, Math.max(0, anywhere()));
  const window = chance(random, 0.9) ? 65_535 : below(random, 3_000);
  const flags = chance(random, 0.1) ? 'AE' : 'A';
  return { ...ACK, flags, ack, window, ...(sack.length > 0 ? { sack } : {}) };
}

test.each(Array.from({ length: 60 }, (_, seed) => seed))('seed %i', (seed) => {
  const random = seededRandom(seed);
  const t = established({
    sack: chance(random, 0.8),
    timestamps: chance(random, 0.5),
    offload: chance(random, 0.5),
    tcp: { congestionControl: chance(random, 0.5) ? 'cubic' : 'newreno' },
  });
  t.connection.ecn.ok = chance(random, 0.3);
  t.connection.snd.noDelay = chance(random, 0.3);
  for (let written = 0; written < WRITTEN; ) {
    const size = Math.min(WRITTEN - written, 1 + below(random, 40 * MSS));
    t.write(size);
    written += size;
    for (let i = below(random, 30); i > 0; i--) {
      if (chance(random, 0.3)) t.pass(below(random, 400));
      t.arrive(nonsense(t, random));
      expect(flightFault(t.connection)).toBeUndefined();
      expect(t.connection.sent.count).toBeLessThanOrEqual(t.connection.recovery.packetsOut);
    }
    t.sent();
  }
  for (let i = 0; i < 2_000 && ackedTo(t) < WRITTEN; i++) {
    t.pass(50).arrive({ ...ACK, ack: sentTo(t), seq: 1 });
    expect(flightFault(t.connection)).toBeUndefined();
  }
  expect(ackedTo(t)).toBe(WRITTEN);
  expect(t.connection.recovery).toMatchObject({ packetsOut: 0, sackedOut: 0, lostOut: 0 });
  expect(t.host.timers.armed).toBe(0);
});
