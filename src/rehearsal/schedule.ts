// What breaks and when: the plan's faults, each at its moment, as far as the cluster must survive it.
//
// A fault that takes members away waits until it leaves one that is well and *up to date*: it serves, and every
// other member that serves has it among those whom it tells all, so that nothing was promised without it. A member
// that was killed, or has left, starts again only when its cable is good: who starts where it reaches nobody takes itself for the
// only one.
import { MILLISECOND, type Micros, NEVER } from '../env/clock.ts';
import { isServing, isWell, type SimulatedCluster, type Station, takesPart } from './cluster.ts';
import { replicates } from './holdings.ts';
import type { FaultPlan } from './plan.ts';
import { isVoid, type Talk } from './talks.ts';

/** A fault that must wait is tried again after this time, and given up after so many attempts. */
const AGAIN: Micros = 20 * MILLISECOND;
const ATTEMPTS = 100;

interface Waiting {
  readonly plan: FaultPlan;
  notBefore: Micros;
  attempts: number;
}

interface Ending {
  readonly at: Micros;
  readonly end: () => void;
}

export class Schedule {
  /** How many faults of each kind there were. */
  readonly struck: Record<string, number> = {};
  readonly #cluster: SimulatedCluster;
  readonly #talks: readonly Talk[];
  readonly #start: Micros;
  #waiting: Waiting[];
  #endings: Ending[] = [];

  /** @param talks those that faults wait for, by their numbers */
  constructor(cluster: SimulatedCluster, faults: readonly FaultPlan[], talks: readonly Talk[]) {
    this.#cluster = cluster;
    this.#talks = talks;
    this.#start = cluster.simulation.clock.now();
    this.#waiting = faults.map((plan) => ({ plan, notBefore: 0, attempts: 0 }));
  }

  /** True once nothing more breaks, and all is mended that is to be. */
  get isOver(): boolean {
    return (
      this.#waiting.length === 0 &&
      this.#endings.length === 0 &&
      this.#cluster.stations.every(({ isLeaving }) => !isLeaving)
    );
  }

  /** When the next fault begins or ends that the clock alone decides on. */
  get nextAt(): Micros {
    const now = this.#cluster.simulation.clock.now();
    let at = NEVER;
    for (const { at: end } of this.#endings) at = Math.min(at, end);
    for (const { plan, notBefore } of this.#waiting) {
      if (plan.talk < 0) at = Math.min(at, Math.max(this.#start + plan.at, notBefore));
      else if (notBefore > now) at = Math.min(at, notBefore);
    }
    return at;
  }

  /** Does what is due; after every event. */
  step(): void {
    const { simulation } = this.#cluster;
    const now = simulation.clock.now();
    if (this.#endings.length > 0) this.#mend(now);
    for (const waiting of this.#waiting) {
      if (!this.#isDue(waiting, now)) continue;
      if (this.#strike(waiting.plan) || ++waiting.attempts >= ATTEMPTS) {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
      } else waiting.notBefore = now + AGAIN;
    }
  }

  #isDue({ plan, notBefore }: Waiting, now: Micros): boolean {
    if (now < notBefore) return false;
    if (plan.talk < 0) return now >= this.#start + plan.at;
    const talk = this.#talks[plan.talk];
    const then = talk.moments[plan.moment];
    // A moment that a talk does not reach any more is as good as its end.
    // Nor may one that is torn, which hangs.
    if (then < 0) return talk.client.closed || talk.isTorn || isVoid(talk);
    return this.#cluster.simulation.events >= then + plan.events;
  }

  #mend(now: Micros): void {
    const due = this.#endings.filter(({ at }) => at <= now);
    if (due.length === 0) return;
    this.#endings = this.#endings.filter(({ at }) => at > now);
    for (const { end } of due) end();
  }

  #later(span: Micros, end: () => void): void {
    this.#endings.push({ at: this.#cluster.simulation.clock.now() + span, end });
  }

  /** False if it must wait. */
  #strike(plan: FaultPlan): boolean {
    const struck = this.#dispatch(plan);
    if (struck) this.struck[plan.kind] = (this.struck[plan.kind] ?? 0) + 1;
    return struck;
  }

  #dispatch(plan: FaultPlan): boolean {
    switch (plan.kind) {
      case 'crash':
      case 'pause':
      case 'unplug':
        return this.#takeAway(plan);
      case 'drain':
        return this.#sendAway(plan);
      case 'cut':
      case 'half-cut':
      case 'split':
        return this.#separate(plan);
      case 'noise':
        return this.#disturb(plan);
    }
  }

  /** Those whom it may befall, the chosen one first; empty if that one is not among them. */
  #choose({ talk, home, whom }: FaultPlan, among: readonly Station[]): readonly Station[] {
    const dialer = home && talk >= 0 ? this.#talks[talk].dialer : undefined;
    const first = dialer === undefined ? whom % Math.max(among.length, 1) : among.indexOf(dialer);
    return first < 0 ? [] : [...among.slice(first), ...among.slice(0, first)];
  }

  #takeAway(plan: FaultPlan): boolean {
    const { victims } = plan;
    const chosen = this.#choose(plan, this.#cluster.stations.filter(isWell));
    if (chosen.length === 0) return true;
    // Two at once, if that leaves one; else one.
    for (let count = Math.min(victims, chosen.length); count > 0; count--) {
      const gone = chosen.slice(0, count);
      if (!this.#isSurvivable(gone)) continue;
      for (const station of gone) this.#take(station, plan);
      return true;
    }
    return false;
  }

  #sendAway(plan: FaultPlan): boolean {
    const { span, limit } = plan;
    const serving = this.#cluster.stations.filter(
      (station) => isWell(station) && isServing(station),
    );
    const [station] = this.#choose(plan, serving);
    if (station === undefined) return true;
    if (!this.#isSurvivable([station])) return false;
    this.#cluster.drain(station, limit, () => {
      if (span >= 0) this.#later(span, () => this.#restart(station));
    });
    return true;
  }

  #take(station: Station, { kind, span, told }: FaultPlan): void {
    const cluster = this.#cluster;
    const life = station.member;
    if (kind === 'crash') {
      cluster.crash(station, told);
      if (span >= 0) this.#later(span, () => this.#restart(station));
    } else if (kind === 'pause') {
      cluster.pause(station);
      this.#later(span, () => {
        if (station.member === life && station.isPaused) cluster.resume(station);
      });
    } else {
      cluster.plug(station, false);
      this.#later(span, () => {
        if (station.member === life && station.isRunning) cluster.plug(station, true);
      });
    }
  }

  #restart(station: Station): void {
    const reachesNobody = this.#cluster.stations.every(
      (other) => other === station || !isWell(other) || this.#cluster.isCut(station, other),
    );
    if (reachesNobody) this.#later(AGAIN, () => this.#restart(station));
    else this.#cluster.start(station);
  }

  /** True if somebody who is up to date is left without `gone`. */
  #isSurvivable(gone: readonly Station[]): boolean {
    const { stations } = this.#cluster;
    return stations.some(
      (survivor) =>
        !gone.includes(survivor) &&
        isWell(survivor) &&
        isServing(survivor) &&
        stations.every(
          (other) =>
            other === survivor ||
            !other.isRunning ||
            !takesPart(other) ||
            replicates(other, survivor),
        ),
    );
  }

  #separate({ kind, whom, span }: FaultPlan): boolean {
    const { stations } = this.#cluster;
    const count = stations.length;
    const pairs: [Station, Station][] = [];
    if (kind === 'split') {
      // Any division into two groups: a bit a member, neither none nor all.
      const mask = 1 + (whom % (2 ** count - 2));
      for (const one of stations) {
        for (const other of stations) {
          const apart = ((mask >> one.id) & 1) !== ((mask >> other.id) & 1);
          if (apart) pairs.push([one, other]);
        }
      }
    } else {
      const one = stations[whom % count];
      const other = stations[(one.id + 1 + ((whom >>> 8) % (count - 1))) % count];
      pairs.push([one, other]);
      if (kind === 'cut') pairs.push([other, one]);
    }
    for (const [from, to] of pairs) this.#cluster.cut(from, to, true);
    this.#later(span, () => {
      for (const [from, to] of pairs) this.#cluster.cut(from, to, false);
    });
    return true;
  }

  #disturb({ whom, span }: FaultPlan): boolean {
    const cluster = this.#cluster;
    const before = cluster.plan.mesh;
    const delay = (whom >>> 8) % (50 * MILLISECOND);
    cluster.mesh = whom % 2 === 0 ? { ...before, loss: 0.3 } : { ...before, delay };
    this.#later(span, () => {
      cluster.mesh = before;
    });
    return true;
  }
}
