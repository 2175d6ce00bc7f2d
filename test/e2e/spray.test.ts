// The shipped labs in which the packets of a connection go by way of several proxies, with backends that tell
// what they were asked.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../src/lab/find-program.ts';
import { loadTopology } from '../../src/lab/topology.ts';
import { program, TestLab, whyNoCluster } from './cluster.ts';
import { chunksOf, digestOf } from './content.ts';

const why = await whyNoCluster();
const nft = findProgram('nft');
if (nft === undefined) console.warn('skipped: a lab that sprays packets: nft is not installed');
const labs = join(import.meta.dirname, '../../labs');
const MEMBERS = { a: 9100, b: 9101, c: 9102 };
const BULK = 100_000_000;

async function up(name: string): Promise<TestLab> {
  const { topology } = loadTopology(join(labs, `${name}.yaml`));
  for (const host of ['web1', 'web2']) {
    topology.hosts[host].files = undefined;
    topology.hosts[host].run = [
      {
        name: 'backend',
        command: program('backend'),
        env: {},
        ready: { tcp: 28 },
        readyTimeoutMs: 30_000,
      },
    ];
  }
  return TestLab.up(topology, labs);
}

for (const [name, skipped, requests] of [
  ['spray', nft === undefined, 10_000],
  ['ecmp', false, 2_000],
] as const) {
  describe.skipIf(why !== undefined || skipped)(`labs/${name}.yaml`, () => {
    let lab: TestLab;
    beforeAll(async () => {
      lab = await up(name);
    });
    afterAll(() => lab?.[Symbol.asyncDispose]());

    const spliced = async (member: keyof typeof MEMBERS): Promise<number> => {
      const metrics = await lab.metrics(member, MEMBERS[member]);
      return metrics.get('suture_frames_total{path="fast",direction="to_client"}') ?? 0;
    };

    test('a bulk download arrives as it is', async () => {
      const get = `set -o pipefail; curl -sS http://10.0.0.100/bytes/1/${BULK} | sha256sum`;
      expect(await lab.run('client', ['bash', '-c', get])).toContain(digestOf(1, BULK));
    });

    test('an upload arrives as it is', async () => {
      const head = `POST /hash?close HTTP/1.1\r\nHost: x\r\nContent-Length: ${BULK}\r\n\r\n`;
      const heard = await lab.talk({ port: 80, steps: [{ say: head, stream: [2, BULK] }] });
      expect(heard.error).toBeUndefined();
      expect(heard.text).toContain(`${digestOf(2, BULK)} ${BULK}\n`);
    });

    test(`${requests} requests on one connection, each answered in its turn`, async () => {
      const asked = await lab.run('client', [
        ...program('ask'),
        ...['10.0.0.100', String(requests), '100'],
      ]);
      const hash = createHash('sha256');
      for (let i = 1; i <= requests; i++) for (const chunk of chunksOf(i, 100)) hash.update(chunk);
      expect(JSON.parse(asked)).toEqual({
        answered: requests,
        left: 0,
        sha256: hash.digest('hex'),
      });
    });

    test.runIf(name === 'spray')('each proxy had its share of it', async () => {
      const shares = await Promise.all((['a', 'b', 'c'] as const).map(spliced));
      for (const share of shares) expect(share).toBeGreaterThan(1_000);
    });
  });
}
