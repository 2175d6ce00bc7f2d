import { expect, test } from 'vitest';
import { MILLISECOND, NEVER, SECOND } from '../../src/env/clock.ts';
import { Frame } from '../../src/link/frame.ts';
import { Simulation } from '../../src/sim/index.ts';
import type { SimulatedPort } from '../../src/sim/network.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { address, simulatedHost } from './hosts.ts';

/** An actor that only notes what it hears. */
class Listener {
  nextAt = NEVER;
  breaths = 0;
  readonly heard: number[] = [];
  readonly port: SimulatedPort;

  constructor(port: SimulatedPort) {
    this.port = port;
  }

  breath(): void {
    this.breaths++;
    this.nextAt = NEVER;
    const frame = new Frame();
    while (this.port.receive(frame)) this.heard.push(frame.view.getUint8(NETWORK_AT));
  }

  say(word: number, to: number, from: number): void {
    const frame = new Frame(80);
    virtio.clear(frame.view, VIRTIO_AT);
    ethernet.write(frame.view, ETHERNET_AT, to, from, ethernet.TYPE_IPV4);
    frame.view.setUint8(NETWORK_AT, word);
    frame.end = 80;
    this.port.send(frame);
  }
}

/** Three listeners on a switch, whose MACs are 1, 2 and 3. */
function threesome(delay = 0) {
  const simulation = new Simulation(1);
  const make = () => {
    const port = simulation.port({ conditions: { delay } });
    return simulation.add(new Listener(port), port);
  };
  return { simulation, a: make(), b: make(), c: make() };
}

test('the switch floods what it does not know, and learns', () => {
  const { simulation, a, b, c } = threesome();
  a.say(1, 2, 1);
  expect(simulation.runFor(SECOND)).toBe('idle');
  expect([a.heard, b.heard, c.heard]).toEqual([[], [1], [1]]);
  b.say(2, 1, 2);
  a.say(3, 2, 1);
  a.say(4, ethernet.BROADCAST, 1);
  simulation.runFor(SECOND);
  expect([a.heard, b.heard, c.heard]).toEqual([[2], [1, 3, 4], [1, 4]]);
});

test('a MAC that moves is found at its new place', () => {
  const { simulation, a, b, c } = threesome();
  b.say(1, ethernet.BROADCAST, 2);
  simulation.runFor(SECOND);
  c.say(2, ethernet.BROADCAST, 2);
  simulation.runFor(SECOND);
  b.heard.length = 0;
  a.say(3, 2, 1);
  simulation.runFor(SECOND);
  expect(c.heard).toEqual([1, 3]);
  expect(b.heard).toEqual([]);
});

test('time jumps from event to event', () => {
  const { simulation, a, b } = threesome(10 * MILLISECOND);
  a.say(1, 2, 1);
  expect(simulation.runUntil(() => b.heard.length > 0)).toBe('met');
  expect(simulation.clock.now()).toBe(20 * MILLISECOND);
  a.nextAt = 7 * SECOND;
  simulation.runUntil(() => a.breaths > 0);
  expect(simulation.clock.now()).toBe(7 * SECOND);
  expect(simulation.clock.wall()).toBe(1_700_000_007);
});

test('a run ends at its limits', () => {
  const { simulation, a } = threesome();
  expect(simulation.runUntil(() => false)).toBe('idle');
  a.nextAt = SECOND;
  expect(simulation.runUntil(() => false, { maxTime: 10 * MILLISECOND })).toBe('time');
  expect(simulation.clock.now()).toBe(10 * MILLISECOND);
  const busy = { nextAt: 0, breath: () => {} };
  simulation.add(busy);
  expect(simulation.runUntil(() => false, { maxEvents: 50 })).toBe('events');
  expect(simulation.runFor(SECOND, 50)).toBe('events');
});

test('an unplugged port neither hears nor speaks, and what is on its way is lost', () => {
  const { simulation, a, b } = threesome(MILLISECOND);
  a.say(1, 2, 1);
  b.port.plugged = false;
  b.say(9, 1, 2);
  simulation.runFor(SECOND);
  expect(b.heard).toEqual([]);
  expect(a.heard).toEqual([]);
  expect(b.port.counters.sendErrors).toBe(1);
  b.port.plugged = true;
  a.say(2, 2, 1);
  simulation.runFor(SECOND);
  expect(b.heard).toEqual([2]);
});

test('frames wait for a paused actor, up to the capacity of its queue', () => {
  const simulation = new Simulation(1);
  const port = simulation.port({ capacity: 3 });
  const a = new Listener(simulation.port());
  const b = simulation.add(new Listener(port), port);
  simulation.pause(b);
  for (let word = 1; word <= 5; word++) a.say(word, 2, 1);
  simulation.runFor(SECOND);
  expect(b.heard).toEqual([]);
  simulation.resume(b);
  simulation.runFor(SECOND);
  expect(b.heard).toEqual([1, 2, 3]);
  expect(port.overflows).toBe(2);
});

test('an actor that was removed is gone with its cable', () => {
  const { simulation, a, b } = threesome();
  b.nextAt = SECOND;
  simulation.remove(b);
  a.say(1, 2, 1);
  expect(simulation.runFor(2 * SECOND)).toBe('idle');
  expect(b.breaths).toBe(0);
  expect(b.port.send(new Frame(64))).toBe(false);
});

test('every event is shown to the watcher', () => {
  const { simulation, a } = threesome(5);
  let seen = 0;
  simulation.onEvent = () => seen++;
  a.say(1, 2, 1);
  simulation.runFor(SECOND);
  expect(seen).toBe(simulation.events);
  expect(seen).toBeGreaterThan(3);
});

test('one of two actors that are always due does not starve the other', () => {
  const simulation = new Simulation(1);
  const breaths = [0, 0];
  for (const who of [0, 1]) {
    simulation.add({
      nextAt: 0,
      breath: () => {
        breaths[who]++;
      },
    });
  }
  simulation.runUntil(() => false, { maxEvents: 100 });
  expect(breaths).toEqual([50, 50]);
});

/** A connection between two hosts whose wire is bad; all frames that passed, and when. */
function history(seed: number): string[] {
  const simulation = new Simulation(seed);
  const port = { conditions: { loss: 0.2, jitter: 3 * MILLISECOND, delay: MILLISECOND } };
  const client = simulatedHost(simulation, 1, { port });
  const server = simulatedHost(simulation, 2, { port });
  const events: string[] = [];
  simulation.onEvent = () => {
    const { segmentsIn, retransmits } = server.tcp.counters;
    events.push(
      `${simulation.clock.now()} ${segmentsIn} ${retransmits} ${client.link.counters.sent}`,
    );
  };
  server.tcp.listen({
    local: { address: address('10.0.0.2'), port: 80 },
    accept: () => ({ onReadable: (each) => each.read(), onEnd: (each) => each.end() }),
  });
  let closed = false;
  client.tcp.connect({
    local: address('10.0.0.1'),
    remote: { address: address('10.0.0.2'), port: 80 },
    handler: {
      onConnect: (connection) => {
        connection.write(new Uint8Array(50_000));
        connection.end();
      },
      onClose: () => {
        closed = true;
      },
    },
  });
  expect(simulation.runUntil(() => closed)).toBe('met');
  return events;
}

test('the same seed replays to the same step', () => {
  expect(history(3)).toEqual(history(3));
  expect(history(3)).not.toEqual(history(4));
});
