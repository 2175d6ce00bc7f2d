// `npm run soak`: conversations by the thousand over networks that seeds make up. A seed that fails is named, and
// `--seed` plays it again to the same step.
import { Command, InvalidArgumentError } from 'commander';
import { integer } from '../../src/cli/integer.ts';
import { type Account, converse, drawSetting } from './conversation.ts';

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly seed?: number;
  readonly family: 4 | 6 | 0;
}

function family(text: string): 4 | 6 | 0 {
  if (text === 'both') return 0;
  if (text !== '4' && text !== '6') throw new InvalidArgumentError('not 4, 6 or both');
  return text === '4' ? 4 : 6;
}

function soak({ seeds, from, seed, family: wanted }: Options): number {
  const first = seed ?? from;
  const last = seed === undefined ? from + seeds : seed + 1;
  const total = { connections: 0, events: 0, bytes: 0, broken: 0, failures: 0 };
  const startedAt = Date.now();
  for (let each = first; each < last; each++) {
    for (const version of wanted === 0 ? ([4, 6] as const) : [wanted]) {
      const setting = drawSetting(each, version);
      if (seed !== undefined) console.log(JSON.stringify(setting, null, 2));
      try {
        add(total, converse(each, setting));
      } catch (error) {
        total.failures++;
        console.error(
          `seed ${each}, IPv${version}: ${error instanceof Error ? error.stack : error}`,
        );
        console.error(`again: npm run soak -- --seed ${each} --family ${version}`);
      }
    }
    if ((each - first + 1) % 500 === 0) console.log(`${each - first + 1} seeds: ${sum(total)}`);
  }
  const seconds = ((Date.now() - startedAt) / 1_000).toFixed(1);
  console.log(`${last - first} seeds in ${seconds} s: ${sum(total)}`);
  return total.failures;
}

interface Total {
  connections: number;
  events: number;
  bytes: number;
  broken: number;
  failures: number;
}

function add(total: Total, account: Account): void {
  total.connections += account.connections;
  total.events += account.events;
  total.bytes += account.bytes;
  total.broken += account.broken;
}

const sum = ({ connections, bytes, broken, failures }: Total): string =>
  `${connections} connections, ${(bytes / 1e6).toFixed(1)} MB, ` +
  `${broken} broken off as planned, ${failures} seeds failed`;

new Command('soak')
  .description(
    'Runs seeded conversations over a simulated network and checks every byte and every end',
  )
  .option('--seeds <n>', 'how many seeds', integer(1, 10_000_000), 2_000)
  .option('--from <seed>', 'the first of them', integer(0, 2 ** 31), 1)
  .option('--seed <seed>', 'this one alone', integer(0, 2 ** 31))
  .option('--family <4|6|both>', 'version of IP', family, 4)
  .action((options: Options) => {
    process.exitCode = soak(options) === 0 ? 0 : 1;
  })
  .parse();
