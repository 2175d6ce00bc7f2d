// What lenient mode leaves to other systems, and that it leaves no more.
import { describe, test } from 'vitest';
import { ACCEPTED, CONNECTED, fails, passes } from './check.ts';

describe('a FIN repeated with the acknowledgment of the peer’s', () => {
  const text = `${ACCEPTED}+0 shutdown(4, SHUT_WR) = 0
+0 > F. 1:1(0) ack 1
+.1 < F. 1:1(0) ack 1 win 32792
+0 > F. 1:1(0) ack 2
`;
  const line = '+0 > F. 1:1(0) ack 2';

  test('counts as the acknowledgment', () => {
    passes(text, 'lenient');
    fails(text, line, /flags F\. expected, not \./);
  });

  test('must acknowledge the same, and lie where our FIN does', () => {
    fails(text.replace(line, '+0 > F. 1:1(0) ack 3'), 'ack 3', /ack 3 expected/, 'lenient');
    fails(text.replace(line, '+0 > F. 0:0(0) ack 2'), '0:0(0) ack 2', /seq 0/, 'lenient');
  });

  test('is none if we have sent no FIN', () => {
    const open = `${ACCEPTED}+0 write(4, ..., 1) = 1
+0 > P. 1:2(1) ack 1
+0 < P. 1:2(1) ack 2 win 32792
+0 > F. 1:1(0) ack 2
`;
    fails(open, line, /flags F\. expected/, 'lenient');
  });
});

describe('an acknowledgment that we delay', () => {
  const text = `${ACCEPTED}+0 < P. 1:101(100) ack 1 win 32792
+0 > . 1:1(0) ack 101
+0 read(4, ..., 1000) = 100
+0 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 101
+.01 < P. 101:201(100) ack 101 win 32792
+0 > . 101:101(0) ack 201
`;
  const line = '+0 > . 101:101(0) ack 201';

  test('may come 40 ms later, and not earlier', () => {
    passes(text, 'lenient');
    fails(text, line, /no packet was sent/);
    passes(text.replace(line, '+.04 > . 101:101(0) ack 201'), 'lenient');
    fails(text.replace(line, '+.06 > . 101:101(0) ack 201'), '+.06', /sent at/, 'lenient');
  });

  test('only if it is alone', () => {
    const data = `${ACCEPTED}+0 write(4, ..., 100) = 100
+.02 write(4, ..., 100) = 100
+.02 < . 1:1(0) ack 101 win 32792
`;
    const sent = '0.1 > P. 1:101(100) ack 1\n';
    const late = '0.11 > P. 101:201(100) ack 1\n';
    fails(`${data}${sent}${late}`, late.trim(), /sent at 140\.0 ms/, 'lenient');
  });
});

describe('a constant that another system adds to its timeout', () => {
  const script = (slop: string): string => `0 \`sysctl -w net.inet.tcp.rexmit_slop=${slop}\`
${CONNECTED.split('\n').slice(0, 4).join('\n').replace('0 socket', '+0 socket')}
+1 > S 0:0(0) <...>
+2.2 > S 0:0(0) <...>
`;

  test('lets a retransmission come earlier by as much', () => {
    passes(script('200'), 'lenient');
    fails(script('200'), '+2.2', /expected at 3200\.0 ms/);
    fails(script('100'), '+2.2', /sent at 3000\.0 ms/, 'lenient');
  });
});

describe('the right edge of another system’s window', () => {
  const script = (
    seq: number,
  ): string => `${CONNECTED}+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65700], [4]) = 0
+.1 < R ${seq}:${seq}(0) win 0
+0 > . 1:1(0) ack 1
`;

  test('is the right edge of ours', () => {
    passes(script(65_700), 'lenient');
    const outside = script(65_701).replace(/\+0 > .*\n$/, '+.02 > . 1:1(0) ack 1\n');
    fails(outside, '+.02 >', /no packet/, 'lenient');
  });

  test('strict compares the size itself', () => {
    fails(script(65_700), '+0 getsockopt', /SO_RCVBUF: 65700 expected/);
  });
});
