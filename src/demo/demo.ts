/**
 * The demonstration: a client downloads a file through a proxy, the proxy fails in the middle, and
 * another goes on with the same TCP connection.
 */
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SERVED_FOLDER } from '../lab/backend-server.ts';
import { type LabEvent, monotonic } from '../lab/event.ts';
import { findProgram } from '../lab/find-program.ts';
import { Lab } from '../lab/lab.ts';
import { LabError } from '../lab/lab-error.ts';
import { loadTopology, type TopologyInput } from '../lab/topology.ts';
import { CLIENT, FILE, type IpVersion, STAGES, SURVIVOR, VICTIM } from './cast.ts';
import { writeContent } from './content.ts';
import { Download } from './download.ts';
import type { Moment } from './moment.ts';
import { formatSize } from './size.ts';
import { type Notice, Takeover } from './takeover.ts';
import { parseSnmp, type TcpCounters } from './tcp-counters.ts';
import { lengthOf, type Silence, type Timeline } from './timeline.ts';
import { type DemoResult, type How, judge } from './verdict.ts';

export interface DemoOptions {
  /** Bytes of the file. */
  readonly size: number;
  readonly how: How;
  /** 4 when absent. */
  readonly ip?: IpVersion | undefined;
  readonly moment: Moment;
  /** Uint32; what the file holds depends on it. */
  readonly seed: number;
  /** How long the download takes when nothing fails, unless the machine is slower. */
  readonly seconds?: number | undefined;
  /** Ends the demo and its lab; `runDemo` then rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called as things happen. */
  readonly onStep?: ((step: Step) => void) | undefined;
}

/** What happens, in this order. Times are milliseconds of CLOCK_MONOTONIC. */
export type Step =
  | { readonly type: 'building' }
  | { readonly type: 'built'; readonly ms: number; readonly server: string }
  | { readonly type: 'filled'; readonly ms: number; readonly sha256: string }
  | {
      readonly type: 'asked';
      readonly url: string;
      /** Grows with the download. */
      readonly timeline: Timeline;
      /** The pace in bytes per millisecond. */
      readonly rate: number;
    }
  | { readonly type: 'failed'; readonly at: number }
  | { readonly type: Notice['kind']; readonly notice: Notice }
  | { readonly type: 'resumed'; readonly gap: Silence }
  | { readonly type: 'ended'; readonly at: number; readonly code: number };

const DEFAULT_SECONDS = 5;
/** The client's receive buffer holds what it reads in this time: a larger one would hide the gap. */
const BUFFERED_MS = 10;
const SMALLEST_BUFFER = 128 * 1024;
const LARGEST_BUFFER = 6 * 1024 * 1024;
/** The silence that the failure made begins within this time after the takeover. */
const SETTLE_MS = 1000;
/** A shorter silence is not worth telling at once. */
const NOTICEABLE_MS = 50;
/** Memory that the file must leave to all else, in bytes. */
const MEMORY_LEFT = 512 * 1024 * 1024;
/** Longest wait for the takeover when the download has ended already. */
const TAKEOVER_MS = 3000;

/**
 * Runs the demonstration in a lab of its own, of which nothing is left at the end.
 * @throws LabError when the lab cannot be built or has no room for the file.
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { size, signal, onStep = () => {} } = options;
  const began = monotonic();
  onStep({ type: 'building' });
  const rate = size / ((options.seconds ?? DEFAULT_SECONDS) * 1000);
  const takeover = new Takeover({
    survivor: SURVIVOR,
    victim: VICTIM,
    wallMinusMonotonic: Date.now() - monotonic(),
    onNotice: (notice) => onStep({ type: notice.kind, notice }),
  });
  const onEvent = (event: LabEvent): void => takeover.see(event);
  const file = STAGES[options.ip ?? 4].topology;
  const lab = await Lab.up(topology(file, rate), { folder: dirname(file), onEvent, signal });
  try {
    const server = findProgram('nginx') === undefined ? 'a small Node server' : 'nginx';
    onStep({ type: 'built', ms: monotonic() - began, server });
    const expectedSha256 = await fill(lab, options);
    const result = await new Run(lab, takeover, rate, expectedSha256, options).result();
    // A lab that is taken down may end its servers before its client.
    signal?.throwIfAborted();
    return result;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    await lab.down();
  }
}

/** The topology of a file, with a client whose buffer suits the pace. */
function topology(file: string, rate: number): TopologyInput {
  const { topology } = loadTopology(file);
  const wanted = Math.round(rate * BUFFERED_MS);
  const buffer = Math.min(Math.max(wanted, SMALLEST_BUFFER), LARGEST_BUFFER);
  const client = topology.hosts[CLIENT];
  const sysctls = { ...client.sysctls, 'net.ipv4.tcp_rmem': `4096 ${buffer} ${buffer}` };
  const hosts = { ...topology.hosts, [CLIENT]: { ...client, sysctls } };
  return { ...topology, name: 'demo', hosts };
}

/** Puts the file where both backends serve it, and resolves with its SHA-256. */
async function fill(lab: Lab, { size, seed, signal, onStep }: DemoOptions): Promise<string> {
  const began = monotonic();
  const folder = lab.path(SERVED_FOLDER);
  const { bavail, bsize } = await statfs(folder);
  // The lab's files are in memory.
  const room = Math.min(bavail * bsize, process.availableMemory() - MEMORY_LEFT);
  if (size > room) {
    const most = formatSize(Math.max(0, room));
    throw new LabError(
      `a file of ${formatSize(size)} needs more memory than there is; choose a --size below ${most}`,
    );
  }
  const sha256 = await writeContent(join(folder, FILE), size, seed, signal);
  onStep?.({ type: 'filled', ms: monotonic() - began, sha256 });
  return sha256;
}

/** The download and the failure in its middle. */
class Run {
  readonly #lab: Lab;
  readonly #takeover: Takeover;
  readonly #rate: number;
  readonly #expectedSha256: string;
  readonly #options: DemoOptions;
  /** The failure's moment, once it is asked for. */
  #failure: Promise<number> | undefined;
  #longestTold = 0;

  constructor(
    lab: Lab,
    takeover: Takeover,
    rate: number,
    expectedSha256: string,
    options: DemoOptions,
  ) {
    this.#lab = lab;
    this.#takeover = takeover;
    this.#rate = rate;
    this.#expectedSha256 = expectedSha256;
    this.#options = options;
  }

  async result(): Promise<DemoResult> {
    const { how, seed, size, moment, ip = 4 } = this.#options;
    const { url } = STAGES[ip];
    const before = await this.#tcpCounters();
    const download = new Download({
      lab: this.#lab,
      host: CLIENT,
      url,
      rate: this.#rate,
      onArrival: (timeline) => this.#arrived(timeline),
    });
    const { timeline } = download;
    this.#tell({ type: 'asked', url, timeline, rate: this.#rate });
    if ('fraction' in moment && moment.fraction === 0) this.#fail();
    const timer = 'ms' in moment ? setTimeout(() => this.#fail(), moment.ms) : undefined;
    const end = await download.ended;
    clearTimeout(timer);
    const endedAt = monotonic();
    const failedAt = await this.#failure;
    if (failedAt !== undefined) {
      await Promise.race([this.#takeover.whenAdopted, delay(TAKEOVER_MS, null, { ref: false })]);
    }
    const { detected, adopted, wasBefore } = this.#takeover;
    const gap =
      failedAt === undefined
        ? undefined
        : timeline.gap(failedAt, (adopted?.at ?? failedAt) + SETTLE_MS);
    const stalledMs =
      failedAt === undefined || gap === undefined
        ? 0
        : this.#takeover.stalledBetween(failedAt, gap.to);
    if (gap !== undefined && this.#longestTold === 0) this.#tellGap(gap);
    this.#tell({ type: 'ended', at: endedAt, code: end.code });
    const after = await this.#tcpCounters();
    return judge({
      ...{ how, seed, size, victim: VICTIM, survivor: SURVIVOR },
      ...{ expectedSha256: this.#expectedSha256, timeline, end, endedAt },
      ...{ failedAt, detected, adopted, wasBefore, gap, stalledMs },
      counted: { opened: after.opened - before.opened, resets: after.resets - before.resets },
    });
  }

  #arrived(timeline: Timeline): void {
    const { moment, size } = this.#options;
    if ('fraction' in moment && timeline.bytes >= moment.fraction * size) this.#fail();
    const { adopted } = this.#takeover;
    if (adopted === undefined) return;
    const { latest } = timeline;
    const isOfTakeover = latest.to > adopted.at && latest.from < adopted.at + SETTLE_MS;
    if (isOfTakeover && lengthOf(latest) > Math.max(this.#longestTold, NOTICEABLE_MS)) {
      this.#tellGap(latest);
    }
  }

  /** Hits the proxy, once. */
  #fail(): void {
    this.#failure ??= this.#lab.fail(this.#options.how, VICTIM).then((at) => {
      this.#tell({ type: 'failed', at });
      this.#takeover.failed(at);
      return at;
    });
    // Who awaits the download learns of it; until then it is no unhandled rejection.
    this.#failure.catch(() => {});
  }

  #tellGap(gap: Silence): void {
    this.#longestTold = lengthOf(gap);
    this.#tell({ type: 'resumed', gap });
  }

  async #tcpCounters(): Promise<TcpCounters> {
    const { code, stdout, stderr } = await this.#lab.exec(CLIENT, ['cat', '/proc/net/snmp']);
    if (code !== 0) throw new LabError(`the lab ended before its time: ${stderr.trim()}`);
    return parseSnmp(stdout);
  }

  #tell(step: Step): void {
    this.#options.onStep?.(step);
  }
}
