// What a seed stands for: the cluster, the network, what clients do and what breaks.
import { MILLISECOND, type Micros, SECOND } from '../env/clock.ts';
import { below, chance, type Random, seededRandom } from '../env/random.ts';
import type { Conditions } from '../link/channel.ts';
import type { Family } from './site.ts';
import type { Exchange, TalkPlan } from './talk.ts';
import { MOMENTS, type Moment } from './talks.ts';

/**
 * How frames find a member. `arp`: clients and backends follow the addresses that members announce. `flow` and
 * `packet`: a router in front sends each flow, or each packet, to a next hop of its choice, and so it does with what
 * backends answer.
 */
export type Spread = 'arp' | 'flow' | 'packet';

/** What can happen to members. */
export type FaultKind =
  | 'crash'
  | 'pause'
  | 'unplug'
  | 'drain'
  | 'cut'
  | 'half-cut'
  | 'split'
  | 'noise';

export interface FaultPlan {
  readonly kind: FaultKind;
  /** When: so many events after a moment of a talk; or, without a talk (-1), at a time. */
  readonly talk: number;
  readonly moment: Moment;
  readonly events: number;
  readonly at: Micros;
  /** Picks whom it befalls among those whom it may; or, if it can be, the talk's home. */
  readonly whom: number;
  readonly home: boolean;
  /** How many members at once. */
  readonly victims: number;
  /** How long it lasts: until a member that crashed or left starts again, too; -1 for ever. */
  readonly span: Micros;
  /** How long after a crash the others are told of it; -1 if nobody is left to do so. */
  readonly told: Micros;
  /** How long a member that leaves may take to finish what it has begun. */
  readonly limit: Micros;
}

export interface MeshPlan {
  readonly loss: number;
  readonly delay: Micros;
  /** Added to the delay from each member to each other, at `from * members + to`; no order is lost by it. */
  readonly skews: readonly Micros[];
}

export interface Plan {
  readonly seed: number;
  readonly family: Family;
  readonly members: number;
  readonly spread: Spread;
  /** Whether members' links take trains of segments. */
  readonly offload: boolean;
  readonly heartbeatMs: number;
  readonly suspectAfterMs: number;
  /** What every cable does, each way. */
  readonly cables: Partial<Conditions>;
  /** What happens to messages between members beside that. */
  readonly mesh: MeshPlan;
  readonly talks: readonly TalkPlan[];
  readonly faults: readonly FaultPlan[];
}

/** Talks at most that begin with the ends of earlier ones. */
const MOST_AGAIN = 3;
/** Talks begin, and faults that wait for no talk come, within this time. */
const BUSY: Micros = 1_500 * MILLISECOND;

/** The plan of `seed`. */
export function drawPlan(seed: number): Plan {
  const random = seededRandom(Math.imul(seed, 0x9e37_79b1) ^ 0x5ca1_ab1e);
  const members = 2 + below(random, 3);
  const talks = drawTalks(random);
  const heartbeatMs = pick(random, [10, 10, 20]);
  return {
    seed,
    family: chance(random, 0.25) ? 6 : 4,
    members,
    spread: pick(random, ['arp', 'arp', 'flow', 'packet']),
    offload: chance(random, 0.2),
    heartbeatMs,
    suspectAfterMs: 6 * heartbeatMs,
    cables: drawCables(random),
    mesh: drawMesh(random, members),
    talks,
    faults: drawFaults(random, talks.length),
  };
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[below(random, choices.length)];
}

function drawCables(random: Random): Partial<Conditions> {
  const upTo = (most: number): number => (below(random, 1_000) / 1_000) * most;
  const delay = chance(random, 0.8) ? 20 + below(random, 300) : below(random, 4_000);
  if (chance(random, 0.4)) return { delay };
  return {
    delay,
    loss: chance(random, 0.5) ? upTo(0.02) : 0,
    duplication: chance(random, 0.5) ? upTo(0.05) : 0,
    reordering: chance(random, 0.5) ? upTo(0.1) : 0,
    reorderingDelay: below(random, 3_000),
    jitter: chance(random, 0.3) ? below(random, 500) : 0,
  };
}

function drawMesh(random: Random, members: number): MeshPlan {
  const most = chance(random, 0.3) ? 1 + below(random, 8 * MILLISECOND) : 0;
  const skews = Array.from({ length: members * members }, () => below(random, most + 1));
  const kind = below(random, 8);
  return {
    loss: kind === 0 ? 0.1 + below(random, 20) / 100 : kind === 1 ? 0.02 : 0,
    delay: kind === 2 ? below(random, 40 * MILLISECOND) : 0,
    skews,
  };
}

function drawTalks(random: Random): TalkPlan[] {
  const talks = Array.from({ length: 2 + below(random, 5) }, () => drawTalk(random));
  // Some clients come again with the same ends.
  const first = talks.length;
  for (let number = 0; number < talks.length && talks.length < first + MOST_AGAIN; number++) {
    if (!chance(random, 0.25)) continue;
    const pause = below(random, pick(random, [2, 20, 3_000]) * MILLISECOND);
    const { opaque } = talks[number];
    talks.push({ ...drawTalk(random), opaque, startAt: pause, follows: number });
  }
  return talks;
}

function drawTalk(random: Random): TalkPlan {
  const opaque = chance(random, 0.3);
  const style = below(random, 8);
  const count = chance(random, 0.5) ? 1 : 2 + below(random, 3);
  const idle = style === 7;
  const exchanges = Array.from({ length: count }, (_, index) => {
    const exchange = drawExchange(random);
    return idle && index === count - 1 && index > 0
      ? { ...exchange, pause: 3 * SECOND + below(random, 3 * SECOND) }
      : exchange;
  });
  const total = exchanges.reduce((sum, { up, down, echo }) => sum + (echo ? up : down), 0);
  const deaf = style === 6;
  return {
    opaque,
    startAt: below(random, BUSY),
    follows: -1,
    exchanges,
    pipelined: chance(random, 0.2),
    closing: pick(random, ['half', 'client', 'client', 'server']),
    deafAt: deaf ? below(random, total + 1) : -1,
    deafFor: 200 * MILLISECOND + below(random, 2 * SECOND),
    buffer: deaf || chance(random, 0.2) ? 4_096 + below(random, 16_384) : 262_144,
    leavesAt: chance(random, 0.06) ? below(random, total + 1) : -1,
  };
}

function drawExchange(random: Random): Exchange {
  const size = (): number => {
    const kind = below(random, 10);
    if (kind < 5) return below(random, 2_000);
    return kind < 9 ? below(random, 30_000) : 40_000 + below(random, 80_000);
  };
  const kind = below(random, 10);
  const upload = kind === 0 || kind === 1;
  const echo = kind === 2;
  const long = chance(random, 0.12);
  const pieces = chance(random, 0.25) ? 2 + below(random, 4) : 1;
  return {
    padding: long
      ? chance(random, 0.4)
        ? 16_000 + below(random, 12_000)
        : below(random, 5_000)
      : 0,
    up: upload || echo ? 1 + size() : 0,
    down: echo ? 0 : upload ? below(random, 500) : size(),
    echo,
    thinking: chance(random, 0.3) ? below(random, 60 * MILLISECOND) : 0,
    pause: chance(random, 0.4) ? below(random, 120 * MILLISECOND) : 0,
    pieces,
    gap: 200 + below(random, chance(random, 0.5) ? 3 * MILLISECOND : 60 * MILLISECOND),
  };
}

const KINDS: readonly FaultKind[] = [
  'crash',
  'crash',
  'crash',
  'crash',
  'pause',
  'pause',
  'unplug',
  'drain',
  'drain',
  'cut',
  'half-cut',
  'split',
  'noise',
];

function drawFaults(random: Random, talks: number): FaultPlan[] {
  if (chance(random, 0.08)) return [];
  return Array.from({ length: 1 + below(random, 4) }, () => {
    const kind = pick(random, KINDS);
    const forever =
      (kind === 'crash' && chance(random, 0.5)) || (kind === 'drain' && chance(random, 0.2));
    return {
      kind,
      talk: chance(random, 0.7) ? below(random, talks) : -1,
      moment: pick(random, MOMENTS),
      events: below(random, pick(random, [6, 15, 40, 600])),
      at: below(random, BUSY + SECOND),
      whom: random.uint32(),
      home: chance(random, 0.5),
      victims: chance(random, 0.2) ? 2 : 1,
      span: forever ? -1 : 1_000 + below(random, chance(random, 0.5) ? 90_000 : 900_000),
      told: chance(random, 0.5) ? below(random, 3 * MILLISECOND) : -1,
      limit: chance(random, 0.7) ? 10 * SECOND : below(random, SECOND),
    };
  });
}
