// One failure after another in a lab that stays up: a stream passes, its proxy fails, and what both sides of the
// failure say about it is put together.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Takeover } from '../../src/demo/takeover.ts';
import { parseSnmp } from '../../src/demo/tcp-counters.ts';
import { gapAmong, lengthOf } from '../../src/demo/timeline.ts';
import { below, type Random } from '../../src/env/random.ts';
import { readLines } from '../../src/lab/channel.ts';
import { type FaultVerb, type LabEvent, monotonic } from '../../src/lab/event.ts';
import { Lab } from '../../src/lab/lab.ts';
import { NODE } from '../../src/lab/plan.ts';
import { loadTopology, type TopologyInput } from '../../src/lab/topology.ts';
import type { Kind } from './kinds.ts';
import type { Received } from './peer.ts';

export type How = 'kill' | 'pause' | 'link-down';
const CURES: Readonly<Record<How, FaultVerb>> = {
  kill: 'restart',
  pause: 'resume',
  'link-down': 'link-up',
};

/** Of one failure, in milliseconds. */
export interface Sample {
  readonly kind: string;
  /** The longest silence that began between the failure and the takeover. */
  readonly gapMs: number;
  /** From the failure until the first byte after that silence, and its parts. */
  readonly resumedMs: number;
  readonly detectionMs: number;
  readonly adoptionMs: number;
  readonly retransmissionMs: number;
  /** The longest silence of the second after that: what the way back to full speed costs. */
  readonly secondMs: number;
  /** How long the adopter, the machine being busy, did not run until the first byte. */
  readonly stalledMs: number;
  readonly bytes: number;
  readonly wrong: number;
  readonly resets: number;
}

const PEER = [...NODE, join(import.meta.dirname, 'peer.ts')];
/** The stream flows for so long before the failure, and at most twice as long. */
const BEFORE_MS = 200;
/** What comes within this time after the takeover belongs to the failure. */
const SETTLE_MS = 1_000;
/** The end of that time is left out: the stream is about to be ended. */
const MARGIN_MS = 100;
const TAKEOVER_MS = 5_000;
const CURE_MS = 20_000;
/** Resets belong to the machine, not to the stream, once it is told to end. */
const ENDING_MS = 5_000;
/** What of a backend's or client's kernel tells how it was made to go on. */
const COUNTED =
  /^TcpExt\.(TCPTimeouts|TCPSACKReneging|TCPLossProbes|TCPFastRetrans|TCPSlowStartRetrans)$/;

export interface Place {
  /** The topology's file, the service's address and port, and the member that fails. */
  readonly file: string;
  readonly address: string;
  readonly port: number;
  readonly victim: string;
}

export class Rounds implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #place: Place;
  readonly #members: readonly string[];
  readonly #wallMinusMonotonic: number;
  readonly #random: Random;
  readonly #servers: readonly string[];
  #onEvent: (event: LabEvent) => void = () => {};

  private constructor(lab: Lab, place: Place, names: Names, random: Random) {
    this.#lab = lab;
    this.#place = place;
    this.#members = names.members;
    this.#servers = names.servers;
    this.#random = random;
    this.#wallMinusMonotonic = Date.now() - monotonic();
  }

  static async up(place: Place, random: Random): Promise<Rounds> {
    const { topology, folder } = loadTopology(place.file);
    const hosts: NonNullable<TopologyInput['hosts']> = { ...topology.hosts };
    const servers: string[] = [];
    for (const [name, host] of Object.entries(topology.hosts)) {
      if (host.files === undefined) continue;
      const { files, ...rest } = host;
      const command = [...PEER, 'serve', String(files?.port ?? 80)];
      const run = [{ name: 'peer', command, ready: { tcp: files?.port ?? 80 } }];
      hosts[name] = { ...rest, run };
      servers.push(name);
    }
    let see = (_event: LabEvent): void => {};
    const onEvent = (event: LabEvent): void => see(event);
    const lab = await Lab.up({ ...topology, hosts }, { folder, onEvent });
    const names = { members: Object.keys(topology.proxies), servers };
    const rounds = new Rounds(lab, place, names, random);
    see = (event) => rounds.#onEvent(event);
    return rounds;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lab.down();
  }

  /** Kernel counters of servers and client since the lab is up, those that moved. */
  async counters(): Promise<Record<string, number>> {
    const counted: Record<string, number> = {};
    for (const host of [...this.#servers, 'client']) {
      const lines = (await this.#read(host, '/proc/net/netstat')).trim().split('\n');
      for (let line = 0; line + 1 < lines.length; line += 2) {
        const names = lines[line].split(/:? /);
        const values = lines[line + 1].split(/:? /);
        names.forEach((name, column) => {
          const key = `${names[0]}.${name}`;
          if (COUNTED.test(key) && values[column] !== '0') {
            counted[`${host} ${name}`] = Number(values[column]);
          }
        });
      }
    }
    return counted;
  }

  /** @throws Error when the failure is not taken over, or its cure does not bring the member back */
  async round(kind: Kind, how: How): Promise<Sample> {
    const { victim } = this.#place;
    const survivors = this.#members.filter((name) => name !== victim);
    const takeovers = survivors.map(
      (survivor) =>
        new Takeover({ survivor, victim, wallMinusMonotonic: this.#wallMinusMonotonic }),
    );
    const served = Promise.withResolvers<Received>();
    this.#onEvent = (event) => {
      for (const takeover of takeovers) takeover.see(event);
      if (event.type === 'output' && event.process.endsWith('/peer') && event.stream === 'stdout') {
        served.resolve(JSON.parse(event.line) as Received);
      }
    };
    const resetsBefore = await this.#resets();
    const client = this.#spawn(kind);
    const ready = Promise.withResolvers<void>();
    const heard = Promise.withResolvers<Received>();
    readLines(
      client.stdout ?? process.stdin,
      (line) => {
        if (line === 'ready') ready.resolve();
        else heard.resolve(JSON.parse(line) as Received);
      },
      10_000_000,
    );
    await within(ready.promise, TAKEOVER_MS, `${kind.name}: the stream did not start`);
    await sleep(BEFORE_MS + below(this.#random, BEFORE_MS));
    const failedAt = await this.#lab.fail(how, victim);
    for (const takeover of takeovers) takeover.failed(failedAt);
    const adopted = Promise.race(takeovers.map((takeover) => takeover.whenAdopted));
    await within(adopted, TAKEOVER_MS, 'nobody took over');
    await sleep(SETTLE_MS);
    const resets = (await this.#resets()) - resetsBefore;
    client.stdin?.end();
    const received = await within(
      kind.upload ? served.promise : heard.promise,
      ENDING_MS,
      `${kind.name}: the receiver did not end`,
    );
    if (client.exitCode === null) await within(once(client, 'exit'), ENDING_MS, 'the client hangs');
    await this.#cure(how);
    const adopter = takeovers.find((takeover) => takeover.adopted !== undefined);
    if (adopter === undefined || adopter.wasBefore)
      throw new Error('taken over before the failure');
    return sampleOf(kind, failedAt, adopter, received, resets);
  }

  #spawn(kind: Kind): ChildProcess {
    const { address, port } = this.#place;
    return this.#lab.spawn('client', [...PEER, kind.name, address, String(port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  }

  /** Brings the member back, and waits until it has its addresses again. */
  async #cure(how: How): Promise<void> {
    const { victim } = this.#place;
    const back = Promise.withResolvers<void>();
    this.#onEvent = (event) => {
      if (event.type !== 'output' || event.process !== victim) return;
      if (event.line.includes('"event":"claimed"')) back.resolve();
    };
    await this.#lab.fail(CURES[how], victim);
    await within(back.promise, CURE_MS, `${victim} does not come back`);
    await sleep(BEFORE_MS);
  }

  async #resets(): Promise<number> {
    return parseSnmp(await this.#read('client', '/proc/net/snmp')).resets;
  }

  async #read(host: string, file: string): Promise<string> {
    return (await this.#lab.exec(host, ['cat', file])).stdout;
  }
}

interface Names {
  readonly members: readonly string[];
  readonly servers: readonly string[];
}

function sampleOf(
  kind: Kind,
  failedAt: number,
  takeover: Takeover,
  { silences, bytes, wrong }: Received,
  resets: number,
): Sample {
  const adoptedAt = takeover.adopted?.at ?? failedAt;
  const detectedAt = Math.min(takeover.detected?.at ?? adoptedAt, adoptedAt);
  const gap = gapAmong(silences, failedAt, adoptedAt);
  const resumedAt = gap?.to ?? failedAt;
  const second = gapAmong(silences, resumedAt, adoptedAt + SETTLE_MS - MARGIN_MS);
  return {
    kind: kind.name,
    gapMs: gap === undefined ? 0 : lengthOf(gap),
    resumedMs: resumedAt - failedAt,
    detectionMs: detectedAt - failedAt,
    adoptionMs: adoptedAt - detectedAt,
    retransmissionMs: resumedAt - adoptedAt,
    secondMs: second === undefined ? 0 : lengthOf(second),
    stalledMs: takeover.stalledBetween(failedAt, resumedAt),
    bytes,
    wrong,
    resets,
  };
}

async function within<T>(promise: Promise<T>, ms: number, complaint: string): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).then(
    () => Promise.reject(new Error(complaint)),
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}
