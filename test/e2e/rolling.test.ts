import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program, TestLab, topology, whyNoCluster } from './cluster.ts';
import type { TrafficReport } from './programs/traffic.ts';

const why = await whyNoCluster();
const FOR_MS = 6_000;
/** What the client's kernel counts when a connection ends by a reset or cannot be opened. */
const RESETS = ['Tcp.EstabResets', 'Tcp.AttemptFails', 'TcpExt.TCPAbortOnTimeout'];

describe.skipIf(why !== undefined)('members come and go', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.up(topology);
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const isOk = (member: string) =>
    expect.poll(() => lab.health(member), { timeout: 20_000 }).toBe('ok');

  test('both members are drained and restarted under load, and no client notices', async () => {
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
});
