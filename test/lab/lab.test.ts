import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SERVED_FOLDER } from '../../src/lab/backend-server.ts';
import { type LabEvent, monotonic } from '../../src/lab/event.ts';
import { Lab } from '../../src/lab/lab.ts';
import { findLab } from '../../src/lab/state.ts';
import type { TopologyInput } from '../../src/lab/topology.ts';
import { whyNoLabs } from './possible.ts';

const TOPOLOGY: TopologyInput = {
  name: 'plain',
  switches: { edge: null, lan: { mtu: 1400 } },
  hosts: {
    client: {
      interfaces: { eth0: { switch: 'edge', addresses: ['10.2.0.2/24'] } },
      routes: [{ to: 'default', via: '10.2.0.1' }],
      sysctls: { 'net.ipv4.tcp_sack': 0 },
    },
    router: {
      forward: true,
      interfaces: {
        eth0: { switch: 'edge', addresses: ['10.2.0.1/24'] },
        eth1: { switch: 'lan', addresses: ['10.1.0.1/24'] },
      },
    },
    web: {
      interfaces: { eth0: { switch: 'lan', addresses: ['10.1.0.31/24'] } },
      routes: [{ to: 'default', via: '10.1.0.1' }],
      files: { server: 'node' },
      run: [
        {
          name: 'echo',
          command: [
            process.execPath,
            '-e',
            `console.log('hello ' + process.env.WHO);
             require('http').createServer((q, r) => r.end(process.env.WHO)).listen(8080)`,
          ],
          env: { WHO: 'world' },
          ready: { http: 'http://10.1.0.31:8080/' },
        },
      ],
    },
  },
  checks: [
    { host: 'client', run: 'curl -s http://10.1.0.31:8080/', output: '^world$' },
    { host: 'client', run: ['false'], exit: 1 },
  ],
};

/** For conditions that come true soon, however slow the machine. */
const PATIENCE = { timeout: 20_000 };

const why = await whyNoLabs();
const folder = mkdtempSync(join(tmpdir(), 'suture-lab-test-'));
// A state of its own: a lab that is up on this machine is none of ours.
process.env.XDG_RUNTIME_DIR = folder;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Waits for an event; every wait of these tests ends with the lab. */
async function seen(lab: Lab, wanted: (event: LabEvent) => boolean): Promise<LabEvent> {
  for await (const event of lab.events) if (wanted(event)) return event;
  throw new Error('the lab ended without it');
}

describe.skipIf(why !== undefined)('a lab of plain hosts', () => {
  let lab: Lab;
  const curl = (url: string, seconds = '20') =>
    lab.exec('client', ['curl', '-sS', '--max-time', seconds, url]);

  beforeAll(async () => {
    lab = await Lab.up(TOPOLOGY);
  });
  afterAll(() => lab?.down());

  test('a client reaches a server through the router', async () => {
    writeFileSync(lab.path(`${SERVED_FOLDER}/file`), 'content');
    expect(await curl('http://10.1.0.31/file')).toEqual({ code: 0, stdout: 'content', stderr: '' });
    expect((await curl('http://10.1.0.31:8080/')).stdout).toBe('world');
  });

  test('a command gets its input and returns its output, errors and exit code', async () => {
    const script = 'cat; echo bad >&2; exit 3';
    expect(await lab.exec('client', ['sh', '-c', script], { stdin: 'in' })).toEqual({
      code: 3,
      stdout: 'in',
      stderr: 'bad\n',
    });
    const killed = await lab.exec('client', ['sh', '-c', 'kill -9 $$']);
    expect(killed.code).toBe(128 + 9);
    const where = await lab.exec('client', ['pwd'], { cwd: folder });
    expect(where.stdout).toBe(`${folder}\n`);
  });

  test('a command that takes too long is killed, and so is what it has started', async () => {
    const slow = lab.exec('client', ['sleep', '1234567'], { timeoutMs: 300 });
    await expect(slow).rejects.toThrow('not done after 300 ms');
    await expect
      .poll(async () => (await lab.exec('client', ['ps', '-eo', 'args'])).stdout, PATIENCE)
      .not.toContain('1234567');
  });

  test('a spawned command talks while it runs, and ends with a signal to the child', async () => {
    const child = lab.spawn('web', ['sh', '-c', 'echo up; exec sleep 7654321'], { stdio: 'pipe' });
    const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer];
    expect(String(line)).toBe('up\n');
    child.kill();
    await once(child, 'close');
    await expect
      .poll(async () => (await lab.exec('client', ['ps', '-eo', 'args'])).stdout, PATIENCE)
      .not.toContain('7654321');
  });

  test('addresses, MTU, sysctls and the absence of IPv6 are as the topology says', async () => {
    const { stdout } = await lab.exec('web', ['ip', '-brief', 'address']);
    expect(stdout).toMatch(/eth0@\S+\s+UP\s+10\.1\.0\.31\/24\s*$/m);
    expect((await lab.exec('web', ['cat', '/sys/class/net/eth0/mtu'])).stdout).toBe('1400\n');
    const sack = await lab.exec('client', ['cat', '/proc/sys/net/ipv4/tcp_sack']);
    expect(sack.stdout).toBe('0\n');
    const forward = await lab.exec('client', ['cat', '/proc/sys/net/ipv4/ip_forward']);
    expect(forward.stdout).toBe('0\n');
  });

  test('the status tells hosts, cables and processes', async () => {
    const status = await lab.status();
    expect(status.state).toBe('ready');
    expect(status.hosts).toEqual(['client', 'router', 'web']);
    expect(status.cables.find(({ host }) => host === 'web')).toEqual({
      host: 'web',
      device: 'eth0',
      switch: 'lan',
      port: 'web',
      addresses: ['10.1.0.31/24'],
    });
    expect(status.processes.map(({ name, state }) => [name, state])).toEqual([
      ['web/files', 'ready'],
      ['web/echo', 'ready'],
    ]);
    expect(status.processes[0].pid).toBeGreaterThan(1);
  });

  test('events hold what processes say', async () => {
    const event = await seen(lab, ({ type }) => type === 'output');
    expect(event).toMatchObject({ process: 'web/echo', stream: 'stdout', line: 'hello world' });
  });

  test('kill and restart: the moment is of the clock that all processes share', async () => {
    const before = monotonic();
    const at = await lab.fail('kill', 'web/echo');
    expect(at).toBeGreaterThan(before);
    expect(at).toBeLessThan(monotonic());
    const end = await seen(
      lab,
      (event) =>
        event.type === 'process' && event.process === 'web/echo' && event.state === 'ended',
    );
    expect(end).toMatchObject({ signal: 'SIGKILL' });
    expect((await curl('http://10.1.0.31:8080/', '1')).code).not.toBe(0);
    await expect(lab.fail('kill', 'web/echo')).rejects.toThrow('web/echo does not run');
    await lab.fail('restart', 'web/echo');
    expect((await curl('http://10.1.0.31:8080/')).stdout).toBe('world');
  });

  test('pause and resume', async () => {
    await lab.fail('pause', 'web');
    const { processes } = await lab.status();
    expect(processes.map(({ state }) => state)).toEqual(['paused', 'paused']);
    const answer = lab.exec('client', ['curl', '-s', 'http://10.1.0.31:8080/']);
    await lab.fail('resume', 'web');
    expect((await answer).stdout).toBe('world');
  });

  test('link-down takes the carrier, link-up brings it back', async () => {
    const carrier = () => lab.exec('web', ['cat', '/sys/class/net/eth0/carrier']);
    await lab.fail('link-down', 'web:eth0');
    expect((await carrier()).stdout).toBe('0\n');
    expect((await curl('http://10.1.0.31:8080/', '1')).code).not.toBe(0);
    await lab.fail('link-up', 'web');
    await expect.poll(async () => (await carrier()).stdout, PATIENCE).toBe('1\n');
    expect((await curl('http://10.1.0.31:8080/')).stdout).toBe('world');
  });

  test('unknown hosts, targets and links are refused with those there are', async () => {
    await expect(lab.exec('cleint', ['true'])).rejects.toThrow(
      'there is no host cleint; there is: client, router, web, edge, lan',
    );
    await expect(lab.fail('kill', 'wbe')).rejects.toThrow(
      'there is no process wbe; there is: web/files, web/echo',
    );
    await expect(lab.fail('link-down', 'web:eth9')).rejects.toThrow(
      'there is no link web:eth9; there is: client:eth0, router:eth0, router:eth1, web:eth0',
    );
  });

  test('a lab that is up is found by its name, and its name is taken', async () => {
    expect(findLab().state.name).toBe(lab.name);
    await expect(Lab.up(TOPOLOGY, { name: lab.name })).rejects.toThrow(
      `the lab ${lab.name} is already up`,
    );
    expect(() => findLab('other')).toThrow(`no lab other is up (up: ${lab.name})`);
  });
});

describe.skipIf(why !== undefined)('a lab that cannot be built says why', () => {
  const host = { interfaces: { eth0: { switch: 'lan', addresses: ['10.1.0.1/24'] } } };
  const broken: [string, TopologyInput['hosts'][string], string][] = [
    [
      'a process that ends',
      { ...host, run: [{ name: 'p', command: 'echo no luck >&2; exit 1', ready: { tcp: 1 } }] },
      'h/p ended before it was ready; it said last: no luck',
    ],
    [
      'a process that is never ready',
      {
        ...host,
        run: [{ name: 'p', command: 'sleep 100', ready: { tcp: 1 }, readyTimeoutMs: 100 }],
      },
      'h/p was not ready after 100 ms',
    ],
    [
      'a sysctl that is not there',
      { ...host, sysctls: { 'net.ipv4.none': 1 } },
      'set-up in h: no such setting, or not this value: net/ipv4/none',
    ],
    [
      'a route that the kernel refuses',
      { ...host, routes: Array(2).fill({ to: 'default', via: '10.1.0.2' }) },
      'ip route add default via 10.1.0.2 in h: RTNETLINK answers: File exists',
    ],
  ];

  test.each(broken)('%s', async (_, h, message) => {
    const up = Lab.up({ name: 'broken', switches: { lan: {} }, hosts: { h } });
    await expect(up).rejects.toThrow(message);
    expect(() => findLab()).toThrow('no lab is up');
  });

  test('a check that does not hold', async () => {
    const checks = [{ host: 'h', run: ['echo', 'no'], output: 'yes' }];
    const up = Lab.up({ name: 'broken', switches: { lan: {} }, hosts: { h: host }, checks });
    await expect(up).rejects.toThrow('check on h: echo no: its output does not match yes');
  });

  test('one that is ended while it is being built', async () => {
    const ending = new AbortController();
    const up = Lab.up(TOPOLOGY, { signal: ending.signal, onEvent: () => ending.abort() });
    await expect(up).rejects.toThrow('was ended while it was being built');
    expect(() => findLab()).toThrow('no lab is up');
  });
});

test.skipIf(why !== undefined)('a lab whose topology has a path serves that folder', async () => {
  const served = join(folder, 'served');
  mkdirSync(served);
  writeFileSync(join(served, 'file'), 'of the folder');
  const lab = await Lab.up(
    {
      name: 'folder',
      hosts: { h: { files: { root: 'served', port: 8000 } } },
    },
    { folder },
  );
  try {
    const child = lab.spawn('h', ['curl', '-s', 'http://127.0.0.1:8000/file'], { stdio: 'pipe' });
    expect(child.stdout === null ? '' : await text(child.stdout)).toBe('of the folder');
    expect(readlinkSync('/proc/self/ns/net')).not.toBe(
      (await lab.exec('h', ['readlink', '/proc/self/ns/net'])).stdout.trim(),
    );
  } finally {
    await lab.down();
  }
});
