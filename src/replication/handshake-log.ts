/**
 * What the other members have told of handshakes that they began, each member's for itself, and what is left of those
 * of members that are gone.
 */
import { type Micros, SECOND } from '../env/clock.ts';
import { Handshakes } from './handshakes.ts';
import { chosenFor } from './takeover.ts';

/** Who is to go on with a dead member's handshakes does so at once, but may not have been told of all. */
const PRECEDENCE: Micros = SECOND;

interface Abandoned {
  readonly handshakes: Handshakes;
  /** When the member's life ended. */
  readonly at: Micros;
}

export class HandshakeLog {
  readonly #seed: number;
  readonly #begun = new Map<number, Handshakes>();
  readonly #abandoned = new Map<number, Abandoned>();

  /** @param seed of the hash of flows, which strangers choose */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** A member answers the SYN whose message has its payload at `at`. */
  begin(member: number, view: DataView, at: number, length: number, now: Micros): void {
    let handshakes = this.#begun.get(member);
    if (handshakes === undefined) {
      handshakes = new Handshakes(this.#seed);
      this.#begun.set(member, handshakes);
    }
    handshakes.note(view, at, length, now);
  }

  /** A flow's client is served, or gone, and who is to know of that does. */
  end(flow: Uint8Array): void {
    if (this.#begun.size + this.#abandoned.size === 0) return;
    for (const handshakes of this.#begun.values()) handshakes.end(flow);
    for (const { handshakes } of this.#abandoned.values()) handshakes.end(flow);
  }

  /** True if a flow's handshake was begun by another member, and is not known to be complete. */
  has(flow: Uint8Array): boolean {
    for (const handshakes of this.#begun.values()) if (handshakes.find(flow) >= 0) return true;
    return false;
  }

  /** A member's life is over. */
  bereave(member: number, now: Micros): void {
    const handshakes = this.#begun.get(member);
    if (handshakes === undefined) return;
    this.#begun.delete(member);
    this.#abandoned.set(member, { handshakes, at: now });
  }

  /**
   * Takes out what a member must go on with: the handshakes of those that are gone, at once if it holds their
   * addresses, else after a while, if nobody has gone on with them.
   */
  *takeFor(self: number, active: readonly number[], now: Micros): Generator<Handshakes> {
    for (const [member, { handshakes, at }] of this.#abandoned) {
      const others = active.filter((id) => id !== member);
      if (chosenFor(member, others) !== self && now - at < PRECEDENCE) continue;
      this.#abandoned.delete(member);
      if (others.includes(self)) yield handshakes;
    }
  }
}
