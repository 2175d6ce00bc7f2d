/** What the survivor's log says about the failure: when it noticed and when it took over. */
import type { LabEvent } from '../lab/event.ts';

/** Something the survivor did after the failure. */
export interface Notice {
  readonly kind: 'detected' | 'adopted';
  /** Milliseconds of CLOCK_MONOTONIC. */
  readonly at: number;
  /** The addresses that were announced; none for a detection. */
  readonly addresses: readonly string[];
}

/** A log's time is in whole milliseconds, so that an event may seem that much earlier. */
const ROUNDING_MS = 1;

/** Stalls that are remembered. */
const STALLS = 10_000;

export interface TakeoverOptions {
  readonly survivor: string;
  readonly victim: string;
  /** The time of day less CLOCK_MONOTONIC, in milliseconds. */
  readonly wallMinusMonotonic: number;
  /** Called once for each kind, in order, with what came after the failure. */
  readonly onNotice?: (notice: Notice) => void;
}

export class Takeover {
  readonly #options: TakeoverOptions;
  readonly #whenAdopted = Promise.withResolvers<void>();
  /** Times in which the survivor did not run, as it said itself. */
  readonly #stalls: { readonly at: number; readonly ms: number }[] = [];
  /** What came before the failure's moment was known. */
  #early: Notice[] = [];
  /** When the survivor took the victim's addresses; absent while they are the victim's own. */
  #heldSince: number | undefined;
  #failedAt: number | undefined;
  detected: Notice | undefined;
  adopted: Notice | undefined;
  /**
   * Whether the survivor had the victim's addresses already when the failure came: on a busy machine
   * a member may miss heartbeats of one that lives.
   */
  wasBefore = false;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  /** Resolves with the takeover; never if there is none. */
  get whenAdopted(): Promise<void> {
    return this.#whenAdopted.promise;
  }

  /** Tells the failure's moment. What the log said of earlier ones does not count. */
  failed(at: number): void {
    this.#failedAt = at;
    this.wasBefore = this.#heldSince !== undefined && this.#heldSince < at - ROUNDING_MS;
    if (this.wasBefore) this.#whenAdopted.resolve();
    for (const notice of this.#early) this.#take(notice, at);
    this.#early = [];
  }

  /** For how many milliseconds between two moments a busy machine did not let the survivor run. */
  stalledBetween(from: number, to: number): number {
    return this.#stalls
      .map(({ at, ms }) => Math.max(0, Math.min(at, to) - Math.max(at - ms, from)))
      .reduce((sum, ms) => sum + ms, 0);
  }

  /** Reads one event of the lab. */
  see(event: LabEvent): void {
    const { survivor, victim, wallMinusMonotonic } = this.#options;
    if (event.type !== 'output' || event.process !== survivor) return;
    const facts = parse(event.line);
    if (typeof facts.time !== 'number') return;
    const at = facts.time - wallMinusMonotonic;
    if (facts.msg === 'member suspected' && facts.peer === victim) {
      this.#notice({ kind: 'detected', at, addresses: [] });
    } else if (facts.event === 'adopted' && facts.member === victim) {
      this.#heldSince = at;
      const addresses = Array.isArray(facts.addresses) ? facts.addresses.map(String) : [];
      this.#notice({ kind: 'adopted', at, addresses });
    } else if (facts.event === 'released' && facts.member === victim) {
      this.#heldSince = undefined;
    } else if (facts.msg === 'this process did not run for a while') {
      // In microseconds; many of them only on a machine where nothing goes well.
      if (this.#stalls.length < STALLS) this.#stalls.push({ at, ms: Number(facts.stall) / 1000 });
    }
  }

  #notice(notice: Notice): void {
    if (this.#failedAt === undefined) this.#early.push(notice);
    else this.#take(notice, this.#failedAt);
  }

  #take(notice: Notice, failedAt: number): void {
    if (notice.at < failedAt - ROUNDING_MS || this[notice.kind] !== undefined) return;
    const taken = { ...notice, at: Math.max(notice.at, failedAt) };
    this[notice.kind] = taken;
    this.#options.onNotice?.(taken);
    if (notice.kind === 'adopted') this.#whenAdopted.resolve();
  }
}

/** The facts of a log line; none when it is something else, such as the stack of an error. */
function parse(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
