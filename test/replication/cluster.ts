// Members with tables, on a simulated network.
import type { Micros } from '../../src/env/clock.ts';
import { MILLISECOND } from '../../src/env/clock.ts';
import { silentLogger } from '../../src/env/logger.ts';
import { Timers } from '../../src/env/timers.ts';
import { fromIpv4 } from '../../src/ip/address.ts';
import type { Handshakes } from '../../src/replication/handshakes.ts';
import type { Head } from '../../src/replication/heads.ts';
import type { Incarnation } from '../../src/replication/incarnation.ts';
import { type Member, memberList } from '../../src/replication/member.ts';
import { Patiences } from '../../src/replication/patience.ts';
import { Replicator } from '../../src/replication/replicator.ts';
import type { ReplicatorOptions } from '../../src/replication/replicator-options.ts';
import type { RecordSource } from '../../src/replication/snapshot.ts';
import type { View } from '../../src/replication/takeover.ts';
import { SimNetwork, SimPort } from './network.ts';

export const UDP_PORT = 7946;

/** Bytes from a record's epoch to its end, in either family. */
const TAIL = 16;

/**
 * A record of flow `flow` with an epoch and something to tell it from others: an IPv4 record, or an IPv6 record
 * for an odd number, so that every test has both.
 */
export function recordOf(flow: number, epoch = 0, content = 0): Uint8Array {
  const length = (flow & 1) === 0 ? 64 : 112;
  const record = new Uint8Array(length);
  const view = new DataView(record.buffer);
  view.setUint32(0, flow);
  view.setUint32(8, 0xfffe_0050);
  view.setUint32(length - TAIL, epoch);
  view.setUint32(length - 4, content);
  return record;
}

/** The flow of a record. */
export const flowOf = (record: Uint8Array): Uint8Array =>
  record.slice(0, record.length === 64 ? 12 : 36);

export function keyOf(record: Uint8Array): Uint8Array {
  const epochAt = record.length - TAIL;
  return Uint8Array.of(...flowOf(record), ...record.subarray(epochAt, epochAt + 4));
}

const epochOf = (record: Uint8Array): number =>
  new DataView(record.buffer, record.byteOffset).getUint32(record.length - TAIL);

/** Epoch, and then the content, which stands for the home. */
const rankOf = (record: Uint8Array): number =>
  epochOf(record) * 2 ** 32 +
  new DataView(record.buffer, record.byteOffset).getUint32(record.length - 4);

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A table whose free slots are used again, so that a snapshot's cursor may have passed a new record. */
export class SimTable implements RecordSource {
  readonly #slots: (Uint8Array | undefined)[] = [];
  readonly #byFlow = new Map<string, number>();
  readonly #free: number[] = [];
  /** Records that one call shows at most; small values make a snapshot last. */
  step = 512;

  get size(): number {
    return this.#byFlow.size;
  }

  put(record: Uint8Array): void {
    const flow = text(flowOf(record));
    const slot = this.#byFlow.get(flow) ?? this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = record.slice();
    this.#byFlow.set(flow, slot);
  }

  delete(key: Uint8Array): void {
    const flow = text(key.subarray(0, -4));
    const slot = this.#byFlow.get(flow);
    if (slot === undefined) return;
    const record = this.#slots[slot];
    if (record === undefined || text(keyOf(record)) !== text(key)) return;
    this.#slots[slot] = undefined;
    this.#byFlow.delete(flow);
    this.#free.push(slot);
  }

  standsAgainst(record: Uint8Array): Uint8Array | undefined {
    const slot = this.#byFlow.get(text(flowOf(record)));
    const standing = slot === undefined ? undefined : this.#slots[slot];
    if (standing === undefined || text(standing) === text(record)) return undefined;
    return epochOf(record) > epochOf(standing) ? undefined : standing;
  }

  forEachRecord(cursor: number, limit: number, visit: (record: Uint8Array) => void): number {
    const end = Math.min(cursor + Math.min(limit, this.step), this.#slots.length);
    for (let slot = cursor; slot < end; slot++) {
      const record = this.#slots[slot];
      if (record !== undefined) visit(record);
    }
    return end === this.#slots.length ? -1 : end;
  }

  keyOf(record: Uint8Array, key: Uint8Array): number {
    const written = keyOf(record);
    key.set(written);
    return written.length;
  }

  /** All records as text, sorted: equal tables are equal lists. */
  contents(): string[] {
    return this.#slots.flatMap((record) => (record === undefined ? [] : [text(record)])).sort();
  }
}

export type Settings = Partial<Omit<ReplicatorOptions, 'members'>>;

/** One process: it starts anew when it is fenced, as the proxy does. */
export class SimMember {
  readonly member: Member;
  readonly cluster: SimCluster;
  settings: Settings;
  port: SimPort;
  timers = new Timers();
  table = new SimTable();
  replicator: Replicator;
  running = false;
  paused = false;
  /** What it learnt of the others' silences, through all its lives. */
  patiences: Patiences;
  /** What happened, in order. */
  readonly log: string[] = [];
  held = new Set<number>();
  views: View[] = [];
  orphans: Head[] = [];
  abandoned: Handshakes[] = [];
  fences: Incarnation[] = [];
  /** Records that were proposed to this member. */
  readonly seen = new Set<string>();
  /** The others' messages to this life, in their order: `from +content`, `from -flow`. */
  arrivals: string[] = [];

  constructor(cluster: SimCluster, member: Member, settings: Settings) {
    this.cluster = cluster;
    this.member = member;
    this.settings = settings;
    this.port = new SimPort(cluster.network, member.address);
    this.patiences = this.#patiences();
    this.replicator = this.#create(undefined);
  }

  get id(): number {
    return this.member.id;
  }

  get now(): Micros {
    return this.cluster.network.now();
  }

  get serves(): boolean {
    return this.running && this.replicator.state === 1;
  }

  start(above?: Incarnation): void {
    this.timers = new Timers();
    this.table = new SimTable();
    this.port = new SimPort(this.cluster.network, this.member.address);
    this.held = new Set();
    this.arrivals = [];
    if (above === undefined) this.patiences = this.#patiences();
    this.replicator = this.#create(above);
    this.running = true;
    this.replicator.start(this.now);
    const { timers, replicator } = this;
    this.cluster.network.attach(this.port, {
      get nextAt() {
        return timers.nextAt;
      },
      breath: (now) => {
        timers.run(now);
        replicator.flush(now);
      },
    });
  }

  /** SIGKILL. */
  kill(): void {
    this.running = false;
    this.held = new Set();
    this.cluster.network.detach(this.member.address);
  }

  /** SIGSTOP. */
  pause(): void {
    this.paused = true;
    this.cluster.network.pause(this.member.address, true);
  }

  /** SIGCONT. */
  resume(): void {
    this.paused = false;
    this.cluster.network.pause(this.member.address, false);
  }

  /** Does something as part of a breath. */
  act(what: (replicator: Replicator) => void): void {
    what(this.replicator);
    this.replicator.flush(this.now);
  }

  /** Commits as the proxy does: the own table has the record when all others have it. */
  commit(record: Uint8Array, done: (ok: boolean) => void = () => {}): void {
    const { table, replicator } = this;
    this.act(() =>
      replicator.commit(record, (ok) => {
        if (ok) {
          this.#checkHandedOver(record);
          table.put(record);
        }
        done(ok);
      }),
    );
  }

  /** Invariant I2: whoever is up in the eyes of this member has had the record. */
  #checkHandedOver(record: Uint8Array): void {
    for (const { name, status } of this.replicator.peers) {
      const peer = this.cluster.members.find(({ member }) => member.name === name);
      if ((status === 'live' || status === 'joining') && !peer?.seen.has(text(record))) {
        throw new Error(`${this.member.name} committed a record that ${name} does not have`);
      }
    }
  }

  remove(record: Uint8Array): void {
    this.table.delete(keyOf(record));
    this.act((replicator) => replicator.remove(keyOf(record)));
  }

  #patiences(): Patiences {
    return new Patiences(this.settings.suspectAfter ?? 30 * MILLISECOND);
  }

  #create(above: Incarnation | undefined): Replicator {
    const { network } = this.cluster;
    const { table, timers, port } = this;
    const options: ReplicatorOptions = {
      udpPort: UDP_PORT,
      cluster: 'test',
      secrets: ['a secret of the cluster under test'],
      self: this.member.id,
      random: network.random,
      logger: silentLogger,
      grace: 3_000 * MILLISECOND,
      patiences: this.patiences,
      ...this.settings,
      members: this.cluster.list,
      port,
      clock: network,
      timers,
      table,
      ...(above === undefined ? {} : { above }),
    };
    return new Replicator(options, {
      insert: (_from, record) => table.put(record),
      proposed: (from, record) => {
        this.seen.add(text(record));
        this.arrivals.push(`${from} +${text(record)}`);
      },
      standsAgainst: (record) => table.standsAgainst(record),
      prevails: (first, second) => rankOf(first) > rankOf(second),
      delete: (from, key) => {
        table.delete(key);
        this.arrivals.push(`${from} -${text(key)}`);
      },
      seen: () => {},
      taken: () => {},
      orphan: (head) => this.orphans.push(head),
      abandoned: (handshakes) => this.abandoned.push(handshakes),
      view: (view) => this.views.push(view),
      returned: () => {
        this.log.push('returned');
      },
      claim: (id) => {
        this.held.add(id);
        this.log.push(`claim ${id}`);
      },
      release: (id) => {
        this.held.delete(id);
        this.log.push(`release ${id}`);
      },
      fenced: (floor) => {
        this.fences.push(floor);
        this.log.push('fenced');
        this.start(floor);
      },
    });
  }
}

export class SimCluster {
  readonly network: SimNetwork;
  readonly list: readonly Member[];
  readonly members: readonly SimMember[];

  constructor(seed: number, count: number, settings: Settings = {}) {
    this.network = new SimNetwork(seed);
    const names = Array.from({ length: count }, (_, id) => `p${id + 1}`);
    this.list = memberList(
      new Map(names.map((name, id) => [name, { address: fromIpv4(0x0a01_000b + id) }])),
    );
    this.members = this.list.map((member) => new SimMember(this, member, settings));
  }

  /** Starts all at once and waits until all serve in one view. */
  startAll(): void {
    for (const member of this.members) member.start();
    this.network.until(() => this.settled(this.members));
  }

  /** True if exactly these serve, agree on it, and have nothing outstanding. */
  settled(members: readonly SimMember[]): boolean {
    const ids = members.map((member) => member.id).join();
    return members.every(
      ({ serves, replicator }) =>
        serves &&
        replicator.currentView.active.join() === ids &&
        replicator.unacked === 0 &&
        replicator.undecided === 0,
    );
  }
}
