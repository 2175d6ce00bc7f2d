// Steps a whole network of hosts from event to event on a virtual clock: what happens depends on the seeds
// alone, and an hour passes in the time it takes to compute it.
import { type Micros, NEVER } from '../env/clock.ts';
import { type PortOptions, SimulatedNetwork, type SimulatedPort } from './network.ts';
import { VirtualClock } from './virtual-clock.ts';

/** What takes part: a host, or anything that breathes like one. */
export interface Actor {
  /** Handles what has arrived and what is due. */
  breath(): unknown;
  /** When it wants to breathe even if nothing arrives. */
  readonly nextAt: Micros;
}

interface Participant {
  readonly actor: Actor;
  readonly ports: readonly SimulatedPort[];
  paused: boolean;
}

export interface RunLimits {
  /** Events at most; 1,000,000 when absent. */
  maxEvents?: number;
  /** Virtual time that may pass; an hour when absent. */
  maxTime?: Micros;
}

/** Why a run ended: its condition holds, nothing is left to happen, or a limit was reached. */
export type RunEnd = 'met' | 'idle' | 'events' | 'time';

export class Simulation {
  readonly clock = new VirtualClock();
  readonly network: SimulatedNetwork;
  /** Steps so far. */
  events = 0;
  /** Called after every event: the place for invariants. */
  onEvent: (() => void) | undefined;
  readonly #participants: Participant[] = [];
  #turn = 0;

  constructor(seed: number) {
    this.network = new SimulatedNetwork(this.clock, seed);
  }

  /** A cable for a host that is to be made. */
  port(options?: PortOptions): SimulatedPort {
    return this.network.attach(options);
  }

  /** Lets an actor take part, with the ports that it reads. */
  add<T extends Actor>(actor: T, ...ports: SimulatedPort[]): T {
    this.#participants.push({ actor, ports, paused: false });
    return actor;
  }

  /** Stops an actor as SIGKILL would: it never breathes again, and its cables are dead. */
  remove(actor: Actor): void {
    const index = this.#participants.findIndex((participant) => participant.actor === actor);
    if (index < 0) return;
    const [removed] = this.#participants.splice(index, 1);
    for (const port of removed.ports) this.network.detach(port);
  }

  /** Stops an actor as SIGSTOP would: frames wait for it. */
  pause(actor: Actor): void {
    this.#setPaused(actor, true);
  }

  resume(actor: Actor): void {
    this.#setPaused(actor, false);
  }

  /** Does the next thing: one breath, or a step in time. False if nothing is left to happen before `limit`. */
  step(limit: Micros = NEVER): boolean {
    const now = this.clock.now();
    this.network.deliver(now);
    const due = this.#nextDue(now);
    if (due !== undefined) {
      due.actor.breath();
      this.#happened();
      return true;
    }
    let next = this.network.nextAt;
    for (const { actor, paused } of this.#participants) {
      if (!paused) next = Math.min(next, actor.nextAt);
    }
    if (next === NEVER || next > limit) return false;
    this.clock.advanceTo(next);
    this.#happened();
    return true;
  }

  /** Runs until `condition` holds, which is asked after every event. */
  runUntil(condition: () => boolean, limits: RunLimits = {}): RunEnd {
    const { maxEvents = 1_000_000, maxTime = 3_600_000_000 } = limits;
    const deadline = this.clock.now() + maxTime;
    for (let event = 0; event < maxEvents; event++) {
      if (condition()) return 'met';
      if (!this.step(deadline)) {
        if (this.#isIdle()) return 'idle';
        this.clock.advanceTo(deadline);
        return 'time';
      }
    }
    return condition() ? 'met' : 'events';
  }

  /** Lets time pass. */
  runFor(span: Micros, maxEvents?: number): RunEnd {
    const end = this.clock.now() + span;
    const limits = maxEvents === undefined ? { maxTime: span } : { maxTime: span, maxEvents };
    const reason = this.runUntil(() => false, limits);
    if (reason === 'idle') this.clock.advanceTo(end);
    return reason;
  }

  /** Who breathes next: whoever has a reason to, in turns. */
  #nextDue(now: Micros): Participant | undefined {
    const all = this.#participants;
    for (let tried = 0; tried < all.length; tried++) {
      const index = (this.#turn + tried) % all.length;
      const { actor, ports, paused } = all[index];
      if (paused || (actor.nextAt > now && !ports.some((port) => port.pending > 0))) continue;
      this.#turn = index + 1;
      return all[index];
    }
    return undefined;
  }

  #isIdle(): boolean {
    return (
      this.network.nextAt === NEVER &&
      this.#participants.every(({ actor, paused }) => paused || actor.nextAt === NEVER)
    );
  }

  #setPaused(actor: Actor, paused: boolean): void {
    const found = this.#participants.find((participant) => participant.actor === actor);
    if (found !== undefined) found.paused = paused;
  }

  #happened(): void {
    this.events++;
    this.onEvent?.();
  }
}
