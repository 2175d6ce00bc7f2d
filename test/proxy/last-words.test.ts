// A member whose process is gone is replaced as soon as its kernel has said so.
import { expect, test } from 'vitest';
import { MILLISECOND, type Micros, SECOND } from '../../src/env/clock.ts';
import { Cluster } from './cluster.ts';
import { request, response } from './peers.ts';

/** Less than a heartbeat: silence would take several. */
const AT_ONCE: Micros = 3 * MILLISECOND;

/** A cluster of three, over which packets are sprayed, that has been together for a while. */
function together(clients: 4 | 6 = 4): Cluster {
  const cluster = new Cluster({ members: 3, spray: true, clients });
  cluster.simulation.runFor(SECOND);
  return cluster;
}

const counts = (cluster: Cluster, name: 'b' | 'c') => {
  const { suspicions, deathsTold } = cluster.member(name).replicator?.counters ?? {};
  return { suspicions, deathsTold };
};

test.each([4, 6] as const)('its addresses are adopted at once (IPv%i)', (clients) => {
  const cluster = together(clients);
  const path = '/file/200000';
  const hears = response(path);
  const client = cluster.connect([{ say: request(path) }], hears.length);
  cluster.until(() => client.heard.length > 20_000, 'the stream flows');
  const killedAt = cluster.simulation.clock.now();
  cluster.kill('a');
  cluster.executeWill(cluster.willOf('a'));
  const adopted = (): boolean =>
    (['b', 'c'] as const).some((name) => cluster.member(name).holdings.adopted > 0);
  cluster.until(adopted, 'the addresses are adopted');
  expect(cluster.simulation.clock.now() - killedAt).toBeLessThan(AT_ONCE);
  cluster.until(() => client.closed, 'the stream ends');
  expect(client.heard).toBe(hears);
  expect(cluster.resets).toBe(0);
  expect(cluster.violations).toEqual([]);
  for (const name of ['b', 'c'] as const) {
    expect(counts(cluster, name)).toEqual({ suspicions: 1, deathsTold: 1 });
  }
});

test('what is said of one life means nothing to the next', () => {
  const cluster = together();
  cluster.kill('a');
  cluster.executeWill(cluster.willOf('a'));
  cluster.simulation.runFor(100 * MILLISECOND);
  const formerly = cluster.willOf('a');
  cluster.start('a');
  cluster.until(
    () => cluster.member('b').replicator?.currentView.active.length === 3,
    'it is back',
  );
  cluster.executeWill(formerly);
  cluster.simulation.runFor(100 * MILLISECOND);
  expect(cluster.member('b').replicator?.currentView.active).toEqual([0, 1, 2]);
  expect(counts(cluster, 'b')).toEqual({ suspicions: 1, deathsTold: 1 });
});
