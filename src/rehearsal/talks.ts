// The clients' connections as the wires show them, and those to backends on their behalf.
import type { Micros } from '../env/clock.ts';
import type { Endpoint } from '../ip/address.ts';
import type { ProxyMember } from '../proxy/proxy.ts';
import type { Station } from './cluster.ts';
import type { TalkClient } from './talk-client.ts';

/** A connection from a member to a backend on behalf of a client. */
export interface Way {
  readonly talk: Talk;
  readonly source: Endpoint;
  readonly backend: Endpoint;
  /** Our initial sequence number towards the backend: that of the client. */
  readonly irs: number;
  /** How much of what the client says the backend has acknowledged; its FIN counts one. */
  acked: number;
  /** The members, a bit each, that have translated packets to it. */
  users: number;
  readonly dialedAt: Micros;
  /** Who dialed, and in which life. */
  readonly dialer: Station;
  readonly life: ProxyMember;
  /** How often it had been told to yield then. */
  readonly yields: number;
  /** A member has reset it. */
  isReset: boolean;
}

/**
 * The moments of a flow's life that show on the wires: the client's SYN, a member's SYN to a backend and that one's
 * answer, the first packet that is translated, and the first FIN of either end.
 */
export type Moment = 'begun' | 'dialed' | 'answered' | 'served' | 'closing';
export const MOMENTS: readonly Moment[] = ['begun', 'dialed', 'answered', 'served', 'closing'];

/** A client's connection as the wires show it. */
export interface Talk {
  readonly client: TalkClient;
  /** The client's initial sequence number; -1 before its SYN. */
  irs: number;
  /** The step of the simulation at each moment; -1 before it. */
  readonly moments: Record<Moment, number>;
  /** What the client has said, and what may be acknowledged to it; its FIN counts one. */
  said: number;
  safe: number;
  readonly ways: Way[];
  /** The member that dialed last. */
  dialer: Station | undefined;
  /** The way that its packets are translated to. */
  way: Way | undefined;
  isTorn: boolean;
  /** Its home had to give up the backend that it dialed, and has begun to answer itself. */
  mayBeRefused: boolean;
  isRefused: boolean;
  /** The client has sent a reset. */
  isReset: boolean;
  /** The talks with the same ends before and after it. */
  readonly previous: Talk | undefined;
  next: Talk | undefined;
}

/** True if a talk need not begin: the one whose ends it waits for is torn, and may never end. */
export const isVoid = ({ client, previous }: Talk): boolean =>
  !client.begun && previous !== undefined && (previous.isTorn || isVoid(previous));

/** True if a number is of a client's present connection: it answers what is left of the last one in its terms. */
export function isOwn({ irs, said }: Talk, seq: number): boolean {
  const offset = (seq - irs) | 0;
  return irs >= 0 && offset >= 0 && offset <= said + 1;
}

/** All of them, by what a segment shows of them. */
export class Talks {
  readonly all: Talk[] = [];
  readonly #byPort = new Map<number, Talk>();
  readonly #byNumber = new Map<number, Talk>();

  add(client: TalkClient): void {
    const { port } = client.local;
    const previous = this.all.findLast((talk) => talk.client.local.port === port);
    const talk: Talk = {
      client,
      irs: -1,
      moments: { begun: -1, dialed: -1, answered: -1, served: -1, closing: -1 },
      said: 0,
      safe: 0,
      ways: [],
      dialer: undefined,
      way: undefined,
      isTorn: false,
      mayBeRefused: false,
      isRefused: false,
      isReset: false,
      previous,
      next: undefined,
    };
    this.all.push(talk);
    if (previous === undefined) this.#byPort.set(port, talk);
    else previous.next = talk;
  }

  /** The talk of a client's port: of those with the same ends the last that has begun. */
  atPort(port: number): Talk | undefined {
    const talk = this.#byPort.get(port);
    if (talk?.next?.client.begun !== true) return talk;
    this.#byPort.set(port, talk.next);
    return talk.next;
  }

  /** The talk whose client began with this sequence number. */
  bySyn(seq: number): Talk | undefined {
    return this.#byNumber.get(seq);
  }

  /** A client has said its first SYN. */
  begin(talk: Talk, seq: number): void {
    talk.irs = seq;
    this.#byNumber.set(seq, talk);
  }
}
