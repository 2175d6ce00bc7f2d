import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NODE } from '../../src/lab/plan.ts';
import { program, TestLab, topology, whyNoCluster } from './cluster.ts';
import type { TrafficReport } from './programs/traffic.ts';

const why = await whyNoCluster();
const FOR_MS = 6_000;
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
/** What the client's kernel counts when a connection ends by a reset or cannot be opened. */
const RESETS = ['Tcp.EstabResets', 'Tcp.AttemptFails', 'TcpExt.TCPAbortOnTimeout'];

describe.skipIf(why !== undefined)('members come and go', () => {
  let lab: TestLab;
  let folder = '';
  let file = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'suture-rolling-'));
    file = join(folder, 'proxy.yaml');
    copyFileSync(join(import.meta.dirname, 'cluster.proxy.yaml'), file);
    const proxy = { config: file, switch: 'lan', readyTimeoutMs: 30_000 };
    lab = await TestLab.up({ ...topology, proxies: { a: proxy, b: proxy } });
  });
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const isOk = (member: string) =>
    expect.poll(() => lab.health(member), { timeout: 20_000 }).toBe('ok');

  test('both members are drained and restarted under load, and no client notices', {
    timeout: 90_000,
  }, async () => {
    for (const name of ['a', 'b']) await isOk(name);
    const resets = async () => {
      const counters = await lab.counters('client');
      return RESETS.map((name) => counters.get(name) ?? Number.NaN);
    };
    const before = await resets();
    const options = JSON.stringify({ seed: 1, forMs: FOR_MS });
    const child = lab.lab.spawn('client', [...program('traffic'), options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    const reader = createInterface({ input: child.stdout ?? process.stdin });
    reader.on('line', (line) => lines.push(line));
    const closed = once(reader, 'close');
    await once(reader, 'line');
    for (const name of ['a', 'b']) {
      await lab.lab.fail('drain', name);
      await lab.lab.fail('restart', name);
      await isOk(name);
    }
    await closed;
    const report = JSON.parse(lines[1] ?? '{}') as TrafficReport;
    console.log(JSON.stringify(report.done), `longest gap ${report.longestGapMs} ms`);
    expect(report.faults).toEqual([]);
    expect(await resets()).toEqual(before);
    for (const name of ['a', 'b']) {
      const metrics = await lab.metrics(name);
      expect(metrics.get('suture_view_members')).toBe(2);
    }
  });

  const suture = (...words: string[]) =>
    lab.lab.exec('a', [...NODE, MAIN, 'proxy', ...words, '--config', file, '--member', 'a']);

  test('a member reads its configuration again, and refuses a bad one', async () => {
    await isOk('a');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('level: warn', 'level: info'));
    expect(await suture('reload')).toMatchObject({
      code: 0,
      stdout: 'member a: changed log.level\n',
    });
    writeFileSync(file, text.replace('name: e2e', 'name: other'));
    const refused = await suture('reload');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`${file}:3: cluster.name: cannot change without a restart`);
    writeFileSync(file, text.replace('pool: web', 'pool: wbe'));
    expect((await suture('reload')).stderr).toContain('did you mean "web"?');
    writeFileSync(file, text);
  });

  test('a member is drained by command', async () => {
    await isOk('a');
    await isOk('b');
    const { code, stdout } = await suture('drain');
    expect(stdout).toMatch(/^member a: left, its addresses are with another member \(\d+ ms\)\n$/);
    expect(code).toBe(0);
    const isGone = async () =>
      (await lab.lab.status()).processes.find(({ name }) => name === 'a')?.state;
    await expect.poll(isGone, { timeout: 20_000 }).toBe('ended');
    expect((await lab.metrics('b')).get('suture_peer_state{peer="a",state="left"}')).toBe(1);
    const again = await suture('drain');
    expect(again).toMatchObject({ code: 2 });
    expect(again.stderr).toContain('does not answer');
    await lab.lab.fail('restart', 'a');
    await isOk('b');
  });
});
