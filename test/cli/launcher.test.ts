import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findProgram } from '../../src/lab/find-program.ts';
import { type Outcome, run } from '../../src/lab/run.ts';

const root = join(import.meta.dirname, '../..');
const platform = process.arch === 'arm64' ? 'arm64' : 'x64';

/** What the scripts use; curl, nginx and npm are put in by the tests that want them. */
const PROGRAMS = [
  ...['sh', 'readlink', 'cmp', 'uname', 'id', 'mkdir', 'rm', 'mv', 'cp', 'cat', 'tr', 'tail'],
  ...['chmod', 'flock', 'sleep', 'ln', 'mount', 'unshare', 'ps', 'ip', 'env', 'touch'],
];

let folder: string;
let project: string;
let bin: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'suture-launcher-'));
  // Blanks in the path are part of every test.
  project = join(folder, 'a project');
  bin = join(folder, 'bin');
  for (const path of [bin, join(project, 'src/cli')]) mkdirSync(path, { recursive: true });
  for (const path of ['suture', 'scripts', 'package-lock.json']) {
    cpSync(join(root, path), join(project, path), { recursive: true });
  }
  mkdirSync(join(project, 'runtime'));
  cpSync(join(root, 'runtime/package-lock.json'), join(project, 'runtime/package-lock.json'));
  writeFileSync(
    join(project, 'src/cli/main.ts'),
    'const argv: string[] = process.argv.slice(2);\n' +
      'console.log(JSON.stringify({ argv, cwd: process.cwd(), node: process.execPath }));\n',
  );
  for (const name of PROGRAMS) {
    const path = findProgram(name);
    if (path === undefined) throw new Error(`${name} is not installed`);
    symlinkSync(path, join(bin, name));
  }
  program('node', `[ "$1" = -v ] && { echo v20.19.0; exit; }\nexit 99`);
  // Does what `npm ci` does, slowly, and notes when it began and ended.
  program(
    'npm',
    `echo "begin $PWD" >> "${folder}/npm.log"
[ -e "${folder}/npm.fails" ] && { echo 'npm error: no network' >&2; exit 1; }
rm -rf node_modules
sleep 0.2
mkdir -p node_modules/node-linux-${platform}/bin
ln -s "${process.execPath}" node_modules/node-linux-${platform}/bin/node
cp package-lock.json node_modules/.package-lock.json
echo 'npm warn something'
echo "end $PWD" >> "${folder}/npm.log"`,
  );
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, script: string): void {
  rmSync(join(bin, name), { force: true });
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

/** Starts the launcher with the tests' own programs alone on PATH. */
function start(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
  path?: string,
): Promise<Outcome> {
  const launcher = path ?? join(project, 'suture');
  return run([launcher, ...argv], { env: { PATH: bin, ...env }, cwd: folder });
}

function npmCalls(): string[] {
  const log = join(folder, 'npm.log');
  return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
}

const RUNTIME = 'suture: installing a Node runtime (npm ci, once)\n';
const PACKAGES = "suture: installing the project's packages (npm ci, once)\n";

test('the first start installs what is missing, one line each; the second says nothing', async () => {
  const first = await start(['doctor', 'an argument', '--x=*']);
  expect([first.code, first.stderr]).toEqual([0, RUNTIME + PACKAGES]);
  expect(JSON.parse(first.stdout)).toEqual({
    argv: ['doctor', 'an argument', '--x=*'],
    cwd: folder,
    node: process.execPath,
  });
  const second = await start(['doctor']);
  expect([second.code, second.stderr]).toEqual([0, '']);
  expect(npmCalls()).toHaveLength(4);
});

test('it works through symbolic links, relative ones too', async () => {
  symlinkSync('a project/suture', join(folder, 'link'));
  symlinkSync(join(folder, 'link'), join(bin, 'suture'));
  const { code, stdout } = await start(['doctor'], {}, join(bin, 'suture'));
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ argv: ['doctor'], cwd: folder });
});

test("the system's Node is used when it is new enough, and no other is installed", async () => {
  for (const [version, fit] of [
    ['v22.17.9', false],
    ['v22.18.0', true],
    ['v23.5.0', false],
    ['v24.0.0', true],
    ['v100.0.0', true],
  ] as const) {
    rmSync(join(folder, 'npm.log'), { force: true });
    rmSync(join(project, 'runtime/node_modules'), { recursive: true, force: true });
    program('node', `[ "$1" = -v ] && { echo ${version}; exit; }\nexec "${process.execPath}" "$@"`);
    expect((await start(['doctor'])).code).toBe(0);
    const runtime = npmCalls().filter((line) => line.endsWith('/runtime'));
    expect(runtime.length === 0, version).toBe(fit);
  }
});

test('SUTURE_NODE names the Node, which must be new enough', async () => {
  const good = await start(['doctor'], { SUTURE_NODE: process.execPath });
  expect([good.code, good.stderr]).toEqual([0, PACKAGES]);
  const bad = await start(['doctor'], { SUTURE_NODE: join(bin, 'node') });
  expect(bad.code).toBe(2);
  expect(bad.stderr).toBe(
    `suture: SUTURE_NODE=${bin}/node is not a Node of 22.18 or newer; name one that is, or unset it\n`,
  );
});

test('several first starts at once install once, and all go on', async () => {
  const all = await Promise.all([1, 2, 3].map(() => start(['doctor'])));
  expect(all.map(({ code }) => code)).toEqual([0, 0, 0]);
  const calls = npmCalls();
  expect(calls.filter((line) => line.startsWith('begin'))).toHaveLength(2);
  calls.forEach((line, index) => {
    expect(line.startsWith(index % 2 === 0 ? 'begin' : 'end')).toBe(true);
  });
});

test('a changed lock file is installed; packages that npm installed by hand are taken as they are', async () => {
  await start(['doctor']);
  const lock = join(project, 'package-lock.json');
  writeFileSync(
    lock,
    readFileSync(lock, 'utf8').replace('"lockfileVersion"', ' "lockfileVersion"'),
  );
  expect((await start(['doctor'])).stderr).toBe(PACKAGES);
  expect((await start(['doctor'])).stderr).toBe('');

  writeFileSync(lock, `${readFileSync(lock, 'utf8')}\n`);
  execFileSync(join(bin, 'npm'), ['install'], { cwd: project, env: { PATH: bin } });
  expect((await start(['doctor'])).stderr).toBe('');
});

test('a failed installation shows why, ends with 1 and is tried again', async () => {
  writeFileSync(join(folder, 'npm.fails'), '');
  const failed = await start(['doctor']);
  expect([failed.code, failed.stdout]).toEqual([1, '']);
  expect(failed.stderr).toContain('npm error: no network');
  expect(failed.stderr).toContain(`suture: npm ci failed in ${project}/runtime`);
  rmSync(join(folder, 'npm.fails'));
  expect((await start(['doctor'])).code).toBe(0);
});

test('without npm it says what to install', async () => {
  rmSync(join(bin, 'npm'));
  const { code, stderr } = await start(['doctor']);
  expect(code).toBe(2);
  expect(stderr).toBe(
    'suture: npm is needed to install a Node runtime; install Node with npm (on Debian: apt-get install npm)\n',
  );
});

describe('system tools', () => {
  const COMMAND = 'sudo apt-get install -y --no-install-recommends';
  const user = (): void => program('id', 'echo 1000');

  test('a tool that is needed and missing ends the start with the one command', async () => {
    user();
    const { code, stderr } = await start(['lab', 'up', 'x']);
    expect(code).toBe(2);
    expect(stderr).toContain(`suture: not installed: curl`);
    expect(stderr).toContain(`install with: ${COMMAND} curl`);
    expect(stderr).toContain('suture: cannot go on without: curl\n');
  });

  test('one that is only wanted is asked for once', async () => {
    user();
    program('curl', 'exit 0');
    const wanted = ['nginx', 'tcpdump'].filter(
      (name) => findProgram(name)?.includes('/sbin/') !== true,
    );
    const first = await start(['lab', 'up', 'x']);
    expect(first.code).toBe(0);
    for (const name of wanted) expect(first.stderr).toContain(name);
    expect((await start(['lab', 'up', 'x'])).stderr).toBe('');
  });

  test.each([
    [['lab', 'validate', 'x']],
    [['lab', 'status']],
    [['doctor']],
    [['demo', '--help']],
    [[]],
  ])('suture %s needs none of them', async (argv) => {
    user();
    expect((await start(argv)).code).toBe(0);
  });

  const isRoot = process.getuid?.() === 0;
  if (!isRoot) console.warn('skipped: the test of apt-get as root: this is an ordinary user');
  test.skipIf(!isRoot)(
    'root has them installed, without their services being started',
    async () => {
      // A copy-on-write view of /usr/sbin: the machine's own policy is not touched.
      const layers = join(folder, 'layers');
      mkdirSync(layers);
      const policy = '/usr/sbin/policy-rc.d';
      program(
        'apt-get',
        `echo "$*" >> "${folder}/apt.log"
case $* in *install*) ;; *) exit 0 ;; esac
[ -e "${folder}/updated" ] || { touch "${folder}/updated"; echo 'E: Unable to locate package' >&2; exit 100; }
${policy} nginx start; echo "policy $?" >> "${folder}/apt.log"
printf '#!/bin/sh\\n' > "${bin}/curl"; chmod 755 "${bin}/curl"
touch "${bin}/nginx" "${bin}/tcpdump"; chmod 755 "${bin}/nginx" "${bin}/tcpdump"`,
      );
      const script = `mount -t tmpfs layers "$1" && mkdir "$1/upper" "$1/work" &&
mount -t overlay -o "lowerdir=/usr/sbin,upperdir=$1/upper,workdir=$1/work" overlay /usr/sbin || exit 77
printf 'kept' > ${policy}
"$2" lab up x
code=$?
cat ${policy} >&2
exit $code`;
      const argv = [
        'unshare',
        '--mount',
        'sh',
        '-c',
        script,
        'sh',
        layers,
        join(project, 'suture'),
      ];
      const outcome = await run(argv, { env: { PATH: bin } });
      if (outcome.code === 77) {
        console.warn(`skipped: the test of apt-get as root: no overlay here: ${outcome.stderr}`);
        return;
      }
      expect(outcome.code, outcome.stderr).toBe(0);
      expect(outcome.stderr).toContain('suture: installing curl (apt-get, once)\n');
      expect(outcome.stderr.endsWith('kept')).toBe(true);
      const log = readFileSync(join(folder, 'apt.log'), 'utf8');
      expect(log).toContain(' update\n');
      expect(log).toContain('policy 101\n');
      expect(log).toContain('install --no-install-recommends curl\n');
    },
  );
});
