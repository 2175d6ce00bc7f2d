import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Outcome, run } from '../../src/lab/run.ts';
import { whyNoLabs } from '../lab/possible.ts';

const main = join(import.meta.dirname, '../../src/cli/main.ts');
const folder = mkdtempSync(join(tmpdir(), 'suture-cli-'));
const env = { ...process.env, XDG_RUNTIME_DIR: folder };
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const suture = (...argv: string[]): Promise<Outcome> =>
  run([process.execPath, '--disable-warning=ExperimentalWarning', main, ...argv], { env });

test('--help lists the verbs with examples', async () => {
  const { code, stdout, stderr } = await suture('--help');
  expect([code, stderr]).toEqual([0, '']);
  for (const word of ['lab', 'doctor', 'Examples:']) expect(stdout).toContain(word);
});

test.each([
  ['lab'],
  ['doctor'],
  ['lab', 'up'],
  ['lab', 'down'],
  ['lab', 'status'],
  ['lab', 'exec'],
  ['lab', 'fail'],
  ['lab', 'capture'],
  ['lab', 'validate'],
])('suture %s %s --help has examples', async (...verbs) => {
  const { code, stdout } = await suture(...verbs, '--help');
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: suture ${verbs.join(' ')}`);
  expect(stdout).toContain('Examples:');
});

test.each<[readonly string[], string]>([
  [['dcotor'], 'suture: there is no verb dcotor; did you mean doctor? (verbs: '],
  [['--bad'], "suture: unknown option '--bad'; see suture --help\n"],
  [['lab', 'up'], "suture lab up: missing required argument 'file'; see suture lab up --help\n"],
  [['lab', 'up', 'none.yaml'], 'suture lab up: none.yaml: no such file\n'],
  [['lab', 'up', 'none.yaml', '--detach'], 'suture lab up: none.yaml: no such file\n'],
  [['lab', 'validate', 'none.yaml'], 'suture lab validate: none.yaml: no such file\n'],
  [['lab', 'down'], 'suture lab down: no lab is up; start one with: suture lab up FILE\n'],
  [['lab', 'exec', 'h', '--', 'true'], 'suture lab exec: no lab is up;'],
  [['lab', 'exec', 'h', '--'], 'suture lab exec: no command; give it after --\n'],
  [['lab', 'fail', 'kil', 'a'], "suture lab fail: command-argument value 'kil' is invalid"],
  [['lab', 'down', '--lab', 'x'], 'suture lab down: no lab x is up (up: none)\n'],
])('a mistake is one line and exit code 2: %s', async (argv, line) => {
  const { code, stdout, stderr } = await suture(...argv);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr.startsWith(line), stderr).toBe(true);
  expect(stderr.trimEnd()).not.toContain('\n');
});

test('who reads no further ends it without a word', async () => {
  const command = `"$0" --disable-warning=ExperimentalWarning "$1" sim --seeds 1000 --trace | head -1`;
  const { code, stdout, stderr } = await run(['bash', '-c', command, process.execPath, main]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout.trimEnd()).not.toContain('\n');
});

test('validate prints every problem, for people and for programs', async () => {
  const file = join(folder, 'bad.yaml');
  writeFileSync(file, 'name: X\nhosts:\n  web:\n    routes: [{ to: default, via: nowhere }]\n');
  const text = await suture('lab', 'validate', file);
  expect([text.code, text.stdout]).toEqual([2, '']);
  expect(text.stderr.trimEnd().split('\n')).toHaveLength(2);
  const json = await suture('lab', 'validate', file, '--json');
  expect(json.code).toBe(2);
  expect(JSON.parse(json.stdout)).toEqual({
    ok: false,
    problems: [
      `${file}:1: name: "X" is not a name (1 to 32 lower-case letters, digits and hyphens, no hyphen at an end)`,
      `${file}:4: hosts.web.routes[0].via: "nowhere" is not an IP address, such as 10.1.0.1`,
    ],
  });
});

test('doctor names a command for each failure, in both forms', async () => {
  const { code, stdout } = await suture('doctor', '--json');
  const { ok, checks } = JSON.parse(stdout) as {
    readonly ok: boolean;
    readonly checks: readonly {
      readonly name: string;
      readonly ok: boolean;
      readonly mend?: string;
    }[];
  };
  expect(code).toBe(ok ? 0 : 1);
  expect(checks.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['node', 'koffi', 'ip', 'curl', 'nginx', '/dev/net/tun']),
  );
  for (const check of checks) expect(check.mend === undefined).toBe(check.ok);
});

test('doctor finds what a machine lacks', async () => {
  // Nothing on PATH: what lies in /usr/sbin and /sbin is found all the same.
  const bare = await run([process.execPath, main, 'doctor', '--json'], {
    env: { ...env, PATH: folder },
  });
  const { ok, checks } = JSON.parse(bare.stdout) as {
    readonly ok: boolean;
    readonly checks: readonly { readonly name: string; readonly mend?: string }[];
  };
  expect([bare.code, ok]).toEqual([1, false]);
  expect(checks.find(({ name }) => name === 'curl')?.mend).toBe(
    'sudo apt-get install -y --no-install-recommends curl',
  );
});

const why = await whyNoLabs();

describe.skipIf(why !== undefined)('a lab in the background', { timeout: 90_000 }, () => {
  test('up --detach, status, exec, fail, capture, down', async () => {
    const file = join(folder, 'pair.yaml');
    const eth0 = (address: string): string =>
      `interfaces: { eth0: { switch: lan, addresses: [${address}/24] } }`;
    writeFileSync(
      file,
      `name: pair
switches: { lan: {} }
hosts:
  client: { ${eth0('10.1.0.2')} }
  web: { ${eth0('10.1.0.31')}, files: { server: node } }
`,
    );
    const up = await suture('lab', 'up', file, '--detach', '--json');
    try {
      expect([up.code, up.stderr]).toEqual([0, '']);
      expect(JSON.parse(up.stdout)).toMatchObject({ name: 'pair', ready: true });

      const again = await suture('lab', 'up', file, '--detach');
      expect([again.code, again.stderr]).toEqual([
        2,
        'suture lab up: the lab pair is already up; end it with: suture lab down --lab pair\n',
      ]);

      const status = JSON.parse((await suture('lab', 'status', '--json')).stdout) as {
        readonly labs: readonly { readonly name: string; readonly state: string }[];
      };
      expect(status.labs).toMatchObject([{ name: 'pair', state: 'ready', file }]);
      expect((await suture('lab', 'status')).stdout).toMatch(
        /web\s+eth0 on lan\s+10\.1\.0\.31\/24/,
      );

      const exec = await suture('lab', 'exec', 'client', '--', 'sh', '-c', 'pwd; exit 7');
      expect(exec).toEqual({ code: 7, stdout: `${process.cwd()}\n`, stderr: '' });
      const curl = await suture(
        ...['lab', 'exec', 'client', 'curl', '-s', '-o', '/dev/null', '-w', '%{http_code}'],
        'http://10.1.0.31/none',
      );
      expect(curl.stdout).toBe('404');
      expect((await suture('lab', 'exec', 'nobody', '--', 'true')).stderr).toBe(
        'suture lab exec: there is no host nobody in lab pair; there is: client, web, lan\n',
      );

      const fail = await suture('lab', 'fail', 'kill', 'web', '--json');
      expect(JSON.parse(fail.stdout)).toMatchObject({ verb: 'kill', target: 'web' });
      expect((await suture('lab', 'fail', 'restart', 'web')).stdout).toBe('restart web: done\n');
      expect((await suture('lab', 'capture', 'web', '--seconds', 'x')).stderr).toContain(
        '--seconds x is not a time',
      );
    } finally {
      const down = await suture('lab', 'down', '--json');
      expect(JSON.parse(down.stdout)).toEqual({ name: 'pair', down: true });
    }
    expect((await suture('lab', 'status')).stdout).toBe('no lab is up\n');
  });
});
