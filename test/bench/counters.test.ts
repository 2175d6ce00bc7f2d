import { expect, test } from 'vitest';
import { parseCounters } from '../../bench/load/counters.ts';

test('counters are found by protocol and name, negative ones too', () => {
  const text = [
    'Tcp: RtoAlgorithm MaxConn RetransSegs',
    'Tcp: 1 -1 42',
    'TcpExt: SyncookiesSent TCPTimeouts',
    'TcpExt: 0 7',
    '',
  ].join('\n');
  expect(parseCounters(text)).toEqual({
    ...{ 'Tcp.RtoAlgorithm': 1, 'Tcp.MaxConn': -1, 'Tcp.RetransSegs': 42 },
    ...{ 'TcpExt.SyncookiesSent': 0, 'TcpExt.TCPTimeouts': 7 },
  });
});
