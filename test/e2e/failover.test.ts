import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { below, seededRandom } from '../../src/env/random.ts';
import type { FaultVerb } from '../../src/lab/event.ts';
import { findProgram } from '../../src/lab/find-program.ts';
import { program, TestLab, topology, whyNoCluster } from './cluster.ts';
import type { TrafficReport } from './programs/traffic.ts';

const why = await whyNoCluster();

/** What the client's kernel counts when a connection ends by a reset or cannot be opened. */
const RESETS = ['Tcp.EstabResets', 'Tcp.AttemptFails', 'TcpExt.TCPAbortOnTimeout'];

describe.skipIf(why !== undefined)('failures of the proxy that serves', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.up(topology);
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const resets = async (): Promise<number[]> => {
    const counters = await lab.counters('client');
    return RESETS.map((name) => counters.get(name) ?? Number.NaN);
  };

  /** Clients of every kind, a failure among them, and the member's return before they are done. */
  async function failAmidst(
    member: string,
    [failure, cure]: readonly [FaultVerb, FaultVerb],
    seed: number,
  ): Promise<TrafficReport> {
    const nextHop = member === 'a' ? '10.1.0.11' : '10.1.0.12';
    await lab.run('router', ['ip', 'route', 'replace', '10.0.0.100', 'via', nextHop]);
    const options = JSON.stringify({ seed, forMs: 3_500 });
    const child = lab.lab.spawn('client', [...program('traffic'), options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    const reader = createInterface({ input: child.stdout ?? process.stdin });
    reader.on('line', (line) => lines.push(line));
    const closed = once(reader, 'close');
    await once(reader, 'line');
    await sleep(below(seededRandom(seed), 300));
    await lab.lab.fail(failure, member);
    await sleep(600);
    await lab.lab.fail(cure, member);
    await closed;
    return JSON.parse(lines[1] ?? '{}') as TrafficReport;
  }

  const bothServe = async (): Promise<void> => {
    for (const name of ['a', 'b']) {
      await expect.poll(() => lab.health(name), { timeout: 20_000 }).toBe('ok');
    }
  };

  const failures: readonly (readonly [string, FaultVerb, FaultVerb])[] = [
    ['a', 'kill', 'restart'],
    ['b', 'pause', 'resume'],
    ['a', 'link-down', 'link-up'],
  ];
  for (const [round, [member, ...verbs]] of failures.entries()) {
    test(`round ${round + 1}, ${verbs[0]} ${member}: no client notices more than a pause`, async () => {
      await bothServe();
      const before = await resets();
      const survivor = member === 'a' ? 'b' : 'a';
      const adoptions = async () =>
        (await lab.metrics(survivor)).get('suture_adoptions_total') ?? 0;
      const adopted = await adoptions();
      const report = await failAmidst(member, verbs, round + 1);
      console.log(JSON.stringify(report.done), `longest gap ${report.longestGapMs} ms`);
      expect(await adoptions()).toBeGreaterThan(adopted);
      expect(report.faults).toEqual([]);
      expect(Object.keys(report.done)).toHaveLength(11);
      expect(await resets()).toEqual(before);
    });
  }

  // The last one: the member stays dead.
  const needsNft = test.skipIf(findProgram('nft') === undefined);
  needsNft(
    'a client that waits for the server, and whose ACK is lost with its member, is greeted',
    async () => {
      await bothServe();
      await lab.run('router', ['ip', 'route', 'replace', '10.0.0.100', 'via', '10.1.0.11']);
      const before = await resets();
      // The first ACK goes nowhere, all that follow pass.
      const rule = 'tcp dport 25 tcp flags & (syn | ack) == ack numgen inc mod 1000000 0 drop';
      const chain = 'add chain ip once out { type filter hook output priority 0; }';
      await lab.run('client', ['nft', `add table ip once; ${chain}; add rule ip once out ${rule}`]);
      const heard = lab.talk({ port: 25, steps: [{ heard: 10 }], end: 'end' });
      const connections = (): Promise<string> => lab.run('client', ['cat', '/proc/net/tcp']);
      await expect.poll(connections, { timeout: 20_000 }).toMatch(/ 6400000A:0019 01 /);
      await lab.lab.fail('kill', 'a');
      expect((await heard).text).toMatch(/^220 ready\n/);
      expect(await resets()).toEqual(before);
    },
  );
});
