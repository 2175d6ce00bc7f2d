// The clients of a chaos run, all in one host: each begins again when it has ended, until the time is over; then all
// end what they have begun.
//
//   node clients.ts '{"seed", "forMs", "fileSha256", "fileBytes"}'
//
// Prints `News` as lines of JSON.
import { setTimeout as sleep } from 'node:timers/promises';
import { below, seededRandom } from '../../../src/env/random.ts';
import { monotonic } from '../../../src/lab/event.ts';
import { digestOf } from '../../e2e/content.ts';
import { longExchanges, type Party, shortExchanges } from '../../e2e/programs/exchanges.ts';
import { WrongBytes } from '../../e2e/programs/line.ts';
import { type News, SILENCE_MS } from '../news.ts';
import { curlDownload, curlUpload } from './curls.ts';
import { keepAlive, serverSentEvents, type Tally, webSocketEcho } from './streams.ts';

export interface ClientsOptions {
  readonly seed: number;
  /** How long exchanges are begun. */
  readonly forMs: number;
  /** The file that both nginx serve. */
  readonly fileSha256: string;
  readonly fileBytes: number;
}

const { seed, forMs, fileSha256, fileBytes } = JSON.parse(process.argv[2]) as ClientsOptions;
const random = seededRandom(seed);
const end = monotonic() + forMs;
// Streams are named by a uint32.
let seeds = (seed % 4_000) * 1_000_000;
const nextSeed = (): number => ++seeds;

function tell(news: News): void {
  process.stdout.write(`${JSON.stringify(news)}\n`);
}

/** One that goes on for `shortest` to `longest` milliseconds. */
function party(kind: string, shortest: number, longest: number): Party {
  const until = Math.min(end, monotonic() + shortest + below(random, longest - shortest));
  return {
    nextSeed,
    random,
    rest: () => Math.max(0, until - monotonic()),
    onWait: (from, to) => {
      if (to - from > SILENCE_MS) tell({ type: 'silence', kind, from, to });
    },
  };
}

/** Begins an exchange again and again, a think time of at most `thinkMs` between. */
async function repeat(
  kind: string,
  thinkMs: number,
  exchange: () => Promise<Tally | number>,
): Promise<void> {
  while (monotonic() < end) {
    const from = monotonic();
    const about = { type: 'ended', kind, from } as const;
    try {
      const done = await exchange();
      const tally = typeof done === 'number' ? { requests: 1, bytes: done } : done;
      tell({ ...about, to: monotonic(), ...tally });
    } catch (error) {
      const fault = (error as Error).message || String(error);
      const wrong = error instanceof WrongBytes;
      tell({ ...about, to: monotonic(), requests: 1, bytes: 0, fault, wrong });
    }
    await sleep(below(random, thinkMs));
  }
}

const KIND_OF_LONG = 2;
const SHORT_WORKERS = 6;
const UPLOAD_BYTES = 12_000_000;
const clients: Promise<void>[] = [];
const add = (count: number, ...task: Parameters<typeof repeat>): void => {
  for (let index = 0; index < count; index++) clients.push(repeat(...task));
};

add(2, 'curl from nginx', 200, () => curlDownload('/files/large', fileSha256, fileBytes));
add(1, 'curl from node', 200, () => {
  const name = nextSeed();
  return curlDownload(`/bytes/${name}/${fileBytes}`, digestOf(name, fileBytes), fileBytes);
});
add(1, 'curl upload', 200, () => curlUpload(nextSeed(), UPLOAD_BYTES));
add(3, 'keep-alive', 200, () => keepAlive(party('keep-alive', 3_000, 20_000)));
add(3, 'server-sent events', 200, () =>
  serverSentEvents(party('server-sent events', 5_000, 30_000)),
);
add(3, 'WebSocket', 200, () => webSocketEcho(party('WebSocket', 5_000, 30_000)));
for (const kind of Object.keys(longExchanges(party('', 1, 2)))) {
  add(KIND_OF_LONG, kind, 300, () => {
    const exchange = longExchanges(party(kind, 500, 6_000))[kind];
    return exchange(() => {});
  });
}
for (const [kind, exchange] of Object.entries(shortExchanges(party('', 1, 2)))) {
  add(SHORT_WORKERS / 3, kind, 60, exchange);
}
tell({ type: 'under way' });
await Promise.all(clients);
process.exit();
