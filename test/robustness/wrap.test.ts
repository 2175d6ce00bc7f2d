// Every number that a connection counts with, across 2^31 and 2^32: a transfer both ways over a bad wire.
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import type { Host } from '../../src/host/host.ts';
import { SimulatedPort } from '../../src/sim/network.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import { hostAddress, simulatedHost } from '../sim/hosts.ts';
import { Invariants } from '../sim/invariants.ts';
import { Party, type Plan } from '../sim/party.ts';

const LENGTH = 60_000;
const starts = [
  0,
  1,
  0x7fff_ffff - 30_000,
  0x7fff_fffe,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff - 30_000,
  0xffff_fffd,
  0xffff_fffe,
  0xffff_ffff,
];
const pairs = starts.flatMap((client, index) => [
  [client, starts[(index + 3) % starts.length]] as const,
  [client, client] as const,
]);

const plan = (says: number): Plan => ({
  says,
  length: LENGTH,
  piece: 5_000,
  gulp: 9_000,
  pause: 0,
  deaf: 0,
  waits: false,
  leavesAt: -1,
  leaving: 'abort',
  probes: false,
});

function converse(clientStart: number, serverStart: number, timestamps: boolean): void {
  const simulation = new Simulation(clientStart ^ serverStart);
  const host = (number: number, iss: number): Host => {
    const made = simulatedHost(simulation, number, { tcp: { receiveLimit: 40_000 } });
    made.tcp.isn = () => iss;
    const conditions = { loss: 0.05, reordering: 0.1, duplication: 0.05, delay: 5 * MILLISECOND };
    if (made.link instanceof SimulatedPort) Object.assign(made.link.up.conditions, conditions);
    return made;
  };
  const client = host(1, clientStart);
  const server = host(2, serverStart);
  client.ip.neighbours.learn(hostAddress(2), server.ip.mac, true, 0);
  server.ip.neighbours.learn(hostAddress(1), client.ip.mac, true, 0);
  const caller = new Party(client, client.random, plan(0), 1);
  const callee = new Party(server, server.random, plan(1), 0);
  const offer = (each: Host) => Object.assign(each.tcp.offerFor(hostAddress(1)), { timestamps });
  server.tcp.listen({
    local: { address: hostAddress(2), port: 80 },
    offer: () => offer(server),
    accept: () => callee,
  });
  const connection = client.tcp.connect({
    local: hostAddress(1),
    remote: { address: hostAddress(2), port: 80 },
    offer: offer(client),
    handler: caller,
  });
  expect(connection.snd.iss).toBe(clientStart);
  const invariants = new Invariants([client, server]);
  simulation.onEvent = () => invariants.check();
  simulation.runUntil(() => caller.closed && callee.closed, { maxTime: 600 * SECOND });
  expect(caller).toMatchObject({ faults: [], heard: LENGTH, ended: true, error: undefined });
  expect(callee).toMatchObject({ faults: [], heard: LENGTH, ended: true, error: undefined });
  simulation.runFor(120 * SECOND);
  invariants.checkNothingLeft();
}

test.each(pairs)('the client starts at %i, the server at %i', (client, server) => {
  converse(client >>> 0, server >>> 0, true);
  converse(client >>> 0, server >>> 0, false);
});
