import { expect, test } from 'vitest';
import { type Address, formatAddress } from '../../src/ip/address.ts';
import { readIpv6 } from '../../src/ip/intern.ts';
import type { Frame } from '../../src/link/frame.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as extensions from '../../src/wire/ipv6-extensions.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';
import { maximumDelay } from '../../src/wire/mld.ts';
import { address } from '../sim/hosts.ts';
import { viewOf } from '../wire/views.ts';
import { ALL_NODES6, Bench6, icmp6Frame, NEIGHBOUR6, OURS6, ROUTER6 } from './bench6.ts';

/** What a report says, its form checked. */
function report(frame: Frame): string[] {
  const { view, end } = frame;
  expect(ethernet.destination(view, ETHERNET_AT)).toBe(0x3333_0000_0016);
  expect(ipv6.hopLimit(view, NETWORK_AT)).toBe(1);
  const chain = new extensions.Chain();
  expect(extensions.walk(view, NETWORK_AT, end, chain)).toBe(extensions.REACHED);
  const at = chain.payload;
  expect([chain.protocol, at]).toEqual([58, NETWORK_AT + 48]);
  expect(icmpv6.isIntact(view, NETWORK_AT, at, end)).toBe(true);
  expect(icmpv6.type(view, at)).toBe(143);
  const count = view.getUint16(at + 6);
  expect(end).toBe(at + 8 + 20 * count);
  return Array.from({ length: count }, (_, index) => {
    const record = at + 8 + 20 * index;
    return `${view.getUint8(record)} ${formatAddress(readIpv6(view, record + 4))}`;
  });
}

const sourceOf = ({ view }: Frame): string =>
  formatAddress(readIpv6(view, NETWORK_AT + ipv6.SOURCE_AT));

const query = (delay: number, from: Address = ROUTER6, hops = 1, length = 20): Frame =>
  icmp6Frame(130, 0, delay * 0x1_0000, new Uint8Array(length), {
    from,
    hops,
    to: ALL_NODES6,
    mac: 0x3333_0000_0001,
  });

test('groups are told of when they are joined and left, and once more', () => {
  const bench = new Bench6();
  const { ip } = bench.host;
  ip.reportGroups();
  const first = bench.sent();
  expect(first.map(report)).toEqual([['4 ff02::1:ff00:1']]);
  expect(sourceOf(first[0])).toBe('::');
  ip.addLinkLocalAddress();
  ip.removeAddress(OURS6);
  // The link-local address is in the same group.
  expect(bench.sent()).toEqual([]);
  ip.addAddress(address('2001:db8::5:6'));
  ip.removeAddress(address('2001:db8::5:6'));
  const changes = bench.sent();
  expect(changes.map(report)).toEqual([['4 ff02::1:ff05:6'], ['3 ff02::1:ff05:6']]);
  expect(sourceOf(changes[0])).toBe('fe80::ff:fe00:1');
  bench.at(1_000);
  expect(bench.sent().map(report)).toEqual([['4 ff02::1:ff00:1'], ['3 ff02::1:ff05:6']]);
  expect(bench.host.timers.armed).toBe(0);
});

test('a query is answered with all groups, within the time that it leaves', () => {
  const bench = new Bench6();
  const mld = bench.host.ip.reportGroups();
  for (let i = 0; i < 100; i++) bench.host.ip.addAddress(address(`2001:db8::a:${i}`));
  bench.at(2_000);
  bench.sent();
  for (let i = 0; i < 50; i++) bench.arrive(query(500));
  bench.at(2_500);
  const answers = bench.sent().map(report);
  expect(answers.map((groups) => groups.length)).toEqual([60, 41]);
  expect(new Set(answers.flat()).size).toBe(101);
  expect(answers.flat().every((group) => group.startsWith('2 ff02::1:ff'))).toBe(true);
  expect(mld.counters.queries).toBe(50);
  bench.arrive(query(500, NEIGHBOUR6), query(500, ROUTER6, 64), query(500, ROUTER6, 1, 15));
  bench.at(20_000);
  expect(bench.sent()).toEqual([]);
  expect(mld.counters.malformed).toBe(3);
  // No query makes an answer wait for ever.
  bench.arrive(query(0xffff)).at(30_000);
  expect(bench.sent()).toHaveLength(2);
});

test('nobody is told of groups who does not want to', () => {
  const bench = new Bench6().arrive(query(0));
  bench.at(10_000);
  expect(bench.sent()).toEqual([]);
});

test('delays above 32 s are told in floating point', () => {
  const view = viewOf(8);
  const delay = (code: number): number => {
    view.setUint16(4, code);
    return maximumDelay(view, 0);
  };
  expect([0, 0x7fff, 0x8000, 0xffff].map(delay)).toEqual([0, 32_767, 32_768, 8_387_584]);
});
