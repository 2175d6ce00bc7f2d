// Our stack against the kernel's, over a wire that a seed makes bad: both roles, bulk both ways, for every combination
// of what the kernel may offer. Each run has a network namespace, a TAP and a process of its own.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { MILLISECOND, systemClock } from '../../src/env/clock.ts';
import { below, seededRandom } from '../../src/env/random.ts';
import { BreathClock } from '../../src/host/breath-clock.ts';
import { Host } from '../../src/host/host.ts';
import { type Address, parsePrefix } from '../../src/ip/address.ts';
import type { Conditions } from '../../src/link/channel.ts';
import { ImpairedLink } from '../../src/link/impairment.ts';
import { TapLink } from '../../src/link/tap.ts';
import type { Connection } from '../../src/tcp/connection.ts';
import { TcpServer } from '../../src/tcp/server.ts';
import { connectSocket, type TcpSocket } from '../../src/tcp/socket.ts';
import { address } from '../sim/hosts.ts';
import { digestOf, type Heard, streamBytes } from './stream.ts';

/** What the kernel is told to use, by its sysctls. */
export interface KernelOptions {
  readonly timestamps: boolean;
  readonly sack: boolean;
  readonly windowScaling: boolean;
  readonly ecn: boolean;
}

export interface Run {
  readonly family: 4 | 6;
  readonly kernel: KernelOptions;
  /** Bytes each way, for each of the two connections. */
  readonly length: number;
  readonly seed: number;
  readonly conditions: Partial<Conditions>;
  /** Milliseconds that it may take. */
  readonly limit: number;
}

/** All sixteen combinations. */
export const combinations: readonly KernelOptions[] = Array.from({ length: 16 }, (_, bits) => ({
  timestamps: (bits & 1) !== 0,
  sack: (bits & 2) !== 0,
  windowScaling: (bits & 4) !== 0,
  ecn: (bits & 8) !== 0,
}));

/** A wire that `seed` makes up: loss, reordering, and 1 to 200 ms for the round trip. */
export function drawConditions(seed: number): Partial<Conditions> {
  const random = seededRandom(seed);
  const permille = (most: number): number => below(random, most) / 1_000;
  return {
    loss: permille(20),
    reordering: permille(50),
    reorderingDelay: below(random, 20) * MILLISECOND,
    duplication: permille(10),
    corruption: permille(5),
    marking: permille(20),
    delay: (500 + below(random, 99_500)) as number,
    jitter: below(random, 3) * MILLISECOND,
  };
}

const PORT = 7_000;
const OURS = { 4: '10.78.0.2', 6: 'fd78::2' } as const;
const KERNELS = { 4: '10.78.0.1', 6: 'fd78::1' } as const;
const PREFIXES = { 4: '10.78.0.0/24', 6: 'fd78::/64' } as const;
let made = 0;

/** Why the kernel cannot take part here; undefined if it can. */
export function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  try {
    accessSync('/dev/net/tun');
    const probe = `sip${process.pid}`;
    execFileSync('ip', ['netns', 'add', probe], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'delete', probe], { stdio: 'pipe' });
  } catch (error) {
    return `needs /dev/net/tun and network namespaces: ${error}`;
  }
  return undefined;
}

/** What a run came to: nothing is wrong when `faults` is empty. */
export interface Result {
  readonly faults: readonly string[];
  readonly milliseconds: number;
  readonly retransmits: number;
}

/** The shell line that the kernel's process begins with. */
function kernelScript({ kernel, family }: Run): string {
  const set = (name: string, value: boolean): string =>
    `echo ${value ? 1 : 0} > /proc/sys/net/ipv4/${name}`;
  return [
    'set -e',
    set('tcp_timestamps', kernel.timestamps),
    set('tcp_sack', kernel.sack),
    set('tcp_window_scaling', kernel.windowScaling),
    set('tcp_ecn', kernel.ecn),
    // A SYN that is lost would be repeated without ECN otherwise.
    set('tcp_ecn_fallback', false),
    family === 4
      ? `ip addr add ${KERNELS[4]}/24 dev tap0`
      : `ip addr add ${KERNELS[6]}/64 dev tap0 nodad`,
    'exec "$@"',
  ].join('\n');
}

/** Says a stream and hears one. */
async function converse(socket: Duplex, role: Heard['role'], length: number): Promise<Heard> {
  const chunks: Buffer[] = [];
  const ended = new Promise<string | undefined>((resolve) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', () => resolve(undefined));
    socket.once('error', (error) => resolve(error.message));
  });
  socket.end(streamBytes(`ours ${role}`, length));
  const error = await ended;
  const bytes = Buffer.concat(chunks);
  return { role, bytes: bytes.length, digest: digestOf(bytes), ...(error ? { error } : {}) };
}

/** Does a run, and leaves nothing behind. */
export async function interoperate(run: Run): Promise<Result> {
  const { family, length } = run;
  const name = `si${process.pid}x${made++}`;
  execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' });
  let peer: ChildProcess | undefined;
  let host: Host | undefined;
  let running: Promise<void> | undefined;
  const startedAt = performance.now();
  try {
    const tap = new TapLink({ name: 'tap0', namespace: `/run/netns/${name}` });
    const link = new ImpairedLink({
      link: tap,
      clock: new BreathClock(systemClock),
      random: seededRandom(run.seed),
      outgoing: run.conditions,
      incoming: run.conditions,
      offload: true,
    });
    host = new Host({ link, mac: 0x0200_0000_0078 });
    const us = address(OURS[family]);
    const kernel = address(KERNELS[family]);
    host.ip.addAddress(us);
    const prefix = parsePrefix(PREFIXES[family]);
    if (prefix !== undefined) host.ip.addRoute({ prefix });
    running = host.run();
    peer = spawn(
      'ip',
      [
        ...['netns', 'exec', name, 'sh', '-c', kernelScript(run), 'sh', process.execPath],
        ...['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'kernel-peer.ts')],
        ...[String(PORT), OURS[family], String(PORT), String(length)],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const faults = await within(run.limit, talk(host, peer, us, kernel, run));
    const { retransmits } = host.tcp.counters;
    return { faults, milliseconds: performance.now() - startedAt, retransmits };
  } finally {
    if (peer !== undefined && peer.exitCode === null) {
      peer.kill('SIGKILL');
      await once(peer, 'exit');
    }
    host?.stop();
    await running;
    execFileSync('ip', ['netns', 'delete', name], { stdio: 'pipe' });
  }
}

/** Both conversations; what is wrong with them. */
async function talk(
  host: Host,
  peer: ChildProcess,
  us: Address,
  kernel: Address,
  { length, kernel: options }: Run,
): Promise<string[]> {
  const lines = peer.stdout === null ? undefined : createInterface(peer.stdout);
  if (lines === undefined || peer.stdin === null) throw new Error('no way to the kernel peer');
  const fromKernel: Heard[] = [];
  let ready = (): void => {};
  let done = (): void => {};
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const isDone = new Promise<void>((resolve) => {
    done = resolve;
  });
  lines.on('line', (line) => {
    if (line === 'ready') ready();
    else if (fromKernel.push(JSON.parse(line) as Heard) === 2) done();
  });
  const server = new TcpServer(host.tcp).listen({ address: us, port: PORT });
  const agreed: string[] = [];
  const asServer = new Promise<Heard>((resolve, reject) => {
    server.once('connection', (socket: TcpSocket) => {
      agreed.push(...disagreements('server', socket.connection, options));
      converse(socket, 'server', length).then(resolve, reject);
    });
  });
  await isReady;
  peer.stdin.write('go\n');
  const client = connectSocket(host.tcp, {
    local: us,
    remote: { address: kernel, port: PORT },
    allowHalfOpen: true,
  });
  client.once('connect', () => agreed.push(...disagreements('client', client.connection, options)));
  const heard = await Promise.all([asServer, converse(client, 'client', length)]);
  await isDone;
  const other = { server: 'client', client: 'server' } as const;
  return [
    ...agreed,
    ...heard.flatMap((each) => judge('we', each, `kernel ${other[each.role]}`, length)),
    ...fromKernel.flatMap((each) => judge('the kernel', each, `ours ${other[each.role]}`, length)),
  ];
}

/** Where a connection is not what the kernel was told to offer. */
function disagreements(
  role: Heard['role'],
  connection: Connection | undefined,
  options: KernelOptions,
): string[] {
  if (connection === undefined) return [`as ${role} we have no connection`];
  const { timestamps, sack, scaling } = connection.negotiated;
  const found = { timestamps, sack, windowScaling: scaling, ecn: connection.ecn.ok };
  // Like the kernel by default, we accept ECN and do not ask for it.
  const wanted = role === 'server' ? options : { ...options, ecn: false };
  return (Object.keys(found) as (keyof typeof found)[])
    .filter((key) => found[key] !== wanted[key])
    .map((key) => `as ${role} we have ${key} ${found[key]} where the kernel has ${wanted[key]}`);
}

function judge(who: string, heard: Heard, stream: string, length: number): string[] {
  const what = `${who} as ${heard.role}`;
  if (heard.error !== undefined) return [`${what}: ${heard.error} after ${heard.bytes} bytes`];
  if (heard.bytes !== length) return [`${what} heard ${heard.bytes} of ${length} bytes`];
  const right = digestOf(streamBytes(stream, length));
  return heard.digest === right ? [] : [`${what} heard other bytes than were said`];
}

/** Rejects, or says so, when `work` takes longer than `limit` milliseconds. */
async function within(limit: number, work: Promise<string[]>): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string[]>((resolve) => {
    timer = setTimeout(() => resolve([`not done after ${limit} ms`]), limit);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `runs`, so many at a time; each with its result, in order. */
export async function interoperateAll(
  runs: readonly Run[],
  atOnce: number,
  tell: (run: Run, result: Result) => void = () => {},
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < runs.length; index = next++) {
      const result = await interoperate(runs[index]);
      results[index] = result;
      tell(runs[index], result);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/** A run in a line. */
export function describeRun({ family, kernel, conditions, seed }: Run): string {
  const on = Object.entries(kernel).flatMap(([name, value]) => (value ? [name] : []));
  const { delay = 0, loss = 0 } = conditions;
  return (
    `IPv${family}, kernel with ${on.join(', ') || 'nothing'}, ` +
    `${((2 * delay) / 1_000).toFixed(0)} ms, ${(100 * loss).toFixed(1)} % loss, seed ${seed}`
  );
}
