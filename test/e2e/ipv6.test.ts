// The shipped dual-stack lab: Linux clients and backends, splices over IPv6, the members' messages too.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/env/random.ts';
import { SERVED_FOLDER } from '../../src/lab/backend-server.ts';
import { Lab } from '../../src/lab/lab.ts';
import { whyNoCluster } from './cluster.ts';

const why = await whyNoCluster();
const SIZE = 24 * 2 ** 20;
const URLS = { IPv6: 'http://[2001:db8::100]/file', IPv4: 'http://10.0.0.100/file' };

describe.skipIf(why !== undefined)('IPv6 through the proxies', { timeout: 60_000 }, () => {
  const state = mkdtempSync(join(tmpdir(), 'suture-ipv6-'));
  const random = seededRandom(6);
  const words = Uint32Array.from({ length: SIZE / 4 }, () => random.uint32());
  const sha256 = createHash('sha256').update(words).digest('hex');
  let lab: Lab;

  beforeAll(async () => {
    // A state of its own: a lab that is up on this machine is none of ours.
    process.env.XDG_RUNTIME_DIR = state;
    lab = await Lab.up(join(import.meta.dirname, '../../labs/duo6.yaml'), { name: 'ipv6-test' });
    writeFileSync(lab.path(`${SERVED_FOLDER}/file`), words);
  }, 30_000);
  afterAll(async () => {
    await lab?.down();
    rmSync(state, { recursive: true, force: true });
  });

  const client = async (script: string): Promise<string> => {
    const { code, stdout, stderr } = await lab.exec('client', ['bash', '-c', script]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    return stdout;
  };
  const curl = (url: string, options = ''): string =>
    `set -o pipefail; curl -gsS --max-time 40 ${options} '${url}' | sha256sum`;
  const metric = async (member: string, name: string): Promise<number> => {
    const port = member === 'a' ? 9100 : 9101;
    const { stdout } = await lab.exec(member, ['curl', '-s', `http://127.0.0.1:${port}/metrics`]);
    return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(stdout)?.[1]);
  };

  test.each(Object.entries(URLS))('%s: a file arrives as it is, spliced', async (_, url) => {
    const before = await metric('b', 'suture_splices_opened_total');
    expect(await client(curl(url))).toContain(sha256);
    expect(await metric('b', 'suture_splices_opened_total')).toBe(before + 1);
  });

  test('a path that takes less than its first link: the backend learns it through the splice', async () => {
    const mtu = (bytes: number) =>
      lab.exec('router', ['ip', 'link', 'set', 'dev', 'eth0', 'mtu', String(bytes)]);
    await mtu(1_300);
    try {
      expect(await client(curl(URLS.IPv6))).toContain(sha256);
      const learnt = await Promise.all(
        ['web1', 'web2'].map(async (host) => {
          const { stdout } = await lab.exec(host, ['ip', '-6', 'route', 'get', '2001:db8:1::21']);
          return stdout;
        }),
      );
      expect(learnt.join('')).toContain('mtu 1300');
    } finally {
      await mtu(1_500);
    }
  });

  test('a download goes on when its proxy is killed, and its neighbours find the survivor', async () => {
    const hardware = async (address: string): Promise<string | undefined> => {
      const { stdout } = await lab.exec('router', ['ip', '-6', 'neigh', 'show', address]);
      return /lladdr (\S+)/.exec(stdout)?.[1];
    };
    const killed = await hardware('2001:db8:1::11');
    const download = client(curl(URLS.IPv6, '--limit-rate 6M'));
    await expect
      .poll(() => metric('a', 'suture_splices_active'), { timeout: 10_000 })
      .toBeGreaterThan(0);
    await lab.fail('kill', 'a');
    expect(await download).toContain(sha256);
    expect(killed).toBeDefined();
    expect(await hardware('2001:db8:1::11')).not.toBe(killed);
  });

  test('both families work through the survivor, and through the member that comes back', async () => {
    for (const url of Object.values(URLS)) expect(await client(curl(url))).toContain(sha256);
    await lab.fail('restart', 'a');
    for (const url of Object.values(URLS)) expect(await client(curl(url))).toContain(sha256);
  });
});
