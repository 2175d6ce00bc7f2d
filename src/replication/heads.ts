/**
 * The log of request heads whose bytes were acknowledged to a client before a backend had them (invariant
 * I1). Each member keeps its own and those of all others, so that any of them can finish a request.
 */
import type { Micros } from '../env/clock.ts';

/** Bytes of one head. */
export const MAX_HEAD_BYTES = 65_536;
/** Heads, and bytes of heads, that one member may have logged at a time. */
export const MAX_HEADS_PER_MEMBER = 4_096;
export const MAX_BYTES_PER_MEMBER = 4 << 20;

export interface Head {
  /** The id of the member that accepted the flow, or took it over. */
  readonly owner: number;
  /** Client and virtual address, client and virtual port: 12 bytes for IPv4, 36 for IPv6. */
  readonly flow: Uint8Array;
  /** What the owner noted of the handshake, at most 64 bytes. */
  readonly facts: Uint8Array;
  /** The head from its first byte, as far as it was logged. */
  readonly bytes: Uint8Array;
  /** When it was logged last, or its owner's life ended. */
  readonly loggedAt: Micros;
  /** Its owner's life is over, and nobody has logged it anew yet. */
  readonly isOrphan: boolean;
}

interface Share {
  heads: number;
  bytes: number;
}

const nameOf = (flow: Uint8Array): string => {
  let name = '';
  for (let index = 0; index < flow.length; index++) name += String.fromCharCode(flow[index]);
  return name;
};

export class HeadLog {
  readonly #heads = new Map<string, Head>();
  readonly #shares = new Map<number, Share>();

  get size(): number {
    return this.#heads.size;
  }

  get(flow: Uint8Array): Head | undefined {
    return this.#heads.size > 0 ? this.#heads.get(nameOf(flow)) : undefined;
  }

  /**
   * Adds `bytes` at `offset` of a head; those known already may come again. False, and nothing changed, if
   * that leaves a gap, is too long, or exceeds the owner's share. A new owner starts with offset 0.
   */
  log(
    owner: number,
    flow: Uint8Array,
    facts: Uint8Array,
    offset: number,
    bytes: Uint8Array,
    now: Micros,
  ): boolean {
    const name = nameOf(flow);
    const known = this.#heads.get(name);
    const before = known?.owner === owner && !known.isOrphan ? known : undefined;
    const length = before?.bytes.length ?? 0;
    const total = Math.max(length, offset + bytes.length);
    const share = this.#shares.get(owner) ?? { heads: 0, bytes: 0 };
    if (offset > length || total > MAX_HEAD_BYTES) return false;
    if (before === undefined && share.heads >= MAX_HEADS_PER_MEMBER) return false;
    if (share.bytes + total - length > MAX_BYTES_PER_MEMBER) return false;
    const whole = new Uint8Array(total);
    if (before !== undefined) whole.set(before.bytes);
    whole.set(bytes, offset);
    if (known !== undefined) this.#remove(name, known);
    const { heads, bytes: used } = this.#shares.get(owner) ?? { heads: 0, bytes: 0 };
    this.#shares.set(owner, { heads: heads + 1, bytes: used + total });
    this.#heads.set(name, {
      owner,
      flow: flow.slice(),
      facts: facts.slice(),
      bytes: whole,
      loggedAt: now,
      isOrphan: false,
    });
    return true;
  }

  /** Forgets a head; with `owner`, only if it is that member's, or nobody's. */
  drop(flow: Uint8Array, owner?: number): void {
    if (this.#heads.size === 0) return;
    const name = nameOf(flow);
    const head = this.#heads.get(name);
    if (head === undefined) return;
    if (owner === undefined || head.owner === owner || head.isOrphan) this.#remove(name, head);
  }

  /** Forgets what was logged before `then`, and orphans whose owner's life ended before `orphansThen`. */
  dropOlder(then: Micros, orphansThen: Micros = then): void {
    for (const [name, head] of this.#heads) {
      if (head.loggedAt < (head.isOrphan ? orphansThen : then)) this.#remove(name, head);
    }
  }

  /** The heads that a member goes on with. */
  *of(owner: number): Generator<Head> {
    for (const head of this.#heads.values()) {
      if (head.owner === owner && !head.isOrphan) yield head;
    }
  }

  /** A member's life is over: its heads wait for somebody to go on with them. */
  bereave(owner: number, now: Micros): void {
    for (const [name, head] of this.#heads) {
      if (head.owner === owner && !head.isOrphan) {
        this.#heads.set(name, { ...head, isOrphan: true, loggedAt: now });
      }
    }
  }

  /** The heads that nobody goes on with. */
  orphans(): Head[] {
    return Array.from(this.#heads.values()).filter(({ isOrphan }) => isOrphan);
  }

  #remove(name: string, head: Head): void {
    this.#heads.delete(name);
    const share = this.#shares.get(head.owner);
    if (share === undefined) return;
    share.heads--;
    share.bytes -= head.bytes.length;
    if (share.heads === 0) this.#shares.delete(head.owner);
  }
}
