import { Command, Option } from 'commander';
import { type Moment, parseMoment, someMoment } from '../demo/moment.ts';
import { screenOf } from '../demo/screen.ts';
import { formatSize, parseSize } from '../demo/size.ts';
import { HOWS, type How } from '../demo/verdict.ts';
import { below, seededRandom, systemRandom } from '../env/random.ts';
import { UsageError } from './usage-error.ts';

interface Options {
  readonly size: string;
  readonly how: How;
  readonly ip: '4' | '6';
  readonly killAfter?: string;
  readonly seed?: string;
  readonly json?: boolean;
}

/** A smaller file would be within buffers as a whole when the proxy fails. */
const SMALLEST = 8 * 2 ** 20;
const LARGEST = 16 * 2 ** 30;
/** Seeds that are chosen by chance are short, to be typed again. */
const SEEDS = 10_000;
/** Exit code after a signal: 128 and its number, as a shell has it. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

const DESCRIPTION = `Let curl download a file through a proxy, make the proxy fail in the middle, and
see another one go on with the same TCP connection. It all runs in network
namespaces of its own, of which nothing is left at the end.`;

const NOTES = `
What can befall the proxy:
  kill       SIGKILL
  pause      SIGSTOP: it hangs
  link-down  its cable is pulled

Ends with 0 only if all is right.

Examples:
  suture demo
  suture demo --how pause --kill-after 2s
  suture demo --ip 6
  suture demo --size 1GiB --kill-after 40% --seed 7 --json`;

/** `suture demo` */
export function command(): Command {
  return new Command('demo')
    .summary('see a download survive kill -9 of its proxy')
    .description(DESCRIPTION)
    .option('--size <size>', 'size of the file, such as 64MiB or 1GiB', '256MiB')
    .addOption(
      new Option('--how <failure>', 'what befalls the proxy').choices(HOWS).default('kill'),
    )
    .addOption(
      new Option('--ip <version>', 'IPv4 or IPv6, from end to end')
        .choices(['4', '6'])
        .default('4'),
    )
    .option(
      '--kill-after <when>',
      '40% of the file, or 2s after the request (default: somewhere in the middle)',
    )
    .option('--seed <number>', 'the same file, and by default the same moment, as before')
    .option('--json', 'one object: {ok, bytes, sha256, ...}')
    .addHelpText('after', NOTES)
    .action(demo);
}

async function demo({ how, ip, json = false, ...texts }: Options): Promise<void> {
  const size = sizeOf(texts.size);
  const seed = texts.seed === undefined ? below(systemRandom(), SEEDS) : seedOf(texts.seed);
  const moment =
    texts.killAfter === undefined ? someMoment(seededRandom(seed)) : momentOf(texts.killAfter);
  // Only now, so that a mistake is told at once.
  const { runDemo } = await import('../demo/demo.ts');
  const { Show } = await import('../demo/show.ts');
  const screen = screenOf(process.stdout, process.env);
  const show = json ? undefined : new Show({ screen, how, seed, size });
  const ending = endingOnSignals(() => show?.close());
  try {
    const result = await runDemo({
      ...{ size, how, moment, seed, ip: ip === '6' ? 6 : 4, signal: ending.signal },
      onStep: (step) => {
        if (!ending.signal.aborted) show?.step(step);
      },
    });
    show?.verdict(result);
    if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (!result.ok) process.exitCode = 1;
  } catch (error) {
    show?.close();
    if (!ending.signal.aborted) throw error;
    process.exitCode = ending.signal.reason as number;
  }
}

/** Aborts with an exit code on Ctrl-C and its kin, and when nobody reads the output any more. */
function endingOnSignals(before: () => void): AbortController {
  const ending = new AbortController();
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (ending.signal.aborted) return;
      before();
      process.stderr.write(' stopped: removing the lab\n');
      ending.abort(code);
    });
  }
  process.stdout.on('error', () => ending.abort(1));
  return ending;
}

function sizeOf(text: string): number {
  const size = parseSize(text);
  if (size !== undefined && size >= SMALLEST && size <= LARGEST) return size;
  throw new UsageError(
    `--size ${text} is not a size from ${formatSize(SMALLEST)} to ${formatSize(LARGEST)}, such as 64MiB or 1GiB`,
  );
}

function momentOf(text: string): Moment {
  const moment = parseMoment(text);
  if (moment !== undefined) return moment;
  throw new UsageError(
    `--kill-after ${text} is neither a part of the file (0% to 99.9%) nor a time (2s, 800ms; at most 60s)`,
  );
}

function seedOf(text: string): number {
  const seed = Number(text);
  if (/^\d{1,10}$/.test(text) && seed <= 0xffff_ffff) return seed;
  throw new UsageError(`--seed ${text} is not a whole number from 0 to 4294967295`);
}
