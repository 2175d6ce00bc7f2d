import { expect, test } from 'vitest';
import { SECOND } from '../../src/env/clock.ts';
import { Cluster } from './cluster.ts';
import { request, response, type ScriptedClient } from './peers.ts';

/** A cluster that believes its backends to have timestamps, and has to relay when they do not. */
function mistaken(): Cluster {
  const cluster = new Cluster({ timestamps: false });
  for (const { pools } of cluster.members.values()) {
    for (const { pool } of pools.values()) {
      for (const backend of pool.backends) {
        pool.learn(backend, { mss: 1460, windowScale: 7, timestamps: true, sack: true });
      }
    }
  }
  return cluster;
}

/** Whether what was accepted last is relayed. */
const relayed = (cluster: Cluster) => () => cluster.member('a').counters.activeRelays > 0;

function expectHeard(client: ScriptedClient, path: string): void {
  expect(client.heard.length).toBe(response(path).length);
  expect(client.heard).toBe(response(path));
  expect(client.error).toBeUndefined();
}

/** TIME-WAIT, at either side of a relay, lasts a minute. */
function settle(cluster: Cluster): void {
  cluster.simulation.runFor(62 * SECOND);
  cluster.expectNothingLeft();
  expect(cluster.resets).toBe(0);
}

test('a client whose backend turns out to have no timestamps is relayed, the next one spliced', () => {
  const cluster = mistaken();
  cluster.answered.add(40_000);
  for (const relays of [1, 1]) {
    const client = cluster.connect(
      [{ say: request('/file/100000') }],
      response('/file/100000').length,
    );
    cluster.until(() => client.closed, 'the client is done');
    expectHeard(client, '/file/100000');
    expect(cluster.member('a').counters.relays).toBe(relays);
  }
  expect(cluster.violations).toEqual([]);
  settle(cluster);
});

test('a backend that has closed before the client has room for what it said', () => {
  const cluster = mistaken();
  cluster.answered.add(40_000);
  const client = cluster.connect([{ say: request('/file/450000') }], 0);
  cluster.until(relayed(cluster), 'it is relayed');
  cluster.until(() => client.heard !== '', 'the answer begins');
  // Both FINs have passed, and half of the answer waits on each side of the relay.
  cluster.simulation.pause(cluster.client);
  const states = () => cluster.backends.flatMap((host) => [...host.tcp.connections()]);
  cluster.until(() => states().length === 0, 'the backend is done');
  cluster.simulation.resume(cluster.client);
  cluster.until(() => client.closed, 'the client is done');
  expectHeard(client, '/file/450000');
  settle(cluster);
});

test('a client that resets takes the backend connection along, and the other way round', () => {
  for (const end of ['client', 'backend']) {
    const cluster = mistaken();
    cluster.answered.add(40_000);
    const client = cluster.connect([{ say: request('/file/900000') }], 1e9);
    cluster.until(relayed(cluster), 'it is relayed');
    cluster.until(() => client.heard !== '', 'the answer begins');
    if (end === 'client') client.connection.abort();
    else for (const host of cluster.backends) for (const c of host.tcp.connections()) c.abort();
    cluster.until(() => client.closed, 'the client is gone');
    cluster.simulation.runFor(62 * SECOND);
    cluster.expectNothingLeft();
    for (const host of cluster.backends) expect(host.tcp.connectionCount).toBe(0);
  }
});

test('a relay whose client has vanished is given up after a while', () => {
  const cluster = mistaken();
  cluster.answered.add(40_000);
  const client = cluster.connect([{ say: request('/file/1000') }], 1e9);
  cluster.until(() => client.heard.length === response('/file/1000').length, 'it is answered');
  cluster.simulation.runFor(SECOND);
  cluster.simulation.remove(cluster.client);
  // Ten seconds of silence, and three probes.
  cluster.simulation.runFor(30 * SECOND);
  cluster.expectNothingLeft();
});
