import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TopologyInput } from '../../src/lab/topology.ts';
import { backend, TestLab, whyNoCluster } from './cluster.ts';
import { digestOf } from './content.ts';

const why = await whyNoCluster();

const TOPOLOGY: TopologyInput = {
  name: 'odd',
  switches: { edge: {}, lan: {}, narrow: { mtu: 1280 }, remote: {} },
  hosts: {
    client: {
      interfaces: { eth0: { switch: 'edge', addresses: ['10.2.0.2/24'] } },
      routes: [{ to: 'default', via: '10.2.0.1' }],
    },
    // A client whose own link is wide, and whose path is not.
    far: {
      interfaces: { eth0: { switch: 'remote', addresses: ['10.3.0.2/24'] } },
      routes: [{ to: 'default', via: '10.3.0.1' }],
    },
    hop: {
      forward: true,
      interfaces: {
        eth0: { switch: 'remote', addresses: ['10.3.0.1/24'] },
        eth1: { switch: 'narrow', addresses: ['10.4.0.2/24'] },
      },
      routes: [{ to: 'default', via: '10.4.0.1' }],
    },
    router: {
      forward: true,
      interfaces: {
        eth0: { switch: 'edge', addresses: ['10.2.0.1/24'] },
        eth1: { switch: 'lan', addresses: ['10.1.0.1/24'] },
        eth2: { switch: 'narrow', addresses: ['10.4.0.1/24'] },
      },
      routes: [
        { to: '10.0.0.100', via: '10.1.0.11' },
        { to: '10.3.0.0/24', via: '10.4.0.2' },
      ],
    },
    web1: backend(31, { 'net.ipv4.tcp_timestamps': 0 }),
    web2: backend(32, { 'net.ipv4.tcp_window_scaling': 0 }),
    web3: backend(33, { 'net.ipv4.tcp_sack': 0 }),
    web4: backend(34),
  },
  proxies: { a: { config: 'odd.proxy.yaml', switch: 'lan', readyTimeoutMs: 30_000 } },
};

describe.skipIf(why !== undefined)('odd backends and paths', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.up(TOPOLOGY);
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const LENGTH = 5_000_000;
  const download = async (from: string, port: number): Promise<string> => {
    const url = `http://10.0.0.100:${port}/bytes/${port}/${LENGTH}`;
    const script = `set -o pipefail; curl -sS --max-time 20 ${url} | sha256sum | cut -d' ' -f1`;
    return (await lab.run(from, ['bash', '-c', script])).trim();
  };
  const upload = async (port: number): Promise<string> => {
    const say = `POST /hash?close HTTP/1.1\r\nHost: x\r\nContent-Length: ${LENGTH}\r\n\r\n`;
    const heard = await lab.talk({ port, steps: [{ say, stream: [port, LENGTH] }] });
    return heard.text.split('\r\n\r\n')[1] ?? '';
  };
  const relays = async () =>
    (await lab.metrics('a')).get('suture_events_total{part="proxy",event="relays"}');

  for (const [port, lacks] of [
    [81, 'timestamps'],
    [82, 'window scaling'],
    [83, 'SACK'],
  ] as const) {
    test(`a backend without ${lacks} is spliced all the same`, async () => {
      const before = await relays();
      expect(await download('client', port)).toBe(digestOf(port, LENGTH));
      expect(await upload(port)).toBe(`${digestOf(port, LENGTH)} ${LENGTH}\n`);
      expect(await relays()).toBe(before);
    });
  }

  test('connections whose backend has lost its timestamps are relayed, later ones spliced', async () => {
    const before = (await relays()) ?? 0;
    const get = 'GET /bytes/7/3000000?close HTTP/1.1\r\nHost: x\r\n\r\n';
    const post = `POST /hash?close HTTP/1.1\r\nHost: x\r\nContent-Length: ${LENGTH}\r\n\r\n`;
    // Handshakes with timestamps; the backend is connected to when it does not have them any more.
    const pause = 2_500;
    const talks = [
      lab.talk({ port: 84, steps: [{ pause, say: get }] }),
      lab.talk({ port: 84, steps: [{ pause, say: get }], end: 'end' }),
      lab.talk({ port: 84, steps: [{ pause, say: post, stream: [8, LENGTH] }] }),
      lab.talk({ port: 84, steps: [{ pause, say: get }, { heard: 100_000 }], end: 'reset' }),
    ];
    const accepted = 'suture_resources{kind="intakes"}';
    const intakes = async () => (await lab.metrics('a')).get(accepted);
    await expect.poll(intakes, { timeout: 10_000 }).toBe(talks.length);
    await lab.run('web4', ['sysctl', '-w', 'net.ipv4.tcp_timestamps=0']);
    const [got, ended, posted] = await Promise.all(talks);
    expect(await relays()).toBe(before + talks.length);
    for (const { bodySha256, error } of [got, ended]) {
      expect([bodySha256, error]).toEqual([digestOf(7, 3_000_000), undefined]);
    }
    expect(posted.text.split('\r\n\r\n')[1]).toBe(`${digestOf(8, LENGTH)} ${LENGTH}\n`);

    expect(await download('client', 84)).toBe(digestOf(84, LENGTH));
    expect(await relays()).toBe(before + talks.length);
    const active = async () => (await lab.metrics('a')).get('suture_resources{kind="relays"}');
    await expect.poll(active, { timeout: 5_000 }).toBe(0);
  });

  test('a client without options does not take them from others', async () => {
    await lab.run('client', ['sysctl', '-w', 'net.ipv4.tcp_timestamps=0']);
    expect(await download('client', 83)).toBe(digestOf(83, LENGTH));
    await lab.run('client', ['sysctl', '-w', 'net.ipv4.tcp_timestamps=1']);
    const child = lab.lab.spawn('client', [
      ...['curl', '-sS', '--limit-rate', '1M', '-o', '/dev/null'],
      `http://10.0.0.100:83/bytes/1/${LENGTH}`,
    ]);
    // Twelve bytes of each segment are timestamps.
    const options = () => lab.run('client', ['ss', '-Htni', 'dst', '10.0.0.100']);
    await expect.poll(options, { timeout: 5_000 }).toMatch(/wscale:7,.* mss:1448 /);
    child.kill();
  });

  test('a packet has one hop less to live behind the proxy', async () => {
    const expired = async () =>
      (await lab.metrics('a')).get('suture_drops_total{reason="spliceTtlExpired"}');
    const live = (hops: number) =>
      lab.run('client', ['sysctl', '-w', `net.ipv4.ip_default_ttl=${hops}`]);
    // The router takes one, the proxy takes one.
    await live(3);
    expect(await download('client', 83)).toBe(digestOf(83, LENGTH));
    expect(await expired()).toBe(0);
    await live(2);
    const url = `http://10.0.0.100:83/bytes/1/${LENGTH}`;
    expect(
      (await lab.lab.exec('client', ['curl', '-s', '-o', '/dev/null', '--max-time', '1', url]))
        .code,
    ).toBe(28);
    expect(await expired()).toBeGreaterThan(0);
    await live(64);
  });

  test('a path narrower than the ends: ICMP errors find their way to the backend', async () => {
    expect(await download('far', 83)).toBe(digestOf(83, LENGTH));
    const { stdout } = await lab.lab.exec('web3', ['ip', 'route', 'get', '10.1.0.21']);
    expect(stdout).toContain('mtu 1280');
  });
});
