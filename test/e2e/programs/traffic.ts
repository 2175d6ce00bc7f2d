// Clients of every kind at once, so that a failure finds connections in every phase: what each was answered is
// checked, and what went wrong is told.
//
//   node traffic.ts '{"seed", "forMs"}'
//
// Prints `ready` when its long exchanges are under way, and at the end a line of JSON.
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../../src/env/random.ts';
import { longExchanges, type Party, shortExchanges } from './exchanges.ts';

export interface TrafficOptions {
  readonly seed: number;
  /** How long short exchanges are begun, and long ones last at least. */
  readonly forMs: number;
}

export interface TrafficReport {
  /** Exchanges by kind. */
  readonly done: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
  /** The longest that a stream whose server never rests waited for its next bytes, in milliseconds. */
  readonly longestGapMs: number;
}

const { seed: firstSeed, forMs } = JSON.parse(process.argv[2]) as TrafficOptions;
const start = performance.now();
const done: Record<string, number> = {};
const faults: string[] = [];
let longestGapMs = 0;
let seeds = firstSeed * 1_000_000;
const party: Party = {
  nextSeed: () => ++seeds,
  random: seededRandom(firstSeed),
  rest: () => Math.max(0, forMs - (performance.now() - start)),
  onWait: (from, to) => {
    longestGapMs = Math.max(longestGapMs, to - from);
  },
};
const long = Object.entries(longExchanges(party));
const short = Object.entries(shortExchanges(party));

async function attempt(kind: string, exchange: () => Promise<number>): Promise<void> {
  const since = Math.round(performance.now() - start);
  try {
    await exchange();
    done[kind] = (done[kind] ?? 0) + 1;
  } catch (error) {
    const now = Math.round(performance.now() - start);
    faults.push(`${kind} from ${since} to ${now} ms: ${(error as Error).message}`);
  }
}

const EACH = 3;
const WORKERS = 12;
const tasks: Promise<void>[] = [];
const under: Promise<void>[] = [];
for (const [kind, exchange] of long) {
  for (let index = 0; index < EACH; index++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    tasks.push(attempt(kind, () => exchange(resolve)).finally(resolve));
    under.push(promise);
  }
}
for (let worker = 0; worker < WORKERS; worker++) {
  tasks.push(
    (async () => {
      for (let turn = worker; party.rest() > 0; turn++) {
        const [kind, exchange] = short[turn % short.length];
        await attempt(kind, exchange);
        await sleep(party.random.uint32() % 20);
      }
    })(),
  );
}
await Promise.all(under);
console.log('ready');
await Promise.all(tasks);
const report: TrafficReport = { done, faults, longestGapMs: Math.round(longestGapMs) };
console.log(JSON.stringify(report));
