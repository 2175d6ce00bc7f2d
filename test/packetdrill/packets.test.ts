// Packets: what the interpreter compares, and that it notices each thing that is otherwise.
import { describe, expect, test } from 'vitest';
import { ACCEPTED, CONNECTED, fails, isUnsupported, passes, run, tells } from './check.ts';

const TIMESTAMPS = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 500 ecr 0>
+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 500>
+.1 < . 1:1(0) ack 1 win 32792 <nop,nop,TS val 600 ecr 100>
+0 accept(3, ..., ...) = 4
+0 < P. 1:11(10) ack 1 win 32792 <nop,nop,TS val 700 ecr 100>
+0 > . 1:1(0) ack 11 <nop,nop,TS val 200 ecr 700>
`;

describe('strict', () => {
  const answer = '+0 > S. 0:0(0) ack 1 <mss 1460>';
  test.each([
    ['flags', answer.replace('S.', 'S'), /flags S expected, not S\./],
    ['the acknowledgment', answer.replace('ack 1', 'ack 2'), /ack 2 expected, not 1/],
    ['a window that is stated', answer.replace('ack 1', 'ack 1 win 5'), /win 5 expected, not \d+/],
    ['the value of an option', answer.replace('1460', '1459'), /other options/],
    ['one option more', answer.replace('1460', '1460,sackOK,eol,eol'), /other options/],
    ['padding', answer.replace('1460', '1460,nop,nop,nop,nop'), /other options/],
    ['none', answer.replace(' <mss 1460>', ''), /other options/],
    ['a payload', answer.replace('0:0(0)', '0:10(10)'), /length 10 expected, not 0/],
    ['a traffic class', answer.replace('>', '> (tos 0x20)'), /traffic class 32 expected, not 0/],
    ['a time to live', answer.replace('>', '> (ttl 3)'), /time to live 3 expected, not 64/],
    ['an ECN code point', answer.replace('>', '> [ect0]'), /ECN ect0 expected, not codepoint 0/],
  ])('tells %s', (_, wrong, reason) => {
    tells(ACCEPTED, answer, wrong, reason);
  });

  test('tells a sequence number, counted from the SYN of the script', () => {
    const text = `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n`;
    tells(text, '1:101(100)', '2:102(100)', /seq 2 expected, not 1/);
  });

  test('options that are left open are not compared', () => {
    passes(CONNECTED);
    fails(CONNECTED.replace(' <...>', ''), '+0 > S 0:0(0)', /other options/);
  });

  test('timestamps: our value is whatever it is, but the echo is compared', () => {
    tells(TIMESTAMPS, 'TS val 200 ecr 700', 'TS val 200 ecr 600', /other options/);
    passes(TIMESTAMPS.replace('TS val 200 ecr 700', 'TS val 201 ecr 700'));
  });

  test('timestamps: with --tcp_ts_tick_usecs our value must go with the time', () => {
    const text = `--tcp_ts_tick_usecs=1000\n${TIMESTAMPS}`;
    tells(text, 'TS val 200 ecr 700', 'TS val 150 ecr 700', /TS val is 50\.0 ms ahead/);
  });
});

describe('lenient', () => {
  const syn = '+0 > S 0:0(0) win 1 <nop,wscale 3,sackOK,mss 1460,eol>';
  const text = CONNECTED.replace('+0 > S 0:0(0) <...>', syn);

  test("does not compare windows, the order of options, nor another system's", () => {
    passes(text, 'lenient');
    fails(text, syn, /win 1 expected/);
  });

  test('still compares the others', () => {
    fails(text.replace('sackOK,', ''), 'wscale 3,mss', /other options/, 'lenient');
    fails(text.replace('mss 1460', 'mss 1400'), 'mss 1400', /other options/, 'lenient');
  });

  test('still compares flags, numbers and acknowledgments', () => {
    const data = `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > . 1:101(100) ack 1\n`;
    passes(data, 'lenient');
    fails(data, '+0 > . 1:101(100) ack 1', /flags \. expected, not P\./);
    fails(data.replace('. 1:101', 'F. 1:101'), '+0 > F. 1', /flags F\. expected/, 'lenient');
    fails(data.replace('(100) ack 1', '(100) ack 3'), '(100) ack 3', /ack 3/, 'lenient');
  });
});

describe('time', () => {
  test('a packet that comes too early or too late is told', () => {
    const text = `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n`;
    const late = text.replace('+0 > P.', '+.01 > P.');
    fails(late, '+.01 > P.', /sent at 100\.0 ms, expected at 110\.0 ms/);
    passes(`--tolerance_usecs=10000\n${late}`);
    fails(`${ACCEPTED}+.5 > P. 1:2(1) ack 1\n`, '+.5', /no packet was sent until/);
  });

  test('ranges, absolute times and any time', () => {
    const text = `${ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n`;
    passes(text.replace('+0 > P.', '+0~+.2 > P.'));
    fails(text.replace('+0 > P.', '+.1~+.2 > P.'), '+.1~', /expected at 200\.0 ms to 300\.0 ms/);
    passes(text.replace('+0 > P.', '0.1 > P.'));
    passes(text.replace('+0 > P.', '* > P.'));
    fails(`${ACCEPTED}* > P. 1:2(1) ack 1\n`, '* >', /no packet was sent/);
  });
});

describe('trains', () => {
  test('what leaves at once may be told as one packet, or segment by segment', () => {
    const write = `${ACCEPTED}+0 write(4, ..., 3000) = 3000\n`;
    passes(`${write}+0 > P. 1:3001(3000) ack 1\n`);
    passes(`${write}+0 > . 1:2001(2000) ack 1\n+0 > P. 2001:3001(1000) ack 1\n`);
    passes(
      `${write}+0 > . 1:1001(1000) ack 1\n+0 > . 1001:2001(1000) ack 1\n+0 > P. 2001:3001(1000) ack 1\n`,
    );
    fails(`${write}+0 > P. 1:2501(2500) ack 1\n`, '+0 > P.', /length 2500 expected, not 2000/);
    fails(`${write}+0 > P. 1:4001(4000) ack 1\n`, '+0 > P.', /length 4000 expected, not 3000/);
  });
});

describe('ICMP', () => {
  const attempt = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <...>
+.1 < icmp unreachable port_unreachable [0:0(0)]
+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0
`;

  test('an error reaches the connection that it quotes', () => {
    tells(attempt, '[ECONNREFUSED]', '[EHOSTUNREACH]', /SO_ERROR: 113 expected, not 111/);
  });

  test('and none that it does not', () => {
    fails(attempt.replace('[0:0(0)]', '[9:9(0)]'), '[ECONNREFUSED]', /111 expected, not 0/);
  });

  test.each([
    ['+.1 < icmp source_route', 'icmp source_route'],
    ['+.1 < icmp packet_too_big mtu 1300', 'of IPv4'],
  ])('%s is not supported', (event, name) => {
    isUnsupported(`${CONNECTED}${event}\n`, new RegExp(name));
  });
});

test('segments that belong nowhere are answered by their own numbers', () => {
  const text = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 < . 17:20(3) ack 34 win 100
+0 > R 34:34(0)
`;
  tells(text, 'R 34:34(0)', 'R 35:35(0)', /seq 35 expected, not 34/);
});

test('URG, ECE and CWR of the peer arrive, and its data is read', () => {
  passes(`${ACCEPTED}+0 < PUEW. 1:11(10) ack 1 win 32792 urg 3\n+0 read(4, ..., 100) = 10\n`);
});

test.each(['--mtu=10', '--mtu=abc', '--tolerance_usecs=', '--bind_port=70000'])(
  '%s is refused',
  (setting) => {
    fails(`${setting}\n${ACCEPTED}`, setting, /must be a number from/);
  },
);

test('settings that are not known are not supported', () => {
  isUnsupported(`--wire_client\n${ACCEPTED}`, /--wire_client/);
  expect(run(`--ip_version=ipv4-mapped-ipv6\n${ACCEPTED}`).verdict).toBe('unsupported');
});
