import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Roster } from '../../src/env/roster.ts';
import { type Flow, FlowMap } from '../../src/tcp/demux.ts';
import { address } from '../sim/hosts.ts';

const ADDRESSES = ['10.0.0.1', '255.255.255.255', '10.0.0.2', 'fd00::1', 'fd00::2'].map(address);
const end = fc.record({
  address: fc.constantFrom(...ADDRESSES),
  port: fc.constantFrom(1, 2, 3, 80, 65_535),
});
const nameOf = ({ local, remote }: Flow): string =>
  [
    ADDRESSES.indexOf(local.address),
    local.port,
    ADDRESSES.indexOf(remote.address),
    remote.port,
  ].join();

test('finds what was entered and not taken out, as a Map would', () => {
  const step = fc.record({ local: end, remote: end, add: fc.boolean() });
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 200 }), (seed, steps) => {
      const map = new FlowMap<Flow>(seed);
      const model = new Map<string, Flow>();
      for (const { local, remote, add } of steps) {
        const flow = { local, remote };
        const known = model.get(nameOf(flow));
        if (add) {
          expect(map.add(flow)).toBe(known === undefined);
          if (known === undefined) model.set(nameOf(flow), flow);
        } else if (known !== undefined) {
          expect(map.delete(flow)).toBe(false);
          expect(map.delete(known)).toBe(true);
          model.delete(nameOf(flow));
        } else expect(map.delete(flow)).toBe(false);
      }
      expect(map.size).toBe(model.size);
      expect(new Set(map.values())).toEqual(new Set(model.values()));
      for (const local of ADDRESSES) {
        for (const remote of ADDRESSES) {
          for (const port of [1, 80]) {
            const flow = { local: { address: local, port }, remote: { address: remote, port: 2 } };
            expect(map.get(local, port, remote, 2)).toBe(model.get(nameOf(flow)));
          }
        }
      }
    }),
  );
});

test('thousands of flows of one client spread over the table whatever the seed', () => {
  for (const seed of [0, 1, -1, 0x7fff_ffff]) {
    const map = new FlowMap<Flow>(seed);
    const local = { address: ADDRESSES[0], port: 80 };
    const flows = Array.from({ length: 20_000 }, (_, port) => ({
      local,
      remote: { address: ADDRESSES[2], port },
    }));
    for (const flow of flows) map.add(flow);
    for (const flow of flows.filter(({ remote }) => remote.port % 3 > 0)) map.delete(flow);
    expect(map.size).toBe(6_667);
    for (const flow of flows) {
      const found = map.get(local.address, local.port, flow.remote.address, flow.remote.port);
      expect(found).toBe(flow.remote.port % 3 === 0 ? flow : undefined);
    }
  }
});

test('a roster has each member once, and loses none when another leaves', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 60 }), (steps) => {
      const seats = Array.from({ length: 10 }, (_, name) => ({ name, place: -1 }));
      const roster = new Roster<(typeof seats)[number]>();
      const model = new Set<number>();
      for (const name of steps) {
        if (model.delete(name)) roster.delete(seats[name]);
        else {
          model.add(name);
          roster.add(seats[name]);
          roster.add(seats[name]);
        }
        expect(roster.size).toBe(model.size);
      }
      expect(new Set(roster.list().map((seat) => seat.name))).toEqual(model);
      roster.delete({ name: 10, place: -1 });
      expect(roster.size).toBe(model.size);
    }),
  );
});
