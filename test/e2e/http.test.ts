import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../src/lab/find-program.ts';
import { TestLab, topology, whyNoCluster } from './cluster.ts';
import { chunksOf, digestOf } from './content.ts';
import type { Talk } from './programs/talk.ts';

const why = await whyNoCluster();
const wrk = findProgram('wrk');
if (wrk === undefined) console.warn('skipped: tests with wrk, which is not installed');
const HOST = 'http://10.0.0.100';

describe.skipIf(why !== undefined)('HTTP through one proxy', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.up(topology);
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const client = (script: string, timeoutMs?: number) =>
    lab.run('client', ['bash', '-c', script], timeoutMs);
  const status = async (options: string): Promise<string> =>
    client(`curl -sS --max-time 10 -o /dev/null -w '%{http_code}' ${options}`);

  test('200 MB arrive as they are', async () => {
    const digest = await client(`set -o pipefail; curl -sS ${HOST}/bytes/1/200000000 | sha256sum`);
    expect(digest).toContain(digestOf(1, 200_000_000));
  });

  test('200 MB are uploaded as they are', async () => {
    const heard = await lab.talk({
      port: 80,
      steps: [
        {
          say: 'POST /hash?close HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\n\r\n',
          stream: [2, 200_000_000],
        },
      ],
    });
    expect(heard.error).toBeUndefined();
    expect(heard.text).toContain(`${digestOf(2, 200_000_000)} 200000000\n`);
  });

  test('1,000 requests on one connection, each answered in its turn', async () => {
    const ports = await client(
      `for i in $(seq 1000); do printf 'url = "${HOST}/bytes/%d/%d"\\noutput = /tmp/e2e-%d\\n' $i $((i * 7)) $i; done |
       { cd $(mktemp -d); curl -sS -w '%{local_port}\\n' -K - | sort -u;
         cat /tmp/e2e-{1..1000} | sha256sum; rm /tmp/e2e-{1..1000}; }`,
    );
    const hash = createHash('sha256');
    for (let i = 1; i <= 1_000; i++) for (const chunk of chunksOf(i, i * 7)) hash.update(chunk);
    const [port, digest, ...rest] = ports.trim().split('\n');
    expect(port).toMatch(/^\d+$/);
    expect(digest).toContain(hash.digest('hex'));
    expect(rest).toEqual([]);
  });

  for (const [how, header] of [
    ['with keep-alive', ''],
    ['with a new connection each', "-H 'Connection: close'"],
  ]) {
    test.skipIf(wrk === undefined)(`wrk -c64 ${how}: no error`, async () => {
      const report = await client(`wrk -c64 -t2 -d1s ${header} ${HOST}/bytes/1/100`);
      expect(report).not.toMatch(/Socket errors|Non-2xx/);
      expect(Number(/(\d+) requests in/.exec(report)?.[1])).toBeGreaterThan(100);
    });
  }

  test('a backend that refuses, that is not there, or that is silent: the next one answers', async () => {
    // What comes from port 82 has no way to go.
    const silence = ['ip', 'rule', 'add', 'ipproto', 'tcp', 'sport', '82', 'blackhole'];
    for (const host of ['web1', 'web2']) await lab.run(host, silence);
    for (const path of ['refusing', 'absent', 'silent']) {
      for (let turn = 0; turn < 3; turn++) {
        expect([path, await status(`${HOST}/${path}/bytes/1/100`)]).toEqual([path, '200']);
      }
    }
    const metrics = await lab.metrics('a');
    const tried = (pool: string, address: string, result: string) =>
      metrics.get(
        `suture_backend_connects_total{pool="${pool}",backend="${address}",result="${result}"}`,
      );
    expect(tried('refusing', '10.1.0.31:81', 'refused')).toBeGreaterThan(0);
    expect(tried('silent', '10.1.0.31:82', 'timeout')).toBeGreaterThan(0);
    const absent = tried('absent', '10.1.0.39:80', 'timeout') ?? 0;
    expect(absent + (tried('absent', '10.1.0.39:80', 'refused') ?? 0)).toBeGreaterThan(0);
  });

  test('no backend left: 503 from the proxy itself, whole and closed in order', async () => {
    const answer = await client(`curl -sSi --max-time 10 ${HOST}/none`);
    expect(answer).toMatch(
      /^HTTP\/1.1 503 Service Unavailable\r\n(\S.*\r\n)+\r\n503 Service Unavailable\n$/,
    );
  });

  // These wait for time-outs, together.
  test.concurrent('requests that are refused get their status', async ({ expect }) => {
    const head = (text: string) => lab.talk({ port: 80, steps: [{ say: text }] });
    const long = 'x'.repeat(10_000);
    const cases: [string, string][] = [
      [`GET / HTTP/1.1\r\nHost: x\r\nA: ${long}\r\n\r\n`, '431'],
      [`GET /${long} HTTP/1.1\r\nHost: x\r\n\r\n`, '414'],
      ['GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n', '400'],
      ['GET / HTTP/3.0\r\nHost: x\r\n\r\n', '505'],
      ['GET / HT', '408'],
    ];
    const heard = await Promise.all(cases.map(([text]) => head(text)));
    expect(heard.map(({ text, ended, error }) => [text.slice(9, 12), ended, error])).toEqual(
      cases.map(([, wanted]) => [wanted, true, undefined]),
    );
  });

  test.concurrent('a client that says nothing is let go without an answer', async ({ expect }) => {
    const [waits, leaves] = await Promise.all([
      lab.talk({ port: 80, steps: [] }),
      lab.talk({ port: 80, steps: [], end: 'end' }),
    ]);
    expect(waits).toMatchObject({ length: 0, ended: true });
    expect(leaves).toMatchObject({ length: 0, ended: true });
  });

  test.concurrent('a head byte by byte or in halves far apart, with Nagle on', async ({
    expect,
  }) => {
    const request = 'GET /bytes/5/5000?close HTTP/1.1\r\nHost: x\r\n\r\n';
    const byBytes = [...request].map((say) => ({ say, pause: 5 }));
    const inHalves = [{ say: request.slice(0, 12) }, { say: request.slice(12), pause: 1_000 }];
    const talks = await Promise.all(
      [byBytes, inHalves].map((steps) => lab.talk({ port: 80, noDelay: false, steps })),
    );
    for (const { bodySha256, error, ended } of talks) {
      expect([bodySha256, error, ended]).toEqual([digestOf(5, 5_000), undefined, true]);
    }
  });

  test('a second request that comes with the first', async () => {
    const request = (query: string): string =>
      `POST /hash${query} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc`;
    const heard = await lab.talk({ port: 80, steps: [{ say: request('') + request('?close') }] });
    const digest = createHash('sha256').update('abc').digest('hex');
    expect(heard.text.split(`\r\n\r\n${digest} 3\n`)).toHaveLength(3);
    expect(heard.ended).toBe(true);
  });

  test('a body larger than the first window comes with the head', async () => {
    const heard = await lab.talk({
      port: 80,
      steps: [
        {
          say: 'POST /hash?close HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n',
          stream: [3, 300_000],
        },
      ],
    });
    expect(heard.text).toContain(`${digestOf(3, 300_000)} 300000\n`);
  });

  test('plain TCP: the server speaks first, the client speaks first, either closes its side first', async () => {
    const [greeted, told, left] = await Promise.all([
      lab.talk({ port: 25, steps: [{ say: 'hello\n', heard: 10 }, { heard: 16 }], end: 'end' }),
      lab.talk({ port: 26, steps: [{ stream: [4, 1_000_000] }], end: 'end' }),
      lab.talk({ port: 27, steps: [{ stream: [9, 500_000], heard: 100_001 }], end: 'end' }),
    ]);
    expect(greeted).toMatchObject({ text: '220 ready\nhello\n', ended: true });
    expect(told).toMatchObject({ text: `${digestOf(4, 1_000_000)} 1000000\n`, ended: true });
    expect(left).toMatchObject({ length: 100_000, sha256: digestOf(27, 100_000), ended: true });
    // What the client said after the server had closed its side.
    const heard = () => lab.run('web1', ['curl', '-sS', 'http://10.1.0.31:28/']);
    await expect.poll(heard).toBe(digestOf(9, 500_000));
    for (const { error } of [greeted, told, left]) expect(error).toBeUndefined();
  });

  test('a client that goes away in any phase takes its backend connection along', async () => {
    const request = 'GET /bytes/5/5000 HTTP/1.1\r\nHost: x\r\n\r\n';
    const silent = request.replace('/bytes', '/silent/bytes');
    const reset = (steps: Talk['steps'], port = 80) => lab.talk({ port, steps, end: 'reset' });
    await Promise.all([
      reset([]),
      reset([{ say: request.slice(0, 10) }]),
      reset([{ say: request.slice(0, 10) }, { say: request.slice(10, 20), pause: 100 }]),
      // While backends are asked: one of the two, whichever turn it is, does not answer.
      reset([{ say: silent }, { pause: 100 }]),
      reset([{ say: silent }, { pause: 100 }]),
      reset([{ say: request.replace('5000', '90000000') }, { heard: 500_000 }]),
      reset([{ say: request }, { heard: 5_100 }, { pause: 50 }]),
      reset([{ heard: 10 }], 25),
      reset([{ stream: [1, 100_000] }], 26),
    ]);
    for (const host of ['web1', 'web2']) {
      const open = () => lab.run(host, ['ss', '-Htn', 'exclude', 'time-wait', 'dst', '10.1.0.21']);
      await expect.poll(open, { timeout: 5_000 }).toBe('');
    }
  });

  test('2,000 connections leave nothing behind', async () => {
    // Answers of the proxies' own leave TIME-WAIT behind for a minute.
    const waiting = 'suture_resources{kind="connections"}';
    const before = (await lab.metrics('a')).get(waiting) ?? 0;
    const config = `url = "${HOST}/bytes/1/100"\noutput = /dev/null\n`.repeat(500);
    const one = `curl -sS -H 'Connection: close' -w '%{http_code} %{size_download}\\n' -K`;
    const { code, stdout } = await lab.lab.exec(
      'client',
      ['bash', '-c', `c=$(cat); for i in 1 2 3 4; do ${one} <(echo "$c") & done | sort | uniq -c`],
      { stdin: config, timeoutMs: 110_000 },
    );
    expect([code, stdout.trim()]).toEqual([0, '2000 200 100']);
    for (const member of ['a', 'b']) {
      const left = async () => {
        const metrics = await lab.metrics(member);
        return [
          'suture_splices_active',
          'suture_resources{kind="intakes"}',
          'suture_resources{kind="relays"}',
          'suture_resources{kind="heads"}',
          'suture_replication_unacked_records',
        ].map((name) => metrics.get(name));
      };
      await expect.poll(left, { timeout: 10_000 }).toEqual([0, 0, 0, 0, 0]);
      // Some of them are of connections that ask backends for their options.
      expect((await lab.metrics(member)).get(waiting)).toBeLessThan(before + 50);
      // Timers come and go by themselves, but not 2,000 of them.
      const timers = (await lab.metrics(member)).get('suture_resources{kind="timers"}');
      expect(timers).toBeLessThan(50);
    }
  }, 120_000);
});
