/**
 * The namespaces a lab lives in, and how a process gets into them. Its processes are in a process
 * namespace whose first process dies with the lab's owner; the kernel then ends all the others, and
 * with them the network, mount and user namespaces that only they held.
 */
import { getuid } from 'node:process';
import { NODE } from './plan.ts';

/**
 * The first process of the namespace. A tmpfs over /run takes the network namespaces' names and the
 * lab's files; the folder of the control socket, when it is below /run, is carried over. Orphans are
 * reaped by the shell's wait.
 */
const INIT = `set -e
cd "$1"
mount -t tmpfs -o mode=755 suture /run
case $1 in
  /run/*) mkdir -p "$1"; mount --no-canonicalize --bind . "$1" ;;
esac
mkdir -p /run/netns
shift
exec 3<&0
"$@" <&3 3<&- &
exec 3<&-
wait $!
`;

/** Options of `unshare` for a lab of this user: root needs no user namespace. */
export function unshareOptions(): readonly string[] {
  const user = getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return [...user, '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
}

/**
 * The command whose process is the lab: it runs the supervisor within new namespaces and is killed
 * when its parent ends. `folder` (absolute) holds the control socket.
 */
export function supervisorArgv(folder: string, script: string): readonly string[] {
  return [
    ...['setpriv', '--pdeathsig', 'KILL', 'unshare', ...unshareOptions()],
    ...['sh', '-c', INIT, 'sh', folder, ...NODE, script, folder],
  ];
}

/** How a command that is run within a lab goes with its caller. */
export interface EnterOptions {
  /** The signal the command gets when its caller's side ends first. */
  readonly deathSignal?: 'KILL' | 'TERM' | undefined;
  /** Working folder; the root when absent. */
  readonly folder?: string | undefined;
  /** Whether a terminal's Ctrl-C and Ctrl-\\ are for the command alone. */
  readonly terminal?: boolean | undefined;
}

/**
 * The command line that runs `argv` in the network namespace `node` of the lab whose `unshare` is the
 * process `pid`. Its exit code is the command's.
 */
export function enterArgv(
  pid: number,
  node: string,
  argv: readonly string[],
  { deathSignal = 'KILL', folder, terminal = false }: EnterOptions = {},
): readonly string[] {
  const user = getuid?.() === 0 ? [] : ['--user', '--preserve-credentials'];
  const around = terminal ? ['env', '--ignore-signal=INT,QUIT'] : [];
  const within = [
    ...(terminal ? ['--default-signal=INT,QUIT'] : []),
    ...(folder === undefined ? [] : [`--chdir=${folder}`]),
  ];
  return [
    ...[...around, 'nsenter', '--target', String(pid), ...user, '--mount'],
    // unshare itself stays outside the process namespace that it made for its child.
    `--pid=/proc/${pid}/ns/pid_for_children`,
    ...['--', 'setpriv', '--pdeathsig', deathSignal],
    ...(within.length === 0 ? [] : ['env', ...within]),
    ...['ip', 'netns', 'exec', node, ...argv],
  ];
}
