// One run of the whole cluster: what a seed's plan says happens, and what must hold is checked at every step.
import { MILLISECOND, type Micros, NEVER, SECOND } from '../env/clock.ts';
import { Simulation } from '../sim/simulation.ts';
import { isServing, isWell, SimulatedCluster, type Station } from './cluster.ts';
import { replicates } from './holdings.ts';
import { leftovers } from './leftovers.ts';
import { drawPlan, type Plan } from './plan.ts';
import { Schedule } from './schedule.ts';
import * as site from './site.ts';
import { Script } from './talk.ts';
import { TalkClient } from './talk-client.ts';
import { TalkServer } from './talk-server.ts';
import { isVoid, type Talk } from './talks.ts';
import { Timeline } from './timeline.ts';
import { type Violation, Watch } from './watch.ts';

/** What a run came to. */
export interface Outcome {
  readonly seed: number;
  /** Absent if all was well. */
  readonly violation?: Violation;
  /** Steps of the simulation, and a hash of everything that was on the wires. */
  readonly events: number;
  readonly hash: number;
  /** Virtual time that passed. */
  readonly micros: Micros;
  readonly talks: number;
  /** Bytes that clients heard. */
  readonly bytes: number;
  /** Talks that a division of the cluster tore, and clients that were not greeted. */
  readonly torn: number;
  readonly unheard: number;
  /** Talks whose home answered itself, since the backend could not be reached in time. */
  readonly refused: number;
  /** How many faults of each kind there were. */
  readonly faults: Readonly<Record<string, number>>;
}

export interface RehearsalOptions {
  /** Receives the timeline's lines up to a violation, or to the end. */
  readonly trace?: (line: string) => void;
}

/** All clients must be done so long after the last fault was mended: senders have backed off meanwhile. */
const PATIENCE: Micros = 60 * SECOND;
/** And all members must agree on who lives, and have forgotten everything. */
const HEALING: Micros = 10 * SECOND;
/** Longer than the longest timeout, which what is torn may wait for. */
const FORGETTING: Micros = 90 * SECOND;
const MAX_EVENTS = 4_000_000;
const LONGEST: Micros = 600 * SECOND;
const FIRST_PORT = 40_000;
/** Timers that a member may have more than at first: neighbours. */
const SPARE_TIMERS = 6;
/** Members announce addresses up to 2 s after a change of view: each announcement that is to come has a timer. */
const ANNOUNCING: Micros = 3 * SECOND;
/** Between two looks at all tables, in events. */
const LOOK_EVERY = 32;

/** Runs the plan of `seed`. */
export const rehearse = (seed: number, options: RehearsalOptions = {}): Outcome =>
  new Rehearsal(drawPlan(seed), options).run();

class Rehearsal {
  readonly #plan: Plan;
  readonly #options: RehearsalOptions;
  readonly #simulation: Simulation;
  readonly #timeline: Timeline;
  readonly #watch: Watch;
  readonly #cluster: SimulatedCluster;
  readonly #servers: readonly TalkServer[];
  /** By the numbers of their scripts. */
  readonly #clients: TalkClient[] = [];
  readonly #schedule: Schedule;
  /** Timers that a member has when nobody has said anything yet. */
  readonly #idleTimers: number;
  /** Set when nothing breaks any more: clients must be done by then. */
  #deadline: Micros = NEVER;

  constructor(plan: Plan, options: RehearsalOptions) {
    this.#plan = plan;
    this.#options = options;
    const simulation = new Simulation(plan.seed);
    this.#simulation = simulation;
    this.#timeline = new Timeline(simulation.clock, options.trace !== undefined);
    this.#watch = new Watch(this.#timeline, () => simulation.events);
    this.#cluster = new SimulatedCluster(plan, simulation, this.#timeline, this.#watch);
    this.#watch.cluster = this.#cluster;
    const armed = this.#cluster.stations.map(({ member }) => member.host.timers.armed);
    this.#idleTimers = Math.max(...armed);
    const scripts = plan.talks.map((talk, number) => new Script(number, talk));
    this.#servers = this.#listen(scripts);
    for (const script of scripts) {
      const client = this.#client(script);
      this.#clients.push(client);
      this.#watch.add(client);
    }
    this.#schedule = new Schedule(this.#cluster, plan.faults, this.#watch.talks);
  }

  run(): Outcome {
    try {
      this.#converse();
      if (this.#watch.violation === undefined) this.#checkEnds();
      if (this.#watch.violation === undefined) this.#checkHealed();
      if (this.#watch.violation === undefined) this.#checkForgotten();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#watch.accuse(`an exception: ${text}`);
    }
    this.#print();
    return this.#outcome();
  }

  #listen(scripts: readonly Script[]): TalkServer[] {
    const { backends } = this.#cluster;
    return backends.flatMap((host, index) => {
      const address = site.hostAddress(site.BACKEND + index, this.#plan.family);
      return [
        new TalkServer(host, { address, port: site.WEB_PORT }, scripts, false),
        new TalkServer(host, { address, port: site.MAIL_PORT }, scripts, true),
      ];
    });
  }

  #client(script: Script): TalkClient {
    const { clients, virtual } = this.#cluster;
    const { follows, opaque } = script.plan;
    const previous = follows < 0 ? undefined : this.#clients[follows];
    const place = previous === undefined ? script.number : previous.local.port - FIRST_PORT;
    const index = place % clients.length;
    const address = site.hostAddress(site.CLIENT + index, this.#plan.family);
    const local = { address, port: FIRST_PORT + place };
    const remote = { address: virtual, port: opaque ? site.MAIL_PORT : site.WEB_PORT };
    return new TalkClient(clients[index], script, local, remote, previous);
  }

  /** Until all clients are done, or should be. */
  #converse(): void {
    const simulation = this.#simulation;
    const schedule = this.#schedule;
    const watch = this.#watch;
    simulation.add({
      breath: () => schedule.step(),
      get nextAt() {
        return schedule.nextAt;
      },
    });
    simulation.onEvent = () => {
      schedule.step();
      watch.lookForWitnesses();
      if (simulation.events % LOOK_EVERY === 0) watch.compareTables();
    };
    // Talks that had begun when the deadline was set: who begins later gets as long.
    let patient = 0;
    const isDone = (): boolean => {
      if (watch.violation !== undefined) return true;
      const begun = this.#clients.filter((client) => client.begun).length;
      if (schedule.isOver && begun > patient) {
        patient = begun;
        this.#deadline = simulation.clock.now() + PATIENCE;
      }
      if (simulation.clock.now() > this.#deadline) return true;
      // One that is torn may hang until somebody's timeout.
      const isOver = (talk: Talk): boolean => talk.client.closed || talk.isTorn || isVoid(talk);
      return schedule.isOver && watch.talks.every(isOver);
    };
    const end = simulation.runUntil(isDone, { maxEvents: MAX_EVENTS, maxTime: LONGEST });
    for (const client of this.#clients) client.cancel();
    if (end === 'met') return;
    this.#checkEnds();
    watch.accuse(`the run has no end (${end})`);
  }

  /** What clients and backends heard, and how it ended. */
  #checkEnds(): void {
    const sessions = this.#servers.flatMap((server) => server.sessions);
    for (const { faults } of sessions) if (faults.length > 0) this.#watch.accuse(faults[0]);
    for (const talk of this.#watch.talks) {
      const { client } = talk;
      const { script } = client;
      if (client.faults.length > 0) this.#watch.accuse(client.faults[0], talk);
      const witness = client.unheard ? this.#watch.witnesses.undisturbed(talk) : undefined;
      if (witness !== undefined && !talk.isTorn) {
        this.#watch.accuse(`the client is not greeted, though ${witness} knows of it`, talk);
      }
      if (client.isRefused && !talk.mayBeRefused) {
        this.#watch.accuse('I5: the client is refused, though its backend can be reached', talk);
      }
      if (talk.isTorn || talk.isRefused || client.left || isVoid(talk)) continue;
      const far = `after ${client.heard} of ${script.down.length} bytes`;
      if (!client.closed) {
        this.#watch.accuse(`the client hangs (${client.connection?.state}) ${far}`, talk);
      } else if (client.error !== undefined) {
        this.#watch.accuse(`the client met ${client.error.code} ${far}`, talk);
      } else if (client.heard !== script.down.length) {
        this.#watch.accuse(`I5: the client's stream ended ${far}`, talk);
      } else if (!sessions.some((session) => session.script === script && session.isComplete)) {
        this.#watch.accuse('I5: no backend heard the whole request', talk);
      }
    }
  }

  /** All members that run count each other in. */
  #checkHealed(): void {
    const running = this.#cluster.stations.filter(isWell);
    const agree = (): boolean =>
      running.every(
        (one) =>
          isServing(one) && running.every((other) => other === one || replicates(one, other)),
      );
    const end = this.#simulation.runUntil(agree, { maxTime: HEALING, maxEvents: MAX_EVENTS });
    if (end !== 'met') {
      const views = running.map(
        ({ name, member }) =>
          `${name}: ${member.replicator?.state} [${member.replicator?.currentView.active}]`,
      );
      this.#watch.accuse(`the members do not agree on who lives: ${views.join(', ')}`);
    }
  }

  /** Nothing is left of any connection. */
  #checkForgotten(): void {
    const running = this.#cluster.stations.filter(isWell);
    const { talks } = this.#watch;
    // What is left of a torn flow only one member may know of, and that one may not be its home.
    const torn = talks.filter(({ isTorn }) => isTorn).map(({ client }) => client);
    const left = (): boolean =>
      this.#watch.strays().length > 0 ||
      running.some((station) => leftovers(station, torn).length > 0);
    let nextLook = 0;
    const end = this.#simulation.runUntil(
      () => {
        const now = this.#simulation.clock.now();
        if (this.#watch.violation !== undefined) return true;
        if (now < nextLook) return false;
        nextLook = now + 20 * MILLISECOND;
        return !left();
      },
      { maxTime: FORGETTING, maxEvents: MAX_EVENTS },
    );
    if (end !== 'met') {
      const texts = running
        .map((station) => ({ name: station.name, left: leftovers(station, torn) }))
        .filter((each) => each.left.length > 0)
        .map((each) => `${each.name} keeps ${each.left.join(', ')}`);
      if (this.#watch.strays().length > 0) texts.push(...this.#watch.strays());
      this.#watch.accuse(`not all is forgotten: ${texts.join('; ')}`);
      return;
    }
    // What is torn may still be about.
    if (torn.some(({ closed }) => !closed)) return;
    const most = this.#idleTimers + SPARE_TIMERS;
    const busy = (): Station | undefined =>
      running.find(({ member }) => member.host.timers.armed > most);
    const isCalm = (): boolean => this.#watch.violation !== undefined || busy() === undefined;
    this.#simulation.runUntil(isCalm, { maxTime: ANNOUNCING, maxEvents: MAX_EVENTS });
    const station = busy();
    if (station === undefined) return;
    const { armed } = station.member.host.timers;
    this.#watch.accuse(`${station.name} has ${armed} timers, ${this.#idleTimers} when it was idle`);
  }

  #print(): void {
    const { trace } = this.#options;
    if (trace === undefined) return;
    trace(JSON.stringify(this.#plan));
    for (const line of this.#timeline.lines(this.#watch.violation?.talk ?? -1)) trace(line);
  }

  #outcome(): Outcome {
    const { talks, violation } = this.#watch;
    return {
      seed: this.#plan.seed,
      ...(violation === undefined ? {} : { violation }),
      events: this.#simulation.events,
      hash: this.#timeline.hash,
      micros: this.#simulation.clock.now(),
      talks: talks.length,
      bytes: talks.reduce((sum, { client }) => sum + client.heard, 0),
      torn: talks.filter(({ isTorn }) => isTorn).length,
      unheard: talks.filter(({ client }) => client.unheard).length,
      refused: talks.filter(({ isRefused }) => isRefused).length,
      faults: this.#schedule.struck,
    };
  }
}
