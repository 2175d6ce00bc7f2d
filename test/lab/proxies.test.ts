import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SERVED_FOLDER } from '../../src/lab/backend-server.ts';
import { Lab } from '../../src/lab/lab.ts';
import { planOf } from '../../src/lab/planner.ts';
import { parseTopology } from '../../src/lab/topology.ts';
import { whyNoLabs } from './possible.ts';

const labs = join(import.meta.dirname, '../../labs');
const folder = mkdtempSync(join(tmpdir(), 'suture-lab-proxies-'));
process.env.XDG_RUNTIME_DIR = folder;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const why = (await whyNoLabs()) ?? (existsSync('/dev/net/tun') ? undefined : 'no /dev/net/tun');
if (why !== undefined) console.warn(`skipped: tests of proxies in a lab: ${why}`);

describe.skipIf(why !== undefined)('a proxy in a lab', () => {
  const url = 'http://10.1.0.100/file';
  const content = 'through the proxy\n'.repeat(10_000);
  let lab: Lab;
  const curl = (seconds = '20') => lab.exec('client', ['curl', '-sS', '--max-time', seconds, url]);

  beforeAll(async () => {
    lab = await Lab.up(join(labs, 'solo.yaml'));
    writeFileSync(lab.path(`${SERVED_FOLDER}/file`), content);
  });
  afterAll(() => lab?.down());

  test('serves once the lab is up', async () => {
    expect((await curl()).stdout).toBe(content);
  });

  test('is unplugged and plugged in again', async () => {
    await lab.fail('link-down', 'a');
    expect((await curl('1')).code).not.toBe(0);
    await lab.fail('link-up', 'a');
    expect((await curl()).stdout).toBe(content);
  });

  test('is killed, which takes its TAP, and serves again when restarted', async () => {
    const taps = async () => (await lab.exec('lan', ['ip', '-brief', 'link'])).stdout;
    expect(await taps()).toContain('suture-a');
    await lab.fail('kill', 'a');
    await expect.poll(taps, { timeout: 20_000 }).not.toContain('suture-a');
    await lab.fail('restart', 'a');
    expect((await curl()).stdout).toBe(content);
  });
});

test('a proxy that its configuration does not name is refused', () => {
  const topology = {
    name: 'x',
    switches: { lan: {} },
    hosts: {},
    proxies: { c: { config: 'duo.proxy.yaml', switch: 'lan' } },
  };
  expect(() => planOf(parseTopology(topology, labs))).toThrow(
    'proxies.c.config: no member "c" in cluster "duo" (members: a, b)',
  );
  const missing = { ...topology, proxies: { a: { config: 'none.yaml', switch: 'lan' } } };
  expect(() => planOf(parseTopology(missing, labs))).toThrow(
    `proxies.a.config: ${join(labs, 'none.yaml')}: no such file`,
  );
});
