import { spawn } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { extname, join } from 'node:path';
import { Command, Option } from 'commander';
import { type LabEvent, monotonic } from '../../lab/event.ts';
import type { Lab } from '../../lab/lab.ts';
import { LabError } from '../../lab/lab-error.ts';

interface Options {
  readonly name?: string;
  readonly detach?: boolean;
  readonly json?: boolean;
  readonly background?: boolean;
}

/** What a lab in the background tells the command that started it. */
interface Report {
  readonly error?: string;
  readonly ready?: { readonly name: string; readonly pid: number; readonly ms: number };
}

/** `suture lab up` */
export function upCommand(): Command {
  return new Command('up')
    .summary('build a lab and hold it')
    .description('Build a lab and hold it until Ctrl-C, SIGTERM or `suture lab down`.')
    .argument('<file>', 'topology file (YAML)')
    .option('--name <name>', 'name of the lab, instead of the one in the file')
    .option('--detach', 'return once the lab is ready; it goes on in the background')
    .option('--json', 'one event a line as JSON; with --detach one object when it is ready')
    .addOption(new Option('--background').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  suture lab up labs/duo.yaml\n  suture lab up labs/duo.yaml --detach --json',
    )
    .action((file: string, options: Options) => {
      if (options.background === true) return inBackground(file, options);
      return options.detach === true ? detach(file, options) : hold(file, options);
    });
}

/** Builds the lab and stays until it ends. */
async function hold(file: string, { name, json = false }: Options): Promise<void> {
  const began = monotonic();
  const onEvent = (event: LabEvent): void => {
    const text = json ? JSON.stringify(event) : describe(event);
    if (text !== undefined) process.stdout.write(`${text}\n`);
  };
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => ending.abort());
  }
  const lab = await build(file, name, onEvent, ending.signal);
  if (!json) {
    const ms = Math.round(monotonic() - began);
    process.stdout.write(`lab ${lab.name} is up after ${ms} ms; Ctrl-C ends it\n`);
  }
  await lab.ended;
}

/** The schemas are loaded here alone, which keeps the other verbs of `lab` fast. */
async function build(
  file: string,
  name: string | undefined,
  onEvent: (event: LabEvent) => void,
  signal: AbortSignal,
): Promise<Lab> {
  const { Lab } = await import('../../lab/lab.ts');
  const { loadTopology } = await import('../../lab/topology.ts');
  return Lab.up(file, { name: name ?? loadTopology(file).topology.name, onEvent, signal });
}

/** Starts this command again in the background and waits until it reports. */
async function detach(file: string, { name, json = false }: Options): Promise<void> {
  const script = join(import.meta.dirname, '..', `main${extname(import.meta.filename)}`);
  const named = name === undefined ? [] : ['--name', name];
  const child = spawn(
    process.execPath,
    [...process.execArgv, script, 'lab', 'up', file, ...named, '--background'],
    { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
  );
  const { error, ready } = await new Promise<Report>((resolve) => {
    child.once('message', (report) => resolve(report as Report));
    child.once('exit', () => resolve({ error: 'it ended while it was being built' }));
  });
  child.disconnect();
  child.unref();
  if (ready === undefined) throw new LabError(error ?? 'it did not say why');
  process.stdout.write(
    json
      ? `${JSON.stringify({ ...ready, ready: true })}\n`
      : `lab ${ready.name} is up after ${ready.ms} ms (process ${ready.pid}); suture lab down ends it\n`,
  );
}

async function inBackground(file: string, { name }: Options): Promise<void> {
  const began = monotonic();
  let log: number | undefined;
  const early: string[] = [];
  const onEvent = (event: LabEvent): void => {
    const text = `${JSON.stringify(event)}\n`;
    if (log === undefined) early.push(text);
    else writeSync(log, text);
  };
  const ending = new AbortController();
  process.on('SIGTERM', () => ending.abort());
  try {
    const lab = await build(file, name, onEvent, ending.signal);
    log = openSync(join(lab.folder, 'log'), 'a', 0o600);
    writeSync(log, early.join(''));
    const ms = Math.round(monotonic() - began);
    process.send?.({ ready: { name: lab.name, pid: process.pid, ms } } satisfies Report);
    await lab.ended;
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.message : String(error) });
  }
}

/** An event as a person reads it; not all are worth a line. */
function describe(event: LabEvent): string | undefined {
  switch (event.type) {
    case 'output':
      return `${event.process}: ${event.line}`;
    case 'process': {
      const end =
        event.signal ?? (event.code === undefined ? undefined : `exit code ${event.code}`);
      return `${event.process} is ${event.state}${end === undefined ? '' : ` (${end})`}`;
    }
    case 'fault':
      return `fault: ${event.verb} ${event.target}`;
    case 'lab':
      return undefined;
  }
}
