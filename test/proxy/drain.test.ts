// A member leaves in order while clients are about: none of them notices.
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';

import { begin, faultsOf, type Scenario, scenarios } from './scenarios.ts';

const MOMENTS = 12;
/** What a client may lose of time, beside what it takes anyway. */
const PAUSE = 50 * MILLISECOND;

/** How many events, and how long, it takes without a drain. */
function undisturbed(scenario: Scenario): { readonly events: number; readonly took: number } {
  const { cluster, client } = begin(scenario);
  const { simulation } = cluster;
  const [events, at] = [simulation.events, simulation.clock.now()];
  cluster.until(() => client.closed, 'the client is done');
  return { events: simulation.events - events, took: simulation.clock.now() - at };
}

for (const scenario of scenarios) {
  for (const name of ['a', 'b'] as const) {
    test(`${scenario.name}, and ${name} leaves`, () => {
      const { events, took } = undisturbed(scenario);
      const found: string[] = [];
      for (let index = 0; index < MOMENTS; index++) {
        const moment = Math.floor((index * events) / MOMENTS);
        const run = begin(scenario);
        const { cluster, client } = run;
        const { simulation } = cluster;
        const at = simulation.clock.now();
        simulation.runUntil(() => false, { maxEvents: moment });
        cluster.drain(name);
        simulation.runUntil(() => client.closed, { maxTime: 20 * SECOND });
        const late = simulation.clock.now() - at - took;
        const wrong = faultsOf(run, scenario);
        if (late > PAUSE) wrong.push(`${late} us late`);
        cluster.until(() => cluster.drained.has(name), 'it has left');
        const outcome = cluster.drained.get(name);
        if (outcome?.result !== 'left' || !outcome.handedOver || outcome.cut + outcome.lost > 0) {
          wrong.push(JSON.stringify(outcome));
        }
        if (wrong.length > 0) found.push(`after ${moment} of ${events}: ${wrong.join(', ')}`);
      }
      expect(found).toEqual([]);
    });
  }
}
