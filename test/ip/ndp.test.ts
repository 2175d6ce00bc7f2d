import { expect, test } from 'vitest';
import { type Address, formatAddress } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import { ETHERNET_AT } from '../../src/wire/layout.ts';
import * as ndp from '../../src/wire/ndp.ts';
import { address } from '../sim/hosts.ts';
import { NEIGHBOUR_MAC, OUR_MAC } from './bench.ts';
import {
  ALL_NODES6,
  advertisement,
  Bench6,
  BODY6,
  GATEWAY6,
  icmp6Frame,
  macOption,
  NEIGHBOUR6,
  NOBODY6,
  OURS6,
  ROUTER6,
  routerAdvertisement,
  SERVICE6,
  solicitation,
} from './bench6.ts';

const { NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT } = icmpv6;
const { SOLICITED, OVERRIDE, FROM_ROUTER } = ndp;
const MOVED = 0x0200_0000_0099;

/** Sends a packet to `destination`. */
function send(bench: Bench6, destination: Address = NEIGHBOUR6): void {
  const frame = new Frame(BODY6 + 10);
  frame.end = BODY6 + 10;
  bench.host.ip.send(frame, OURS6, destination, 253);
}

/** The MACs that packets of `send` went to. */
const packetsSent = (bench: Bench6): number[] =>
  bench
    .sent()
    .filter(({ end }) => end === BODY6 + 10)
    .map(({ view }) => ethernet.destination(view, ETHERNET_AT));

const targetOf = ({ view }: Frame): string => {
  const bytes = new Uint8Array(view.buffer, BODY6 + ndp.TARGET_AT, 16);
  return formatAddress(Buffer.from(bytes).toString('latin1') as unknown as Address);
};

test('a solicitation for an address of ours is answered, and its sender remembered', () => {
  const bench = new Bench6().arrive(solicitation(OURS6));
  const [answer, ...rest] = bench.sentIcmp6();
  expect(rest).toEqual([]);
  expect(answer).toMatchObject({
    mac: NEIGHBOUR_MAC,
    from: '2001:db8::1',
    to: '2001:db8::2',
    type: NEIGHBOUR_ADVERTISEMENT,
    hops: 255,
    intact: true,
  });
  expect(targetOf(answer.frame)).toBe('2001:db8::1');
  expect(ndp.flags(answer.frame.view, BODY6)).toBe(SOLICITED | OVERRIDE);
  expect(ethernet.readMac(answer.frame.view, BODY6 + 26)).toBe(OUR_MAC);
  send(bench);
  expect(packetsSent(bench)).toEqual([NEIGHBOUR_MAC]);
});

test('a service address is not answered for, nor anybody else’s, nor one that is gone', () => {
  const bench = new Bench6();
  bench.arrive(solicitation(SERVICE6, { to: OURS6, mac: OUR_MAC }));
  bench.arrive(solicitation(address('2001:db8::9'), { to: OURS6, mac: OUR_MAC }));
  bench.host.ip.removeAddress(OURS6);
  bench.arrive(solicitation(OURS6));
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.neighbours.mac(NEIGHBOUR6)).toBeUndefined();
  // Nobody listens to the group of an address that is gone.
  expect(bench.host.counters.foreign).toBe(1);
});

test('a probe from nobody is answered to all', () => {
  const bench = new Bench6().arrive(solicitation(OURS6, { from: NOBODY6, extra: [] }));
  expect(bench.sentIcmp6()).toMatchObject([{ to: 'ff02::1', mac: 0x3333_0000_0001 }]);
});

test('what breaks the rules of neighbour discovery is dropped and counted', () => {
  const bench = new Bench6();
  const lying = solicitation(OURS6);
  lying.view.setUint8(lying.end - 7, 2);
  for (const frame of [
    solicitation(OURS6, { hops: 254 }),
    solicitation(OURS6, { extra: [1, 0, 0, 0, 0, 0, 0, 0] }),
    solicitation(OURS6, { extra: [1, 2, 0, 0, 0, 0, 0, 0] }),
    solicitation(OURS6, { from: NOBODY6 }),
    solicitation(OURS6, { from: NOBODY6, extra: [], to: ALL_NODES6, mac: 0x3333_0000_0001 }),
    solicitation(ALL_NODES6, { to: OURS6, mac: OUR_MAC }),
    advertisement(ALL_NODES6, 0, NEIGHBOUR_MAC, { from: NEIGHBOUR6 }),
    advertisement(NEIGHBOUR6, SOLICITED, NEIGHBOUR_MAC, { to: ALL_NODES6, mac: 0x3333_0000_0001 }),
    icmp6Frame(NEIGHBOUR_SOLICITATION, 0, 0, new Uint8Array(15), { hops: 255 }),
    icmp6Frame(NEIGHBOUR_SOLICITATION, 1, 0, new Uint8Array(16), { hops: 255 }),
    icmp6Frame(icmpv6.ROUTER_ADVERTISEMENT, 0, 0, new Uint8Array(7), { hops: 255 }),
    routerAdvertisement({}, { from: NEIGHBOUR6 }),
  ]) {
    bench.arrive(frame);
  }
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.ndp.counters.malformed).toBe(12);
  bench.arrive(lying);
  expect(bench.host.ip.icmpv6.counters.malformed).toBe(1);
});

test('who has an address is asked in its group, and what waits is sent with the answer', () => {
  const bench = new Bench6();
  send(bench);
  send(bench);
  const [question, ...rest] = bench.sentIcmp6();
  expect(rest).toEqual([]);
  expect(question).toMatchObject({
    mac: 0x3333_ff00_0002,
    to: 'ff02::1:ff00:2',
    from: '2001:db8::1',
    type: NEIGHBOUR_SOLICITATION,
    hops: 255,
    intact: true,
  });
  expect(ethernet.readMac(question.frame.view, BODY6 + 26)).toBe(OUR_MAC);
  bench.arrive(advertisement(NEIGHBOUR6, SOLICITED, -1));
  expect(packetsSent(bench)).toEqual([]);
  bench.arrive(advertisement(NEIGHBOUR6, SOLICITED | OVERRIDE));
  expect(packetsSent(bench)).toEqual([NEIGHBOUR_MAC, NEIGHBOUR_MAC]);
  bench.at(30_000);
  send(bench);
  expect(packetsSent(bench)).toEqual([NEIGHBOUR_MAC]);
});

test('a question is repeated and then given up, and TCP learns of it', () => {
  const bench = new Bench6();
  const unreachable: Address[] = [];
  bench.host.ip.onUnreachable = (neighbour) => unreachable.push(neighbour);
  send(bench, address('2001:db8:1::1'));
  bench.at(2_199);
  expect(bench.sentIcmp6()).toHaveLength(3);
  expect(unreachable).toEqual([]);
  bench.at(2_200);
  expect(unreachable).toEqual([GATEWAY6]);
  expect(bench.host.timers.armed).toBe(0);
});

test('advertisements change what is known as their flags say, and make nothing new', () => {
  const bench = new Bench6().acquainted();
  const { neighbours } = bench.host.ip;
  // Without the override flag another MAC only raises doubts.
  bench.arrive(advertisement(NEIGHBOUR6, 0, MOVED));
  expect(neighbours.mac(NEIGHBOUR6)).toBe(NEIGHBOUR_MAC);
  send(bench);
  bench.at(5_000);
  send(bench);
  expect(bench.sentIcmp6().filter(({ hops }) => hops === 255)).toMatchObject([
    { mac: NEIGHBOUR_MAC, to: '2001:db8::2', type: NEIGHBOUR_SOLICITATION },
  ]);
  // The answer settles it.
  bench.arrive(advertisement(NEIGHBOUR6, SOLICITED, -1));
  bench.at(20_000);
  send(bench);
  expect(packetsSent(bench)).toEqual([NEIGHBOUR_MAC]);
  bench.arrive(
    advertisement(NEIGHBOUR6, OVERRIDE, MOVED, { to: ALL_NODES6, mac: 0x3333_0000_0001 }),
  );
  send(bench);
  expect(packetsSent(bench)).toEqual([MOVED]);
  bench.arrive(advertisement(address('2001:db8::77'), OVERRIDE, MOVED));
  expect(neighbours.mac(address('2001:db8::77'))).toBeUndefined();
});

test('an unanswered neighbour is asked at its MAC, then in its group, then forgotten', () => {
  const bench = new Bench6().acquainted().at(31_000);
  send(bench);
  bench.at(36_000);
  send(bench);
  bench.at(38_200);
  const asked = bench.sentIcmp6().filter(({ type }) => type === NEIGHBOUR_SOLICITATION);
  expect(asked.map(({ mac }) => mac)).toEqual([NEIGHBOUR_MAC, NEIGHBOUR_MAC, 0x3333_ff00_0002]);
  expect(bench.host.ip.neighbours.mac(NEIGHBOUR6)).toBeUndefined();
});

test('an announcement tells everybody, and who claims our address is counted', () => {
  const bench = new Bench6();
  bench.host.ip.announce(SERVICE6);
  const [told] = bench.sentIcmp6();
  expect(told).toMatchObject({ mac: 0x3333_0000_0001, to: 'ff02::1', hops: 255, intact: true });
  expect(ndp.flags(told.frame.view, BODY6)).toBe(OVERRIDE);
  expect(targetOf(told.frame)).toBe('2001:db8:80::80');
  bench.arrive(advertisement(OURS6, OVERRIDE, MOVED, { from: NEIGHBOUR6 }));
  expect(bench.host.ip.ndp.counters.conflicts).toBe(1);
  // Our own, come back from the link.
  bench.arrive(advertisement(OURS6, OVERRIDE, OUR_MAC, { from: NEIGHBOUR6 }));
  expect(bench.host.ip.ndp.counters.conflicts).toBe(1);
});

test('a tentative address becomes ours when nobody protests within a second', () => {
  const bench = new Bench6();
  const wanted = address('2001:db8::aa');
  const heard: boolean[] = [];
  bench.host.ip.addTentativeAddress(wanted, (ours) => heard.push(ours));
  const [probe] = bench.sentIcmp6();
  expect(probe).toMatchObject({ from: '::', to: 'ff02::1:ff00:aa', hops: 255, intact: true });
  // While it is asked for, it is not answered for; our own probe may come back.
  bench.arrive(solicitation(wanted));
  const echo = new Frame(probe.frame.end);
  echo.copyFrom(probe.frame);
  bench.arrive(echo);
  expect(bench.sent()).toHaveLength(0);
  bench.at(999);
  expect(bench.host.ip.isLocal(wanted)).toBe(false);
  bench.at(1_000);
  expect(heard).toEqual([true]);
  expect(bench.host.ip.isLocal(wanted)).toBe(true);
  bench.arrive(solicitation(wanted));
  expect(bench.sentIcmp6()).toHaveLength(1);
  expect(bench.host.timers.armed).toBe(0);
});

test('an address that somebody has, or wants at the same time, does not become ours', () => {
  for (const protest of [
    advertisement(address('2001:db8::aa'), OVERRIDE, MOVED, {
      to: ALL_NODES6,
      mac: 0x3333_0000_0001,
    }),
    solicitation(address('2001:db8::aa'), { from: NOBODY6, extra: [] }),
    solicitation(address('2001:db8::aa'), { from: NOBODY6, extra: macOption(14, 77) }),
  ]) {
    const bench = new Bench6();
    const heard: boolean[] = [];
    bench.host.ip.addTentativeAddress(address('2001:db8::aa'), (ours) => heard.push(ours));
    bench.arrive(protest);
    expect(heard).toEqual([false]);
    bench.at(5_000);
    expect(heard).toEqual([false]);
    expect(bench.host.ip.isLocal(address('2001:db8::aa'))).toBe(false);
    expect(bench.host.ip.ndp.counters.duplicates).toBe(1);
  }
});

test('a takeover does not wait for the question to end', () => {
  const bench = new Bench6();
  const wanted = address('2001:db8::aa');
  const heard: boolean[] = [];
  bench.host.ip.addTentativeAddress(wanted, (ours) => heard.push(ours));
  bench.host.ip.addAddress(wanted);
  expect(bench.host.ip.isLocal(wanted)).toBe(true);
  bench.at(5_000);
  expect(heard).toEqual([]);
  bench.host.ip.addTentativeAddress(address('10.0.0.77'), (ours) => heard.push(ours));
  expect(heard).toEqual([true]);
});

test('frames for groups that nobody is in are foreign', () => {
  const bench = new Bench6();
  bench.arrive(solicitation(OURS6, { mac: 0x3333_ff12_3456 }));
  expect(bench.host.counters.foreign).toBe(1);
  bench.arrive(solicitation(OURS6));
  expect(bench.host.counters.foreign).toBe(1);
});

test('routers are ignored unless they were asked for', () => {
  const bench = new Bench6().arrive(routerAdvertisement());
  expect(bench.host.ip.neighbours.mac(ROUTER6)).toBeUndefined();
  expect(bench.host.ip.ndp.counters.routerAdvertisementsIn).toBe(1);
});

/** A host that has a link-local address and nothing else, and asks for routers. */
function alone() {
  const bench = new Bench6();
  const { ip } = bench.host;
  ip.removeAddress(OURS6);
  const local = ip.addLinkLocalAddress();
  const far = address('2620::1');
  const routes = ip.routes;
  const before = routes.nextHop(far);
  // The bench's own default route would hide what is learnt.
  expect(before).toBe(GATEWAY6);
  routes.demote(GATEWAY6);
  const discovery = ip.discoverRouters();
  return { bench, discovery, ip, local, far };
}

test('routers are asked three times, four seconds apart, until one answers', () => {
  const { bench, local } = alone();
  bench.at(20_000);
  expect(bench.sentIcmp6()).toMatchObject(
    Array.from({ length: 3 }, () => ({
      type: icmpv6.ROUTER_SOLICITATION,
      to: 'ff02::2',
      mac: 0x3333_0000_0002,
      from: formatAddress(local),
      hops: 255,
    })),
  );
  const second = alone();
  second.bench.at(3_000, routerAdvertisement()).at(20_000);
  expect(second.bench.sentIcmp6()).toHaveLength(1);
});

test('a router is the default for as long as it says', () => {
  const { bench, ip, far } = alone();
  ip.routes.demote(GATEWAY6);
  bench.arrive(routerAdvertisement({ lifetime: 100 }));
  ip.routes.demote(GATEWAY6);
  expect(ip.routes.nextHop(far)).toBe(ROUTER6);
  expect(ip.neighbours.mac(ROUTER6)).toBe(NEIGHBOUR_MAC);
  bench.at(50_000, routerAdvertisement({ lifetime: 100 })).at(149_999);
  expect(ip.routes.nextHop(far)).toBe(ROUTER6);
  bench.at(150_000);
  expect(ip.routes.nextHop(far)).toBe(GATEWAY6);
  bench.arrive(routerAdvertisement());
  ip.routes.demote(GATEWAY6);
  expect(ip.routes.nextHop(far)).toBe(ROUTER6);
  bench.arrive(routerAdvertisement({ lifetime: 0 }));
  expect(ip.routes.nextHop(far)).toBe(GATEWAY6);
});

test('a router that says it is none, or does not answer, gives way', () => {
  const { bench, ip, far } = alone();
  bench.arrive(routerAdvertisement());
  ip.routes.demote(GATEWAY6);
  expect(ip.routes.nextHop(far)).toBe(ROUTER6);
  ip.routes.demote(ROUTER6);
  expect(ip.routes.nextHop(far)).toBe(GATEWAY6);
  const toAll = { to: ALL_NODES6, mac: 0x3333_0000_0001 };
  bench.arrive(advertisement(ROUTER6, OVERRIDE | FROM_ROUTER, NEIGHBOUR_MAC, toAll));
  ip.routes.demote(GATEWAY6);
  expect(ip.routes.nextHop(far)).toBe(ROUTER6);
  bench.arrive(advertisement(ROUTER6, OVERRIDE, NEIGHBOUR_MAC, toAll));
  expect(ip.routes.nextHop(far)).toBe(GATEWAY6);
});

test('prefixes, MTU and hop limit are taken within reason', () => {
  const { bench, ip, discovery } = alone();
  const prefix = { address: address('2001:db8:5::'), length: 64, lifetime: 60 };
  const inside = address('2001:db8:5::9');
  bench.arrive(routerAdvertisement({ mtu: 1_400, hopLimit: 7, prefix }));
  expect(ip.routes.nextHop(inside)).toBe(inside);
  expect(ip.maximumPayload(inside)).toBe(1_360);
  expect(ip.maximumPayload(address('10.0.0.9'))).toBe(1_480);
  bench.host.ip.addAddress(OURS6);
  bench.acquainted();
  bench.sent();
  send(bench);
  expect(bench.sentIcmp6()).toMatchObject([{ hops: 7 }]);
  for (const mtu of [1_279, 1_501, 0xffff_ffff]) bench.arrive(routerAdvertisement({ mtu }));
  expect(ip.maximumPayload(inside)).toBe(1_360);
  bench.at(60_000);
  expect(ip.routes.nextHop(inside)).toBe(discovery.routers.length > 0 ? GATEWAY6 : undefined);
  bench.arrive(routerAdvertisement({ prefix: { ...prefix, onLink: false } }));
  bench.arrive(routerAdvertisement({ prefix: { ...prefix, length: 0 } }));
  bench.arrive(routerAdvertisement({ prefix: { ...prefix, length: 129 } }));
  bench.arrive(routerAdvertisement({ prefix: { ...prefix, address: address('fe80::') } }));
  expect(ip.routes.nextHop(inside)).toBe(GATEWAY6);
  bench.arrive(routerAdvertisement({ prefix: { ...prefix, lifetime: ndp.INFINITE } }));
  bench.at(10_000_000);
  expect(ip.routes.nextHop(inside)).toBe(inside);
});

test('no flood of routers and prefixes makes us keep many', () => {
  const { bench, discovery } = alone();
  for (let i = 1; i <= 100; i++) {
    const prefix = { address: address(`2001:db8:${i}::`), length: 64, lifetime: 60 };
    bench.arrive(routerAdvertisement({ prefix }, { from: address(`fe80::${i}`) }));
  }
  expect(discovery.routers).toHaveLength(8);
  expect(discovery.counters).toEqual({ routers: 8, prefixes: 32, refused: 92 + 68 });
  bench.at(2_000_000);
  expect(discovery.routers).toHaveLength(0);
  expect(bench.host.timers.armed).toBe(0);
});

test('a redirect is counted and not followed', () => {
  const bench = new Bench6().acquainted();
  const { ip } = bench.host;
  const before = ip.routes.nextHop(address('2620::1'));
  bench.arrive(icmp6Frame(icmpv6.REDIRECT, 0, 0, new Uint8Array(32), { hops: 255 }));
  expect(ip.icmpv6.counters.redirects).toBe(1);
  expect(ip.routes.nextHop(address('2620::1'))).toBe(before);
});
