// Too much of everything: SYNs, ICMP, errors, strangers. Who is connected already does not notice.
import { describe, expect, test } from 'vitest';
import { parsePrefix } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import { keyFromSecret } from '../../src/tcp/stack.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  ACK,
  accepted,
  buildFrame,
  DATA,
  established,
  Harness,
  MSS,
  OURS,
  PEER,
  SYN,
  SYN_ACK,
} from '../tcp/harness.ts';
import { repairIp, repairTcp, TRANSPORT_AT } from './tamper.ts';

const FLOOD = 200_000;
/** As many as are worth it where each is refused in the same manner. */
const SHORT_FLOOD = 20_000;

/** Answers to far-away addresses go by way of the peer, and nobody keeps them. */
function withDefaultRoute(t: Harness): Harness {
  const prefix = parsePrefix('0.0.0.0/0');
  if (prefix === undefined) throw new Error('no prefix');
  t.host.ip.addRoute({ prefix, gateway: PEER.address });
  return t;
}

/** SYNs from as many places; returns how many were answered. */
function flood(t: Harness, count: number): number {
  const frame = buildFrame({ ...SYN, mss: 1_460 }, t, 65_535);
  const { view } = frame;
  let answered = 0;
  for (let i = 0; i < count; i++) {
    view.setUint32(NETWORK_AT + ipv4.SOURCE_AT, (0x0b00_0001 + Math.imul(i, 7_919)) >>> 0);
    view.setUint16(TRANSPORT_AT, 1_024 + (i % 60_000));
    view.setUint32(TRANSPORT_AT + tcp.SEQ_AT, Math.imul(i, 0x9e37_79b1) >>> 0);
    repairIp(frame);
    repairTcp(frame);
    t.inject(frame);
    answered += t.link.outgoing.length;
    t.link.outgoing.length = 0;
    if (i % 1_000 === 0) t.pass(1);
  }
  return answered;
}

describe('a flood of SYNs', () => {
  test('of 200,000 with cookies costs no memory, and new clients get in', () => {
    const t = withDefaultRoute(
      new Harness().listen({ cookieKey: keyFromSecret('secret', 'test') }),
    );
    // The answer's number is the cookie: the streams' numbers count from it.
    t.arrive(SYN);
    t.iss = (t.iss + 1 + (t.sent()[0].seq ?? 0)) >>> 0;
    t.arrive({ ...ACK, seq: 0, ack: 0 });
    expect(flood(t, FLOOD)).toBeGreaterThan(0.9 * FLOOD);
    expect(t.host.tcp.connectionCount).toBe(1);
    expect(t.host.timers.armed).toBeLessThanOrEqual(3);
    t.arrive({ ...DATA, seq: 0, data: 'still here' });
    expect(t.read()).toBe('still here');
    // Another client, in the middle of it all.
    const fromPort = PEER.port + 1;
    t.link.outgoing.length = 0;
    t.arrive({ ...SYN, fromPort });
    const [answer] = t.sent();
    expect(answer).toMatchObject({ flags: 'SA', toPort: fromPort });
    t.arrive({ ...ACK, seq: 0, ack: (answer.seq ?? 0) + 1, fromPort });
    expect(t.host.tcp.connectionCount).toBe(2);
  });

  test('without cookies keeps no more than the backlog, and gives it back', () => {
    const t = withDefaultRoute(accepted({}, { backlog: 100 }));
    flood(t, SHORT_FLOOD);
    expect(t.host.tcp.connectionCount).toBeLessThanOrEqual(101);
    t.arrive({ ...DATA, seq: 0, data: 'still here' });
    expect(t.read()).toBe('still here');
    // The half-open ones are given up, one and all.
    t.pass(300_000);
    expect(t.host.tcp.connectionCount).toBe(1);
  });

  test('is not answered beyond the maximum of connections', () => {
    const t = withDefaultRoute(
      accepted({ tcp: { maximumConnections: 50 } }, { backlog: 1_000_000 }),
    );
    flood(t, SHORT_FLOOD);
    expect(t.host.tcp.connectionCount).toBeLessThanOrEqual(50);
    t.arrive({ ...DATA, seq: 0, data: 'still here' });
    expect(t.read()).toBe('still here');
  });
});

test('segments of no connection are answered by resets, and leave nothing', () => {
  const t = withDefaultRoute(established());
  const frame = buildFrame({ ...DATA, toPort: 9, length: 10 }, t, 0);
  let resets = 0;
  for (let port = 1; port < 20_000; port++) {
    frame.view.setUint16(TRANSPORT_AT, port);
    repairTcp(frame);
    t.inject(frame);
    resets += t.link.outgoing.splice(0).length;
  }
  expect(resets).toBeGreaterThan(0);
  expect(t.host.tcp.connectionCount).toBe(1);
  expect(t.host.timers.armed).toBeLessThanOrEqual(1);
});

/** An ICMP message of the peer, whose body is written by `body`, which returns its end. */
function icmpFrame(
  t: Harness,
  type: number,
  code: number,
  rest: number,
  body: (frame: Frame, at: number) => number,
): Frame {
  const frame = buildFrame(ACK, t, 0);
  const { view } = frame;
  frame.end = body(frame, TRANSPORT_AT + icmp.ICMP_LENGTH);
  icmp.write(view, TRANSPORT_AT, frame.end, type, code, rest);
  view.setUint8(NETWORK_AT + 9, ipv4.PROTOCOL_ICMP);
  view.setUint16(NETWORK_AT + 2, frame.end - NETWORK_AT);
  repairIp(frame);
  return frame;
}

/** A quote of a segment that we may have sent with the number `seq`. */
const quote =
  (t: Harness, seq: number, changed: (view: DataView, at: number) => void = () => {}) =>
  (frame: Frame, at: number): number => {
    const { view } = frame;
    const from = Number(OURS.address);
    ipv4.write(view, at, 1_000, 7, 0, 64, ipv4.PROTOCOL_TCP, from, Number(PEER.address));
    const transport = at + ipv4.IPV4_LENGTH;
    const number = (t.iss + 1 + seq) >>> 0;
    tcp.write(view, transport, 4_000, PEER.port, number, 0, 20, tcp.ACK, 1_000);
    changed(view, at);
    return transport + 8;
  };

describe('ICMP', () => {
  const errors = [
    [icmp.UNREACHABLE, icmp.NET_UNREACHABLE],
    [icmp.UNREACHABLE, icmp.HOST_UNREACHABLE],
    [icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE],
    [icmp.UNREACHABLE, icmp.PORT_UNREACHABLE],
    [icmp.UNREACHABLE, 13],
    [icmp.TIME_EXCEEDED, 0],
    [icmp.PARAMETER_PROBLEM, 0],
    [4, 0],
    [5, 1],
  ] as const;

  test('errors do not end a connection that is established (RFC 5927, section 5)', () => {
    const t = established();
    t.write(3 * MSS).sent();
    for (const [type, code] of errors) {
      for (let i = 0; i < 200; i++) t.inject(icmpFrame(t, type, code, 0, quote(t, 0)));
    }
    expect(t.connection.state).toBe('established');
    // Source quench among them is ignored (RFC 6633).
    t.arrive({ ...ACK, seq: 0, ack: 3 * MSS }).expectEvents(`acknowledged ${3 * MSS}`);
  });

  test('an error about a number that is not under way does not end an attempt to connect', () => {
    const t = new Harness().connect();
    for (const seq of [-2, 0, 1, 1_000, 0x4000_0000, -0x4000_0000]) {
      t.inject(icmpFrame(t, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, 0, quote(t, seq)));
    }
    expect(t.connection.state).toBe('syn-sent');
    t.arrive({ ...SYN_ACK, ...t.peerOptions() });
    expect(t.connection.state).toBe('established');
  });

  const forgeries: readonly [string, (view: DataView, at: number) => void][] = [
    ['of another protocol', (view, at) => view.setUint8(at + 9, 99)],
    ['that says that it is ICMP', (view, at) => view.setUint8(at + 9, 1)],
    ['of IPv6', (view, at) => view.setUint8(at, 0x65)],
    ['with a header of 0 words', (view, at) => view.setUint8(at, 0x40)],
    ['with a header of 15 words', (view, at) => view.setUint8(at, 0x4f)],
    ['from an address that is not ours', (view, at) => view.setUint32(at + 12, 0x0b00_0001)],
    ['from port 0', (view, at) => view.setUint16(at + 20, 0)],
    ['to another port', (view, at) => view.setUint16(at + 22, 9)],
    ['of a later fragment', (view, at) => view.setUint16(at + 6, 100)],
  ];

  test.each(forgeries)('a quote %s does nothing', (_, forge) => {
    const t = new Harness().connect();
    const frame = icmpFrame(t, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, 0, quote(t, -1, forge));
    t.inject(frame);
    expect(t.connection.state).toBe('syn-sent');
  });

  test('a quote cut anywhere does nothing', () => {
    for (let length = 0; length < 28; length++) {
      const t = new Harness().connect();
      const cut = (frame: Frame, at: number): number => quote(t, -1)(frame, at) - 28 + length;
      t.inject(icmpFrame(t, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, 0, cut));
      expect(t.connection.state).toBe('syn-sent');
    }
  });

  test('the true one is believed', () => {
    const t = new Harness().connect();
    t.inject(icmpFrame(t, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, 0, quote(t, -1)));
    expect(t.connection.state).toBe('closed');
  });

  test.each([0, 1, 20, 67, 68, 100, 296, 551])(
    'a next hop that claims an MTU of %i does not make us send crumbs',
    (mtu) => {
      const t = established({ mss: 1_460 });
      t.write(14_600).sent();
      for (let i = 0; i < 20; i++) {
        t.inject(icmpFrame(t, icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, mtu, quote(t, 0)));
      }
      t.arrive({ ...ACK, seq: 0, ack: 14_600 });
      t.sent();
      t.write(14_600);
      const lengths = t.sent().map(({ length = 0 }) => length);
      // Linux does not go below an MTU of 552 (net.ipv4.route.min_pmtu).
      expect(Math.max(...lengths)).toBeGreaterThanOrEqual(500);
      expect(lengths.length).toBeLessThan(40);
    },
  );

  test('a storm of datagrams to nobody is answered a hundred times a second', () => {
    const t = new Harness();
    const datagram = buildFrame(ACK, t, 0);
    const { view } = datagram;
    datagram.end = TRANSPORT_AT + 8;
    view.setUint32(TRANSPORT_AT, (5_000 << 16) | 9);
    view.setUint32(TRANSPORT_AT + 4, 8 << 16);
    view.setUint8(NETWORK_AT + 9, ipv4.PROTOCOL_UDP);
    view.setUint16(NETWORK_AT + 2, datagram.end - NETWORK_AT);
    repairIp(datagram);
    let answers = 0;
    for (let second = 0; second < 5; second++) {
      for (let i = 0; i < 2_000; i++) t.inject(datagram);
      answers += t.link.outgoing.splice(0).length;
      t.pass(1_000);
    }
    expect(answers).toBeGreaterThanOrEqual(5);
    expect(answers).toBeLessThanOrEqual(600);
  });

  test('errors about errors are never sent', () => {
    const t = new Harness();
    const nested = (frame: Frame, at: number): number => {
      quote(t, 0, (view, inner) => view.setUint8(inner + 9, 1))(frame, at);
      return at + 60;
    };
    for (let type = 0; type < 256; type++) t.inject(icmpFrame(t, type, 255, 0, nested));
    const answers = t.link.outgoing.map(({ view }) => icmp.type(view, TRANSPORT_AT));
    expect(answers.every((type) => type === icmp.ECHO_REPLY || type === 14)).toBe(true);
  });

  test('pings by the thousand are answered, and nothing is kept', () => {
    const t = established();
    const ping = icmpFrame(t, icmp.ECHO, 0, 0x0001_0001, (_, at) => at + 1_000);
    for (let i = 0; i < 5_000; i++) {
      t.inject(ping);
      t.link.outgoing.length = 0;
    }
    t.arrive({ ...DATA, seq: 0, data: 'still here' });
    expect(t.read()).toBe('still here');
    expect(t.host.timers.armed).toBeLessThanOrEqual(1);
  });
});

test('neighbours by the thousand are bounded', () => {
  const t = established();
  const arp = new Frame(60);
  const asks = buildFrame(ACK, t, 0);
  arp.end = NETWORK_AT + 28;
  arp.bytes.set(asks.bytes.subarray(0, NETWORK_AT));
  arp.view.setUint16(NETWORK_AT - 2, 0x0806);
  arp.view.setUint32(NETWORK_AT, 0x0001_0800);
  arp.view.setUint32(NETWORK_AT + 4, 0x0604_0001);
  for (let i = 0; i < 20_000; i++) {
    arp.view.setUint16(NETWORK_AT + 8, 0x0200);
    arp.view.setUint32(NETWORK_AT + 10, i);
    arp.view.setUint32(NETWORK_AT + 14, 0x0a00_0100 + i);
    arp.view.setUint32(NETWORK_AT + 24, 0x0a00_0001);
    t.inject(arp);
    if (i % 100 === 0) t.pass(1);
  }
  expect(t.host.ip.neighbours.counters.evicted).toBeGreaterThan(10_000);
  expect(t.host.timers.size).toBeLessThanOrEqual(1_100);
  t.arrive({ ...DATA, seq: 0, data: 'still here' });
  expect(t.read()).toBe('still here');
});
