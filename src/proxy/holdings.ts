// The addresses of a member on the link: its own, and those of members that are gone.
import { MILLISECOND, type Micros } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { Timer } from '../env/timers.ts';
import type { Host } from '../host/host.ts';
import {
  type Address,
  formatAddress,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '../ip/address.ts';
import type { MemberConfig } from './config.ts';

/** An announcement may be lost, or overtaken by what the old owner still sent. */
const ANNOUNCE_AGAIN: readonly Micros[] = [
  20 * MILLISECOND,
  100 * MILLISECOND,
  500 * MILLISECOND,
  2_000 * MILLISECOND,
];

/** A member's addresses that a survivor adopts. */
const movable = ({ nextHops, sources }: MemberConfig): Address[] =>
  [...nextHops, ...sources].map(mustParse);

/** The configuration has been checked; what is no address here is a fault of ours. */
export function mustParse(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
}

export function mustParsePrefix(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new Error(`${text} is no network`);
  return prefix;
}

export class Holdings {
  readonly #host: Host;
  readonly #members: readonly MemberConfig[];
  readonly #self: number;
  readonly #logger: Logger;
  readonly #held = new Set<number>();
  /** Announcements to come, by member. */
  readonly #timers = new Map<number, readonly Timer[]>();
  /** When each member's addresses were announced last, not counting repetitions. */
  readonly #announcedAt = new Map<number, Micros>();
  /** How often this member took over another's addresses. */
  adoptions = 0;

  constructor(host: Host, members: readonly MemberConfig[], self: number, logger: Logger) {
    this.#host = host;
    this.#members = members;
    this.#self = self;
    this.#logger = logger;
  }

  /** Addresses of others that are held now. */
  get adopted(): number {
    let count = 0;
    for (const id of this.#held) if (id !== this.#self) count += movable(this.#members[id]).length;
    return count;
  }

  /** Takes a member's addresses and tells the link. */
  claim(id: number): void {
    const member = this.#members[id];
    const addresses = movable(member);
    this.#held.add(id);
    for (const address of addresses) this.#host.ip.addAddress(address);
    if (id !== this.#self) this.adoptions++;
    this.#announceForAWhile(id);
    this.#logger.info(
      {
        event: id === this.#self ? 'claimed' : 'adopted',
        member: member.name,
        addresses: addresses.map(formatAddress),
        at: this.#host.clock.now(),
      },
      id === this.#self ? 'own addresses claimed' : `addresses of ${member.name} adopted`,
    );
  }

  /**
   * Gives a member's addresses up.
   * @param deaf stay reachable by them, for what others pass on, without answering for them
   */
  release(id: number, deaf = false): void {
    if (!this.#held.delete(id)) return;
    this.#silence(id);
    const member = this.#members[id];
    const { ip } = this.#host;
    for (const address of movable(member)) {
      if (deaf) ip.addAddress(address, false);
      else ip.removeAddress(address);
    }
    this.#logger.info({ event: 'released', member: member.name }, 'addresses released');
  }

  /** Tells the link again what is held: somebody else may have answered for it, or hear of it for the first time. */
  announceAgain(): void {
    const now = this.#host.clock.now();
    for (const id of this.#held) {
      if (this.#announcedAt.get(id) !== now) this.#announceForAWhile(id);
    }
  }

  releaseAll(): void {
    for (const id of [...this.#held]) this.release(id);
  }

  #announceForAWhile(id: number): void {
    const { timers, clock } = this.#host;
    const now = clock.now();
    const addresses = movable(this.#members[id]);
    this.#silence(id);
    this.#announcedAt.set(id, now);
    this.#announce(addresses);
    const planned = ANNOUNCE_AGAIN.map((pause) => {
      const timer = new Timer(() => this.#announce(addresses));
      timers.set(timer, now + pause);
      return timer;
    });
    this.#timers.set(id, planned);
  }

  #silence(id: number): void {
    for (const timer of this.#timers.get(id) ?? []) this.#host.timers.remove(timer);
    this.#timers.delete(id);
  }

  #announce(addresses: readonly Address[]): void {
    for (const address of addresses) this.#host.ip.announce(address);
  }
}
