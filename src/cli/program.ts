/** The command line's verbs and how a run of one ends. */
import { Command, CommanderError } from 'commander';
import { nearest } from '../config/nearest.ts';
import { isMendable, UsageError } from './usage-error.ts';

interface Verb {
  readonly name: string;
  readonly summary: string;
  /** Loads the verb's file, which is done only for the verb at hand. */
  readonly load: () => Promise<{ readonly command: () => Command }>;
}

const VERBS: readonly Verb[] = [
  {
    name: 'demo',
    summary: 'see a download survive kill -9 of its proxy',
    load: () => import('./demo.ts'),
  },
  {
    name: 'proxy',
    summary: 'run one member of a cluster',
    load: () => import('./proxy.ts'),
  },
  {
    name: 'lab',
    summary: 'build a testbed of network namespaces from a topology file',
    load: () => import('./lab.ts'),
  },
  {
    name: 'bench',
    summary: 'measure splicing beside other proxies, and report',
    load: () => import('./bench.ts'),
  },
  {
    name: 'sim',
    summary: 'run the whole cluster in a simulator, with faults, and check it at every step',
    load: () => import('./sim.ts'),
  },
  {
    name: 'doctor',
    summary: 'check that this machine has what suture needs',
    load: () => import('./doctor.ts'),
  },
];

const EXAMPLES = `
Examples:
  suture doctor                                    is this machine ready?
  suture lab up labs/duo.yaml --detach             build a testbed
  suture lab exec client -- curl http://10.0.0.100/
  suture lab down`;

/** An exit code for a mistake of the person, as opposed to 1 for a fault of ours. */
const MISTAKE = 2;

/**
 * Runs `suture` with `argv` (without node and script) and resolves with the exit code: 0 done, 1 a
 * fault of ours, 2 a mistake of the person, anything else is the verb's own. Commands set
 * `process.exitCode` where it is neither.
 */
export async function run(argv: readonly string[]): Promise<number> {
  const named = VERBS.find(({ name }) => name === argv[0]);
  let command = 'suture';
  try {
    if (named === undefined && argv.length > 0 && !argv[0].startsWith('-'))
      throw unknownVerb(argv[0]);
    const program = await programFor(named);
    command = nameOf(program, argv);
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error, command);
  }
}

async function programFor(named: Verb | undefined): Promise<Command> {
  const program = new Command('suture')
    .description('TCP splicing proxies whose client connections outlive the machines serving them')
    .usage('VERB [options]')
    .enablePositionalOptions()
    .helpCommand(false)
    .addHelpText('after', EXAMPLES);
  for (const verb of VERBS) {
    if (verb === named) program.addCommand((await verb.load()).command());
    else program.command(verb.name).summary(verb.summary);
  }
  if (named === undefined) program.action(() => program.help({ error: true }));
  quiet(program);
  return program;
}

/** The command that `argv` names, with its verbs: `suture lab up`. */
function nameOf(program: Command, argv: readonly string[]): string {
  const names = [program.name()];
  let command: Command | undefined = program;
  for (const word of argv) {
    command = command.commands.find((child) => child.name() === word);
    if (command === undefined) break;
    names.push(word);
  }
  return names.join(' ');
}

function unknownVerb(word: string): UsageError {
  const names = VERBS.map(({ name }) => name);
  const meant = nearest(word, names);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  return new UsageError(`there is no verb ${word}${hint} (verbs: ${names.join(', ')})`);
}

/** Makes commander throw its complaints instead of printing them and leaving. */
function quiet(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} });
  for (const child of command.commands) quiet(child);
}

function report(error: unknown, command: string): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (error.code === 'commander.help') return MISTAKE;
    const text = error.message
      .replace(/^error: /, '')
      .replace(/\n/g, ' ')
      .replace(/\.$/, '');
    process.stderr.write(`${command}: ${text}; see ${command} --help\n`);
    return MISTAKE;
  }
  if (isMendable(error)) {
    process.stderr.write(`${command}: ${error.message}\n`);
    return MISTAKE;
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}
