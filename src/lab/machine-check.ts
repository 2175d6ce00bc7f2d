/** Whether this machine can hold a lab, and what mends it where it cannot. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { release } from 'node:os';
import { findProgram } from './find-program.ts';
import { unshareOptions } from './isolation.ts';
import { run } from './run.ts';

/** One thing looked at. */
export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  /** Whether nothing works without it. */
  readonly needed: boolean;
  /** What was found, in a few words. */
  readonly detail: string;
  /** The command that mends it, where it is not in order. */
  readonly mend?: string;
}

/** A tool, the Debian package that has it, and what it is for. */
interface Tool {
  readonly program: string;
  readonly package: string;
  readonly needed: boolean;
  readonly purpose: string;
}

const TOOLS: readonly Tool[] = [
  { program: 'ip', package: 'iproute2', needed: true, purpose: 'makes namespaces and links' },
  { program: 'unshare', package: 'util-linux', needed: true, purpose: 'makes namespaces' },
  { program: 'nsenter', package: 'util-linux', needed: true, purpose: 'enters namespaces' },
  {
    program: 'setpriv',
    package: 'util-linux',
    needed: true,
    purpose: 'ends labs with their owner',
  },
  { program: 'mount', package: 'mount', needed: true, purpose: 'mounts within the lab' },
  { program: 'curl', package: 'curl', needed: true, purpose: 'the client of demo and checks' },
  {
    program: 'nginx',
    package: 'nginx-light',
    needed: false,
    purpose: 'the backends of demo and tests',
  },
  { program: 'nft', package: 'nftables', needed: false, purpose: 'labs that spray packets' },
  { program: 'tcpdump', package: 'tcpdump', needed: false, purpose: 'suture lab capture' },
  { program: 'wrk', package: 'wrk', needed: false, purpose: 'load in tests and benchmarks' },
  { program: 'tshark', package: 'tshark', needed: false, purpose: 'reads captures in tests' },
  { program: 'iperf3', package: 'iperf3', needed: false, purpose: 'load in benchmarks' },
  { program: 'haproxy', package: 'haproxy', needed: false, purpose: 'the peer in benchmarks' },
];

/** An ordinary user's number, for root to try what such a user may do. */
const NOBODY = '65534';

/** Looks at everything, in the order in which to mend it. */
export async function checkMachine(): Promise<readonly Finding[]> {
  const tools = checkTools();
  // Without these the checks that follow would only repeat what is missing.
  const able = tools.every(({ ok, needed }) => ok || !needed);
  const tun = checkTun();
  return [
    checkNode(),
    await checkForeignFunctions(),
    ...tools,
    tun,
    ...(able
      ? [await checkNamespaces(), ...(await checkDevices(tun.ok)), ...(await checkUser())]
      : []),
  ];
}

function checkNode(): Finding {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const ok = major >= 24 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18);
  return {
    name: 'node',
    ok,
    needed: true,
    detail: `${process.version}, ${process.arch}, Linux ${release()}`,
    ...(ok ? {} : { mend: 'install Node 22.18 or newer, or use ./suture of a checkout' }),
  };
}

async function checkForeignFunctions(): Promise<Finding> {
  const about = { name: 'koffi', needed: true };
  try {
    await import('koffi');
    return { ...about, ok: true, detail: 'system calls can be made' };
  } catch (error) {
    return { ...about, ok: false, detail: reasonOf(error), mend: 'npm ci --include=optional' };
  }
}

function checkTools(): Finding[] {
  return TOOLS.map(({ program, package: from, needed, purpose }) => {
    const path = findProgram(program);
    const about = { name: program, ok: path !== undefined, needed };
    if (path !== undefined) return { ...about, detail: path };
    const mend = `sudo apt-get install -y --no-install-recommends ${from}`;
    return { ...about, detail: `not installed (${purpose})`, mend };
  });
}

function checkTun(): Finding {
  const device = '/dev/net/tun';
  const about = { name: device, needed: true };
  try {
    closeSync(openSync(device, 'r+'));
    return { ...about, ok: true, detail: 'opens' };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EACCES' || code === 'EPERM') {
      const detail = 'this user may not open it';
      return { ...about, ok: false, detail, mend: `sudo chmod 0666 ${device}` };
    }
    const make = `sudo mkdir -p /dev/net && sudo mknod -m 0666 ${device} c 10 200`;
    const detail = code === 'ENOENT' ? 'is not there' : reasonOf(error);
    return { ...about, ok: false, detail, mend: code === 'ENOENT' ? make : 'sudo modprobe tun' };
  }
}

async function checkNamespaces(): Promise<Finding> {
  const { code, stderr } = await run(['unshare', ...unshareOptions(), 'true']);
  const root = process.getuid?.() === 0;
  const about = { name: 'namespaces', needed: true, ok: code === 0 };
  if (code === 0) return { ...about, detail: root ? 'as root' : 'in a user namespace' };
  return {
    ...about,
    detail: oneLine(stderr),
    mend: root ? 'run outside a container' : allowUsers(),
  };
}

/** What a lab is made of, tried in namespaces of its own. */
async function checkDevices(tun: boolean): Promise<Finding[]> {
  const kinds = [
    ...(tun ? [{ name: 'tap', command: ['tuntap', 'add', 'dev', 't0', 'mode', 'tap'] }] : []),
    { name: 'veth', command: ['link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'] },
    { name: 'bridge', command: ['link', 'add', 'br0', 'type', 'bridge'] },
  ];
  return Promise.all(
    kinds.map(async ({ name, command }) => {
      const { code, stderr } = await run(['unshare', ...unshareOptions(), 'ip', ...command]);
      const about = { name, needed: true, ok: code === 0 };
      if (code === 0) return { ...about, detail: 'can be made' };
      const module = name === 'tap' ? 'tun' : name;
      return { ...about, detail: oneLine(stderr), mend: `sudo modprobe ${module}` };
    }),
  );
}

/** Root learns whether ordinary users could have labs too. */
async function checkUser(): Promise<Finding[]> {
  if (process.getuid?.() !== 0) return [];
  const user = ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups'];
  const isolated = ['unshare', '--user', '--map-root-user', '--net', 'true'];
  const { code, stderr } = await run([...user, ...isolated]);
  const about = { name: 'user namespaces', needed: false, ok: code === 0 };
  if (code === 0) return [{ ...about, detail: 'labs without root are possible' }];
  return [{ ...about, detail: oneLine(stderr), mend: allowUsers() }];
}

/** Kernels and distributions forbid user namespaces in different ways. */
function allowUsers(): string {
  const settings = [
    ['kernel/apparmor_restrict_unprivileged_userns', '0'],
    ['kernel/unprivileged_userns_clone', '1'],
  ] as const;
  const setting = settings.find(([path]) => existsSync(`/proc/sys/${path}`));
  const [path, value] = setting ?? ['user/max_user_namespaces', '10000'];
  return `sudo sysctl -w ${path.replaceAll('/', '.')}=${value}`;
}

function reasonOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error));
}

function oneLine(text: string): string {
  return text.trim().split('\n', 1)[0];
}
