import { expect, test } from 'vitest';
import { fromIpv4 } from '../../src/ip/address.ts';
import { PathMtus, plateauBelow } from '../../src/ip/path-mtu.ts';
import { Frame } from '../../src/link/frame.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import { address } from '../sim/hosts.ts';
import { BODY, ipFrame, NEIGHBOUR, OURS } from './bench.ts';
import { Bench6, NEIGHBOUR6 } from './bench6.ts';

const LINK = 1_500;

test('what is learnt can only lower the MTU, and is forgotten after ten minutes', () => {
  const paths = new PathMtus();
  expect(paths.get(NEIGHBOUR, LINK, 0)).toBe(LINK);
  paths.learn(NEIGHBOUR, 1_400, LINK, 0);
  paths.learn(NEIGHBOUR, 1_450, LINK, 1);
  paths.learn(NEIGHBOUR, 9_000, LINK, 2);
  expect(paths.get(NEIGHBOUR, LINK, 3)).toBe(1_400);
  expect(paths.get(NEIGHBOUR6, LINK, 3)).toBe(LINK);
  paths.learn(NEIGHBOUR, 1_300, LINK, 300_000_000);
  expect(paths.get(NEIGHBOUR, LINK, 899_999_999)).toBe(1_300);
  expect(paths.get(NEIGHBOUR, LINK, 900_000_000)).toBe(LINK);
  expect(paths.size).toBe(0);
});

test('no router makes us send crumbs', () => {
  const paths = new PathMtus();
  paths.learn(NEIGHBOUR, 68, LINK, 0);
  paths.learn(NEIGHBOUR6, 68, LINK, 0);
  expect(paths.get(NEIGHBOUR, LINK, 0)).toBe(552);
  expect(paths.get(NEIGHBOUR6, LINK, 0)).toBe(1_280);
  expect(paths.fragments(NEIGHBOUR, 0)).toBe(true);
  paths.learn(address('10.0.0.3'), 552, LINK, 0);
  expect(paths.fragments(address('10.0.0.3'), 0)).toBe(false);
});

test('the oldest of too many destinations gives way', () => {
  const paths = new PathMtus();
  for (let i = 0; i < 5_000; i++) paths.learn(fromIpv4(i), 1_400, LINK, i);
  expect(paths.size).toBe(1_024);
  expect(paths.get(fromIpv4(4_999), LINK, 5_000)).toBe(1_400);
  expect(paths.get(fromIpv4(3_975), LINK, 5_000)).toBe(LINK);
});

test('a router that does not say means the next plateau', () => {
  expect([1_500, 1_492, 1_493, 600, 68, 20, 65_535].map(plateauBelow)).toEqual([
    1_492, 1_006, 1_492, 508, 68, 68, 32_000,
  ]);
});

test('payloads shrink with the path, and DF goes with a path that takes less than we believe', () => {
  const bench = new Bench6().acquainted();
  const { ip } = bench.host;
  expect([ip.maximumPayload(NEIGHBOUR), ip.maximumPayload(NEIGHBOUR6)]).toEqual([1_480, 1_460]);
  ip.learnPathMtu(NEIGHBOUR, 1_400);
  ip.learnPathMtu(NEIGHBOUR6, 1_300);
  expect([ip.maximumPayload(NEIGHBOUR), ip.maximumPayload(NEIGHBOUR6)]).toEqual([1_380, 1_260]);
  const flags = (): number => {
    const frame = new Frame(BODY + 10);
    frame.end = BODY + 10;
    ip.send(frame, OURS, NEIGHBOUR, 253);
    return ipv4.fragment(bench.sent()[0].view, NETWORK_AT);
  };
  expect(flags()).toBe(ipv4.DONT_FRAGMENT);
  ip.learnPathMtu(NEIGHBOUR, 300);
  expect(ip.maximumPayload(NEIGHBOUR)).toBe(532);
  expect(flags()).toBe(0);
});

test('nobody but the protocol whose packet is quoted makes the layer believe', () => {
  const bench = new Bench6().acquainted();
  const mtus: number[] = [];
  bench.host.ip.register(222, { receive: () => {}, pathError: ({ mtu }) => mtus.push(mtu) });
  for (const named of [1_400, 0]) {
    const quoted = ipFrame(222, new Uint8Array(1_480), { from: OURS, to: NEIGHBOUR });
    const body = new Uint8Array(8 + 28);
    body.set(quoted.bytes.subarray(NETWORK_AT, NETWORK_AT + 28), 8);
    const view = new DataView(body.buffer);
    icmp.write(view, 0, body.length, icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, named);
    bench.arrive(ipFrame(1, body));
  }
  expect(mtus).toEqual([1_400, 1_492]);
  expect(bench.host.ip.pathMtu(NEIGHBOUR)).toBe(LINK);
});

test('a long answer is cut to what the path takes', () => {
  const bench = new Bench6().acquainted();
  bench.host.ip.learnPathMtu(NEIGHBOUR, 1_000);
  const echo = new Uint8Array(8 + 1_400);
  icmp.write(new DataView(echo.buffer), 0, echo.length, icmp.ECHO, 0, 1);
  bench.arrive(ipFrame(1, echo));
  const parts = bench.sent();
  expect(parts.map(({ end }) => end - NETWORK_AT)).toEqual([996, 452]);
  expect(parts.map(({ view }) => ipv4.fragment(view, NETWORK_AT))).toEqual([
    ipv4.MORE_FRAGMENTS,
    976 / 8,
  ]);
  expect(parts.every(({ view }) => ipv4.isIntact(view, NETWORK_AT, 20))).toBe(true);
});
