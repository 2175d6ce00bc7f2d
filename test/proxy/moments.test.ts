import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import type { Cluster } from './cluster.ts';
import { begin, faultsOf, type Scenario, scenarios } from './scenarios.ts';

/** What may happen at any moment. */
const faults: Readonly<Record<string, (cluster: Cluster) => void>> = {
  'its home is killed': (cluster) => cluster.kill('a'),
  'its home is stopped for a while': (cluster) => {
    cluster.pause('a');
    cluster.simulation.runFor(250 * MILLISECOND);
    cluster.resume('a');
  },
  'its home is killed and comes back': (cluster) => {
    cluster.kill('a');
    cluster.simulation.runFor(100 * MILLISECOND);
    cluster.start('a');
  },
  'the other member is killed': (cluster) => cluster.kill('b'),
};

/** Moments of each scenario at which each fault is tried, spread over all its events. */
const MOMENTS = 4;
const SEEDS = 25;

/** How many events there are from the first moment to the client's end. */
function eventsOf(scenario: Scenario): number {
  const run = begin(scenario);
  const { simulation } = run.cluster;
  const start = simulation.events;
  run.cluster.until(() => run.client.closed, 'the client is done');
  expect(faultsOf(run, scenario)).toEqual([]);
  return simulation.events - start;
}

for (const scenario of scenarios) {
  test.each(Object.entries(faults))(`${scenario.name}: %s`, (_, fault) => {
    const events = eventsOf(scenario);
    const found: string[] = [];
    for (let index = 0; index < MOMENTS; index++) {
      const moment = Math.floor((index * events) / MOMENTS);
      const run = begin(scenario);
      const { cluster, client } = run;
      cluster.simulation.runUntil(() => false, { maxEvents: moment });
      fault(cluster);
      cluster.simulation.runUntil(() => client.closed, { maxTime: 20 * SECOND });
      const wrong = faultsOf(run, scenario);
      if (wrong.length > 0) found.push(`after ${moment} of ${events} events: ${wrong.join(', ')}`);
    }
    expect(found).toEqual([]);
  });
}

test('frames are lost, and the home is killed', () => {
  const found: string[] = [];
  // That the others hear of a client that waits may be lost, too, and then the home dies at once.
  const repeating = scenarios.filter(({ waits = false }) => !waits);
  for (let seed = 1; seed <= SEEDS; seed++) {
    const scenario = repeating[seed % repeating.length];
    const run = begin(scenario, { seed, trouble: 0.02 });
    const { cluster, client } = run;
    cluster.simulation.runUntil(() => client.closed, { maxEvents: (seed * 7) % 250 });
    cluster.kill('a');
    cluster.simulation.runUntil(() => client.closed, { maxTime: 40 * SECOND });
    const wrong = faultsOf(run, scenario);
    if (wrong.length > 0) found.push(`seed ${seed}, ${scenario.name}: ${wrong.join(', ')}`);
  }
  expect(found).toEqual([]);
});
