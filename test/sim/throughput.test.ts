// Goodput and fairness as tables. They are kept as snapshots: a change of the sender shows as a change of numbers,
// which its author looks at and then takes over with `--update`.
import { expect, test } from 'vitest';
import { MILLISECOND } from '../../src/env/clock.ts';
import { goodput, megabits, type Path, rateOf, shares, table } from './throughput.ts';

/** Milliseconds that a busy machine may need. */
const PATIENCE = 120_000;
const CONTROLS = ['cubic', 'newreno'] as const;
const path: Path = {
  seed: 1,
  tcp: {},
  rate: rateOf(10),
  roundTrip: 40 * MILLISECOND,
  queue: 50_000,
  seconds: 6,
};
const snapshot = (name: string): string => `./snapshots/${name}.md`;
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

test(
  'goodput falls with loss, and never to nothing',
  async () => {
    const losses = [0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3];
    const rows = losses.map((loss) => {
      const rates = CONTROLS.map((congestionControl) => {
        const seconds = loss >= 0.02 ? 20 : path.seconds;
        return goodput({ ...path, tcp: { congestionControl }, conditions: { loss }, seconds });
      });
      for (const rate of rates) expect(rate).toBeGreaterThan(1_000);
      return [percent(loss), ...rates.map(megabits)];
    });
    await expect(table(['loss', ...CONTROLS], rows)).toMatchFileSnapshot(snapshot('goodput-loss'));
  },
  PATIENCE,
);

test(
  'goodput over bursts of loss',
  async () => {
    const rows = [0.0005, 0.002].flatMap((bursts) =>
      [2, 20].map((length) => {
        const burstLength = length * MILLISECOND;
        const rates = CONTROLS.map((congestionControl) =>
          goodput({ ...path, tcp: { congestionControl }, conditions: { bursts, burstLength } }),
        );
        return [`${(100 * bursts).toFixed(2)} %`, String(length), ...rates.map(megabits)];
      }),
    );
    const head = ['bursts begin', 'ms a burst', ...CONTROLS];
    await expect(table(head, rows)).toMatchFileSnapshot(snapshot('goodput-bursts'));
  },
  PATIENCE,
);

test(
  'goodput over the buffer of the bottleneck',
  async () => {
    // 10 Mbit/s times 40 ms are 50,000 bytes.
    const rows = [6_000, 12_500, 25_000, 50_000, 100_000, 800_000].map((queue) => {
      const rates = CONTROLS.map((congestionControl) =>
        goodput({ ...path, tcp: { congestionControl }, queue }),
      );
      for (const rate of rates) expect(rate).toBeGreaterThan(0.3 * path.rate);
      return [String(queue), ...rates.map(megabits)];
    });
    await expect(table(['buffer', ...CONTROLS], rows)).toMatchFileSnapshot(
      snapshot('goodput-buffer'),
    );
  },
  PATIENCE,
);

test(
  'goodput over the receive buffer',
  async () => {
    const rows = [8_192, 32_768, 65_536, 1_048_576].map((receiveLimit) => {
      const rates = CONTROLS.map((congestionControl) =>
        goodput({ ...path, tcp: { congestionControl, receiveLimit } }),
      );
      return [String(receiveLimit), ...rates.map(megabits)];
    });
    await expect(table(['receive buffer', ...CONTROLS], rows)).toMatchFileSnapshot(
      snapshot('goodput-receive-buffer'),
    );
  },
  PATIENCE,
);

test(
  'flows share a bottleneck',
  async () => {
    const rows = CONTROLS.flatMap((congestionControl) =>
      [3, 8].flatMap((flows) =>
        [25_000, 100_000].map((queue) => {
          const setting = { ...path, tcp: { congestionControl }, queue, seconds: 9 };
          const { rates, fairness, use } = shares(setting, flows, 1);
          expect(fairness).toBeGreaterThan(0.7);
          expect(use).toBeGreaterThan(0.7);
          const shown = [...rates].sort((a, b) => b - a).map(megabits);
          return [
            congestionControl,
            String(flows),
            String(queue),
            fairness.toFixed(3),
            percent(use),
            shown.join(' '),
          ];
        }),
      ),
    );
    const head = ['control', 'flows', 'buffer', 'Jain', 'use', 'Mbit/s'];
    await expect(table(head, rows)).toMatchFileSnapshot(snapshot('fairness'));
  },
  PATIENCE,
);
