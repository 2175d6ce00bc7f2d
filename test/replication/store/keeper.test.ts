import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../../src/env/clock.ts';
import { RECORD6 } from '../../splice/packets.ts';
import { bytesOf, numbered, sealer, TTL_MS, World } from './world.ts';

test('a commit is done when the store has the record', () => {
  const world = new World();
  const { keeper, server } = world;
  let done = 0;
  keeper.commit(numbered(1), () => done++);
  expect([done, server.size]).toEqual([0, 0]);
  world.run(MILLISECOND);
  expect([done, server.size]).toEqual([1, 2]);
  expect(keeper.counters).toMatchObject({ commits: 1, commitsAlone: 0, writes: 1 });
});

test('a store that is too slow is not waited for, and warned of once', () => {
  const world = new World();
  const { keeper, server, clock } = world;
  server.latency = 80 * MILLISECOND;
  const times: number[] = [];
  const start = clock.now();
  for (let index = 0; index < 3; index++) {
    keeper.commit(numbered(index), () => times.push(clock.now() - start));
  }
  world.run(60 * MILLISECOND);
  expect(times).toEqual([50, 50, 50].map((time) => time * MILLISECOND));
  keeper.commit(numbered(9), () => times.push(clock.now() - start));
  expect(times).toHaveLength(4);
  expect(keeper.isWell).toBe(false);
  expect(world.warnings).toHaveLength(1);
  expect(keeper.counters).toMatchObject({ commits: 0, commitsAlone: 4, outages: 1 });
  // It answers late, again and again: that is the same outage.
  world.run(5 * SECOND);
  expect([world.warnings.length, keeper.counters.outages]).toEqual([1, 1]);
});

test('what lives is written again while it lives, at a quarter of its time, and expires after it', () => {
  const world = new World();
  const { keeper, server } = world;
  world.table.push(...Array.from({ length: 100 }, (_, index) => numbered(index)));
  keeper.begin();
  world.run(SECOND);
  expect(server.size).toBe(200);
  const { put } = server.asked;
  world.run(10 * TTL_MS * MILLISECOND);
  expect(server.size).toBe(200);
  const passes = (server.asked.put - put) / 100;
  expect(passes).toBeGreaterThan(38);
  expect(passes).toBeLessThan(42);
  world.table.length = 0;
  world.run((TTL_MS + 10) * MILLISECOND);
  expect(server.size).toBe(0);
});

test('a large table is written in steps', () => {
  const world = new World();
  const { server } = world;
  world.table.push(...Array.from({ length: 5_000 }, (_, index) => numbered(index)));
  world.keeper.begin();
  world.run(2 * MILLISECOND);
  expect(server.asked.put).toBeLessThan(100);
  world.run(SECOND);
  expect(server.size).toBe(10_000);
  expect(world.keeper.isWell).toBe(true);
});

test('after an outage removals come first, and then all that lives; only then is it well', () => {
  const world = new World();
  const { keeper, server } = world;
  const [over, living] = [numbered(1), numbered(2)];
  keeper.commit(over, () => {});
  world.run(10 * MILLISECOND);
  server.state = 'down';
  world.run(10 * MILLISECOND);
  keeper.remove(over);
  world.table.push(living);
  expect([keeper.isWell, keeper.removalsWaiting]).toEqual([false, 1]);
  server.state = 'up';
  world.run(200 * MILLISECOND);
  expect([keeper.isWell, keeper.removalsWaiting]).toEqual([true, 0]);
  expect([...server.kept.keys()].sort()).toEqual([...world.sealer.names(living)].sort());
  // The next outage is warned of anew.
  server.state = 'down';
  world.run(10 * MILLISECOND);
  expect(world.warnings).toHaveLength(2);
});

test('a store that refuses to store is as good as none, and asked with patience', () => {
  const world = new World();
  const { keeper, server } = world;
  server.write = () => 'failed';
  world.table.push(numbered(1));
  let done = false;
  keeper.commit(numbered(2), () => {
    done = true;
  });
  world.run(MILLISECOND);
  expect([done, keeper.isWell]).toEqual([true, false]);
  const { put } = server.asked;
  world.run(10 * SECOND);
  expect(server.asked.put - put).toBeLessThan(110);
  expect(world.warnings).toHaveLength(1);
});

test('removals that wait are bounded', () => {
  const world = new World();
  world.server.state = 'down';
  world.run(10 * MILLISECOND);
  for (let index = 0; index < 17_000; index++) {
    world.keeper.remove(bytesOf({ ...RECORD6, epoch: index }));
  }
  expect(world.keeper.removalsWaiting).toBe(16_384);
  expect(world.keeper.counters.removalsForgotten).toBe(17_000 - 16_384);
});

test('the record of a flow is found by either of its ways', () => {
  const world = new World();
  const record = bytesOf(RECORD6);
  world.keeper.commit(record, () => {});
  world.run(10 * MILLISECOND);
  expect(world.keeper.isUnknown('c', record.subarray(0, 36))).toBe(false);
  world.run(10 * MILLISECOND);
  expect(world.keeper.isUnknown('b', record.subarray(36, 72))).toBe(false);
  world.run(10 * MILLISECOND);
  expect(world.restored).toEqual([record, record]);
});

test('a flow that the store does not have is unknown, for a while', () => {
  const world = new World();
  const record = numbered(1);
  expect(world.isUnknown(record)).toBe(true);
  expect(world.keeper.counters).toMatchObject({ lookups: 1, lookupsEmpty: 1 });
  world.run(3 * SECOND);
  expect(world.isUnknown(record)).toBe(true);
  expect(world.keeper.counters.lookups).toBe(2);
});

test('the record of a source port that a later connection has is not used', () => {
  const world = new World();
  const record = numbered(1);
  world.keeper.commit(record, () => {});
  // Another client, the same way to the backend.
  const later = record.slice();
  new DataView(later.buffer).setUint16(8, 50_000);
  world.keeper.commit(later, () => {});
  world.run(10 * MILLISECOND);
  expect(world.isUnknown(record)).toBe(true);
  expect(world.restored).toEqual([]);
  expect(world.keeper.counters.dropReplaced).toBe(1);
  expect(world.isUnknown(later)).toBe(false);
  expect(world.restored).toEqual([later]);
});

test('a member that lags behind does not write over what is later', () => {
  const world = new World();
  const record = numbered(1);
  const later = record.slice();
  later[48]++;
  world.keeper.commit(later, () => {});
  world.keeper.commit(record, () => {});
  world.run(10 * MILLISECOND);
  expect(world.keeper.counters).toMatchObject({ commits: 1, writesOutdated: 1 });
  expect(world.isUnknown(record)).toBe(false);
  expect(world.restored).toEqual([later]);
  // Nor does the removal of the earlier one remove the later.
  world.keeper.remove(record);
  world.run(10 * MILLISECOND);
  expect(world.server.size).toBe(2);
  world.keeper.remove(later);
  world.run(10 * MILLISECOND);
  expect(world.server.size).toBe(0);
});

test('what strangers put into the store is dropped and counted', () => {
  const world = new World();
  const { keeper, clock } = world;
  const wall = clock.wall();
  const [a, b] = [numbered(1), numbered(2)];
  const good = sealer(5).seal(a, wall).value;
  const expectUnused = (value: Uint8Array, what: 'dropForged' | 'dropExpired'): void => {
    const before = keeper.counters[what];
    world.server.kept.clear();
    world.plant(b, value);
    world.run(3 * SECOND);
    world.isUnknown(b);
    expect(keeper.counters[what]).toBe(before + 1);
    expect(world.restored).toEqual([]);
  };
  expectUnused(new Uint8Array(0), 'dropForged');
  expectUnused(new Uint8Array(good.length).fill(0xff), 'dropForged');
  expectUnused(sealer(5, 'test', 'another secret').seal(b, wall).value, 'dropForged');
  // Authentic, but another flow's.
  expectUnused(good, 'dropForged');
  // Authentic, and put back after it was gone.
  expectUnused(sealer(5).seal(b, clock.wall() - 200).value, 'dropExpired');
});

test('a connection of another cluster is neither taken nor reset', () => {
  const world = new World();
  const record = numbered(1);
  world.plant(record, sealer(5, 'sister').seal(record, world.clock.wall()).value);
  expect(world.isUnknown(record)).toBe(false);
  expect(world.keeper.counters).toMatchObject({ dropForeign: 1, restored: 0 });
  expect(world.isUnknown(record)).toBe(false);
  expect(world.keeper.counters.lookups).toBe(1);
});

test('secrets change one after the other, and nothing is lost or left', () => {
  const world = new World();
  const { keeper, server } = world;
  const record = numbered(1);
  const [old, next] = [world.sealer, sealer(7, 'test', 'the next secret')];
  world.table.push(record);
  keeper.commit(record, () => {});
  for (const sealers of [[old, next], [next, old], [next]]) {
    keeper.rekey(sealers);
    world.run(3 * SECOND);
    expect(world.isUnknown(record)).toBe(false);
    expect(world.restored).toEqual([record]);
    world.restored.length = 0;
  }
  expect([...server.kept.keys()].sort()).toEqual(
    [...old.names(record), ...next.names(record)].sort(),
  );
  world.run(TTL_MS * MILLISECOND);
  expect(server.size).toBe(2);
  keeper.remove(record);
  world.run(SECOND);
  expect(server.size).toBe(0);
});

test('the record of another member is left to that one', () => {
  const world = new World();
  const record = numbered(1);
  world.keeper.commit(record, () => {});
  world.isHeld = false;
  expect(world.keeper.holderOf(record.subarray(0, 12))).toBeUndefined();
  expect(world.isUnknown(record)).toBe(false);
  expect(world.keeper.holderOf(record.subarray(0, 12))).toBe(3);
  expect(world.restored).toEqual([]);
  world.run(3 * SECOND);
  expect(world.keeper.holderOf(record.subarray(0, 12))).toBeUndefined();
});

test('a flood of packets of nobody is no flood of lookups', () => {
  const world = new World();
  const { keeper, server } = world;
  const way = new Uint8Array(12);
  const view = new DataView(way.buffer);
  for (let index = 0; index < 50_000; index++) {
    view.setUint32(0, index);
    keeper.isUnknown('c', way);
    if (index % 50 === 0) world.run(MILLISECOND);
  }
  // A second of it: 2,000 and 500 at once.
  expect(server.asked.get).toBeLessThanOrEqual(2_501);
  expect(keeper.counters.lookups).toBe(server.asked.get);
  expect(keeper.counters.lookupsRefused).toBe(50_000 - keeper.counters.lookups);
  server.state = 'hung';
  world.run(SECOND);
  for (let index = 0; index < 1_000; index++) {
    view.setUint32(0, 0x1000_0000 + index);
    keeper.isUnknown('b', way);
  }
  expect(server.asked.get).toBeLessThanOrEqual(2_501 + 256);
});

test('one who starts with nothing reads all that is there, but for what is not its own', () => {
  const world = new World();
  const { keeper, server } = world;
  const records = Array.from({ length: 150 }, (_, index) => numbered(index));
  for (const record of records) keeper.commit(record, () => {});
  world.run(10 * MILLISECOND);
  const alien = numbered(500);
  world.plant(alien, sealer(5, 'sister').seal(alien, world.clock.wall()).value);
  server.kept.set('test:c:rubbish', { value: new Uint8Array(3), until: Number.POSITIVE_INFINITY });
  keeper.restart();
  expect(keeper.isPrepared()).toBe(false);
  world.run(100 * MILLISECOND);
  expect(keeper.isPrepared()).toBe(true);
  const ports = (all: Uint8Array[]): number[] =>
    all.map((record) => new DataView(record.buffer).getUint16(8)).sort((a, b) => a - b);
  expect(ports(world.restored)).toEqual(ports(records));
  expect(keeper.counters).toMatchObject({ restored: 150, dropForeign: 1, dropForged: 1 });
});

test('a store that cannot be read is waited for a moment, and read later', () => {
  const world = new World();
  const { keeper, server } = world;
  const record = numbered(1);
  keeper.commit(record, () => {});
  world.run(10 * MILLISECOND);
  server.state = 'down';
  world.run(10 * MILLISECOND);
  keeper.restart();
  expect(keeper.isPrepared()).toBe(false);
  world.run(SECOND);
  expect(keeper.isPrepared()).toBe(true);
  keeper.begin();
  // Who knows what it has: nothing is unknown before it was asked, or cannot have anything any more.
  expect(world.isUnknown(numbered(7))).toBe(false);
  world.run(TTL_MS * MILLISECOND);
  expect(world.isUnknown(numbered(7))).toBe(true);
  server.state = 'up';
  world.run(SECOND);
  expect(keeper.isWell).toBe(true);
});
