import { expect, test } from 'vitest';
import { type Address, fromIpv4 } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import { REPLY, REQUEST } from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT } from '../../src/wire/layout.ts';
import { address } from '../sim/hosts.ts';
import {
  arpFrame,
  Bench,
  BODY,
  GATEWAY,
  NEIGHBOUR,
  NEIGHBOUR_MAC,
  OUR_MAC,
  OURS,
  SERVICE,
} from './bench.ts';

/** Sends a packet of `size` bytes to `destination`. */
function send(bench: Bench, destination: Address = NEIGHBOUR, size = 10): void {
  const frame = new Frame(BODY + size);
  frame.end = BODY + size;
  bench.host.ip.send(frame, OURS, destination, 253);
}

const ipSent = (bench: Bench): number[] =>
  bench
    .sent()
    .filter(({ view }) => ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV4)
    .map(({ view }) => ethernet.destination(view, ETHERNET_AT));

test('a request for an address of ours is answered, and its sender remembered', () => {
  const bench = new Bench().arrive(arpFrame(REQUEST, NEIGHBOUR_MAC, NEIGHBOUR, OURS));
  expect(bench.sentArp()).toEqual([
    { to: NEIGHBOUR_MAC, kind: 'reply', mac: OUR_MAC, sender: OURS, target: NEIGHBOUR },
  ]);
  send(bench);
  expect(ipSent(bench)).toEqual([NEIGHBOUR_MAC]);
});

test('a service address is not answered for, nor is anybody else’s', () => {
  const bench = new Bench();
  bench.arrive(arpFrame(REQUEST, NEIGHBOUR_MAC, NEIGHBOUR, SERVICE));
  bench.arrive(arpFrame(REQUEST, NEIGHBOUR_MAC, NEIGHBOUR, address('10.0.0.9')));
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.neighbours.mac(NEIGHBOUR)).toBeUndefined();
});

test('an address that was removed is not answered for any more', () => {
  const bench = new Bench();
  bench.host.ip.removeAddress(OURS);
  bench.arrive(arpFrame(REQUEST, NEIGHBOUR_MAC, NEIGHBOUR, OURS));
  expect(bench.sent()).toHaveLength(0);
});

test('a neighbour whose MAC is fixed is never asked for, and nobody can change it', () => {
  const bench = new Bench();
  const { neighbours } = bench.host.ip;
  neighbours.fix(NEIGHBOUR, NEIGHBOUR_MAC);
  bench.arrive(arpFrame(REPLY, NEIGHBOUR_MAC + 1, NEIGHBOUR, OURS));
  bench.arrive(arpFrame(REQUEST, NEIGHBOUR_MAC + 1, NEIGHBOUR, OURS));
  bench.sent();
  for (let hour = 1; hour <= 3; hour++) {
    bench.at(hour * 3_600_000);
    neighbours.confirm(neighbours.hop(NEIGHBOUR), bench.clock.now());
    // More others than there is room for.
    for (let other = 0; other < 2_000; other++) neighbours.hop(fromIpv4(0x0a00_1000 + other));
    send(bench);
    bench.at(hour * 3_600_000 + 10_000);
  }
  expect(bench.sent().map(({ view }) => ethernet.destination(view, ETHERNET_AT))).toEqual(
    Array(3).fill(NEIGHBOUR_MAC),
  );
});

test('a probe from 0.0.0.0 is answered and teaches nothing', () => {
  const bench = new Bench().arrive(arpFrame(REQUEST, NEIGHBOUR_MAC, 0, OURS));
  expect(bench.sentArp()).toMatchObject([{ kind: 'reply', to: NEIGHBOUR_MAC }]);
  expect(bench.host.ip.neighbours.mac(fromIpv4(0))).toBeUndefined();
});

test('what waits for an answer is sent when it comes', () => {
  const bench = new Bench();
  send(bench);
  send(bench);
  expect(bench.sentArp()).toMatchObject([
    { to: ethernet.BROADCAST, kind: 'request', sender: OURS, target: NEIGHBOUR },
  ]);
  bench.arrive(arpFrame(REPLY, NEIGHBOUR_MAC, NEIGHBOUR, OURS, OUR_MAC));
  expect(ipSent(bench)).toEqual([NEIGHBOUR_MAC, NEIGHBOUR_MAC]);
  send(bench);
  expect(ipSent(bench)).toEqual([NEIGHBOUR_MAC]);
});

test('the gateway is asked for what is not on the link', () => {
  const bench = new Bench();
  send(bench, address('8.8.8.8'));
  expect(bench.sentArp()).toMatchObject([{ target: GATEWAY }]);
});

test('a question is repeated after 200 ms and a second, and then given up', () => {
  const bench = new Bench();
  const unreachable: Address[] = [];
  bench.host.ip.onUnreachable = (neighbour) => unreachable.push(neighbour);
  send(bench);
  bench.at(199);
  expect(bench.sentArp()).toHaveLength(1);
  bench.at(200);
  expect(bench.sentArp()).toHaveLength(1);
  bench.at(1_200);
  expect(bench.sentArp()).toHaveLength(1);
  bench.at(2_199);
  expect(unreachable).toEqual([]);
  bench.at(2_200);
  expect(unreachable).toEqual([NEIGHBOUR]);
  expect(bench.host.ip.neighbours.counters).toMatchObject({ failed: 1, queueDrops: 1 });
  expect(bench.host.timers.armed).toBe(0);
  // A new attempt asks again.
  send(bench);
  expect(bench.sentArp()).toHaveLength(1);
});

test('few frames wait for one neighbour, and not many for all', () => {
  const bench = new Bench();
  for (let i = 0; i < 40; i++) send(bench, NEIGHBOUR, i + 1);
  bench.sent();
  bench.arrive(arpFrame(REPLY, NEIGHBOUR_MAC, NEIGHBOUR, OURS, OUR_MAC));
  const sizes = bench.sent().map(({ end }) => end - BODY);
  expect(sizes).toEqual(Array.from({ length: 16 }, (_, i) => i + 25));
  for (let host = 10; host < 250; host++) {
    for (let i = 0; i < 3; i++) send(bench, fromIpv4(Number(address('10.0.0.0')) + host));
  }
  const { queued, queueDrops } = bench.host.ip.neighbours.counters;
  expect(queued - queueDrops - 16).toBeLessThanOrEqual(256);
});

test('an announcement changes what is known, and makes nothing new', () => {
  const bench = new Bench().acquainted();
  const moved = 0x0200_0000_0099;
  bench.arrive(arpFrame(REQUEST, moved, NEIGHBOUR, NEIGHBOUR));
  send(bench);
  expect(ipSent(bench)).toEqual([moved]);
  const stranger = address('10.0.0.77');
  bench.arrive(arpFrame(REQUEST, moved, stranger, stranger));
  bench.arrive(arpFrame(REPLY, moved, stranger, stranger));
  expect(bench.host.ip.neighbours.mac(stranger)).toBeUndefined();
});

test('an entry that was not confirmed for a while is asked for, in use meanwhile', () => {
  const bench = new Bench().acquainted().at(31_000);
  send(bench);
  expect(ipSent(bench)).toEqual([NEIGHBOUR_MAC]);
  bench.at(35_999);
  send(bench);
  expect(bench.sentArp()).toEqual([]);
  // First of all the neighbour itself is asked, then everybody.
  bench.at(36_000);
  send(bench);
  const sent = bench.sent();
  expect(sent.map(({ view }) => ethernet.type(view, ETHERNET_AT))).toEqual([
    ethernet.TYPE_ARP,
    ethernet.TYPE_IPV4,
  ]);
  expect(ethernet.destination(sent[0].view, ETHERNET_AT)).toBe(NEIGHBOUR_MAC);
  bench.at(36_200);
  expect(bench.sentArp()).toMatchObject([{ to: NEIGHBOUR_MAC }]);
  bench.at(37_200);
  expect(bench.sentArp()).toMatchObject([{ to: ethernet.BROADCAST }]);
  bench.at(38_200);
  expect(bench.host.ip.neighbours.mac(NEIGHBOUR)).toBeUndefined();
});

test('traffic that a neighbour acknowledges spares it the question', () => {
  const bench = new Bench().acquainted().at(31_000);
  const { neighbours } = bench.host.ip;
  const hop = neighbours.hop(NEIGHBOUR);
  send(bench);
  bench.at(33_000);
  neighbours.confirm(hop, bench.clock.now());
  bench.at(62_000);
  send(bench);
  expect(bench.sentArp()).toEqual([]);
  neighbours.confirm(0xffff_ffff, bench.clock.now());
  neighbours.confirm(neighbours.hop(GATEWAY), bench.clock.now());
  expect(neighbours.mac(GATEWAY)).toBeUndefined();
});

test('the cache is bounded: who was not used for longest gives way, and its hops are stale', () => {
  const bench = new Bench();
  const { neighbours } = bench.host.ip;
  const base = Number(address('10.9.0.0'));
  const first = fromIpv4(base);
  neighbours.learn(first, 1, true, bench.clock.now());
  const hop = neighbours.hop(first);
  expect(neighbours.isCurrent(hop)).toBe(true);
  bench.at(1);
  for (let i = 1; i < 3_000; i++) neighbours.learn(fromIpv4(base + i), 1, true, bench.clock.now());
  expect(neighbours.counters.evicted).toBe(3_000 - 1_024);
  expect(neighbours.isCurrent(hop)).toBe(false);
  const frame = new Frame(BODY);
  frame.end = BODY;
  expect(bench.host.ip.transmit(frame, hop)).toBe(false);
  expect(neighbours.isCurrent(0xffff_ffff)).toBe(false);
});

test('strangers who ask cannot push out a neighbour in use', () => {
  const bench = new Bench().acquainted();
  for (let i = 0; i < 5_000; i++) {
    bench.at(i / 100);
    if (i % 500 === 0) send(bench);
    const stranger = fromIpv4(Number(address('10.9.0.0')) + i);
    bench.arrive(arpFrame(REQUEST, 0x0200_0000_1000 + i, stranger, OURS));
  }
  expect(bench.host.ip.neighbours.mac(NEIGHBOUR)).toBe(NEIGHBOUR_MAC);
});

test('announce tells everybody', () => {
  const bench = new Bench();
  bench.host.ip.arp.announce(SERVICE);
  expect(bench.sentArp()).toEqual([
    { to: ethernet.BROADCAST, kind: 'request', mac: OUR_MAC, sender: SERVICE, target: SERVICE },
    { to: ethernet.BROADCAST, kind: 'reply', mac: OUR_MAC, sender: SERVICE, target: SERVICE },
  ]);
});

test('who claims an address of ours is counted and not believed', () => {
  const bench = new Bench().arrive(arpFrame(REPLY, NEIGHBOUR_MAC, OURS, OURS));
  expect(bench.host.ip.arp.counters.conflicts).toBe(1);
  expect(bench.host.ip.neighbours.mac(OURS)).toBeUndefined();
});

test('a group MAC, our own, and other hardware are not believed', () => {
  const bench = new Bench();
  bench.arrive(arpFrame(REQUEST, 0x0100_5e00_0001, NEIGHBOUR, OURS));
  bench.arrive(arpFrame(REQUEST, OUR_MAC, NEIGHBOUR, OURS));
  const odd = arpFrame(REQUEST, NEIGHBOUR_MAC, NEIGHBOUR, OURS);
  odd.view.setUint16(odd.end - 28, 6);
  bench.arrive(odd);
  const short = arpFrame(REQUEST, NEIGHBOUR_MAC, NEIGHBOUR, OURS);
  short.end--;
  bench.arrive(short);
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.arp.counters.malformed).toBe(2);
});

test('the longest prefix wins', () => {
  const { routes } = new Bench().host.ip;
  const [narrow, wide] = [address('10.0.0.3'), address('10.0.0.4')];
  routes.add({ prefix: { address: address('172.16.0.0'), length: 12 }, gateway: wide });
  routes.add({ prefix: { address: address('172.16.5.0'), length: 24 }, gateway: narrow });
  expect(routes.nextHop(address('172.16.5.9'))).toBe(narrow);
  expect(routes.nextHop(address('172.16.6.9'))).toBe(wide);
  expect(routes.nextHop(NEIGHBOUR)).toBe(NEIGHBOUR);
  expect(ipv4.formatAddress(Number(routes.nextHop(address('1.1.1.1'))))).toBe('10.0.0.254');
});
