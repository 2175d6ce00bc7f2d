import { describe, expect, test } from 'vitest';
import { type CommandEffects, runCommand } from './command.ts';
import { configuration } from './configuration.ts';

function execute(text: string) {
  const settings = configuration();
  const effects: CommandEffects = { sleep: 0, counts: [], dropTimeWait: false };
  const missing = runCommand(settings, text, effects);
  return { settings, effects, missing };
}

describe('settings that are followed', () => {
  test.each([
    ['sysctl -q net.ipv4.tcp_timestamps=0', { timestamps: false }],
    [
      'sysctl -q -w net.ipv4.tcp_sack=0 net.ipv4.tcp_window_scaling=0',
      { sack: false, windowScaling: false },
    ],
    ['sysctl -w net.inet.tcp.rfc1323=0', { timestamps: false, windowScaling: false }],
    ['sysctl -w net.inet.tcp.sack.enable=0', { sack: false }],
    ['sysctl -w net.inet.tcp.recvspace=1000', { receiveBuffer: 1000, quickAcks: false }],
    ['echo 0 > /proc/sys/net/ipv4/tcp_sack', { sack: false }],
    [
      './set_sysctls.py /proc/sys/net/ipv4/tcp_ecn=1 /proc/sys/net/ipv4/tcp_sack=0',
      { ecn: 1, sack: false },
    ],
    [
      'sysctl -q net.ipv4.tcp_rmem="4096 540000 $((15*1024*1024))"',
      { receiveBuffer: 540000, maximumReceiveBuffer: 15728640 },
    ],
    [
      '../../common/defaults.sh',
      { ecn: 0, slowStartAfterIdle: false, maximumReceiveBuffer: 15728640 },
    ],
    [
      '../common/defaults.sh\nsysctl -q net.ipv4.tcp_ecn=1 2>/dev/null',
      { ecn: 1, system: 'linux' },
    ],
    ['sysctl -q net.ipv4.tcp_congestion_control=reno', { congestionControl: 'newreno' }],
    ['sysctl -w net.inet.tcp.keepidle=15000', { keepIdle: 15_000_000 }],
    ['ip link set dev tun0 mtu 1400', { mtu: 1400 }],
  ])('%s', (text, expected) => {
    const { settings, missing } = execute(text);
    expect(missing).toBeUndefined();
    expect(settings).toMatchObject(expected);
  });
});

describe('commands that change nothing here', () => {
  test.each([
    'nstat -n',
    'ip tcp_metrics flush all > /dev/null 2>&1',
    'tc qdisc add dev tun0 root pfifo',
    'ethtool -K tun0 tso off gso off',
    'true',
    '',
    'sysctl -w net.inet.tcp.hostcache.purgenow=1',
  ])('%j', (text) => {
    expect(execute(text).missing).toBeUndefined();
  });
});

describe('what is not supported has a name', () => {
  test.each([
    ['iptables -A INPUT -j DROP', 'command iptables -A INPUT -j DROP'],
    ['sysctl -q net.ipv4.tcp_recovery=0', 'net.ipv4.tcp_recovery=0'],
    ['sysctl -q net.ipv4.tcp_congestion_control=bbr', 'net.ipv4.tcp_congestion_control=bbr'],
    ['sysctl -w net.inet.tcp.insecure_rst=1', 'net.inet.tcp.insecure_rst=1'],
    ['sysctl -q net.ipv4.tcp_never=1', 'net.ipv4.tcp_never=1'],
    ['sysctl net.ipv4.tcp_sack', 'command sysctl net.ipv4.tcp_sack'],
    ['nstat | grep x', 'command nstat | grep x'],
  ])('%s', (text, name) => {
    expect(execute(text).missing).toBe(name);
  });
});

test('sleeping and counting are left to the run', () => {
  expect(execute('sleep 0.5; sleep 1').effects.sleep).toBe(1_500_000);
  const counted = 'sockstat -4 -P tcp -s | grep packetdril | grep -c TIME_WAIT | grep 1';
  expect(execute(counted).effects.counts).toEqual([{ state: 'TIME_WAIT', count: 1 }]);
  expect(execute('tcpdrop -s TIME_WAIT').effects.dropTimeWait).toBe(true);
});
